//! What somebody does behind our back: each edit is reported as what it is, and put right in one run.

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::objects::{MIXED, WIDGETS, actions};

const MORE: &str = r#"
---
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: NAME}
stringData: {user: admin-of-the-spec, password: word-of-the-spec}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: marked, namespace: NAME, labels: {team: ours}, annotations: {note: ours}}
data: {a: b, c: d}
"#;

/// All that the edits are about: workloads, their surroundings, a kind and an object of it.
fn declared() -> String {
    let namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: NAME}\n";
    let widgets = WIDGETS.replace(namespace, "");
    assert_ne!(widgets, WIDGETS);
    format!("{MIXED}{MORE}---{widgets}")
}

/// An edit: of which object, by a merge patch or (`null`) by deleting it, and what the report says of it.
type Edit = (&'static str, Value, &'static str);

fn template(spec: &Value) -> Value {
    json!({ "spec": { "template": { "spec": spec } } })
}

/// The container of a Deployment with one thing that is not as in the spec.
fn container(other: &Value) -> Value {
    let mut container = json!({ "name": "app", "image": "app:1",
        "ports": [{ "name": "http", "containerPort": 80 }],
        "env": [{ "name": "MODE", "valueFrom": { "configMapKeyRef": { "name": "settings", "key": "mode" } } }],
        "resources": { "requests": { "cpu": "1", "memory": "1Gi" }, "limits": { "cpu": "1", "memory": "1Gi" } },
        "readinessProbe": { "httpGet": { "path": "/", "port": "http" } },
        "volumeMounts": [{ "name": "data", "mountPath": "/data" }] });
    for (key, value) in other.as_object().unwrap() {
        container[key] = value.clone();
    }
    json!([container])
}

/// Edits of what the spec says.
fn edits() -> Vec<Edit> {
    let mut out = of_workloads();
    out.extend(of_data());
    out.extend(of_the_rest());
    out
}

fn of_workloads() -> Vec<Edit> {
    let app = "apps/v1/deployments/app";
    let tidy = json!([{ "name": "tidy", "image": "tidy:9" }]);
    let probe = json!({ "readinessProbe": { "httpGet": { "path": "/theirs", "port": "http" } } });
    let limits = json!({ "resources": { "requests": { "cpu": "1", "memory": "1Gi" }, "limits": { "cpu": "7", "memory": "1Gi" } } });
    let all = json!({ "image": "app:9", "env": [{ "name": "MODE", "valueFrom": { "configMapKeyRef": { "name": "settings", "key": "text" } } }],
        "readinessProbe": probe["readinessProbe"], "resources": limits["resources"] });
    vec![
        (
            app,
            json!({ "spec": { "replicas": 9 } }),
            "replicas: 1 -> 9",
        ),
        (
            app,
            template(&json!({ "containers": container(&all) })),
            "app:9",
        ),
        (app, json!({}), "configMapKeyRef.key: \"mode\" -> \"text\""),
        (app, json!({}), "/theirs"),
        (app, json!({}), "limits.cpu: \"1\" -> \"7\""),
        (
            app,
            template(&json!({ "serviceAccountName": "default", "serviceAccount": "default" })),
            "serviceAccountName",
        ),
        (
            "apps/v1/statefulsets/store",
            json!({ "spec": { "replicas": 0 } }),
            "replicas: 1 -> 0",
        ),
        (
            "batch/v1/cronjobs/tidy",
            json!({ "spec": { "schedule": "9 9 * * *" } }),
            "9 9 * * *",
        ),
        (
            "batch/v1/cronjobs/tidy",
            json!({ "spec": { "jobTemplate": template(&json!({ "containers": tidy })) } }),
            "tidy:9",
        ),
    ]
}

fn of_data() -> Vec<Edit> {
    vec![
        (
            "v1/configmaps/settings",
            json!({ "data": { "mode": "loud-theirs" } }),
            "loud-theirs",
        ),
        (
            "v1/configmaps/settings",
            json!({ "data": { "text": null } }),
            "data.text",
        ),
        (
            "v1/configmaps/marked",
            json!({ "metadata": { "labels": { "team": "team-theirs" } } }),
            "team-theirs",
        ),
        (
            "v1/configmaps/marked",
            json!({ "metadata": { "annotations": { "note": null } } }),
            "metadata.annotations.note",
        ),
        (
            "v1/secrets/login",
            json!({ "data": { "password": "dGhlaXJzLXdvcmQ=" } }),
            "password",
        ),
        (
            "v1/secrets/login",
            json!({ "data": { "user": null } }),
            "user",
        ),
    ]
}

