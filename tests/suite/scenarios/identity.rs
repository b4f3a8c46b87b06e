//! BZ-31: a zone's commands never go into another cluster than its own.

use std::process::Stdio;

use serde_json::{Value, json};
use zonewright_sandbox::fault::{Fault, Kind};
use zonewright_tests::{Env, Output, finish};

use super::{applied, names};

/// The cluster of a zone in the ground truth.
fn cluster(env: &Env, zone: &str) -> String {
    let clusters = env.table("digitalocean", "kubernetes_clusters");
    let name = format!("wp-{zone}-");
    let own = |c: &&Value| c["name"].as_str().is_some_and(|n| n.starts_with(&name));
    clusters.iter().find(own).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The uid of a cluster's namespace `kube-system`.
fn uid(env: &Env, cluster: &str) -> String {
    let dump = env.dump();
    dump["kubernetes"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(table, _)| table.contains(cluster) && table.ends_with("/namespaces"))
        .flat_map(|(_, rows)| rows.as_object().unwrap().values())
        .find(|n| n["metadata"]["name"] == "kube-system")
        .unwrap()["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// From now on, a request is answered with this.
fn answers(env: &Env, path: &str, body: Value) {
    let fault = Fault {
        service: None,
        method: Some("GET".to_owned()),
        path: Some(path.to_owned()),
        nth: 1,
        count: 1_000_000,
        kind: Kind::Status {
            code: 200,
            body: Some(body),
            headers: std::collections::BTreeMap::new(),
        },
    };
    let client = env.client();
    env.wait(client.add_fault(&fault)).unwrap();
}

/// Whether an error says this, wherever its lines are broken.
fn says(output: &Output, words: &str) -> bool {
    let squash = |text: &str| -> String {
        let frame = |c: &char| !c.is_whitespace() && !"│×╰─▶├".contains(*c);
        text.chars().filter(frame).collect()
    };
    squash(&output.stderr).contains(&squash(words))
}

/// What is sent into clusters and changes something there.
fn into_clusters(env: &Env) -> Vec<Value> {
    let mut sent = env.mutations();
    sent.retain(|r| r["path"].as_str().unwrap().starts_with("/clusters/"));
    sent
}

#[test]
fn bz_31_another_cluster_behind_the_same_id_is_refused_by_every_command() {
    let env = applied();
    let bz = cluster(&env, "bz");
    let own = uid(&env, &bz);
    let other = "11111111-2222-4333-8444-555555555555";
    // A command that has no reason to write records nothing either.
    let before = env.state_bytes();
    env.expect(0, &["plan"]);
    assert_eq!(env.state_bytes(), before);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "kube-system", "uid": other}});
    answers(
        &env,
        &format!("/clusters/{bz}/api/v1/namespaces/kube-system"),
        namespace,
    );
    env.clear_requests();
    for command in [
        &["plan"][..],
        &["plan", "--zone", "bz"],
        &["apply", "--auto-approve"],
        &["destroy", "--zone", "bz", "--auto-approve"],
        &["drift"],
        &["verify", "--zone", "bz"],
        &["smoke", "--zone", "bz"],
        &["kubeconfig", "--zone", "bz"],
    ] {
        let refused = env.expect(6, command);
        for word in ["ZW3124", own.as_str(), other, "zonewright explain"] {
            assert!(
                says(&refused, word),
                "{command:?} {word}: {}",
                refused.text()
            );
        }
        assert!(!refused.stdout.contains("client-key"), "{}", refused.text());
    }
    assert_eq!(env.mutations(), Vec::<Value>::new());
    let line = env.run(&[
        "verify", "--zone", "bz", "--only", "cluster", "--format", "json",
    ]);
    assert!(line.stdout.contains("fail"), "{}", line.text());
    // The other zone has nothing to do with it.
    env.expect(0, &["plan", "--zone", "pz", "--detailed-exitcode"]);
    env.clear_faults();
    let green = env.expect(0, &["verify", "--zone", "bz", "--only", "cluster"]);
    assert!(green.stdout.contains(&own), "{}", green.text());
    env.assert_settled();
}

