//! Which object comes first, read off the objects themselves.
//!
//! Rules are independent of each other and each yields edges from maps, so that the whole is about
//! linear in the number of objects. Edges are heuristics: one that would close a circle is left out,
//! the least certain rules first. The answer does not depend on the order of the input.

use std::collections::{BTreeMap, BTreeSet};

use zonewright_engine::address::Address;
use zonewright_engine::schema::Implied;
use zonewright_engine::value::Value;

use super::kinds::{self, Identity};
use super::pods;

mod acyclic;
mod gates;

/// An edge between two objects, by index, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) before: usize,
    pub(crate) after: usize,
    pub(crate) why: &'static str,
}

/// An object and what is asked about it again and again.
pub(crate) struct Object<'a> {
    pub(crate) address: &'a Address,
    pub(crate) body: &'a Value,
    pub(crate) id: Identity,
}

impl<'a> Object<'a> {
    /// The value at a path of keys.
    pub(crate) fn at(&self, keys: &[&str]) -> Option<&'a Value> {
        keys.iter().try_fold(self.body, |value, key| value.get(key))
    }

    /// The text at a path of keys.
    pub(crate) fn text(&self, keys: &[&str]) -> Option<&'a str> {
        self.at(keys).and_then(Value::as_str)
    }

    /// The items at a path of keys.
    pub(crate) fn items(&self, keys: &[&str]) -> &'a [Value] {
        self.at(keys).and_then(Value::as_list).unwrap_or_default()
    }

    /// Its namespace; `default` if it names none.
    pub(crate) fn namespace(&self) -> &str {
        self.id.namespace.as_deref().unwrap_or("default")
    }

    /// Whether it is of a kind.
    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        self.id.group == group && self.id.kind == kind
    }
}

/// The objects of one cluster, in the order of their addresses, and the way to find them by name.
pub(crate) struct Objects<'a> {
    pub(crate) all: &'a [Object<'a>],
    by_name: BTreeMap<(&'a str, &'a str, &'a str), usize>,
}

/// The group that a reference to a core or well-known kind means.
fn group_of(kind: &str) -> &'static str {
    match kind {
        "PriorityClass" => "scheduling.k8s.io",
        "RuntimeClass" => "node.k8s.io",
        "StorageClass" => "storage.k8s.io",
        "IngressClass" => "networking.k8s.io",
        "GatewayClass" => "gateway.networking.k8s.io",
        "Role" | "ClusterRole" => "rbac.authorization.k8s.io",
        "Issuer" | "ClusterIssuer" => "cert-manager.io",
        "Deployment" | "StatefulSet" | "ReplicaSet" | "DaemonSet" => "apps",
        _ => "",
    }
}

fn is_clustered(kind: &str) -> bool {
    matches!(kind, "GatewayClass" | "ClusterIssuer")
        || kinds::built_in(group_of(kind), kind, None).is_some_and(|r| !r.namespaced)
}

impl<'a> Objects<'a> {
    /// Only kinds that references mean: a custom kind may be called like a built-in one.
    fn new(all: &'a [Object<'a>]) -> Objects<'a> {
        let known = all.iter().enumerate();
        let known = known.filter(|(_, o)| o.id.group == group_of(&o.id.kind));
        let by_name = known
            .map(|(i, o)| {
                let clustered = is_clustered(&o.id.kind);
                let namespace = if clustered { "" } else { o.namespace() };
                ((o.id.kind.as_str(), namespace, o.id.name.as_str()), i)
            })
            .collect();
        Objects { all, by_name }
    }

    /// Finds an object of a well-known kind.
    pub(crate) fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<usize> {
        let namespace = if is_clustered(kind) { "" } else { namespace };
        self.by_name.get(&(kind, namespace, name)).copied()
    }

    /// The workloads with their pods' templates.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = (usize, &'a Object<'a>, &'a Value)> {
        let all = self.all.iter().enumerate();
        all.filter(|(_, o)| matches!(o.id.group.as_str(), "" | "apps" | "batch"))
            .filter_map(|(i, o)| Some((i, o, pods::template(&o.id.kind, o.body)?)))
    }
}

