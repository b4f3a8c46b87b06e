//! Single objects: what is applied, seen, repaired, replaced and removed.

use serde_json::{Value, json};

use crate::lab::Lab;

pub(crate) const MIXED: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: NAME}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NAME}
data: {mode: quiet, text: "one\ntwo\n"}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: app, namespace: NAME}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: app, namespace: NAME}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: app, namespace: NAME}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: app}
subjects: [{kind: ServiceAccount, name: app, namespace: NAME}]
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
      serviceAccountName: app
      containers:
      - name: app
        image: app:1
        ports: [{name: http, containerPort: 80}]
        env: [{name: MODE, valueFrom: {configMapKeyRef: {name: settings, key: mode}}}]
        resources: {requests: {cpu: 1000m, memory: 1024Mi}, limits: {cpu: "1", memory: 1Gi}}
        readinessProbe: {httpGet: {path: /, port: http}}
        volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, emptyDir: {}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store, namespace: NAME}
spec:
  serviceName: store
  replicas: 1
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec: {containers: [{name: store, image: "store:1"}]}
---
apiVersion: v1
kind: Service
metadata: {name: app, namespace: NAME}
spec: {selector: {app: app}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: store, namespace: NAME}
spec: {clusterIP: None, selector: {app: store}, ports: [{port: 80}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: tidy, namespace: NAME}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec: {template: {spec: {restartPolicy: Never, containers: [{name: tidy, image: "tidy:1"}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: NAME}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: once, image: "once:1"}]}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: app, namespace: NAME}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: app}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: app, namespace: NAME}
spec:
  podSelector: {matchLabels: {app: app}}
  ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 80}]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: app, namespace: NAME}
spec:
  ingressClassName: none
  rules:
  - host: app.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: app, port: {name: http}}}}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: store, namespace: NAME}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: store}
  minReplicas: 1
  maxReplicas: 2
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
"#;

pub(crate) const SMALL: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: NAME}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NAME}
data: {mode: quiet}
"#;

pub(crate) const SECOND: &str = r#"
---
apiVersion: v1
kind: ConfigMap
metadata: {name: second, namespace: NAME}
data: {a: b}
"#;

pub(crate) const WIDGETS: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.NAME.example.com}
spec:
  group: NAME.example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-preserve-unknown-fields: true
            properties:
              size: {type: integer, default: 3}
---
apiVersion: v1
kind: Namespace
metadata: {name: NAME}
---
apiVersion: NAME.example.com/v1
kind: Widget
metadata: {name: one, namespace: NAME}
spec: {colour: red}
"#;

/// The path of the settings.
pub(crate) fn settings(lab: &Lab) -> String {
    format!("/api/v1/namespaces/{}/configmaps/settings", lab.name())
}

fn deployment(lab: &Lab) -> String {
    format!("/apis/apps/v1/namespaces/{}/deployments/app", lab.name())
}

/// The actions that a plan proposes, by the key of the object.
pub(crate) fn actions(lab: &Lab) -> Vec<(String, Value)> {
    let plan = lab.expect(0, &["plan", "--format", "json"]).json();
    let changes = plan["resource_changes"].as_array().unwrap();
    changes
        .iter()
        .filter(|c| c["change"]["actions"] != json!(["no_op"]))
        .map(|c| {
            let address = c["address"].as_str().unwrap().to_owned();
            (address, c["change"]["actions"].clone())
        })
        .collect()
}

/// Everything that a platform is made of, in its namespace, in one run; what the server adds is nothing
/// of ours.
pub(crate) fn a_mixed_set_is_applied_once(lab: &Lab) {
    lab.manifest(MIXED);
    lab.converge();
    let live = lab.get(&deployment(lab)).unwrap();
    assert_eq!(live["status"]["readyReplicas"], 1);
    let marked = &live["metadata"]["annotations"]["zonewright.dev/address"];
    let key = format!("apps/Deployment/{}/app", lab.name());
    assert_eq!(
        *marked,
        format!("pz/kubernetes.manifest.lab[\"{key}\"]").as_str()
    );
}

