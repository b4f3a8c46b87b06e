//! X4: programs are told a database and a user that exist. X14: what has a password of the database also
//! has the authority by which it knows the server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use zonewright_engine::address::{Address, ZoneName};
use zonewright_engine::expr::{Expr, Node, Origin, Reference};
use zonewright_engine::schema::Part;

use super::Finding;
use super::spec::{Item, Spec};
use crate::diag::Code;
use crate::suggest;

/// How the keys end that tell programs a database, and a user.
const NAMES: [(&str, Part); 3] = [
    ("DB_NAME", Part::Database),
    ("DATABASE_NAME", Part::Database),
    ("DB_USER", Part::DatabaseUser),
];
const CONTAINERS: [&str; 2] = ["initContainers", "containers"];
const REFUSES_PROOF: &str = "SSL_DONT_VERIFY_SERVER_CERT";

pub(super) fn check(spec: &Spec<'_>, zone: &ZoneName) {
    let secrets = secrets(spec, zone);
    for object in spec.objects(zone) {
        names(spec, zone, &object, &secrets);
        if let Some(pod) = object.pod() {
            authority(spec, zone, &object, pod, &secrets);
        }
        unverified(spec, zone, &object);
    }
}

/// What the Secrets of a zone have of database servers, by namespace and name.
type Secrets<'a> = BTreeMap<(&'a str, &'a str), Holds<'a>>;

#[derive(Default)]
struct Holds<'a> {
    /// The servers whose logins' passwords it has.
    passwords: BTreeSet<&'a Address>,
    /// The servers whose hosts it has.
    hosts: BTreeSet<&'a Address>,
    /// The servers whose authorities it has, and where that is written.
    authorities: BTreeMap<&'a Address, Option<&'a Origin>>,
}

fn secrets<'a>(spec: &'a Spec<'_>, zone: &'a ZoneName) -> Secrets<'a> {
    let mut out = Secrets::new();
    let objects = spec.objects(zone);
    for object in objects.filter(|o| o.is("", "Secret") || o.is("", "ConfigMap")) {
        let holds = out.entry((object.namespace(), object.name())).or_default();
        for part in ["stringData", "data"] {
            let Some(Node::Map(map)) = object.attr(part).map(|e| &e.node) else {
                continue;
            };
            map.values().for_each(|e| entry(spec, e, holds));
        }
    }
    out.retain(|_, h| !h.passwords.is_empty() || !h.authorities.is_empty());
    out
}

fn entry<'a>(spec: &'a Spec<'_>, expr: &'a Expr, holds: &mut Holds<'a>) {
    for (reference, at) in expr.references() {
        let Reference::Resource { address, path } = reference else {
            continue;
        };
        let output = path.to_string();
        match spec.part(address) {
            Some(Part::DatabaseUser) if output == "password" => {
                let server = spec.get(address).and_then(|user| user.target("cluster"));
                holds.passwords.extend(server);
            }
            Some(Part::Writer | Part::Replica) if output == "ca" => {
                holds.authorities.insert(address, at);
            }
            Some(Part::Writer | Part::Replica) if output.ends_with("host") => {
                holds.hosts.insert(address);
            }
            _ => {}
        }
    }
}

/// The databases, or users, of a server that the spec declares in any zone.
fn declared<'a>(spec: &'a Spec<'_>, server: &Address, part: Part) -> Vec<&'a str> {
    let zones = spec.world.realms.keys();
    zones
        .flat_map(|zone| spec.parts(zone, part))
        .filter(|item| item.target("cluster") == Some(server))
        .map(|item| item.text(&["name"]))
        .filter(|name| !name.is_empty())
        .collect()
}

/// A text that an object gives to programs.
struct Told<'a> {
    key: &'a str,
    value: &'a str,
    path: Vec<String>,
}

impl Told<'_> {
    fn at(&self, spec: &Spec<'_>, object: &Item<'_>) -> Option<Origin> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        spec.place(object, &path)
    }
}

/// All of them, with where they are written.
fn told<'a>(object: &Item<'a>) -> Vec<Told<'a>> {
    let mut out = Vec::new();
    if object.is("", "Secret") || object.is("", "ConfigMap") {
        for part in ["stringData", "data"] {
            let map = object.value[part].as_object().into_iter().flatten();
            for (key, value) in map.filter_map(|(k, v)| Some((k, v.as_str()?))) {
                let path = vec![part.to_owned(), key.clone()];
                out.push(Told { key, value, path });
            }
        }
    }
    let (Some(pod), Some(base)) = (object.pod(), object.pod_path()) else {
        return out;
    };
    for part in CONTAINERS {
        for (n, container) in list(&pod[part]).enumerate() {
            for (m, variable) in list(&container["env"]).enumerate() {
                let (Some(key), Some(value)) =
                    (variable["name"].as_str(), variable["value"].as_str())
                else {
                    continue;
                };
                let (n, m) = (n.to_string(), m.to_string());
                let own = [part, &n, "env", &m, "value"];
                let path = base.iter().copied().chain(own).map(str::to_owned);
                out.push(Told {
                    key,
                    value,
                    path: path.collect(),
                });
            }
        }
    }
    out
}

