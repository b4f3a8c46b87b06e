//! The lock of the charts: what fits it is read, what does not is refused with the way out.

use serde_json::json;
use zonewright_engine::canon::{self, Digest};
use zonewright_zones::{
    Code, Hooks, LOCK_FILE, Loaded, Lock, LockedChart, LockedRendering, MemoryFiles, Rendered,
    VendoredCharts, contents, directory, load,
};

use crate::fixture;
use crate::registry::registry;

const SPEC: &str = r#"//- zones/pz.toml
[digitalocean.kubernetes_cluster.main]
name = "c"
vpc = "v"
region = "nyc3"
version = "1.34.1-do.2"
node_pool = { size = "s", min = 1, max = 2 }
[providers.kubernetes]
cluster = "${digitalocean.kubernetes_cluster.main}"
[kubernetes.chart.web]
chart = "./own/web"
namespace = "app"
values = { zone = "${zone.name}" }
//- own/web/Chart.yaml
name: web
version: 0.1.0
//- own/web/templates/a.yaml
kind: {{ .Values.zone }}
//- charts/pz/web.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: web
  namespace: app
//- charts/web.tgz
packed
"#;

fn locked(files: &MemoryFiles) -> Lock {
    let text = |path: &str| files.0[path].as_bytes();
    let own = directory(files, "./own/web").unwrap();
    assert_eq!(
        own.keys().collect::<Vec<_>>(),
        ["Chart.yaml", "templates/a.yaml"]
    );
    Lock::new(vec![LockedChart {
        name: "web".to_owned(),
        source: "./own/web".to_owned(),
        repository: None,
        chart: "web".to_owned(),
        version: "0.1.0".to_owned(),
        archive: "charts/web.tgz".to_owned(),
        digest: Digest::of(text("charts/web.tgz")),
        contents: Some(contents(&own)),
        manifest: None,
        helm: "v4.1.4".to_owned(),
        subcharts: Vec::new(),
        renderings: vec![LockedRendering {
            zone: "pz".parse().unwrap(),
            file: "charts/pz/web.yaml".to_owned(),
            namespace: "app".to_owned(),
            kube_version: Some("1.34.1".to_owned()),
            api_versions: Vec::new(),
            hooks: Hooks::Refuse,
            values: canon::digest(&json!({ "zone": "pz" })),
            digest: Digest::of(text("charts/pz/web.yaml")),
            objects: 1,
        }],
    }])
}

/// The project with its lock, after an edit.
fn loaded(edit: impl FnOnce(&mut MemoryFiles)) -> Loaded {
    let mut files = fixture::files(SPEC);
    let lock = locked(&files).to_toml();
    files.0.insert(LOCK_FILE.to_owned(), lock);
    edit(&mut files);
    load(&files, &VendoredCharts(&files), &registry())
}

fn replaced(files: &mut MemoryFiles, path: &str, from: &str, to: &str) {
    let text = files.0.get_mut(path).unwrap();
    assert!(text.contains(from), "{path} has no {from}");
    *text = text.replacen(from, to, 1);
}

#[test]
fn what_fits_the_lock_is_read() {
    let loaded = loaded(|_| {});
    assert!(loaded.diagnostics.is_empty(), "{}", fixture::print(&loaded));
    assert_eq!(loaded.charts[0].rendered, Rendered::Locked);
    assert_eq!(loaded.charts[0].kube_version.as_deref(), Some("1.34.1"));
    let config = loaded.config.unwrap();
    let key = "pz/kubernetes.chart.web[\"core/ConfigMap/app/web\"]";
    assert!(config.resources.contains_key(&key.parse().unwrap()));
    let again: Lock = toml::from_str(&loaded.lock.clone().unwrap().to_toml()).unwrap();
    assert_eq!(Some(again), loaded.lock);
}

