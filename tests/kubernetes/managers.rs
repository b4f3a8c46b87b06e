//! Objects that others manage as well: claims, edits, and what is given up.

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::objects::{SMALL, actions, settings};

const APP: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: NAME}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, namespace: NAME, labels: {tier: front}}
spec:
  replicas: 2
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - {name: app, image: "app:1"}
"#;

fn app(lab: &Lab) -> String {
    format!("/apis/apps/v1/namespaces/{}/deployments/app", lab.name())
}

/// Declares the objects of a file, handled as a table says.
fn handled(lab: &Lab, yaml: &str, how: &str) {
    lab.manifest(yaml);
    lab.declare(&format!(
        "[kubernetes.manifest.lab]\nfile = \"manifests/lab.yaml\"\nzonewright = {{ {how} }}\n"
    ));
}

/// Whether a manager has `f:` fields under `spec` or `data` that a text is part of.
fn holds(live: &Value, manager: &str, field: &str) -> bool {
    let entries = live["metadata"]["managedFields"].as_array().unwrap();
    let own = entries.iter().filter(|e| e["manager"] == manager);
    own.map(|e| e["fieldsV1"].to_string())
        .any(|f| f.contains(&format!("\"f:{field}\"")))
}

/// Somebody who applies a field that the spec has is named with it, and so is the way out; nothing is sent
/// until the spec takes his place. Who says the same is nobody's rival.
pub(crate) fn a_claim_of_another_manager_is_not_overruled(lab: &Lab) {
    lab.manifest(SMALL);
    lab.converge();
    let path = settings(lab);
    let claim = |mode: &str| {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings" },
            "data": { "mode": mode, "theirs": "1" } })
    };
    lab.apply(&path, "gitops", &claim("quiet"));
    lab.assert_settled();
    lab.apply(&path, "gitops", &claim("loud"));
    let before = lab.get(&path).unwrap()["metadata"]["resourceVersion"].clone();
    let drift = lab.expect(2, &["drift"]);
    assert!(drift.stdout.contains("loud"), "{}", drift.text());
    for command in [&["plan"][..], &["apply", "--auto-approve"]] {
        let refused = lab.expect(6, command);
        for word in ["ZW3134", "gitops", "data.mode", "yield", "take_from"] {
            assert!(refused.stderr.contains(word), "{word}: {}", refused.text());
        }
    }
    let now = lab.get(&path).unwrap();
    assert_eq!(
        now["metadata"]["resourceVersion"], before,
        "nothing was sent"
    );
    handled(lab, SMALL, "take_from = \"gitops\"");
    let shown = lab.expect(0, &["plan"]).stdout;
    for word in ["data.mode", "data.theirs"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    lab.converge();
    let now = lab.get(&path).unwrap();
    // What only he had goes with him, as the plan shows.
    assert_eq!(now["data"], json!({ "mode": "quiet" }));
    // Left to the other one instead, it is what he says.
    lab.apply(&path, "gitops", &claim("loud"));
    handled(lab, SMALL, "yield = [\"data.mode\"]");
    lab.converge();
    assert_eq!(lab.get(&path).unwrap()["data"]["mode"], "loud");
}

/// An edit by hand of what the spec says is drift, whoever made it.
pub(crate) fn an_edit_is_no_claim(lab: &Lab) {
    lab.manifest(APP);
    lab.converge();
    let edit = json!({ "spec": { "replicas": 5 }, "metadata": { "labels": { "tier": "back" } } });
    lab.patch(&format!("{}?fieldManager=kubectl-edit", app(lab)), &edit);
    assert!(holds(
        &lab.get(&app(lab)).unwrap(),
        "kubectl-edit",
        "replicas"
    ));
    let planned = actions(lab);
    assert_eq!(planned.len(), 1, "{planned:?}");
    lab.converge();
    let live = lab.get(&app(lab)).unwrap();
    assert_eq!(live["spec"]["replicas"], 2);
    assert_eq!(live["metadata"]["labels"]["tier"], "front");
    assert!(!holds(&live, "kubectl-edit", "replicas"));
}