fn list(value: &Json) -> impl Iterator<Item = &Json> {
    value.as_array().into_iter().flatten()
}

fn names(spec: &Spec<'_>, zone: &ZoneName, object: &Item<'_>, secrets: &Secrets<'_>) {
    let near = secrets
        .iter()
        .filter(|((ns, _), _)| *ns == object.namespace());
    let servers: BTreeSet<&Address> = near
        .flat_map(|(_, h)| h.passwords.iter().copied())
        .collect();
    if servers.is_empty() {
        return;
    }
    for text in told(object) {
        let (key, value) = (text.key, text.value);
        let Some((_, part)) = NAMES.iter().find(|(end, _)| key.ends_with(end)) else {
            continue;
        };
        let all = servers.iter().flat_map(|s| declared(spec, s, *part));
        let there: Vec<&str> = all.collect();
        if there.is_empty() || there.contains(&value) {
            continue;
        }
        let what = match part {
            Part::Database => "database",
            _ => "database user",
        };
        let at = text.at(spec, object);
        spec.report(
            zone,
            Finding {
                code: Code::DatabaseName,
                message: format!("the spec has no {what} `{value}`"),
                at: at.as_ref(),
                label: format!("`{key}` names it"),
                also: None,
                help: suggest::help(value, there),
            },
        );
    }
}

/// The Secrets and ConfigMaps that a pod takes, as variables or as files.
fn taken(pod: &Json) -> BTreeSet<&str> {
    let mut out = BTreeSet::new();
    collect(pod, &mut out);
    out
}

fn collect<'a>(value: &'a Json, out: &mut BTreeSet<&'a str>) {
    match value {
        Json::Object(map) => {
            for (key, inner) in map {
                match key.as_str() {
                    "secretKeyRef" | "secretRef" | "configMapRef" | "configMapKeyRef"
                    | "configMap" => {
                        out.extend(inner["name"].as_str());
                    }
                    "secret" => {
                        out.extend(inner["secretName"].as_str());
                        out.extend(inner["name"].as_str());
                    }
                    _ => collect(inner, out),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|i| collect(i, out)),
        _ => {}
    }
}

fn authority(
    spec: &Spec<'_>,
    zone: &ZoneName,
    object: &Item<'_>,
    pod: &Json,
    secrets: &Secrets<'_>,
) {
    let taken = taken(pod);
    let own = |((ns, name), _): &(&(&str, &str), &Holds<'_>)| {
        *ns == object.namespace() && taken.contains(name)
    };
    let own: Vec<&Holds<'_>> = secrets.iter().filter(own).map(|(_, holds)| holds).collect();
    if own.iter().all(|h| h.passwords.is_empty()) {
        return;
    }
    let hosts: BTreeSet<&Address> = own.iter().flat_map(|h| h.hosts.iter().copied()).collect();
    let authorities: Vec<_> = own.iter().flat_map(|h| &h.authorities).collect();
    if authorities.is_empty() {
        spec.report(
            zone,
            Finding {
                code: Code::DatabaseUnverified,
                message: format!("the {} `{}` cannot tell the database from an impostor", object.kind(), object.name()),
                at: object.at(),
                label: "it takes a password of the database, and not the server's authority".to_owned(),
                also: None,
                help: Some("put the output `ca` of the database into a Secret, mount it, and have the program verify with it".to_owned()),
            },
        );
    }
    for (server, at) in authorities {
        if hosts.is_empty() || hosts.contains(server) {
            continue;
        }
        let host = hosts.iter().map(|a| format!("`{a}`")).collect::<Vec<_>>();
        spec.report(
            zone,
            Finding {
                code: Code::DatabaseUnverified,
                message: format!(
                    "the authority of `{server}` does not prove {}",
                    host.join(", ")
                ),
                at: at.or(object.at()),
                label: "the authority of another server than the host's".to_owned(),
                also: None,
                help: Some("take `ca` and the host from one database".to_owned()),
            },
        );
    }
}

/// A client that is told to take any server.
fn unverified(spec: &Spec<'_>, zone: &ZoneName, object: &Item<'_>) {
    for text in told(object) {
        if text.value.contains(REFUSES_PROOF) {
            let at = text.at(spec, object);
            spec.report(
                zone,
                Finding {
                    code: Code::DatabaseUnverified,
                    message: format!("`{}` tells the client to trust any server", text.key),
                    at: at.as_ref(),
                    label: format!("it has `…{REFUSES_PROOF}`"),
                    also: None,
                    help: Some(
                        "use `MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT` and name the authority"
                            .to_owned(),
                    ),
                },
            );
        }
    }
}
