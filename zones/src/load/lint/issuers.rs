//! X2: an issuer's Secret and an issuer have the names and namespaces by which others look for them.

use serde_json::Value as Json;
use zonewright_engine::address::ZoneName;

use super::Finding;
use super::spec::{Item, Spec};
use crate::diag::Code;
use crate::suggest;

const GROUP: &str = "cert-manager.io";
/// Annotations of an Ingress or a Gateway that name an issuer, and its kind.
const ANNOTATIONS: [(&str, &str); 2] = [
    ("cert-manager.io/cluster-issuer", "ClusterIssuer"),
    ("cert-manager.io/issuer", "Issuer"),
];
/// Kinds whose controllers make a Secret of the same name.
const MAKERS: [&str; 2] = ["ExternalSecret", "SealedSecret"];

pub(super) fn check(spec: &Spec<'_>, zone: &ZoneName) {
    let manager = manager_namespace(spec, zone);
    for object in spec.objects(zone) {
        let namespace = match object.kind() {
            _ if object.group() != GROUP => None,
            "ClusterIssuer" => manager,
            "Issuer" => Some(object.namespace()),
            _ => None,
        };
        if let Some(namespace) = namespace {
            let mut wanted = Vec::new();
            secrets(
                &object.value["spec"],
                &mut vec!["spec".to_owned()],
                &mut wanted,
            );
            for reference in wanted {
                secret(spec, zone, &object, (namespace, &reference));
            }
        }
        issuer(spec, zone, &object);
    }
}

/// The namespace in which cert-manager looks for the Secrets of a ClusterIssuer.
fn manager_namespace<'a>(spec: &'a Spec<'_>, zone: &'a ZoneName) -> Option<&'a str> {
    const ARGUMENT: &str = "--cluster-resource-namespace=";
    let controller = |o: &Item<'_>| {
        let label = |name: &str| o.text(&["metadata", "labels", name]);
        let component = label("app.kubernetes.io/component");
        let named = [label("app.kubernetes.io/name"), label("app"), o.name()];
        o.is("apps", "Deployment")
            && named.contains(&"cert-manager")
            && ["", "controller"].contains(&component)
    };
    let found = spec.objects(zone).find(controller)?;
    let containers = found.pod()?["containers"].as_array();
    let arguments = containers.into_iter().flatten().flat_map(|c| {
        let args = c["args"].as_array();
        args.into_iter().flatten().filter_map(Json::as_str)
    });
    let told = arguments
        .filter_map(|a| a.strip_prefix(ARGUMENT))
        .find(|n| !n.starts_with('$'));
    told.or(Some(found.namespace()))
}

/// A Secret that an issuer reads.
struct Reads<'a> {
    name: &'a str,
    key: Option<&'a str>,
    /// Where its name is written.
    path: Vec<String>,
}

/// All of them. The key of an account is one that it writes.
fn secrets<'a>(value: &'a Json, path: &mut Vec<String>, out: &mut Vec<Reads<'a>>) {
    match value {
        Json::Object(map) => {
            for (key, inner) in map {
                if key == "privateKeySecretRef" {
                    continue;
                }
                let entry = match key.as_str() {
                    "ca" => Some("secretName"),
                    _ if key.ends_with("SecretRef") => Some("name"),
                    _ => None,
                };
                path.push(key.clone());
                match entry.and_then(|e| Some((e, inner[e].as_str()?))) {
                    Some((entry, name)) => out.push(Reads {
                        name,
                        key: inner["key"].as_str(),
                        path: path.iter().cloned().chain([entry.to_owned()]).collect(),
                    }),
                    None => secrets(inner, path, out),
                }
                path.pop();
            }
        }
        Json::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                path.push(n.to_string());
                secrets(item, path, out);
                path.pop();
            }
        }
        _ => {}
    }
}

fn secret(
    spec: &Spec<'_>,
    zone: &ZoneName,
    object: &Item<'_>,
    (namespace, reference): (&str, &Reads<'_>),
) {
    let (name, key) = (reference.name, reference.key);
    let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
    let at = spec.place(object, &path);
    let all: Vec<Item<'_>> = spec
        .objects(zone)
        .filter(|o| o.is("", "Secret") || MAKERS.contains(&o.kind()))
        .collect();
    let here = |o: &&Item<'_>| o.namespace() == namespace;
    let named = |o: &&Item<'_>| o.name() == name || o.text(&["spec", "target", "name"]) == name;
    let kind = object.kind();
    let finding = |message: String, also, help| Finding {
        code: Code::IssuerMismatch,
        message,
        at: at.as_ref(),
        label: format!("this {kind} reads Secrets of namespace `{namespace}`"),
        also,
        help,
    };
    if let Some(found) = all.iter().filter(here).find(named) {
        let entries: Vec<&str> = ["stringData", "data"]
            .iter()
            .filter_map(|part| found.value[*part].as_object())
            .flat_map(|map| map.keys().map(String::as_str))
            .collect();
        if let Some(key) = key
            && found.is("", "Secret")
            && !entries.contains(&key)
        {
            let message = format!("the Secret `{name}` has no entry `{key}`");
            let also = found.at().map(|at| (at, "the Secret".to_owned()));
            let help = suggest::help(key, entries);
            spec.report(zone, finding(message, also, help));
        }
        return;
    }
    let message = format!("there is no Secret `{name}` in namespace `{namespace}`");
    if let Some(other) = all.iter().find(named) {
        let text = format!("it is in namespace `{}`", other.namespace());
        let help = format!(
            "set `namespace = \"{namespace}\"` on the Secret, so that the issuer can become ready"
        );
        let also = other.at().map(|at| (at, text));
        spec.report(zone, finding(message, also, Some(help)));
    } else if spec.is_whole(object) {
        let names: Vec<&str> = all.iter().filter(here).map(Item::name).collect();
        let help = suggest::help(name, names);
        spec.report(zone, finding(message, None, help));
    }
}

/// The issuer that a certificate, an Ingress or a Gateway names.
fn issuer(spec: &Spec<'_>, zone: &ZoneName, object: &Item<'_>) {
    let wanted = if object.is(GROUP, "Certificate") {
        let reference = &object.value["spec"]["issuerRef"];
        let own = reference["group"].as_str().unwrap_or(GROUP) == GROUP;
        let kind = reference["kind"].as_str().unwrap_or("Issuer");
        let path = ["spec", "issuerRef", "name"];
        let name = reference["name"].as_str().filter(|_| own);
        name.map(|n| (kind, n, path))
    } else {
        let annotations = &object.value["metadata"]["annotations"];
        ANNOTATIONS.iter().find_map(|(key, kind)| {
            let path = ["metadata", "annotations", *key];
            Some((*kind, annotations[*key].as_str()?, path))
        })
    };
    let Some((kind, name, path)) = wanted else {
        return;
    };
    let there: Vec<&str> = spec
        .objects(zone)
        .filter(|o| o.is(GROUP, kind))
        .filter(|o| kind == "ClusterIssuer" || o.namespace() == object.namespace())
        .map(|o| o.name())
        .collect();
    if there.contains(&name) || !spec.is_whole(object) {
        return;
    }
    let place = match kind {
        "ClusterIssuer" => String::new(),
        _ => format!(" in namespace `{}`", object.namespace()),
    };
    let at = spec.place(object, &path);
    spec.report(
        zone,
        Finding {
            code: Code::IssuerMismatch,
            message: format!("there is no {kind} `{name}`{place}"),
            at: at.as_ref(),
            label: format!("this {} asks it for a certificate", object.kind()),
            also: None,
            help: suggest::help(name, there),
        },
    );
}