/// Replicas under an autoscaler: set when the object is made, and then his. Before he has said anything they
/// stay what they are, and are not put back to what the server thinks of by itself.
pub(crate) fn what_is_given_up_is_left_to_the_other(lab: &Lab) {
    let how = "yield = [\"spec.replicas\"]";
    handled(lab, APP, how);
    lab.converge();
    handled(lab, &APP.replace("app:1", "app:2"), how);
    lab.converge();
    let live = lab.get(&app(lab)).unwrap();
    assert_eq!(live["spec"]["replicas"], 2);
    assert!(holds(&live, "zonewright", "replicas"));
    let scale = format!("{}/scale?fieldManager=autoscaler", app(lab));
    lab.patch(&scale, &json!({ "spec": { "replicas": 4 } }));
    lab.assert_settled();
    handled(lab, &APP.replace("app:1", "app:3"), how);
    let planned = actions(lab);
    assert_eq!(planned.len(), 1, "{planned:?}");
    lab.converge();
    let live = lab.get(&app(lab)).unwrap();
    assert_eq!(live["spec"]["replicas"], 4);
    let image = &live["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "app:3");
    assert!(holds(&live, "autoscaler", "replicas"));
    assert!(!holds(&live, "zonewright", "replicas"), "it was given up");
    lab.patch(&scale, &json!({ "spec": { "replicas": 3 } }));
    lab.assert_settled();
}

/// What helm made of a chart, by its way of writing: an apply (helm 4) or an update (helm 3).
fn release(lab: &Lab, applies: bool) {
    let name = lab.name();
    lab.post(
        "/api/v1/namespaces",
        &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }),
    );
    let marks =
        json!({ "meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": name });
    let metadata = |object: &str| {
        json!({ "name": object, "annotations": marks,
            "labels": { "app.kubernetes.io/managed-by": "Helm" } })
    };
    let pod = json!({ "metadata": { "labels": { "app": "app" } },
        "spec": { "containers": [{ "name": "app", "image": "app:1", "env": [{ "name": "A", "value": "b" }] }] } });
    let app = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("app"),
        "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "app" } }, "template": pod } });
    let settings = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("settings"),
        "data": { "mode": "quiet", "left": "1" } });
    for (collection, object) in [
        (format!("/apis/apps/v1/namespaces/{name}/deployments"), app),
        (format!("/api/v1/namespaces/{name}/configmaps"), settings),
    ] {
        if applies {
            let own = object["metadata"]["name"].as_str().unwrap();
            lab.apply(&format!("{collection}/{own}"), "helm", &object);
        } else {
            lab.post(&format!("{collection}?fieldManager=helm"), &object);
        }
    }
}

const RELEASED: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, namespace: NAME}
spec:
  replicas: 2
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - {name: app, image: "app:1", env: [{name: A, value: b}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NAME}
data: {mode: quiet}
"#;

/// A live release is taken over when the spec says so and not before: what is equal is not changed, what only
/// the release had is shown and goes, and what leaves the spec later goes as well.
fn is_taken_over(lab: &Lab, applies: bool) {
    release(lab, applies);
    lab.manifest(RELEASED);
    for command in [&["plan"][..], &["apply", "--auto-approve"]] {
        let refused = lab.expect(1, command);
        for word in [
            "ZW3101",
            "meta.helm.sh/release-name=web",
            "take_from = \"helm\"",
        ] {
            assert!(refused.stderr.contains(word), "{word}: {}", refused.text());
        }
    }
    let before = lab.get(&app(lab)).unwrap();
    handled(lab, RELEASED, "take_from = \"helm\"");
    let shown = lab.expect(0, &["plan", "-v"]).stdout;
    for word in ["is taken over", "left", "release-name", "exact"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert!(!shown.contains("image"), "{shown}");
    lab.converge();
    let live = lab.get(&app(lab)).unwrap();
    assert_eq!(live["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(live["spec"], before["spec"], "nothing is rolled");
    assert!(live["metadata"]["annotations"]["meta.helm.sh/release-name"].is_null());
    let data = &lab.get(&settings(lab)).unwrap()["data"];
    assert_eq!(*data, json!({ "mode": "quiet" }));
    assert!(!holds(&live, "helm", "replicas") && holds(&live, "zonewright", "replicas"));
    let without = RELEASED.replace(", env: [{name: A, value: b}]", "");
    lab.manifest(&without);
    lab.converge();
    let live = lab.get(&app(lab)).unwrap();
    let container = &live["spec"]["template"]["spec"]["containers"][0];
    assert!(container["env"].is_null(), "{container}");
}

/// A release of helm 4, which applies.
pub(crate) fn a_release_that_was_applied_is_taken_over(lab: &Lab) {
    is_taken_over(lab, true);
}

/// A release of helm 3, which updates.
pub(crate) fn a_release_that_was_updated_is_taken_over(lab: &Lab) {
    is_taken_over(lab, false);
}
