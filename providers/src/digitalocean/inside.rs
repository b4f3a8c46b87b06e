//! What the kinds inside a database cluster share: one list per cluster, ids of two parts,
//! connections and certificates.

use std::collections::BTreeMap;

use base64::Engine as _;
use futures::future::join_all;
use serde_json::{Value as Json, json};
use zonewright_engine::address::Address;
use zonewright_engine::provider::{Live, Mark, Observed, Op, Outcome, ReadTarget, Verb};

use crate::cloud::Applied;
use crate::http::{Api, ApiError, found, take_list};
use crate::live::{Attrs, Lens, Listed, Reader, candidates, choose, need, text};

/// The key under which a listed object is given the id of what it was listed under.
const PARENT: &str = "@parent";

/// A kind whose objects are listed per database cluster.
pub(super) trait Inside: Reader {
    /// The attribute that holds the cluster's id.
    const PARENT_ATTR: &'static str;
    /// The last part of the list's path, and the key of the list in the reply.
    const LIST: &'static str;
    /// The key of one object in a reply.
    const ITEM: &'static str;
}

/// The path of a cluster or a replica.
pub(super) fn cluster_path(id: &str) -> String {
    format!("/v2/databases/{id}")
}

/// The two parts of an id.
pub(super) fn split_id(id: &str) -> Option<(&str, &str)> {
    id.split_once('/')
}

/// The id of an object that is known by its cluster and name.
pub(super) fn joined_id(item: &Json) -> String {
    let parent = text(item, "/@parent").unwrap_or_default();
    format!("{parent}/{}", text(item, "/name").unwrap_or_default())
}

/// What an object was listed under.
pub(super) fn parent(item: &Json) -> Option<&str> {
    text(item, "/@parent")
}

pub(super) fn under(mut item: Json, parent: &str) -> Json {
    if item.is_object() {
        item[PARENT] = json!(parent);
    }
    item
}

/// The cluster that a target is in, as far as that is known.
pub(super) fn parent_of<'a>(target: &'a ReadTarget, attr: &str) -> Option<&'a str> {
    let from_id = target
        .id
        .as_deref()
        .and_then(split_id)
        .map(|(parent, _)| parent);
    let from_spec = || target.desired.as_ref()?.get(attr)?.as_str();
    from_id.or_else(from_spec).filter(|p| !p.is_empty())
}

/// Everything under a cluster; `None` when there is no such cluster.
pub(super) async fn list<K: Inside>(
    api: &Api,
    parent: &str,
) -> Result<Option<Vec<Json>>, ApiError> {
    let path = format!("{}/{}", cluster_path(parent), K::LIST);
    let reply = found(api.get(&path).await)?;
    Ok(reply.map(|mut r| {
        let items = take_list(&mut r, K::LIST);
        items.into_iter().map(|i| under(i, parent)).collect()
    }))
}

/// The targets by the cluster they are in, with their places.
pub(super) fn by_parent<'a>(
    targets: &[&'a ReadTarget],
    attr: &str,
) -> BTreeMap<&'a str, Vec<(usize, &'a ReadTarget)>> {
    let mut groups: BTreeMap<&str, Vec<(usize, &ReadTarget)>> = BTreeMap::new();
    for (i, target) in targets.iter().enumerate() {
        if let Some(parent) = parent_of(target, attr) {
            groups.entry(parent).or_default().push((i, target));
        }
    }
    groups
}

/// One list per cluster. What is in no known cluster does not exist.
pub(super) async fn refresh<K: Inside>(
    kind: &K,
    api: &Api,
    targets: &[&ReadTarget],
) -> Vec<Observed> {
    let groups = by_parent(targets, K::PARENT_ATTR);
    let reads = groups.iter().map(|(parent, group)| async move {
        let items = list::<K>(api, parent).await;
        let items = items.map(|found| found.map(|items| Listed::new(kind, items)));
        let one = |target: &ReadTarget| match &items {
            Ok(Some(items)) => choose(kind, target, items),
            Ok(None) => Observed::Gone,
            Err(e) => Observed::Unreadable(e.error.clone()),
        };
        group.iter().map(|(i, t)| (*i, one(t))).collect::<Vec<_>>()
    });
    let mut all = vec![Observed::Gone; targets.len()];
    for (i, observed) in join_all(reads).await.into_iter().flatten() {
        all[i] = observed;
    }
    all
}

/// Looks one object up in the list of its cluster.
pub(super) async fn poll<K: Inside>(kind: &K, api: &Api, op: &Op, id: &str) -> Applied {
    let (parent, _) = split_id(id).unwrap_or((id, ""));
    let items = list::<K>(api, parent).await?.unwrap_or_default();
    let item = items.iter().find(|i| kind.id(i) == id);
    Ok(match (item, &op.verb) {
        (None, _) => Outcome::Gone,
        (
            Some(_),
            Verb::Poll {
                wait: zonewright_engine::provider::Wait::Gone,
                ..
            },
        ) => super::top::pending("deleting"),
        (Some(item), _) => Outcome::Ready(Box::new(kind.live(item, &Lens::of_op(op)))),
    })
}

/// There is no place for a mark: parent and name are the handle, and what has them is ours.
pub(super) async fn find<K: Inside>(kind: &K, api: &Api, op: &Op) -> Applied {
    let parent = need(
        Lens::of_op(op).wants(K::PARENT_ATTR),
        "the id of the cluster",
    )?;
    let items = list::<K>(api, parent).await?.unwrap_or_default();
    let claim = |live: Live| match live.mark {
        Mark::Carried(_) => live,
        Mark::Missing | Mark::Untold => Live {
            mark: Mark::Carried(op.marker.to_string()),
            ..live
        },
    };
    let all = candidates(kind, op, &items);
    Ok(Outcome::Found(all.into_iter().map(claim).collect()))
}

/// The outputs that say how to connect. Empty ones mean that the token may not see them.
pub(super) fn connection(attrs: Attrs, item: &Json, address: &Address) -> Attrs {
    attrs
        .text("host", text(item, "/connection/host"))
        .json("port", item.pointer("/connection/port"))
        .text("private_host", text(item, "/private_connection/host"))
        .text("user", text(item, "/connection/user"))
        .secret("password", address, text(item, "/connection/password"))
        .text("ca", text(item, "/@ca"))
}

/// Adds the cluster's CA certificate, which is asked for once in a session.
pub(super) async fn add_ca(api: &Api, item: &mut Json) -> Result<(), ApiError> {
    let ready = matches!(text(item, "/status"), Some("online" | "active"));
    let Some(id) = text(item, "/id").filter(|_| ready).map(str::to_owned) else {
        return Ok(());
    };
    let key = format!("ca:{id}");
    let mut pem = api.recall(&key);
    if pem.is_none() {
        let reply = found(api.get(&format!("{}/ca", cluster_path(&id))).await)?;
        let encoded = reply.as_ref().and_then(|r| text(r, "/ca/certificate"));
        pem = encoded.and_then(decode);
        if let Some(pem) = &pem {
            api.note(key, pem.clone());
        }
    }
    if let Some(pem) = pem {
        item["@ca"] = json!(pem);
    }
    Ok(())
}

fn decode(encoded: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.trim());
    String::from_utf8(bytes.ok()?).ok()
}
