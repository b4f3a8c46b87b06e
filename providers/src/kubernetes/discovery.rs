//! Which kinds a cluster serves. Built-in kinds are known without asking.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use tokio::sync::Mutex;

use super::client::{Api, Failure};
use super::kinds::{self, Identity, Resource};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                          application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,\
                          application/json";

/// Custom kinds by group and kind; versions in the server's order of preference.
#[derive(Debug, Default)]
pub(crate) struct Served(BTreeMap<(String, String), Vec<Resource>>);

impl Served {
    fn find(&self, id: &Identity) -> Option<Resource> {
        let versions = self.0.get(&(id.group.clone(), id.kind.clone()))?;
        let wanted = id.version.as_ref();
        let exact = versions.iter().find(|r| Some(&r.version) == wanted);
        exact.or(versions.first()).cloned()
    }

    fn add(&mut self, resource: Resource) {
        let key = (resource.group.clone(), resource.kind.clone());
        self.0.entry(key).or_default().push(resource);
    }
}

/// What is known of the served kinds.
#[derive(Default)]
pub(crate) struct Discovery {
    cached: Mutex<Option<Arc<Served>>>,
}

impl Discovery {
    /// Where a kind is; `None` when it is not served. Looks again once when the cache has no such
    /// kind.
    pub(crate) async fn resolve(
        &self,
        api: &Api,
        id: &Identity,
    ) -> Result<Option<Resource>, Failure> {
        let ids = std::slice::from_ref(id);
        Ok(self.resolve_all(api, ids).await?.pop().flatten())
    }

    /// The same for many at once, with at most one look at the server.
    pub(crate) async fn resolve_all(
        &self,
        api: &Api,
        ids: &[Identity],
    ) -> Result<Vec<Option<Resource>>, Failure> {
        let known = |id: &Identity| kinds::built_in(&id.group, &id.kind, id.version.as_deref());
        let mut out: Vec<_> = ids.iter().map(known).collect();
        if out.iter().all(Option::is_some) {
            return Ok(out);
        }
        let mut cached = self.cached.lock().await;
        let find = |served: &Served, out: &mut Vec<Option<Resource>>| {
            for (slot, id) in out.iter_mut().zip(ids) {
                if slot.is_none() {
                    *slot = served.find(id);
                }
            }
            out.iter().all(Option::is_some)
        };
        if let Some(served) = cached.as_ref()
            && find(served, &mut out)
        {
            return Ok(out);
        }
        let fresh = Arc::new(fetch(api).await?);
        find(&fresh, &mut out);
        *cached = Some(fresh);
        Ok(out)
    }

    /// The kinds that are served beside the built-in ones, each in the version that the server prefers.
    pub(crate) async fn custom(&self, api: &Api) -> Result<Vec<Resource>, Failure> {
        let fresh = Arc::new(fetch(api).await?);
        let first = fresh.0.values().filter_map(|versions| versions.first());
        let custom = first.filter(|r| !kinds::is_built_in_group(&r.group));
        let custom = custom.cloned().collect();
        *self.cached.lock().await = Some(fresh);
        Ok(custom)
    }

    /// Forgets: a definition was applied, or the server did not know a kind.
    pub(crate) async fn invalidate(&self) {
        *self.cached.lock().await = None;
    }
}

/// One request for servers that aggregate, one per group and version for those that do not. A group
/// whose server is down is left out.
async fn fetch(api: &Api) -> Result<Served, Failure> {
    let answer = api.read("/apis", AGGREGATED).await?;
    if answer["kind"] == "APIGroupDiscoveryList" {
        return Ok(aggregated(&answer));
    }
    let mut served = Served::default();
    for group in answer["groups"].as_array().into_iter().flatten() {
        let name = group["name"].as_str().unwrap_or_default();
        if kinds::is_built_in_group(name) {
            continue;
        }
        for version in group["versions"].as_array().into_iter().flatten() {
            let version = version["version"].as_str().unwrap_or_default();
            if let Ok(list) = api.get(&format!("/apis/{name}/{version}")).await {
                legacy(&mut served, name, version, &list);
            }
        }
    }
    Ok(served)
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn aggregated(answer: &Json) -> Served {
    let mut served = Served::default();
    for item in answer["items"].as_array().into_iter().flatten() {
        let group = text(&item["metadata"]["name"]);
        for version in item["versions"].as_array().into_iter().flatten() {
            for resource in version["resources"].as_array().into_iter().flatten() {
                served.add(Resource {
                    group: group.clone(),
                    version: text(&version["version"]),
                    kind: text(&resource["responseKind"]["kind"]),
                    plural: text(&resource["resource"]),
                    namespaced: resource["scope"] == "Namespaced",
                });
            }
        }
    }
    served
}

fn legacy(served: &mut Served, group: &str, version: &str, list: &Json) {
    for resource in list["resources"].as_array().into_iter().flatten() {
        let plural = text(&resource["name"]);
        if !plural.contains('/') {
            served.add(Resource {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: text(&resource["kind"]),
                plural,
                namespaced: resource["namespaced"] == true,
            });
        }
    }
}