/// Values, labels and images that somebody changed, and an object that somebody deleted.
pub(crate) fn drift_is_found_and_repaired(lab: &Lab) {
    lab.manifest(MIXED);
    lab.converge();
    let app = deployment(lab);
    lab.patch(&app, &json!({ "spec": { "replicas": 3 } }));
    lab.patch(&settings(lab), &json!({ "data": { "mode": "loud" } }));
    let image = json!([{ "name": "tidy", "image": "tidy:2" }]);
    let template = json!({ "spec": { "template": { "spec": { "containers": image } } } });
    let cron = format!("/apis/batch/v1/namespaces/{}/cronjobs/tidy", lab.name());
    lab.patch(&cron, &json!({ "spec": { "jobTemplate": template } }));
    lab.delete(&format!(
        "/apis/policy/v1/namespaces/{}/poddisruptionbudgets/app",
        lab.name()
    ));
    let drift = lab.expect(2, &["drift"]);
    for word in ["replicas", "loud", "tidy:2", "PodDisruptionBudget"] {
        assert!(drift.stdout.contains(word), "{word}: {}", drift.text());
    }
    assert_eq!(actions(lab).len(), 4, "{:?}", actions(lab));
    lab.converge();
    assert_eq!(lab.get(&app).unwrap()["spec"]["replicas"], 1);
    assert_eq!(lab.get(&settings(lab)).unwrap()["data"]["mode"], "quiet");
}

/// Somebody takes our label off one object, our annotation off another and both off a third: that is drift,
/// it is repaired in place, and nothing is made a second time.
pub(crate) fn a_mark_that_is_taken_off_is_put_on_again(lab: &Lab) {
    lab.manifest(MIXED);
    lab.converge();
    let label = json!({ "zonewright.dev/owner": null });
    let address = json!({ "zonewright.dev/address": null });
    let app = deployment(lab);
    let service = format!("/api/v1/namespaces/{}/services/app", lab.name());
    let taken = [
        (app.as_str(), json!({ "labels": label })),
        (&settings(lab), json!({ "annotations": address })),
        (&service, json!({ "labels": label, "annotations": address })),
    ];
    let before: Vec<Value> = taken
        .iter()
        .map(|(path, metadata)| {
            let was = lab.get(path).unwrap();
            lab.patch(path, &json!({ "metadata": metadata }));
            was["metadata"].clone()
        })
        .collect();
    let drift = lab.expect(2, &["drift"]);
    for word in ["Deployment", "ConfigMap", "Service", "mark"] {
        assert!(drift.stdout.contains(word), "{word}: {}", drift.text());
    }
    let planned = actions(lab);
    assert_eq!(planned.len(), 3, "{planned:?}");
    assert!(
        planned.iter().all(|(_, a)| *a == json!(["update"])),
        "{planned:?}"
    );
    lab.converge();
    for ((path, _), was) in taken.iter().zip(&before) {
        let now = lab.get(path).unwrap();
        for (part, key) in [
            ("labels", "zonewright.dev/owner"),
            ("annotations", "zonewright.dev/address"),
        ] {
            assert_eq!(now["metadata"][part][key], was[part][key], "{path}");
        }
        assert_eq!(now["metadata"]["uid"], was["uid"], "{path} is what it was");
    }
}

/// An object that leaves the file, and a field that leaves an object.
pub(crate) fn what_leaves_the_spec_leaves_the_cluster(lab: &Lab) {
    lab.manifest(&format!(
        "{}{SECOND}",
        SMALL.replace("{mode: quiet}", "{mode: quiet, more: x}")
    ));
    lab.converge();
    let second = settings(lab).replace("settings", "second");
    assert!(lab.get(&second).is_some());
    lab.manifest(SMALL);
    lab.converge();
    assert!(lab.get(&second).is_none());
    let data = &lab.get(&settings(lab)).unwrap()["data"];
    assert_eq!(*data, json!({ "mode": "quiet" }));
    lab.manifest("apiVersion: v1\nkind: Namespace\nmetadata: {name: NAME}\n");
    lab.converge();
    assert!(lab.get(&settings(lab)).is_none());
}

/// The selector of a Deployment is for ever, and so is a ConfigMap that says so: no table knows that, the
/// server does. Replaced is what the spec says, and a claim never, unless by name.
pub(crate) fn what_cannot_change_is_replaced(lab: &Lab) {
    let fixed = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed, namespace: NAME}\nimmutable: true\ndata: {a: b}\n";
    let all = format!("{MIXED}{fixed}");
    lab.manifest(&all);
    lab.converge();
    let path = settings(lab).replace("settings", "fixed");
    let uids =
        || [deployment(lab), path.clone()].map(|p| lab.get(&p).unwrap()["metadata"]["uid"].clone());
    let before = uids();
    let changed = all
        .replace("{app: app}", "{app: other}")
        .replace("{a: b}", "{a: c}");
    lab.manifest(&changed);
    for command in [&["plan"][..], &["apply", "--auto-approve"]] {
        let refused = lab.expect(6, command);
        for word in ["ZW3133", "spec.selector", "fixed", "on_immutable"] {
            assert!(refused.stderr.contains(word), "{word}: {}", refused.text());
        }
    }
    assert_eq!(uids(), before, "nothing was sent");
    let table = "[kubernetes.manifest.lab]\nfile = \"manifests/lab.yaml\"\nzonewright = { on_immutable = \"replace\" }\n";
    lab.declare(table);
    let planned = actions(lab);
    for kind in ["apps/Deployment", "/fixed"] {
        let found = planned.iter().find(|(a, _)| a.contains(kind));
        assert_eq!(found.unwrap().1, json!(["delete", "create"]), "{planned:?}");
    }
    lab.converge();
    let after = uids();
    assert!(before.iter().zip(&after).all(|(b, a)| b != a), "{after:?}");
}

