//! Custom resources: their definitions, the webhooks that check them and the controllers that act on
//! them come first.

use std::collections::{BTreeMap, BTreeSet};

use zonewright_engine::value::Value;

use super::{Edges, Object, Objects, selects, subjects};
use crate::kubernetes::{kinds, pods};

const RBAC: &str = "rbac.authorization.k8s.io";

/// A custom kind's group and kind.
type CustomKind<'a> = (&'a str, &'a str);

/// Definitions by the kind that they define, with the plural.
fn defined<'a>(objects: &Objects<'a>) -> BTreeMap<CustomKind<'a>, (usize, &'a str)> {
    let mut out = BTreeMap::new();
    for (i, object) in objects.all.iter().enumerate() {
        if object.is("apiextensions.k8s.io", "CustomResourceDefinition")
            && let Some(group) = object.text(&["spec", "group"])
            && let Some(kind) = object.text(&["spec", "names", "kind"])
            && let Some(plural) = object.text(&["spec", "names", "plural"])
        {
            out.insert((group, kind), (i, plural));
        }
    }
    out
}

/// A definition comes before the objects of its kind.
pub(crate) fn definitions(objects: &Objects<'_>, out: &mut Edges) {
    let defined = defined(objects);
    for (i, object) in objects.all.iter().enumerate() {
        let key = (object.id.group.as_str(), object.id.kind.as_str());
        let definition = defined.get(&key).map(|(i, _)| *i);
        out.add(definition, i, "its custom resource definition");
    }
}

/// Objects by group and plural, custom kinds and built-in ones.
fn by_resource<'a>(objects: &Objects<'a>) -> BTreeMap<&'a str, BTreeMap<String, Vec<usize>>> {
    let defined = defined(objects);
    let mut out: BTreeMap<&str, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
    for (i, object) in objects.all.iter().enumerate() {
        let (group, kind) = (object.id.group.as_str(), object.id.kind.as_str());
        let plural = match defined.get(&(group, kind)) {
            Some((_, plural)) => (*plural).to_owned(),
            None => kinds::built_in(group, kind, None)
                .map_or_else(|| format!("{}s", kind.to_lowercase()), |r| r.plural),
        };
        let of_group = out.entry(group).or_default();
        of_group.entry(plural).or_default().push(i);
    }
    out
}

fn texts<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    let items = value.get(key).and_then(Value::as_list).unwrap_or_default();
    items.iter().filter_map(Value::as_str)
}

/// What answers a webhook, then the webhook's configuration, then all that it is asked about.
pub(crate) fn webhooks(objects: &Objects<'_>, out: &mut Edges) {
    let resources = by_resource(objects);
    let mut workloads: BTreeMap<&str, Vec<(usize, &Value)>> = BTreeMap::new();
    for (i, object, template) in objects.workloads() {
        let namespace = workloads.entry(object.namespace()).or_default();
        namespace.push((i, template));
    }
    for (i, configuration) in objects.all.iter().enumerate() {
        if configuration.id.group != "admissionregistration.k8s.io" {
            continue;
        }
        for webhook in configuration.items(&["webhooks"]) {
            for before in answering(objects, &workloads, webhook) {
                out.add(Some(before), i, "it answers the webhook");
            }
            let rules = webhook.get("rules").and_then(Value::as_list);
            for rule in rules.unwrap_or_default() {
                for after in matched(&resources, rule) {
                    out.add(Some(i), after, "the webhook that checks it");
                }
            }
        }
    }
}

/// The Service of a webhook and the workloads behind it.
fn answering(
    objects: &Objects<'_>,
    workloads: &BTreeMap<&str, Vec<(usize, &Value)>>,
    webhook: &Value,
) -> Vec<usize> {
    let service = webhook.get("clientConfig").and_then(|c| c.get("service"));
    let text = |key| service.and_then(|s| s.get(key)).and_then(Value::as_str);
    let (Some(namespace), Some(name)) = (text("namespace"), text("name")) else {
        return Vec::new();
    };
    let Some(service) = objects.find("Service", namespace, name) else {
        return Vec::new();
    };
    let mut out = vec![service];
    if let Some(selector) = objects.all[service].at(&["spec", "selector"]) {
        let of_namespace = workloads.get(namespace).into_iter().flatten();
        out.extend(
            of_namespace
                .filter(|(_, template)| selects(selector, template))
                .map(|(i, _)| *i),
        );
    }
    out
}

/// The objects that a rule matches. Rules for built-in groups are left out: they would make half of
/// the cluster wait for one webhook, often its own parts.
fn matched(resources: &BTreeMap<&str, BTreeMap<String, Vec<usize>>>, rule: &Value) -> Vec<usize> {
    let wanted: BTreeSet<&str> = texts(rule, "resources").collect();
    let all = wanted.contains("*") || wanted.contains("*/*");
    let mut out = Vec::new();
    for group in texts(rule, "apiGroups") {
        if group == "*" || kinds::is_built_in_group(group) {
            continue;
        }
        for (plural, objects) in resources.get(group).into_iter().flatten() {
            if all || wanted.contains(plural.as_str()) {
                out.extend(objects);
            }
        }
    }
    out
}

