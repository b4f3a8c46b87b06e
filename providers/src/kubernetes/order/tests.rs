//! Orders of real charts and of small sets of objects, as text.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use zonewright_engine::address::Address;
use zonewright_engine::schema::Implied;
use zonewright_engine::value::Value;

use super::implied;
use crate::kubernetes::kinds::Identity;
use crate::kubernetes::tests::recorded;

fn documents(yaml: &str) -> Vec<Value> {
    let documents: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(yaml).expect("YAML documents");
    documents
        .into_iter()
        .filter(|d| d.is_object())
        .map(Value::from_plain_json)
        .collect()
}

fn addressed(objects: Vec<Value>) -> Vec<(Address, Value)> {
    let chart: Address = "bz/kubernetes.chart.x".parse().expect("an address");
    objects
        .into_iter()
        .map(|object| {
            let id = Identity::of_object(&object).expect("a name");
            let key = format!(
                "{}/{}/{}/{}",
                if id.group.is_empty() {
                    "core"
                } else {
                    &id.group
                },
                id.kind,
                id.namespace.as_deref().unwrap_or("-"),
                id.name
            );
            (chart.object(key), object)
        })
        .collect()
}

fn orders(objects: &[(Address, Value)]) -> Vec<Implied> {
    let refs: Vec<_> = objects.iter().map(|(a, v)| (a, v)).collect();
    implied(&refs)
}

fn lines(orders: &[Implied]) -> BTreeSet<String> {
    let short = |a: &Address| {
        let key = a.key.clone().unwrap_or_default();
        key.split_once('/')
            .map_or(key.clone(), |(_, k)| k.to_owned())
    };
    orders
        .iter()
        .map(|i| format!("{} > {}: {}", short(&i.before), short(&i.after), i.why))
        .collect()
}

fn check(yaml: &str, want: &[&str]) {
    let found = lines(&orders(&addressed(documents(yaml))));
    let want: BTreeSet<String> = want.iter().map(|s| (*s).to_owned()).collect();
    assert_eq!(found, want);
}

/// Whether the orders can all be kept.
fn is_acyclic(orders: &[Implied]) -> bool {
    let mut waits: BTreeMap<&Address, usize> = BTreeMap::new();
    let mut next: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
    for order in orders {
        waits.entry(&order.before).or_default();
        *waits.entry(&order.after).or_default() += 1;
        next.entry(&order.before).or_default().push(&order.after);
    }
    let mut free: Vec<&Address> = waits
        .iter()
        .filter(|(_, n)| **n == 0)
        .map(|(a, _)| *a)
        .collect();
    let mut done = 0;
    while let Some(address) = free.pop() {
        done += 1;
        for after in next.get(address).into_iter().flatten() {
            let n = waits.get_mut(after).expect("counted above");
            *n -= 1;
            if *n == 0 {
                free.push(after);
            }
        }
    }
    done == waits.len()
}

#[test]
fn pods_wait_for_what_they_name() {
    check(
        r"
{apiVersion: v1, kind: Namespace, metadata: {name: a}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: a}}
---
{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: a}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: p, namespace: a}, spec: {storageClassName: fast}}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: w, namespace: a}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r, namespace: a}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: b, namespace: a}
roleRef: {kind: Role, name: r}
subjects: [{kind: ServiceAccount, name: w, namespace: a}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: a}
spec:
  template:
    spec:
      serviceAccountName: w
      containers: [{name: x, envFrom: [{secretRef: {name: s}}, {secretRef: {name: elsewhere}}]}]
      volumes: [{name: v, projected: {sources: [{configMap: {name: c}}]}}, {name: u, persistentVolumeClaim: {claimName: p}}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: h, namespace: a}
spec: {scaleTargetRef: {kind: Deployment, name: d}}
",
        &[
            "ConfigMap/a/c > Deployment/a/d: its pods use it",
            "Deployment/a/d > HorizontalPodAutoscaler/a/h: it scales it",
            "Namespace/-/a > ConfigMap/a/c: its namespace",
            "Namespace/-/a > Deployment/a/d: its namespace",
            "Namespace/-/a > HorizontalPodAutoscaler/a/h: its namespace",
            "Namespace/-/a > PersistentVolumeClaim/a/p: its namespace",
            "Namespace/-/a > Role/a/r: its namespace",
            "Namespace/-/a > RoleBinding/a/b: its namespace",
            "Namespace/-/a > Secret/a/s: its namespace",
            "Namespace/-/a > ServiceAccount/a/w: its namespace",
            "PersistentVolumeClaim/a/p > Deployment/a/d: its pods use it",
            "Role/a/r > RoleBinding/a/b: its role",
            "RoleBinding/a/b > Deployment/a/d: the rights of its service account",
            "Secret/a/s > Deployment/a/d: its pods use it",
            "ServiceAccount/a/w > Deployment/a/d: its pods use it",
            "ServiceAccount/a/w > RoleBinding/a/b: its service account",
            "StorageClass/-/fast > PersistentVolumeClaim/a/p: its class",
        ],
    );
}

