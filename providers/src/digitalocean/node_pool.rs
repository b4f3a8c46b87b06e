//! The node pool of a cluster.
//!
//! The size of a pool cannot be changed. A new size means a second pool beside the first; when its
//! nodes run, the old one goes. Which step comes next is read off the live pools each time, so that
//! the change goes on after a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use zonewright_engine::provider::{Marker, ProviderError};
use zonewright_engine::schema::Check;
use zonewright_engine::value::Value;

use super::create_error;
use super::tags::{user_tags, with_mark};
use crate::http::Api;
use crate::live::{Attrs, Lens, invalid, mark_among, text, texts};

/// What a pool is called when the spec does not say.
const DEFAULT_NAME: &str = "main";

/// The attributes of a pool.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolSpec {
    name: Option<String>,
    size: String,
    count: Option<i64>,
    min: Option<i64>,
    max: Option<i64>,
    tags: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

/// Why a pool does not say how many nodes it has.
const UNCLEAR: &str = "a pool has either `count`, or `min` and `max` with `min` not above `max`";

/// A pool says how many nodes it has, in one way.
pub(super) const SCALING: Check = Check {
    attr: "node_pool",
    refused: |attrs| {
        let pool = attrs.get("node_pool")?.as_object()?;
        if pool.keys().any(|k| k.starts_with('$')) {
            return None; // Not known yet.
        }
        let has = |key: &str| pool.contains_key(key);
        let number = |key: &str| pool.get(key).and_then(Json::as_i64);
        let above = match (number("min"), number("max")) {
            (Some(min), Some(max)) => min > max,
            _ => false,
        };
        let one_way = match (has("min"), has("max"), has("count")) {
            (false, false, count) => count,
            (min, max, count) => min && max && !count,
        };
        (above || !one_way).then_some(UNCLEAR)
    },
};

impl PoolSpec {
    fn base(&self) -> &str {
        self.name.as_deref().unwrap_or(DEFAULT_NAME)
    }

    fn scaling(&self) -> Result<Option<(i64, i64)>, ProviderError> {
        match (self.min, self.max, self.count) {
            (None, None, Some(_)) => Ok(None),
            (Some(min), Some(max), None) if min <= max => Ok(Some((min, max))),
            _ => Err(invalid("node_pool", UNCLEAR)),
        }
    }

    /// The body that makes a pool or sets everything about one.
    fn body(&self, name: &str, live: &Json, marker: &Marker) -> Result<Json, ProviderError> {
        let tags = with_mark(self.tags.as_ref(), texts(live, "/tags"), marker);
        let mut body = json!({ "name": name, "tags": tags });
        match self.scaling()? {
            // With autoscaling the count is the autoscaler's; the live one is sent back.
            Some((min, max)) => {
                body["auto_scale"] = json!(true);
                body["min_nodes"] = json!(min);
                body["max_nodes"] = json!(max);
                let count = live["count"].as_i64().unwrap_or(min);
                body["count"] = json!(count.clamp(min.max(1), max.max(1)));
            }
            None => {
                body["auto_scale"] = json!(false);
                body["count"] = json!(self.count);
            }
        }
        match &self.labels {
            Some(labels) => body["labels"] = json!(labels),
            None if live["labels"].is_object() => body["labels"] = live["labels"].clone(),
            None => {}
        }
        if live["taints"].as_array().is_some_and(|t| !t.is_empty()) {
            body["taints"] = live["taints"].clone();
        }
        Ok(body)
    }

    /// The body that makes a pool.
    pub(super) fn new_pool(&self, name: &str, marker: &Marker) -> Result<Json, ProviderError> {
        let mut body = self.body(name, &Json::Null, marker)?;
        body["size"] = json!(self.size);
        Ok(body)
    }

    /// The pool that a new cluster starts with.
    pub(super) fn first_pool(&self, marker: &Marker) -> Result<Json, ProviderError> {
        self.new_pool(self.base(), marker)
    }
}

