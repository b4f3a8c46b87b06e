//! What `init` writes: projects that apply, and let users into the zone that serves alone.

use serde_json::{Value, json};
use zonewright_tests::{Env, root};

use super::ingress::front;
use super::{BINARY, names};

/// The zones whose cluster has objects of a kind.
fn zones_with(env: &Env, table: &str) -> Vec<String> {
    let dump = env.dump();
    let clusters = env.table("digitalocean", "kubernetes_clusters");
    let mut zones: Vec<String> = clusters
        .iter()
        .filter(|cluster| {
            let id = cluster["id"].as_str().unwrap();
            let tables = dump["kubernetes"].as_object().unwrap().iter();
            let mut own = tables.filter(|(name, _)| name.contains(id) && name.ends_with(table));
            own.any(|(_, rows)| rows.as_object().is_some_and(|r| !r.is_empty()))
        })
        .map(|c| c["name"].as_str().unwrap().replace("hello-", ""))
        .collect();
    zones.sort();
    zones
}

#[test]
fn what_init_writes_is_valid_and_applies() {
    let env = Env::empty(BINARY);
    env.expect(0, &["init"]);
    env.expect(0, &["validate"]);
    env.expect(0, &["fmt", "--check"]);
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    assert_ne!(env.run(&["init"]).code, 0, "init overwrites");
    // One zone lets users in, and its answers say which it is; a swap turns that round.
    for active in ["pz", "bz"] {
        let to = format!("active = \"{active}\"");
        env.edit("zonewright.toml", "active = \"pz\"", &to);
        env.expect(0, &["apply", "--auto-approve"]);
        assert_eq!(zones_with(&env, "networking.k8s.io/ingresses"), [active]);
        let balancers = env.table("digitalocean", "load_balancers");
        assert_eq!(balancers.len(), 1, "{balancers:?}");
        let (sent, led) = front(&env, active, ("hello", "hello"));
        assert_eq!(sent, json!({"X-Zone": active}));
        assert_eq!(led, "hello-zone@kubernetescrd");
        env.assert_settled();
    }
}

/// The class is data: an ingress controller that is there already is declared, and none is made.
#[test]
fn an_ingress_nginx_that_is_there_can_be_declared() {
    let env = Env::empty(BINARY);
    env.expect(0, &["init"]);
    env.edit("zones/pz.toml", "\"traefik\" #", "\"nginx\" #");
    let zone = std::fs::read_to_string(env.path().join("zones/pz.toml")).unwrap();
    let (before, rest) = zone.split_once("[kubernetes.chart.traefik]").unwrap();
    let (_, after) = rest.split_once("\n[kubernetes.manifest.ingress]").unwrap();
    env.write(
        "zones/pz.toml",
        &format!("{before}[kubernetes.manifest.ingress]{after}"),
    );
    let manifest = std::fs::read_to_string(env.path().join("manifests/ingress.yaml")).unwrap();
    let (_, ingress) = manifest.split_once("\n---\n").unwrap();
    let traefik = "traefik.ingress.kubernetes.io/router.middlewares: hello-zone@kubernetescrd";
    let nginx = "nginx.ingress.kubernetes.io/custom-headers: hello/zone";
    let header = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: zone\n  namespace: hello\ndata:\n  X-Zone: ${zone.name}\n";
    assert!(ingress.contains(traefik));
    env.write(
        "manifests/ingress.yaml",
        &format!("{header}---\n{}", ingress.replace(traefik, nginx)),
    );
    env.expect(0, &["apply", "--auto-approve"]);
    assert_eq!(zones_with(&env, "networking.k8s.io/ingresses"), ["pz"]);
    assert_eq!(names(&env, "load_balancers"), [""; 0]);
    env.assert_settled();
}

/// The other template is the example, which a runbook can be made for.
#[test]
fn init_writes_the_example() {
    let env = Env::empty(BINARY);
    let written = env.expect(0, &["init", "--template", "wordpress"]).stdout;
    let example = root().join("examples/wordpress-dr");
    for file in written.lines().filter(|f| *f != ".gitignore") {
        let ours = std::fs::read(env.path().join(file)).unwrap();
        let theirs = std::fs::read(example.join(file)).unwrap();
        assert!(ours == theirs, "{file}");
    }
    let mut left: Vec<String> = ["zones", "manifests", "helm", "charts"]
        .map(str::to_owned)
        .into();
    while let Some(name) = left.pop() {
        if let Ok(folder) = std::fs::read_dir(example.join(&name)) {
            let inside = folder.map(|f| f.unwrap().file_name());
            left.extend(inside.map(|f| format!("{name}/{}", f.to_str().unwrap())));
        } else {
            assert!(written.lines().any(|l| l == name), "{name} is left out");
        }
    }
    env.expect(0, &["validate"]);
    let plan: Value = env.expect(0, &["plan", "--format", "json"]).json();
    assert!(plan["resource_changes"].as_array().unwrap().len() > 100);
}