#[test]
fn a_circle_loses_its_least_certain_order() {
    check(
        r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.x.io}
spec: {group: x.io, names: {kind: Thing, plural: things}}
---
{apiVersion: x.io/v1, kind: Thing, metadata: {name: t}}
---
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a}, spec: {selector: {app: s}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: a}
spec: {template: {metadata: {labels: {app: s, more: x}}, spec: {}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: w}
webhooks:
- name: w.x.io
  clientConfig: {service: {namespace: a, name: s}}
  rules: [{apiGroups: [x.io], resources: [things]}, {apiGroups: [apps], resources: [deployments]}]
",
        &[
            "CustomResourceDefinition/-/things.x.io > Thing/-/t: its custom resource definition",
            "Deployment/a/d > ValidatingWebhookConfiguration/-/w: it answers the webhook",
            "Service/a/s > ValidatingWebhookConfiguration/-/w: it answers the webhook",
            "ValidatingWebhookConfiguration/-/w > Thing/-/t: the webhook that checks it",
        ],
    );
    let edge = |before, after| super::Edge {
        before,
        after,
        why: "",
    };
    let kept = super::acyclic::keep(
        4,
        &[edge(0, 1), edge(1, 2), edge(2, 0), edge(2, 3), edge(0, 2)],
    );
    assert_eq!(kept, [edge(0, 1), edge(1, 2), edge(2, 3), edge(0, 2)]);
}

#[test]
fn many_objects_in_one_namespace_take_no_time() {
    let mut objects = documents("{apiVersion: v1, kind: Namespace, metadata: {name: a}}");
    let map = |i: u32| {
        let json = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"c{i}","namespace":"a"}}}}"#
        );
        Value::from_plain_json(serde_json::from_str(&json).expect("JSON"))
    };
    objects.extend((0..10_000).map(map));
    let objects = addressed(objects);
    let started = Instant::now();
    assert_eq!(orders(&objects).len(), 10_000);
    // A quadratic algorithm takes minutes in a debug build.
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

#[test]
fn real_charts_are_ordered() {
    let mut objects = documents(
        r"
{apiVersion: v1, kind: Namespace, metadata: {name: platform}}
---
{apiVersion: v1, kind: Secret, metadata: {name: dns-token, namespace: platform}}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: letsencrypt}
spec: {acme: {solvers: [{dns01: {cloudflare: {apiTokenSecretRef: {name: dns-token, key: t}}}}]}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: www, namespace: platform}
spec: {issuerRef: {kind: ClusterIssuer, name: letsencrypt}}
",
    );
    for chart in ["cert-manager", "kube-prometheus-stack", "traefik"] {
        let Some(text) = recorded("manifests", &format!("{chart}.yaml")) else {
            return;
        };
        objects.extend(documents(&text));
    }
    let objects = addressed(objects);
    let found = orders(&objects);
    assert!(is_acyclic(&found));
    let mut backwards = objects;
    backwards.reverse();
    assert_eq!(orders(&backwards), found);
    let lines = lines(&found);
    for want in [
        "CustomResourceDefinition/-/clusterissuers.cert-manager.io > ClusterIssuer/-/letsencrypt: its custom resource definition",
        "ClusterIssuer/-/letsencrypt > Certificate/platform/www: its issuer",
        "Secret/platform/dns-token > ClusterIssuer/-/letsencrypt: its credentials",
        "Deployment/platform/cert-manager-webhook > ValidatingWebhookConfiguration/-/cert-manager-webhook: it answers the webhook",
        "ValidatingWebhookConfiguration/-/cert-manager-webhook > ClusterIssuer/-/letsencrypt: the webhook that checks it",
        "Deployment/platform/cert-manager > Certificate/platform/www: its controller",
        "Deployment/platform/cert-manager > ClusterIssuer/-/letsencrypt: its controller",
        "Namespace/-/platform > Deployment/platform/traefik: its namespace",
    ] {
        assert!(lines.contains(want), "missing: {want}\n{lines:#?}");
    }
    let operator =
        |l: &&String| l.starts_with("Deployment/platform/") && l.contains("> Prometheus/platform/");
    assert!(lines.iter().any(|l| operator(&l)), "{lines:#?}");
}