/// A file, what is replaced in it, and by what.
type Edit = (&'static str, &'static str, &'static str);

/// Every edit that makes the vendored files something else than the spec says, with the code and a part of
/// the message.
const UNFIT: &[(Edit, Code, &str)] = &[
    (
        ("charts/pz/web.yaml", "name: web", "name: wab"),
        Code::VendoredEdited,
        "was edited",
    ),
    (
        ("charts/web.tgz", "packed", "other"),
        Code::VendoredEdited,
        "charts/web.tgz",
    ),
    (
        ("own/web/templates/a.yaml", "kind", "name"),
        Code::ChartStale,
        "a file of it was changed",
    ),
    (
        ("zones/pz.toml", "zone = \"${zone.name}\"", "zone = \"qz\""),
        Code::ChartStale,
        "rendered with other `values`",
    ),
    (
        ("zones/pz.toml", "1.34.1-do.2", "1.35.0"),
        Code::ChartStale,
        "`kube_version` 1.34.1",
    ),
    (
        (
            "zones/pz.toml",
            "namespace = \"app\"",
            "namespace = \"api\"",
        ),
        Code::ChartStale,
        "`namespace` `app`",
    ),
    (
        ("zones/pz.toml", "./own/web", "./own/wob"),
        Code::ChartStale,
        "locked from `./own/web`",
    ),
    (
        (
            "zones/pz.toml",
            "namespace =",
            "version = \"0.2.0\"\nnamespace =",
        ),
        Code::ChartStale,
        "locked at 0.1.0",
    ),
    (
        (
            "zones/pz.toml",
            "namespace =",
            "hooks = \"drop\"\nnamespace =",
        ),
        Code::ChartStale,
        "`hooks` \"refuse\"",
    ),
    (
        (
            "zones/pz.toml",
            "namespace =",
            "api_versions = [\"a/v1\"]\nnamespace =",
        ),
        Code::ChartStale,
        "`api_versions`",
    ),
    (
        (LOCK_FILE, "zone = \"pz\"", "zone = \"bz\""),
        Code::ChartStale,
        "without a rendering for this zone",
    ),
    ((LOCK_FILE, "helm =", "hulm ="), Code::LockBroken, "hulm"),
    (
        (LOCK_FILE, "version = 1", "version = 9"),
        Code::LockBroken,
        "version 9",
    ),
    (
        (LOCK_FILE, "sha256:", "sha265:"),
        Code::LockBroken,
        "64 hex",
    ),
    (
        (LOCK_FILE, "[[chart]]", "<<<<<<< HEAD\n[[chart]]"),
        Code::LockBroken,
        "cannot be read",
    ),
];

#[test]
fn what_does_not_fit_is_refused() {
    for ((path, from, to), code, words) in UNFIT {
        let loaded = loaded(|files| replaced(files, path, from, to));
        let words_of = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown = words_of(fixture::print(&loaded));
        assert!(loaded.config.is_none(), "{path} {to}: {shown}");
        let codes: Vec<Code> = loaded.diagnostics.iter().map(|d| d.code).collect();
        assert_eq!(codes, [*code], "{path} {to}: {shown}");
        assert!(shown.contains(words), "{path} {to}: {shown}");
        assert!(shown.contains("charts lock"), "no way out: {shown}");
    }
}

#[test]
fn what_is_not_there_is_refused() {
    for path in ["charts/pz/web.yaml", "charts/web.tgz"] {
        let loaded = loaded(|files| {
            files.0.remove(path);
        });
        assert_eq!(loaded.diagnostics[0].code, Code::VendoredEdited);
        let shown = fixture::print(&loaded);
        assert!(shown.contains("it does not exist"), "{shown}");
    }
}

/// Without an entry in the lock a rendering is taken, and somebody is told that nothing proves it.
#[test]
fn a_rendering_that_is_not_locked_is_a_warning() {
    let loaded = loaded(|files| {
        files.0.remove(LOCK_FILE);
    });
    assert!(loaded.config.is_some());
    assert_eq!(loaded.charts[0].rendered, Rendered::Unlocked);
    let codes: Vec<Code> = loaded.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::NotLocked]);
}
