//! Everything of a project in a cluster: by the owner label, over every kind that the cluster serves.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use serde_json::Value as Json;
use zonewright_engine::address::{Kind, ZoneName};
use zonewright_engine::provider::{Marker, Owned, ProviderError, Search};
use zonewright_engine::value::Value;

use super::body;
use super::client::{Api, Failure};
use super::discovery::Discovery;
use super::kinds::{self, Resource};
use super::refresh::{METADATA, PARALLEL};

/// Kinds that the cluster makes of others: a label that they inherit is not ours.
const MADE_OF_OTHERS: &[&str] = &[
    "ControllerRevision",
    "Endpoints",
    "EndpointSlice",
    "Event",
    "Lease",
    "Node",
    "Pod",
    "ReplicaSet",
];

/// Looks for the objects that carry the owner label of one of the zones.
///
/// # Errors
/// A list was refused: what is not seen is not known to be absent.
pub(crate) async fn owned(
    api: &Api,
    discovery: &Discovery,
    search: &Search,
) -> Result<Vec<Owned>, ProviderError> {
    let custom = discovery.custom(api).await;
    let custom = custom.map_err(|f| f.error("discovery", false))?;
    let mut resources = kinds::all_built_in();
    resources.extend(custom);
    resources.retain(|r| !MADE_OF_OTHERS.contains(&r.kind.as_str()));
    let zones = search.zones.iter().map(|z| (owner(search, z), z.clone()));
    let zones: Zones = zones.collect();
    let owners: Vec<&str> = zones.keys().map(String::as_str).collect();
    let selector = format!("{}%20in%20%28{}%29", body::OWNER, owners.join("%2C"));
    let work: Vec<_> = resources
        .iter()
        .map(|r| list(api, r, &selector, &zones).boxed())
        .collect();
    let mut lists = stream::iter(work).buffer_unordered(PARALLEL);
    let mut out = Vec::new();
    while let Some(found) = lists.next().await {
        out.extend(found?);
    }
    Ok(out)
}

/// Zones by the value of the owner label.
type Zones = BTreeMap<String, ZoneName>;

fn owner(search: &Search, zone: &ZoneName) -> String {
    let address = format!("{zone}/kubernetes.manifest.any");
    body::owner(&Marker {
        lineage: search.lineage.clone(),
        address: address.parse().expect("invariant: a zone's name fits"),
        generation: 1,
    })
}

async fn list(
    api: &Api,
    resource: &Resource,
    selector: &str,
    zones: &Zones,
) -> Result<Vec<Owned>, ProviderError> {
    let collection = resource.collection(None);
    let first = format!(
        "{collection}?limit={}&labelSelector={selector}",
        api.options.page
    );
    let mut next = first.clone();
    let mut out = Vec::new();
    loop {
        let mut page = match api.read(&next, METADATA).await {
            Ok(page) => page,
            // A kind that is known and not served, or that cannot be listed.
            Err(Failure::Refused(refusal)) if refusal.is_missing() => return Ok(out),
            Err(Failure::Refused(refusal)) if refusal.is_unlistable() => return Ok(out),
            Err(failure) => return Err(failure.error(&resource.plural, true)),
        };
        if let Json::Array(items) = page["items"].take() {
            out.extend(
                items
                    .iter()
                    .filter_map(|item| describe(resource, item, zones)),
            );
        }
        match page["metadata"]["continue"].as_str() {
            Some(token) if !token.is_empty() => {
                next = format!("{first}&continue={}", super::refresh::escaped(token));
            }
            _ => return Ok(out),
        }
    }
}

/// What belongs to another object goes with that.
fn describe(resource: &Resource, item: &Json, zones: &Zones) -> Option<Owned> {
    let metadata = &item["metadata"];
    if metadata["ownerReferences"]
        .as_array()
        .is_some_and(|o| !o.is_empty())
    {
        return None;
    }
    let name = metadata["name"].as_str()?;
    let namespace = metadata["namespace"].as_str();
    let place = namespace.map(|n| format!("-n {n} ")).unwrap_or_default();
    // The name is the same in every zone: the command must not meet another zone's object.
    let zone = zones.get(metadata["labels"][body::OWNER].as_str()?)?;
    let full = match resource.group.as_str() {
        "" => resource.plural.clone(),
        group => format!("{}.{group}", resource.plural),
    };
    let inside = namespace.map(|n| format!("{n}/")).unwrap_or_default();
    Some(Owned {
        kind: kind(),
        what: format!("{} {inside}{name} in {zone}", resource.kind),
        id: body::uid(item).to_owned(),
        mark: String::new(),
        address: metadata["annotations"][body::ADDRESS]
            .as_str()
            .and_then(|a| a.parse().ok()),
        attrs: Value::Null,
        remove: format!("kubectl --kubeconfig {zone}.kubeconfig {place}delete {full} {name}"),
    })
}

fn kind() -> Kind {
    "kubernetes.manifest".parse().expect("invariant: a kind")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_belongs_to_another_object_is_left_out() {
        let resource = kinds::built_in("apps", "Deployment", None).unwrap();
        let mut item = json!({"metadata": {"name": "wp", "namespace": "app", "uid": "u1",
            "labels": {"zonewright.dev/owner": "o"},
            "annotations": {"zonewright.dev/address": "bz/kubernetes.manifest.wp"}}});
        let zones = Zones::from([("o".to_owned(), "bz".parse().unwrap())]);
        let owned = describe(&resource, &item, &zones).unwrap();
        assert_eq!(owned.what, "Deployment app/wp in bz");
        assert_eq!(
            owned.remove,
            "kubectl --kubeconfig bz.kubeconfig -n app delete deployments.apps wp"
        );
        assert_eq!(
            owned.address.unwrap().to_string(),
            "bz/kubernetes.manifest.wp"
        );
        item["metadata"]["ownerReferences"] = json!([{"uid": "u0"}]);
        assert!(describe(&resource, &item, &zones).is_none());
    }
}