/// The volume of a claim is not thrown away for another class, whatever the spec says of the object.
pub(crate) fn a_claim_is_replaced_by_name_only(lab: &Lab) {
    let claim = "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: disk, namespace: NAME}\nspec: {accessModes: [ReadWriteOnce], storageClassName: slow, resources: {requests: {storage: 1Gi}}}\n";
    lab.manifest(&format!("{SMALL}{claim}"));
    lab.converge();
    let path = format!(
        "/api/v1/namespaces/{}/persistentvolumeclaims/disk",
        lab.name()
    );
    let uid = || lab.get(&path).unwrap()["metadata"]["uid"].clone();
    let before = uid();
    lab.manifest(&format!("{SMALL}{}", claim.replace("slow", "fast")));
    let table = "[kubernetes.manifest.lab]\nfile = \"manifests/lab.yaml\"\nzonewright = { on_immutable = \"replace\" }\n";
    lab.declare(table);
    let refused = lab.expect(6, &["apply", "--auto-approve"]);
    assert!(
        refused.stderr.contains("the data goes with it"),
        "{}",
        refused.text()
    );
    assert_eq!(uid(), before);
    let key = format!(
        "pz/kubernetes.manifest.lab[\"core/PersistentVolumeClaim/{}/disk\"]",
        lab.name()
    );
    let by_name = lab.expect(0, &["plan", "--replace", &key]);
    assert!(by_name.stdout.contains("replace"), "{}", by_name.text());
    lab.manifest(&format!("{SMALL}{claim}"));
    lab.assert_settled();
    assert_eq!(uid(), before);
}

/// A definition and an object of it, with a default of the definition.
pub(crate) fn a_kind_and_its_object_come_in_one_run(lab: &Lab) {
    lab.manifest(WIDGETS);
    lab.converge();
    let path = format!(
        "/apis/{0}.example.com/v1/namespaces/{0}/widgets/one",
        lab.name()
    );
    let spec = &lab.get(&path).unwrap()["spec"];
    assert_eq!(*spec, json!({ "colour": "red", "size": 3 }));
}

/// Fields that the definition does not know are changed in place.
pub(crate) fn a_kind_keeps_what_it_does_not_know(lab: &Lab) {
    lab.manifest(WIDGETS);
    lab.converge();
    lab.manifest(&WIDGETS.replace("{colour: red}", "{colour: {of: [1, 2]}}"));
    let changed = actions(lab);
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed[0].1, json!(["update"]));
    lab.converge();
}

/// Labels, annotations and keys of others are theirs.
pub(crate) fn what_others_add_is_not_drift(lab: &Lab) {
    lab.manifest(MIXED);
    lab.converge();
    lab.patch(
        &settings(lab),
        &json!({ "data": { "theirs": "1" }, "metadata": { "labels": { "team": "x" } } }),
    );
    lab.patch(
        &deployment(lab),
        &json!({ "metadata": { "annotations": { "note": "seen" } }, "spec": { "paused": false } }),
    );
    lab.assert_settled();
}

/// A namespace that nobody makes.
pub(crate) fn a_missing_namespace_is_named(lab: &Lab) {
    lab.manifest("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: NAME-none}\n");
    let output = lab.run(&["apply", "--auto-approve"]);
    assert_ne!(output.code, 0, "{}", output.text());
    let named = format!("{}-none", lab.name());
    assert!(output.stderr.contains(&named), "{}", output.text());
}

/// What shall go was deleted by hand already.
pub(crate) fn a_deleted_object_is_no_hindrance(lab: &Lab) {
    lab.manifest(&format!("{SMALL}{SECOND}"));
    lab.converge();
    lab.delete(&settings(lab).replace("settings", "second"));
    lab.manifest(SMALL);
    lab.converge();
}