#[test]
fn bz_31_one_cluster_behind_two_zones_is_refused_by_name() {
    let env = applied();
    let (bz, pz) = (cluster(&env, "bz"), cluster(&env, "pz"));
    let path = |cluster: &str| format!("/v2/kubernetes/clusters/{cluster}/credentials");
    let token = env.ready().env();
    let token = token
        .iter()
        .find(|(n, _)| *n == "DIGITALOCEAN_TOKEN")
        .unwrap();
    let (status, credentials) = env.meddle("GET", &path(&pz), &token.1, None);
    assert_eq!(status, 200, "{credentials}");
    answers(&env, &path(&bz), credentials);
    env.clear_requests();
    for command in [
        &["plan"][..],
        // The other zone is not even opened: what is recorded of it is enough.
        &["apply", "--zone", "bz", "--auto-approve"],
        &["verify", "--zone", "bz"],
        &["kubeconfig", "--zone", "bz"],
    ] {
        let refused = env.expect(6, command);
        let both = format!(
            "bz and pz lead into one cluster (uid of kube-system {})",
            uid(&env, &pz)
        );
        assert!(
            says(&refused, "ZW3124") && says(&refused, &both),
            "{command:?}: {}",
            refused.text()
        );
        assert!(says(&refused, &uid(&env, &bz)), "{}", refused.text());
    }
    assert_eq!(env.mutations(), Vec::<Value>::new());
    env.clear_faults();
    env.assert_settled();
}

#[test]
fn bz_31_a_cluster_that_the_plan_replaces_is_known_by_its_new_identity() {
    let env = applied();
    let old = uid(&env, &cluster(&env, "bz"));
    env.edit("zones/bz.toml", "region = \"sfo3\"", "region = \"fra1\"");
    env.expect(0, &["apply", "--auto-approve"]);
    assert_eq!(
        names(&env, "kubernetes_clusters"),
        ["wp-bz-doks-fra1", "wp-pz-doks-nyc3"]
    );
    env.assert_settled();
    let new = uid(&env, &cluster(&env, "bz"));
    assert_ne!(old, new);
    let green = env.expect(0, &["verify", "--zone", "bz", "--only", "cluster"]);
    assert!(green.stdout.contains(&new), "{}", green.text());
    // Gone and made again from nothing.
    env.expect(0, &["destroy", "--zone", "bz", "--auto-approve"]);
    let texts: String = env
        .state_bytes()
        .into_iter()
        .filter(|(file, _)| file.ends_with("bz.state.json"))
        .map(|(_, bytes)| String::from_utf8(bytes).unwrap())
        .collect();
    assert!(
        !texts.contains(&new),
        "what is destroyed is forgotten: {texts}"
    );
    env.expect(0, &["apply", "--auto-approve"]);
    env.assert_settled();
    env.expect(0, &["verify", "--zone", "bz", "--only", "cluster"]);
}

/// A project in the live world whose zones are clusters of somebody else's, given by kubeconfigs: those of
/// a sandbox.
struct Elsewhere {
    clouds: Env,
    env: Env,
}

impl Elsewhere {
    fn new() -> Elsewhere {
        let clouds = applied();
        let env = Env::empty(super::BINARY);
        for zone in ["pz", "bz"] {
            let config = clouds.expect(0, &["kubeconfig", "--zone", zone]).stdout;
            env.write(&format!("{zone}.kubeconfig"), &config);
        }
        env.write(
            "zonewright.toml",
            "[project]\nname = \"lab\"\nzones = [\"pz\", \"bz\"]\nactive = \"pz\"\n\
             [secret]\npz = { file = \"pz.kubeconfig\" }\nbz = { file = \"bz.kubeconfig\" }\n",
        );
        for zone in ["pz", "bz"] {
            let text = format!(
                "[zone]\nregion = \"nyc3\"\n\
                 [providers.kubernetes]\nkubeconfig = \"${{secret.{zone}}}\"\n\
                 [kubernetes.manifest.own]\nobject = {{ apiVersion = \"v1\", kind = \"Namespace\", \
                 metadata = {{ name = \"elsewhere\" }} }}\n"
            );
            env.write(&format!("zones/{zone}.toml"), &text);
        }
        Elsewhere { clouds, env }
    }