/// Edges in the making.
#[derive(Default)]
pub(crate) struct Edges(BTreeSet<Edge>);

impl Edges {
    /// Adds an edge if its start exists and is not its end.
    pub(crate) fn add(&mut self, before: Option<usize>, after: usize, why: &'static str) {
        if let Some(before) = before.filter(|b| *b != after) {
            self.0.insert(Edge { before, after, why });
        }
    }

    /// The edges that are new, after those that were there.
    fn append_to(self, out: &mut Vec<Edge>) {
        out.extend(self.0);
    }
}

/// All orders that follow from the objects, in the order of their addresses.
pub(crate) fn implied(objects: &[(&Address, &Value)]) -> Vec<Implied> {
    let mut zones: BTreeMap<_, Vec<Object<'_>>> = BTreeMap::new();
    for (address, body) in objects {
        if let Some(id) = Identity::of(Some(body), address) {
            let object = Object { address, body, id };
            zones.entry(&address.zone).or_default().push(object);
        }
    }
    zones.into_values().flat_map(of_cluster).collect()
}

fn of_cluster(mut all: Vec<Object<'_>>) -> Vec<Implied> {
    all.sort_by(|a, b| a.address.cmp(b.address));
    let objects = Objects::new(&all);
    // The surest rules first: a later edge yields to an earlier one.
    let rules: [fn(&Objects<'_>, &mut Edges); 9] = [
        namespaces,
        gates::definitions,
        bindings,
        pod_needs,
        classes,
        gates::issuers,
        followers,
        gates::webhooks,
        gates::controllers,
    ];
    let mut edges = Vec::new();
    for rule in rules {
        let mut found = Edges::default();
        rule(&objects, &mut found);
        found.append_to(&mut edges);
    }
    let mut out: Vec<Implied> = acyclic::keep(all.len(), &edges)
        .into_iter()
        .map(|edge| Implied {
            before: all[edge.before].address.clone(),
            after: all[edge.after].address.clone(),
            why: edge.why,
        })
        .collect();
    out.sort_by(|a, b| (&a.before, &a.after).cmp(&(&b.before, &b.after)));
    out.dedup_by(|b, a| (&a.before, &a.after) == (&b.before, &b.after));
    out
}

fn namespaces(objects: &Objects<'_>, out: &mut Edges) {
    for (i, object) in objects.all.iter().enumerate() {
        if let Some(namespace) = &object.id.namespace {
            out.add(objects.find("Namespace", "", namespace), i, "its namespace");
        }
    }
}

/// Roles and accounts, then their bindings, then the pods that run with them.
fn bindings(objects: &Objects<'_>, out: &mut Edges) {
    let mut bound: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (i, object) in objects.all.iter().enumerate() {
        if object.id.group != "rbac.authorization.k8s.io" || !object.id.kind.ends_with("Binding") {
            continue;
        }
        let role = object
            .text(&["roleRef", "kind"])
            .zip(object.text(&["roleRef", "name"]))
            .and_then(|(kind, name)| objects.find(kind, object.namespace(), name));
        out.add(role, i, "its role");
        for (namespace, name) in subjects(object) {
            out.add(
                objects.find("ServiceAccount", namespace, name),
                i,
                "its service account",
            );
            bound.entry((namespace, name)).or_default().push(i);
        }
    }
    for (i, object, template) in objects.workloads() {
        let account = (object.namespace(), pods::service_account(template));
        for binding in bound.get(&account).into_iter().flatten() {
            out.add(Some(*binding), i, "the rights of its service account");
        }
    }
}

/// The service accounts that a binding names, as namespace and name.
pub(crate) fn subjects<'a>(binding: &'a Object<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let text = |value: &'a Value, key: &str| value.get(key).and_then(Value::as_str);
    binding
        .items(&["subjects"])
        .iter()
        .filter(move |s| text(s, "kind") == Some("ServiceAccount"))
        .filter_map(move |s| {
            let namespace = text(s, "namespace").unwrap_or_else(|| binding.namespace());
            Some((namespace, text(s, "name")?))
        })
}