/// A controller is a workload whose account may write the status or the finalizers of a custom kind:
/// it comes before the objects of that kind, and goes after them when all is deleted.
pub(crate) fn controllers(objects: &Objects<'_>, out: &mut Edges) {
    let mut custom: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    let resources = by_resource(objects);
    for (group, plurals) in &resources {
        if !kinds::is_built_in_group(group) {
            for (plural, objects) in plurals {
                custom.insert((*group, plural.as_str()), objects.clone());
            }
        }
    }
    if custom.is_empty() {
        return;
    }
    let rights = rights(objects, &custom);
    for (i, object, template) in objects.workloads() {
        let account = (object.namespace(), pods::service_account(template));
        for key in rights.get(&account).into_iter().flatten() {
            for after in &custom[key] {
                out.add(Some(i), *after, "its controller");
            }
        }
    }
}

/// Which custom kinds each service account controls.
fn rights<'a>(
    objects: &Objects<'a>,
    custom: &BTreeMap<(&'a str, &'a str), Vec<usize>>,
) -> BTreeMap<(&'a str, &'a str), BTreeSet<(&'a str, &'a str)>> {
    let mut out: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for binding in objects.all {
        if binding.id.group != RBAC || !binding.id.kind.ends_with("Binding") {
            continue;
        }
        let role = binding
            .text(&["roleRef", "kind"])
            .zip(binding.text(&["roleRef", "name"]))
            .and_then(|(kind, name)| objects.find(kind, binding.namespace(), name));
        let Some(role) = role else { continue };
        let controlled = controlled(&objects.all[role], custom);
        for subject in subjects(binding) {
            out.entry(subject)
                .or_default()
                .extend(controlled.iter().copied());
        }
    }
    out
}

fn controlled<'a>(
    role: &Object<'a>,
    custom: &BTreeMap<(&'a str, &'a str), Vec<usize>>,
) -> BTreeSet<(&'a str, &'a str)> {
    let mut out = BTreeSet::new();
    for rule in role.items(&["rules"]) {
        let writes = texts(rule, "verbs").any(|v| matches!(v, "*" | "update" | "patch"));
        if !writes {
            continue;
        }
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                let plural = resource
                    .strip_suffix("/status")
                    .or(resource.strip_suffix("/finalizers"));
                if let Some((key, _)) = plural.and_then(|p| custom.get_key_value(&(group, p))) {
                    out.insert(*key);
                }
            }
        }
    }
    out
}

/// Secrets that an issuer uses come before it, and the issuer before its certificates.
pub(crate) fn issuers(objects: &Objects<'_>, out: &mut Edges) {
    let mut secrets: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, object) in objects.all.iter().enumerate() {
        if object.is("", "Secret") {
            secrets.entry(object.id.name.as_str()).or_default().push(i);
        }
    }
    for (i, object) in objects.all.iter().enumerate() {
        if object.id.group != "cert-manager.io" {
            continue;
        }
        let Some(spec) = object.at(&["spec"]) else {
            continue;
        };
        match object.id.kind.as_str() {
            "Issuer" => {
                for name in secret_names(spec) {
                    let secret = objects.find("Secret", object.namespace(), name);
                    out.add(secret, i, "its credentials");
                }
            }
            // The namespace of a cluster issuer's secrets is an option of the controller.
            "ClusterIssuer" => {
                for name in secret_names(spec) {
                    for secret in secrets.get(name).into_iter().flatten() {
                        out.add(Some(*secret), i, "its credentials");
                    }
                }
            }
            "Certificate" => {
                let kind = object.text(&["spec", "issuerRef", "kind"]);
                let name = object.text(&["spec", "issuerRef", "name"]);
                let issuer = name.and_then(|name| {
                    objects.find(kind.unwrap_or("Issuer"), object.namespace(), name)
                });
                out.add(issuer, i, "its issuer");
            }
            _ => {}
        }
    }
}

/// The names under all keys that end with `SecretRef`, and of a CA's key pair.
fn secret_names(value: &Value) -> Vec<&str> {
    let mut out = Vec::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Map(map) => {
                for (key, value) in map {
                    let name = if key.ends_with("SecretRef") {
                        value.get("name")
                    } else if key == "ca" {
                        value.get("secretName")
                    } else {
                        None
                    };
                    out.extend(name.and_then(Value::as_str));
                    open.push(value);
                }
            }
            Value::List(items) => open.extend(items),
            _ => {}
        }
    }
    out
}