    fn expect(&self, code: i32, args: &[&str]) -> Output {
        let mut command = self.env.bare(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = finish(command.spawn());
        assert_eq!(output.code, code, "{args:?}: {}", output.text());
        output
    }

    fn settled(&self) {
        self.expect(0, &["plan", "--detailed-exitcode"]);
        self.expect(0, &["drift"]);
    }
}

#[test]
fn bz_31_a_kubeconfig_that_leads_elsewhere_is_refused_until_the_spec_names_the_cluster() {
    let lab = Elsewhere::new();
    let (bz, pz) = (cluster(&lab.clouds, "bz"), cluster(&lab.clouds, "pz"));
    let (own, others) = (uid(&lab.clouds, &bz), uid(&lab.clouds, &pz));
    lab.expect(0, &["apply", "--auto-approve"]);
    lab.settled();
    let green = lab.expect(
        0,
        &[
            "verify",
            "--zone",
            "bz",
            "--only",
            "cluster",
            "--only",
            "namespaces",
        ],
    );
    assert!(green.stdout.contains(&own), "{}", green.text());
    // Somebody copies the primary's kubeconfig over the backup zone's.
    let read = |file: &str| std::fs::read_to_string(lab.env.path().join(file)).unwrap();
    let right = read("bz.kubeconfig");
    lab.env.write("bz.kubeconfig", &read("pz.kubeconfig"));
    lab.clouds.clear_requests();
    for command in [
        &["plan"][..],
        &["apply", "--zone", "bz", "--auto-approve"],
        &["destroy", "--zone", "bz", "--auto-approve"],
        &["drift", "--zone", "bz"],
        &["verify", "--zone", "bz"],
    ] {
        let refused = lab.expect(6, command);
        for word in ["ZW3124", "bz and pz", own.as_str(), others.as_str()] {
            assert!(
                says(&refused, word),
                "{command:?} {word}: {}",
                refused.text()
            );
        }
    }
    assert_eq!(into_clusters(&lab.clouds), Vec::<Value>::new());
    lab.env.write("bz.kubeconfig", &right);
    lab.settled();
    // The cluster behind a kubeconfig was replaced by its owner, on purpose: the spec says so.
    lab.env.edit(
        "zones/pz.toml",
        "[providers.kubernetes]\n",
        "[providers.kubernetes]\nidentity = \"none\"\n",
    );
    let pinned = lab.expect(6, &["plan", "--zone", "pz"]);
    assert!(says(&pinned, "none `identity` names"), "{}", pinned.text());
    lab.env.edit(
        "zones/pz.toml",
        "identity = \"none\"",
        &format!("identity = \"{others}\""),
    );
    lab.settled();
}

#[test]
fn bz_31_a_cluster_that_its_owner_replaced_gets_everything_anew_once_it_is_named() {
    let lab = Elsewhere::new();
    lab.env.edit("zonewright.toml", "\"pz\", \"bz\"", "\"pz\"");
    std::fs::remove_file(lab.env.path().join("zones/bz.toml")).unwrap();
    lab.expect(0, &["apply", "--auto-approve"]);
    // The owner's new cluster, here the other one.
    let new = std::fs::read_to_string(lab.env.path().join("bz.kubeconfig")).unwrap();
    lab.env.write("pz.kubeconfig", &new);
    lab.expect(6, &["plan"]);
    let uid = uid(&lab.clouds, &cluster(&lab.clouds, "bz"));
    let named = format!("[providers.kubernetes]\nidentity = \"{uid}\"\n");
    lab.env
        .edit("zones/pz.toml", "[providers.kubernetes]\n", &named);
    lab.expect(0, &["apply", "--auto-approve"]);
    lab.settled();
    // From now on it is the recorded one.
    lab.env
        .edit("zones/pz.toml", &format!("identity = \"{uid}\"\n"), "");
    lab.settled();
}