fn pod_needs(objects: &Objects<'_>, out: &mut Edges) {
    for (i, object, template) in objects.workloads() {
        for need in pods::needs(template) {
            let before = objects.find(need.kind, object.namespace(), &need.name);
            out.add(before, i, "its pods use it");
        }
        if object.id.kind == "StatefulSet"
            && let Some(name) = object.text(&["spec", "serviceName"])
        {
            let service = objects.find("Service", object.namespace(), name);
            out.add(service, i, "its service names the pods");
        }
    }
}

/// Classes, then what is of the class.
fn classes(objects: &Objects<'_>, out: &mut Edges) {
    for (i, object) in objects.all.iter().enumerate() {
        let (kind, name) = match (object.id.group.as_str(), object.id.kind.as_str()) {
            ("", "PersistentVolumeClaim") => {
                ("StorageClass", object.text(&["spec", "storageClassName"]))
            }
            ("networking.k8s.io", "Ingress") => {
                ("IngressClass", object.text(&["spec", "ingressClassName"]))
            }
            ("gateway.networking.k8s.io", "Gateway") => {
                ("GatewayClass", object.text(&["spec", "gatewayClassName"]))
            }
            ("apps", "StatefulSet") => {
                for claim in object.items(&["spec", "volumeClaimTemplates"]) {
                    let class = claim.get("spec").and_then(|s| s.get("storageClassName"));
                    let class = class.and_then(Value::as_str);
                    out.add(
                        class.and_then(|c| objects.find("StorageClass", "", c)),
                        i,
                        "its class",
                    );
                }
                continue;
            }
            _ => continue,
        };
        out.add(
            name.and_then(|name| objects.find(kind, "", name)),
            i,
            "its class",
        );
    }
}

/// What watches over a workload comes after it.
fn followers(objects: &Objects<'_>, out: &mut Edges) {
    let mut labelled: BTreeMap<&str, Vec<(usize, &Value)>> = BTreeMap::new();
    let mut budgets = Vec::new();
    for (i, object) in objects.all.iter().enumerate() {
        if object.is("autoscaling", "HorizontalPodAutoscaler") {
            let target = object
                .text(&["spec", "scaleTargetRef", "kind"])
                .zip(object.text(&["spec", "scaleTargetRef", "name"]))
                .and_then(|(kind, name)| objects.find(kind, object.namespace(), name));
            out.add(target, i, "it scales it");
        } else if object.is("policy", "PodDisruptionBudget") {
            budgets.push((i, object));
        }
    }
    if budgets.is_empty() {
        return;
    }
    for (i, object, template) in objects.workloads() {
        labelled
            .entry(object.namespace())
            .or_default()
            .push((i, template));
    }
    for (i, budget) in budgets {
        let Some(selector) = budget.at(&["spec", "selector", "matchLabels"]) else {
            continue;
        };
        for (workload, template) in labelled.get(budget.namespace()).into_iter().flatten() {
            if selects(selector, template) {
                out.add(Some(*workload), i, "it protects its pods");
            }
        }
    }
}

/// Whether a map of labels selects the pods of a template.
pub(crate) fn selects(selector: &Value, template: &Value) -> bool {
    let labels = template.get("metadata").and_then(|m| m.get("labels"));
    match (selector.as_map(), labels) {
        (Some(wanted), Some(labels)) if !wanted.is_empty() => {
            wanted.iter().all(|(k, v)| labels.get(k) == Some(v))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
