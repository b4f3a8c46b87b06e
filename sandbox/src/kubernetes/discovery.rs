//! Discovery documents: legacy per group version and aggregated in one piece.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::Kind;

/// The versions of a group with their kinds, preferred version first.
type Group<'a> = (String, Vec<(String, Vec<&'a Kind>)>);

fn groups(kinds: &[Arc<Kind>]) -> Vec<Group<'_>> {
    let mut order: Vec<String> = Vec::new();
    let mut by_group: BTreeMap<String, Vec<(String, Vec<&Kind>)>> = BTreeMap::new();
    for kind in kinds {
        let versions = by_group.entry(kind.group.clone()).or_insert_with(|| {
            order.push(kind.group.clone());
            Vec::new()
        });
        match versions.iter_mut().find(|(v, _)| *v == kind.version) {
            Some((_, of)) => of.push(kind),
            None => versions.push((kind.version.clone(), vec![kind])),
        }
    }
    order
        .into_iter()
        .filter_map(|name| {
            let mut versions = by_group.remove(&name)?;
            if kinds.iter().any(|k| k.group == name && k.is_custom()) {
                versions.sort_by_key(|(v, _)| std::cmp::Reverse(version_rank(v)));
            }
            Some((name, versions))
        })
        .collect()
}

/// Released versions before betas before alphas, higher numbers first.
fn version_rank(version: &str) -> (u8, u32, u32) {
    let digits = |s: &str| {
        s.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse()
            .unwrap_or(0)
    };
    let rest = version.strip_prefix('v').unwrap_or_default();
    let major = digits(rest);
    let stage = |name: &str| rest.split_once(name).map(|(_, minor)| digits(minor));
    match (stage("alpha"), stage("beta")) {
        (Some(minor), _) => (1, major, minor),
        (_, Some(minor)) => (2, major, minor),
        _ if major > 0 => (3, major, 0),
        _ => (0, 0, 0),
    }
}

/// `/apis`, or `/api` when `core` is asked for, in the aggregated form.
pub(crate) fn aggregated(kinds: &[Arc<Kind>], core: bool, version: &str) -> Value {
    let items = groups(kinds)
        .into_iter()
        .filter(|(name, _)| name.is_empty() == core);
    let items = items.map(|(name, versions)| {
        let versions: Vec<Value> = versions
            .iter()
            .map(|(version, kinds)| {
                let resources: Vec<Value> = kinds.iter().map(|k| aggregated_kind(k)).collect();
                json!({"version": version, "resources": resources, "freshness": "Current"})
            })
            .collect();
        let metadata = if name.is_empty() {
            json!({})
        } else {
            json!({"name": name})
        };
        json!({"metadata": metadata, "versions": versions})
    });
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
           "metadata": {}, "items": items.collect::<Vec<_>>()})
}

fn aggregated_kind(kind: &Kind) -> Value {
    let mut out = json!({
        "resource": kind.plural, "singularResource": kind.singular, "verbs": kind.verbs,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
    });
    if !kind.short_names.is_empty() {
        out["shortNames"] = json!(kind.short_names);
    }
    if !kind.subresources.is_empty() {
        let list = kind.subresources.iter().map(|(name, (response, verbs))| {
            json!({"subresource": name, "responseKind": response, "verbs": verbs})
        });
        out["subresources"] = list.collect();
    }
    out
}

/// `/api` in the legacy form.
pub(crate) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"],
           "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:443"}]})
}

/// `/apis` in the legacy form.
pub(crate) fn group_list(kinds: &[Arc<Kind>]) -> Value {
    let list = groups(kinds)
        .into_iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|g| group_of(&g));
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": list.collect::<Vec<_>>()})
}

/// `/apis/<group>`.
pub(crate) fn group(kinds: &[Arc<Kind>], name: &str) -> Option<Value> {
    let found = groups(kinds).into_iter().find(|(n, _)| n == name)?;
    let mut out = group_of(&found);
    out["kind"] = json!("APIGroup");
    out["apiVersion"] = json!("v1");
    Some(out)
}

fn group_of((name, versions): &Group<'_>) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|(v, _)| json!({"groupVersion": format!("{name}/{v}"), "version": v}))
        .collect();
    json!({"name": name, "preferredVersion": versions[0], "versions": versions})
}

/// `/api/v1` or `/apis/<group>/<version>`.
pub(crate) fn resources(kinds: &[Arc<Kind>], group: &str, version: &str) -> Option<Value> {
    let mut list = Vec::new();
    let mut group_version = BTreeSet::new();
    for kind in kinds
        .iter()
        .filter(|k| k.group == group && k.version == version)
    {
        group_version.insert(kind.api_version());
        let mut item = json!({"name": kind.plural, "singularName": kind.singular,
                              "namespaced": kind.namespaced, "kind": kind.kind, "verbs": kind.verbs});
        if !kind.short_names.is_empty() {
            item["shortNames"] = json!(kind.short_names);
        }
        list.push(item);
        for (name, (response, verbs)) in &kind.subresources {
            list.push(json!({"name": format!("{}/{name}", kind.plural), "singularName": "",
                             "namespaced": kind.namespaced, "group": response["group"],
                             "version": response["version"], "kind": response["kind"], "verbs": verbs}));
        }
    }
    let group_version = group_version.pop_first()?;
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
                "resources": list}),
    )
}