/// A Deployment whose pods never run: the run ends with their words, and goes on when they do.
pub(crate) fn what_never_becomes_ready_says_why(lab: &Lab) {
    let annotations = "{labels: {app: app}, annotations: {sandbox.zonewright.dev/ready: never}}";
    let stuck = MIXED
        .replace(
            "{labels: {app: app}}\n    spec:\n      serviceAccountName",
            &format!("{annotations}\n    spec:\n      serviceAccountName"),
        )
        .replace(
            "  replicas: 1\n  selector: {matchLabels: {app: app}}",
            "  replicas: 1\n  progressDeadlineSeconds: 2\n  selector: {matchLabels: {app: app}}",
        );
    lab.manifest(&stuck);
    let output = lab.expect(3, &["apply", "--auto-approve"]);
    assert!(output.stderr.contains("Deployment"), "{}", output.text());
    lab.manifest(MIXED);
    lab.converge();
}

/// An image that is no name: that is not waited for until the time is up. What was applied stays applied, and a
/// corrected spec goes on with it.
pub(crate) fn what_cannot_start_is_given_up_early(lab: &Lab) {
    let template = "metadata: {labels: {app: store}}";
    let bad =
        "metadata: {labels: {app: store}, annotations: {sandbox.zonewright.dev/ready: badimage}}";
    lab.manifest(&MIXED.replace(template, bad));
    let output = lab.expect(3, &["apply", "--auto-approve"]);
    for word in [
        "pod store-0",
        "container store: InvalidImageName: Failed to apply default image tag",
        "given up",
    ] {
        assert!(output.stderr.contains(word), "{word}: {}", output.text());
    }
    let store = deployment(lab).replace("deployments/app", "statefulsets/store");
    let uid = || lab.get(&store).unwrap()["metadata"]["uid"].clone();
    let before = uid();
    lab.manifest(MIXED);
    // A StatefulSet does not replace a pod that never became ready, so somebody has to do that with the new
    // template in place (known limit of its controller).
    let well = json!({ "metadata": { "annotations": { "sandbox.zonewright.dev/ready": null } } });
    lab.patch(&store, &json!({ "spec": { "template": well } }));
    lab.delete(&format!("/api/v1/namespaces/{}/pods/store-0", lab.name()));
    lab.converge();
    assert_eq!(uid(), before);
}

/// An object that the server refuses, and one that has nothing to do with it.
pub(crate) fn one_mistake_does_not_stop_the_others(lab: &Lab) {
    let wrong = "---\napiVersion: v1\nkind: Service\nmetadata: {name: wrong, namespace: NAME}\nspec: {ports: [{port: 99999}]}\n";
    lab.manifest(&format!("{SMALL}{wrong}"));
    let output = lab.expect(3, &["apply", "--auto-approve"]);
    assert!(output.stderr.contains("99999"), "{}", output.text());
    assert!(lab.get(&settings(lab)).is_some());
    lab.manifest(SMALL);
    lab.converge();
}

/// A Service is ready when it can be reached.
pub(crate) fn a_load_balancer_has_an_address(lab: &Lab) {
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: front, namespace: NAME}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n";
    lab.manifest(&format!("{SMALL}{service}"));
    lab.converge();
    let path = format!("/api/v1/namespaces/{}/services/front", lab.name());
    let status = &lab.get(&path).unwrap()["status"];
    assert!(status["loadBalancer"]["ingress"][0]["ip"].is_string());
    let made = lab.post(
        &format!("/api/v1/namespaces/{}/configmaps", lab.name()),
        &json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "theirs" } }),
    );
    assert_eq!(made["metadata"]["name"], "theirs");
    lab.assert_settled();
}

/// BZ-31: the cluster that the spec names, and no other.
pub(crate) fn a_cluster_is_known_by_its_uid(lab: &Lab) {
    lab.manifest(SMALL);
    lab.converge();
    let found = lab.get("/api/v1/namespaces/kube-system").unwrap();
    let uid = found["metadata"]["uid"].as_str().unwrap();
    let shown = lab.expect(0, &["verify", "--zone", "pz", "--only", "cluster"]);
    assert!(shown.stdout.contains(uid), "{}", shown.text());
    let declared = "[kubernetes.manifest.lab]\nfile = \"manifests/lab.yaml\"\n";
    // The table of the provider is the last one of what every case declares.
    lab.declare(&format!("identity = \"another\"\n{declared}"));
    for command in [&["plan"][..], &["apply", "--auto-approve"], &["drift"]] {
        let refused = lab.expect(6, command);
        for word in ["ZW3124", "another"] {
            assert!(refused.stderr.contains(word), "{}", refused.text());
        }
    }
    lab.declare(&format!("identity = \"{uid}\"\n{declared}"));
    lab.converge();
}