fn of_the_rest() -> Vec<Edit> {
    vec![
        (
            "v1/services/app",
            json!({ "spec": { "selector": { "app": "sel-theirs" } } }),
            "sel-theirs",
        ),
        (
            "v1/services/app",
            json!({ "spec": { "ports": [{ "port": 80, "protocol": "TCP", "targetPort": "tgt-theirs" }] } }),
            "tgt-theirs",
        ),
        ("v1/serviceaccounts/app", Value::Null, "ServiceAccount"),
        (
            "policy/v1/poddisruptionbudgets/app",
            Value::Null,
            "PodDisruptionBudget",
        ),
        (
            "networking.k8s.io/v1/networkpolicies/app",
            json!({ "spec": { "podSelector": { "matchLabels": { "app": "np-theirs" } } } }),
            "np-theirs",
        ),
        (
            "networking.k8s.io/v1/ingresses/app",
            json!({ "spec": { "ingressClassName": "cls-theirs" } }),
            "cls-theirs",
        ),
        (
            "autoscaling/v2/horizontalpodautoscalers/store",
            json!({ "spec": { "maxReplicas": 9 } }),
            "maxReplicas: 2 -> 9",
        ),
        (
            "rbac.authorization.k8s.io/v1/roles/app",
            json!({ "rules": [{ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] }] }),
            "secrets",
        ),
        (
            "rbac.authorization.k8s.io/v1/rolebindings/app",
            json!({ "subjects": [{ "kind": "ServiceAccount", "name": "sub-theirs", "namespace": "default" }] }),
            "sub-theirs",
        ),
        (
            "NAME.example.com/v1/widgets/one",
            json!({ "spec": { "colour": "col-theirs" } }),
            "col-theirs",
        ),
        (
            "v1/services/store",
            json!({ "metadata": { "labels": { "zonewright.dev/owner": null } } }),
            "mark",
        ),
    ]
}

/// What is added is nobody's drift.
fn additions() -> Vec<(&'static str, Value)> {
    vec![
        (
            "v1/configmaps/settings",
            json!({ "data": { "theirs": "added" } }),
        ),
        (
            "v1/services/store",
            json!({ "metadata": { "labels": { "theirs": "added" } } }),
        ),
        (
            "v1/secrets/login",
            json!({ "data": { "theirs": "YWRkZWQ=" } }),
        ),
        (
            "batch/v1/cronjobs/tidy",
            json!({ "spec": { "suspend": true } }),
        ),
    ]
}

/// `group/version/plural/name` in the namespace of the case.
fn path(lab: &Lab, object: &str) -> String {
    let object = object.replace("NAME", lab.name());
    let parts: Vec<&str> = object.split('/').collect();
    let (root, plural, name) = match parts[..] {
        [version, plural, name] => (format!("/api/{version}"), plural, name),
        [group, version, plural, name] => (format!("/apis/{group}/{version}"), plural, name),
        _ => panic!("{object} is no path"),
    };
    format!("{root}/namespaces/{}/{plural}/{name}", lab.name())
}

fn definition(lab: &Lab) -> String {
    format!(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{}.example.com",
        lab.name()
    )
}

/// Thirty edits at once: each is told, what is added is not, values of a Secret are told to nobody. Who may
/// only read is told the same. One run puts all of it right.
pub(crate) fn thirty_edits_are_told_and_put_right(lab: &Lab) {
    lab.manifest(&declared());
    lab.converge();
    for (object, change) in additions() {
        lab.patch(&path(lab, object), &change);
    }
    lab.assert_settled();
    for (object, change, _) in edits() {
        match change {
            Value::Null => lab.delete(&path(lab, object)),
            change => drop(lab.patch(&path(lab, object), &change)),
        }
    }
    // A definition, by an update under another name and by an apply of what the spec does not say.
    let mut versions = lab.get(&definition(lab)).unwrap()["spec"]["versions"].clone();
    versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]["default"] =
        json!(9);
    let edited = format!("{}?fieldManager=somebody", definition(lab));
    lab.patch(&edited, &json!({ "spec": { "versions": versions } }));
    let claim = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "marked" }, "data": { "c": "claimed" } });
    lab.apply(&path(lab, "v1/configmaps/marked"), "gitops", &claim);
    told(lab);
    lab.read_only(true);
    told(lab);
    let foretold = lab.expect(0, &["plan", "-v"]).stdout;
    assert!(
        foretold.contains("the server could not try it"),
        "{foretold}"
    );
    lab.read_only(false);
    let refused = lab.expect(6, &["plan"]);
    for word in ["ZW3134", "gitops", "data.c"] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.text());
    }
    lab.declare(
        "[kubernetes.manifest.lab]\nfile = \"manifests/lab.yaml\"\nzonewright = { take_from = \"gitops\" }\n",
    );
    assert_eq!(actions(lab).len(), 17, "{:?}", actions(lab));
    lab.converge();
    let login = lab.get(&path(lab, "v1/secrets/login")).unwrap();
    assert_eq!(login["data"]["theirs"], "YWRkZWQ=", "what was added stays");
}

fn told(lab: &Lab) {
    let drift = lab.expect(2, &["drift"]);
    let more = ["default", "claimed"];
    let words = edits().into_iter().map(|(_, _, word)| word);
    for word in words.chain(more) {
        assert!(drift.stdout.contains(word), "{word}: {}", drift.text());
    }
    for silent in [
        "added",
        "YWRkZWQ",
        "theirs-word",
        "word-of-the-spec",
        "admin-of-the-spec",
    ] {
        assert!(!drift.text().contains(silent), "{silent}: {}", drift.text());
    }
}