/// The pools that the spec's pool stands for: those with our mark; in a cluster that was made by
/// somebody else, the one with the name, or the only one.
fn managed<'a>(pools: &'a [Json], base: &str, marker: &Marker) -> Vec<&'a Json> {
    let stem = marker.stem();
    let marked = |p: &&Json| texts(p, "/tags").any(|t| t.starts_with(&stem));
    let ours: Vec<&Json> = pools.iter().filter(marked).collect();
    if !ours.is_empty() {
        return ours;
    }
    let named: Vec<&Json> = pools.iter().filter(|p| plain_name(p) == base).collect();
    match (named.is_empty(), pools) {
        (true, [only]) => vec![only],
        _ => named,
    }
}

/// The pool's name without the size that keeps it apart from its predecessor.
fn plain_name(pool: &Json) -> &str {
    let name = text(pool, "/name").unwrap_or_default();
    let size = text(pool, "/size").unwrap_or_default();
    let stripped = name.strip_suffix(size).and_then(|n| n.strip_suffix('-'));
    stripped.filter(|n| !n.is_empty()).unwrap_or(name)
}

fn pools(cluster: &Json) -> &[Json] {
    cluster["node_pools"].as_array().map_or(&[], Vec::as_slice)
}

/// The pool in the spec's terms. While an old pool is still there it is the one that is shown: the
/// difference to the spec is what finishes the change.
pub(super) fn live_pool(cluster: &Json, lens: &Lens<'_>) -> Option<Value> {
    let wanted = lens.desired.and_then(|d| d.get("node_pool"));
    let wanted_text = |key: &str| wanted.and_then(|w| w.get(key)).and_then(Value::as_str);
    let base = wanted_text("name").unwrap_or(DEFAULT_NAME);
    let ours = managed(pools(cluster), base, lens.marker);
    let old =
        wanted_text("size").and_then(|size| ours.iter().find(|p| text(p, "/size") != Some(size)));
    let pool = old.or(ours.first())?;
    let mut attrs = Attrs::new()
        .text("name", Some(plain_name(pool)))
        .text("size", text(pool, "/size"))
        .list("tags", user_tags(texts(pool, "/tags")));
    if pool["auto_scale"] == json!(true) {
        attrs = attrs
            .json("min", pool.get("min_nodes"))
            .json("max", pool.get("max_nodes"));
    } else {
        attrs = attrs.json("count", pool.get("count"));
    }
    let labels = pool.get("labels").filter(|l| l.is_object());
    Some(attrs.json("labels", labels.or(Some(&json!({})))).done())
}

