//! Pods read ConfigMaps and Secrets once: what changes these rolls them.

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::objects::{actions, settings};

const APP: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: NAME}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NAME}
data: {mode: quiet}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, namespace: NAME}
spec:
  replicas: 1
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - name: app
        image: app:1
        envFrom: [{configMapRef: {name: settings}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: beside, namespace: NAME}
spec:
  replicas: 1
  selector: {matchLabels: {app: beside}}
  template:
    metadata: {labels: {app: beside}}
    spec: {containers: [{name: beside, image: "beside:1"}]}
"#;

fn deployment(lab: &Lab, name: &str) -> Value {
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/{name}", lab.name());
    lab.get(&path).unwrap()
}

/// The checksum in the template of a workload, and how often the workload was changed.
fn mark(lab: &Lab, name: &str, of: &str) -> (Value, i64) {
    let live = deployment(lab, name);
    let notes = &live["spec"]["template"]["metadata"]["annotations"];
    let mark = notes[format!("zonewright.dev/checksum-{of}")].clone();
    (mark, live["metadata"]["generation"].as_i64().unwrap())
}

/// Only who reads it is rolled, the plan shows it, and `roll = false` leaves the pods alone.
pub(crate) fn pods_are_rolled_when_what_they_read_changes(lab: &Lab) {
    lab.manifest(APP);
    lab.converge();
    let (before, generation) = mark(lab, "app", "settings");
    assert!(before.is_string(), "{before}");
    let beside = mark(lab, "beside", "settings");
    assert!(beside.0.is_null());
    let loud = APP.replace("quiet", "loud");
    lab.manifest(&loud);
    assert_eq!(actions(lab).len(), 2, "{:?}", actions(lab));
    let shown = lab.expect(0, &["plan"]).stdout;
    assert!(shown.contains("checksum-settings"), "{shown}");
    lab.converge();
    let (after, then) = mark(lab, "app", "settings");
    assert_ne!(before, after);
    assert!(then > generation);
    assert_eq!(mark(lab, "beside", "settings"), beside);
    // Back to what it was before, the mark is what it was.
    lab.manifest(APP);
    lab.converge();
    assert_eq!(mark(lab, "app", "settings").0, before);
    // What somebody else changed is put right: the pods read what the spec says, and stay.
    let stays = mark(lab, "app", "settings");
    lab.patch(&settings(lab), &json!({ "data": { "mode": "theirs" } }));
    lab.converge();
    assert_eq!(mark(lab, "app", "settings"), stays);
    lab.manifest(&loud);
    let steady =
        "[kubernetes.manifest.lab]\nfile = \"manifests/lab.yaml\"\nzonewright = { roll = false }\n";
    lab.declare(steady);
    lab.converge();
    assert!(mark(lab, "app", "settings").0.is_null());
}

/// A password that is changed where it comes from: the pods read it, and nobody else does.
pub(crate) fn a_secret_of_a_reference_rolls_and_stays_secret(lab: &Lab) {
    let app = APP.replace("configMapRef: {name: settings}", "secretRef: {name: login}");
    lab.write("manifests/lab.yaml", &app.replace("NAME", lab.name()));
    lab.write("password", "correct-horse-battery");
    lab.root("[secret.login]\nfile = \"password\"\n");
    let tables = format!(
        "[kubernetes.manifest.lab]\nfile = \"manifests/lab.yaml\"\n\
         [kubernetes.secret.login]\nnamespace = \"{}\"\ndata = {{ password = \"${{secret.login}}\" }}\n",
        lab.name()
    );
    lab.declare(&tables);
    lab.converge();
    let before = mark(lab, "app", "login");
    assert!(before.0.is_string());
    lab.write("password", "staple-and-glue-instead");
    let shown = lab.expect(0, &["plan"]);
    assert!(shown.stdout.contains("checksum-login"), "{}", shown.text());
    for value in ["correct-horse", "staple-and-glue"] {
        assert!(!shown.text().contains(value), "{}", shown.text());
    }
    assert_eq!(actions(lab).len(), 2, "{:?}", actions(lab));
    lab.converge();
    assert_ne!(mark(lab, "app", "login").0, before.0);
    // Another machine has another digest key: that is no reason to roll.
    let stays = mark(lab, "app", "login");
    lab.forget_digest_key();
    let changed = actions(lab);
    assert!(
        changed.iter().all(|(a, _)| !a.contains("Deployment")),
        "{changed:?}"
    );
    lab.converge();
    assert_eq!(mark(lab, "app", "login"), stays);
    lab.write("password", "a-third-one-for-the-road");
    lab.converge();
    assert_ne!(mark(lab, "app", "login").0, stays.0);
}
