//! What a Terraform state manages: the types and ids in it, and nothing else of it.

use std::collections::BTreeSet;
use std::path::Path;

use zonewright_engine::address::Address;
use zonewright_engine::provider::Live;
use zonewright_engine::value::Value;

use crate::given;
use crate::report::Failure;

/// The managed resources of a Terraform state file.
#[derive(Debug)]
pub(crate) struct Terraform {
    /// Type and id.
    managed: BTreeSet<(String, String)>,
}

/// What Terraform calls a kind, where it is not the provider's and the kind's name put together.
const TYPES: &[(&str, &[&str])] = &[
    ("digitalocean.database", &["digitalocean_database_db"]),
    (
        "cloudflare.dns_record",
        &["cloudflare_record", "cloudflare_dns_record"],
    ),
];

impl Terraform {
    /// Reads a state file of version 4, as `terraform state pull` prints it.
    ///
    /// # Errors
    /// It cannot be read, or is no such file.
    pub(crate) fn read(path: &Path) -> Result<Terraform, Failure> {
        let bytes = given::read(path)?;
        let wrong = |what: &str| {
            Failure::error(format!("{} is no Terraform state: {what}", path.display()))
                .help("give the output of `terraform state pull`")
        };
        let state: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|_| wrong("it is not JSON"))?;
        if state["version"] != 4 {
            return Err(wrong("it is not of version 4"));
        }
        let mut managed = BTreeSet::new();
        let resources = state["resources"].as_array().into_iter().flatten();
        for resource in resources.filter(|r| r["mode"] == "managed") {
            let ty = resource["type"].as_str().unwrap_or_default();
            let instances = resource["instances"].as_array().into_iter().flatten();
            let ids = instances.filter_map(|i| i["attributes"]["id"].as_str());
            managed.extend(ids.map(|id| (ty.to_owned(), id.to_owned())));
        }
        Ok(Terraform { managed })
    }

    /// Whether what was found is among what Terraform manages: of its type, by its id.
    pub(crate) fn manages(&self, address: &Address, live: &Live) -> bool {
        let object = live.attrs.get("apiVersion").is_some();
        self.managed.iter().any(|(ty, id)| match object {
            true => is_object(ty, id, &live.attrs),
            false => is_type(ty, address) && is_id(id, &live.id),
        })
    }
}

fn is_type(ty: &str, address: &Address) -> bool {
    let kind = address.kind.to_string();
    let other = TYPES.iter().find(|(k, _)| *k == kind);
    match other {
        Some((_, names)) => names.contains(&ty),
        None => ty == kind.replace('.', "_"),
    }
}

/// Terraform puts a word between the parts of an id, or leaves the first out: `d1/database/app`, the id of a
/// record without its zone's.
fn is_id(theirs: &str, ours: &str) -> bool {
    let Some((outer, inner)) = ours.split_once('/') else {
        return theirs == ours;
    };
    let parts = theirs.split_once('/');
    let last = theirs.rsplit('/').next();
    theirs == ours
        || theirs == inner
        || parts.is_some_and(|(o, _)| o == outer) && last == Some(inner)
}

/// `kubernetes_deployment_v1` with `app/wp` for a Deployment of that name.
fn is_object(ty: &str, id: &str, object: &Value) -> bool {
    let said = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let word = ty.strip_prefix("kubernetes_").unwrap_or_default();
    let word = word.rsplit_once("_v").map_or(word, |(w, version)| {
        let digit = version.starts_with(|c: char| c.is_ascii_digit());
        if digit { w } else { word }
    });
    let kind = said(object, "kind").unwrap_or_default().to_lowercase();
    let metadata = object.get("metadata");
    let name = metadata.and_then(|m| said(m, "name")).unwrap_or_default();
    let namespace = metadata.and_then(|m| said(m, "namespace"));
    let full = namespace.map_or_else(|| name.clone(), |n| format!("{n}/{name}"));
    word.replace('_', "") == kind && id == full
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use zonewright_engine::provider::{Mark, Status};

    use super::*;

    fn manages(
        ty: &str,
        theirs: &str,
        address: &str,
        ours: &str,
        attrs: serde_json::Value,
    ) -> bool {
        let managed = [(ty.to_owned(), theirs.to_owned())].into();
        let live = Live {
            id: ours.to_owned(),
            attrs: Value::from_plain_json(attrs),
            mark: Mark::Missing,
            status: Status::Ready,
        };
        Terraform { managed }.manages(&address.parse().unwrap(), &live)
    }

    #[test]
    fn a_resource_is_known_by_its_type_and_id() {
        let vpc = "pz/digitalocean.vpc.main";
        let database = "pz/digitalocean.database.wp";
        let record = "pz/cloudflare.dns_record.zone";
        for (ty, theirs, address, ours, expected) in [
            ("digitalocean_vpc", "v1", vpc, "v1", true),
            ("digitalocean_vpc", "v2", vpc, "v1", false),
            ("digitalocean_droplet", "v1", vpc, "v1", false),
            (
                "digitalocean_database_db",
                "d1/database/wp",
                database,
                "d1/wp",
                true,
            ),
            (
                "digitalocean_database_db",
                "d2/database/wp",
                database,
                "d1/wp",
                false,
            ),
            (
                "digitalocean_database_user",
                "d1/user/wp",
                database,
                "d1/wp",
                false,
            ),
            ("cloudflare_record", "r1", record, "z1/r1", true),
            ("cloudflare_record", "r2", record, "z1/r1", false),
        ] {
            assert_eq!(
                manages(ty, theirs, address, ours, json!({})),
                expected,
                "{ty} {theirs}"
            );
        }
    }

    #[test]
    fn an_object_is_known_by_its_kind_and_name() {
        let address = "pz/kubernetes.manifest.wp";
        let object = json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "wp", "namespace": "app"}});
        for (ty, id, expected) in [
            ("kubernetes_stateful_set_v1", "app/wp", true),
            ("kubernetes_stateful_set", "app/wp", true),
            ("kubernetes_service", "app/wp", false),
            ("kubernetes_stateful_set", "wp", false),
            ("digitalocean_vpc", "app/wp", false),
        ] {
            assert_eq!(
                manages(ty, id, address, "u1", object.clone()),
                expected,
                "{ty} {id}"
            );
        }
    }
}