/// Why the nodes of a pool are not all there.
fn starting(pool: &Json) -> Option<String> {
    let count = pool["count"].as_u64().unwrap_or(0);
    let nodes = pool["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    let running = nodes
        .iter()
        .filter(|n| text(n, "/status/state") == Some("running"));
    let running = u64::try_from(running.count()).unwrap_or(u64::MAX);
    let name = text(pool, "/name").unwrap_or("?");
    (running < count).then(|| format!("pool {name}: {running} of {count} nodes run"))
}

/// Why the nodes of the cluster are not all there. A pool that scales by itself is always on its way.
pub(super) fn nodes_missing(cluster: &Json) -> Option<String> {
    let fixed = |p: &&Json| {
        p["auto_scale"] != json!(true) || p["nodes"].as_array().is_none_or(Vec::is_empty)
    };
    pools(cluster).iter().filter(fixed).find_map(starting)
}

/// Brings the pool to what the spec says, or the first step of that.
pub(super) async fn update(
    api: &Api,
    path: &str,
    cluster: &Json,
    spec: &PoolSpec,
    marker: &Marker,
) -> Result<(), ProviderError> {
    let path = format!("{path}/node_pools");
    let all = pools(cluster);
    let ours = managed(all, spec.base(), marker);
    let fitting = ours.iter().find(|p| text(p, "/size") == Some(&spec.size));
    let Some(pool) = fitting else {
        let taken = |name: &str| all.iter().any(|p| text(p, "/name") == Some(name));
        let sized = format!("{}-{}", spec.base(), spec.size);
        let name = if taken(spec.base()) {
            &sized
        } else {
            spec.base()
        };
        // The old pools are marked before the new one exists: without that an unmarked old pool
        // would no longer be seen as ours.
        mark_pools(api, &path, &ours, marker).await?;
        let body = spec.new_pool(name, marker)?;
        return match api.post(&path, &body).await {
            Ok(_) => Ok(()),
            Err(e) => Err(create_error(e)),
        };
    };
    let id = text(pool, "/id").unwrap_or_default();
    let name = match plain_name(pool) == spec.base() || spec.name.is_none() {
        true => text(pool, "/name").unwrap_or_default(),
        false => spec.base(),
    };
    let body = spec.body(name, pool, marker)?;
    api.put(&format!("{path}/{id}"), &body).await?;
    Ok(())
}

/// Puts the mark on the pools that the spec's pool stands for.
pub(super) async fn mark(
    api: &Api,
    path: &str,
    cluster: &Json,
    spec: &PoolSpec,
    marker: &Marker,
) -> Result<(), ProviderError> {
    let ours = managed(pools(cluster), spec.base(), marker);
    mark_pools(api, &format!("{path}/node_pools"), &ours, marker).await
}

async fn mark_pools(
    api: &Api,
    path: &str,
    ours: &[&Json],
    marker: &Marker,
) -> Result<(), ProviderError> {
    for pool in ours {
        if mark_among(texts(pool, "/tags"), marker).as_ref() != Some(&marker.to_string()) {
            mark_pool(api, path, pool, marker).await?;
        }
    }
    Ok(())
}

async fn mark_pool(
    api: &Api,
    path: &str,
    pool: &Json,
    marker: &Marker,
) -> Result<(), ProviderError> {
    let mut body = json!({
        "name": pool["name"],
        "count": pool["count"],
        "tags": with_mark(None, texts(pool, "/tags"), marker),
    });
    for key in ["auto_scale", "min_nodes", "max_nodes", "labels", "taints"] {
        if !pool[key].is_null() {
            body[key] = pool[key].clone();
        }
    }
    let id = text(pool, "/id").unwrap_or_default();
    api.put(&format!("{path}/{id}"), &body).await?;
    Ok(())
}

/// Whether the pool is what the spec says, and if not, why; removes old pools once the new one runs.
pub(super) async fn settle(
    api: &Api,
    path: &str,
    cluster: &Json,
    wanted: Option<&Value>,
    marker: &Marker,
) -> Result<Option<String>, ProviderError> {
    let Some(size) = wanted.and_then(|w| w.get("size")).and_then(Value::as_str) else {
        return Ok(None);
    };
    let name = wanted.and_then(|w| w.get("name")).and_then(Value::as_str);
    let ours = managed(pools(cluster), name.unwrap_or(DEFAULT_NAME), marker);
    let (new, old): (Vec<&Json>, Vec<&Json>) = ours
        .into_iter()
        .partition(|p| text(p, "/size") == Some(size));
    let Some(new) = new.first() else {
        return Ok(Some(format!("the pool of size {size} is not there yet")));
    };
    if let Some(why) = starting(new) {
        return Ok(Some(why));
    }
    let count = wanted.and_then(|w| w.get("count")).and_then(Value::as_i64);
    if count.is_some() && new["count"].as_i64() != count {
        return Ok(Some("the pool is being resized".to_owned()));
    }
    for pool in &old {
        let id = text(pool, "/id").unwrap_or_default();
        match api.delete(&format!("{path}/node_pools/{id}"), None).await {
            Ok(_) => {}
            // Asked again while it drains.
            Err(e) if e.is(409) || e.is(412) || e.is(422) => {}
            Err(e) => return Err(e.error),
        }
    }
    Ok(old
        .first()
        .map(|p| format!("pool {} is being removed", text(p, "/name").unwrap_or("?"))))
}
