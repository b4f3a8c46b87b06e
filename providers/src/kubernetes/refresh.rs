//! Looking at many objects with few requests.
//!
//! Per kind: one list of what carries our owner label. Only when something is missing from it, it
//! has to be told whether somebody else has the name or nobody: by reading it when it is few, else
//! from one list of the kind's metadata. A kind that is not served has no objects.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;
use futures::stream::{self, StreamExt};
use serde_json::Value as Json;
use zonewright_engine::provider::{ErrorClass, Observed, ProviderError, ReadTarget};

use super::body::{self, Ownership};
use super::client::{Api, Failure};
use super::discovery::Discovery;
use super::kinds::{Identity, Resource};

/// Kinds that are listed at the same time.
pub(super) const PARALLEL: usize = 8;

/// Up to so many missing objects of a kind are read one by one.
const FEW: usize = 3;

pub(super) const METADATA: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// A target with its name in the cluster.
struct Wanted<'a> {
    index: usize,
    target: &'a ReadTarget,
    id: Identity,
}

/// Targets of one kind.
struct Group<'a> {
    resource: Resource,
    wanted: Vec<Wanted<'a>>,
}

/// Namespace and name of a live object.
type Place = (String, String);

fn place(object: &Json) -> Place {
    let text = |key: &str| {
        object["metadata"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (text("namespace"), text("name"))
}

impl Group<'_> {
    fn place_of(&self, id: &Identity) -> Place {
        let namespace = if self.resource.namespaced {
            id.namespace.as_deref().unwrap_or("default")
        } else {
            ""
        };
        (namespace.to_owned(), id.name.clone())
    }

    /// The one namespace that all targets are in.
    fn only_namespace(&self) -> Option<String> {
        let places = self.wanted.iter().map(|w| self.place_of(&w.id).0);
        let namespaces: BTreeSet<_> = places.collect();
        match namespaces.len() {
            1 => namespaces.into_iter().next().filter(|n| !n.is_empty()),
            _ => None,
        }
    }

    fn selector(&self) -> String {
        let owners: BTreeSet<_> = self
            .wanted
            .iter()
            .map(|w| body::owner(&w.target.marker))
            .collect();
        let owners: Vec<_> = owners.into_iter().collect();
        // `owner in (a,b)`, with what a query may not hold escaped.
        format!("{}%20in%20%28{}%29", body::OWNER, owners.join("%2C"))
    }
}

/// Looks at all targets; the answers are in their order.
pub(crate) async fn refresh(
    api: &Api,
    discovery: &Discovery,
    targets: &[ReadTarget],
) -> Result<Vec<Observed>, ProviderError> {
    let mut out: Vec<Option<Observed>> = vec![None; targets.len()];
    let mut kinds: BTreeMap<(String, String), Vec<Wanted<'_>>> = BTreeMap::new();
    for (index, target) in targets.iter().enumerate() {
        match Identity::of(target.desired.as_ref(), &target.address) {
            Some(id) => {
                let key = (id.group.clone(), id.kind.clone());
                kinds
                    .entry(key)
                    .or_default()
                    .push(Wanted { index, target, id });
            }
            None => out[index] = Some(Observed::Unreadable(nameless(target))),
        }
    }
    let firsts: Vec<Identity> = kinds.values().map(|w| w[0].id.clone()).collect();
    let resources = discovery
        .resolve_all(api, &firsts)
        .await
        .map_err(|f| f.error("discovery", false))?;
    let mut groups = Vec::new();
    for (wanted, resource) in kinds.into_values().zip(resources) {
        match resource {
            Some(resource) => groups.push(Group { resource, wanted }),
            None => wanted
                .iter()
                .for_each(|w| out[w.index] = Some(Observed::Gone)),
        }
    }
    let total = groups.len();
    let mut failed = Vec::new();
    let work: Vec<_> = groups
        .into_iter()
        .map(|group| observe(api, group).boxed())
        .collect();
    let mut answers = stream::iter(work).buffer_unordered(PARALLEL);
    while let Some((group, answer)) = answers.next().await {
        match answer {
            Ok(found) => {
                for (index, observed) in found {
                    out[index] = Some(observed);
                }
            }
            Err(failure) => {
                let error = failure.error(&group.resource.plural, true);
                for wanted in &group.wanted {
                    out[wanted.index] = Some(Observed::Unreadable(error.clone()));
                }
                failed.push(error);
            }
        }
    }
    match failed.pop() {
        Some(error) if failed.len() + 1 == total => Err(error),
        _ => Ok(out
            .into_iter()
            .map(|o| o.unwrap_or(Observed::Gone))
            .collect()),
    }
}

fn nameless(target: &ReadTarget) -> ProviderError {
    let message = format!("{} names no object", target.address);
    ProviderError::new(ErrorClass::Bug, message)
}

type Found = Vec<(usize, Observed)>;

async fn observe<'a>(api: &Api, group: Group<'a>) -> (Group<'a>, Result<Found, Failure>) {
    let found = observe_group(api, &group).await;
    (group, found)
}

async fn observe_group(api: &Api, group: &Group<'_>) -> Result<Found, Failure> {
    let mut found = Found::new();
    let mut missing: Vec<&Wanted<'_>> = Vec::new();
    if group.wanted.len() == 1 {
        missing.extend(&group.wanted);
    } else {
        let owned = list(api, group, Some(group.selector()), "application/json").await?;
        let mut owned: BTreeMap<Place, Json> = by_place(owned);
        for wanted in &group.wanted {
            match owned.remove(&group.place_of(&wanted.id)) {
                Some(object) => found.push((wanted.index, observed(object, wanted.target))),
                None => missing.push(wanted),
            }
        }
    }
    if missing.len() > FEW {
        let all = by_place(list(api, group, None, METADATA).await?);
        let (there, gone): (Vec<_>, Vec<_>) = missing
            .into_iter()
            .partition(|w| all.contains_key(&group.place_of(&w.id)));
        found.extend(gone.into_iter().map(|w| (w.index, Observed::Gone)));
        missing = there;
    }
    let work: Vec<_> = missing
        .into_iter()
        .map(|wanted| read(api, group, wanted).boxed())
        .collect();
    let mut reads = stream::iter(work).buffer_unordered(PARALLEL);
    while let Some(answer) = reads.next().await {
        found.push(answer?);
    }
    Ok(found)
}

fn by_place(objects: Vec<Json>) -> BTreeMap<Place, Json> {
    objects.into_iter().map(|o| (place(&o), o)).collect()
}

async fn read(
    api: &Api,
    group: &Group<'_>,
    wanted: &Wanted<'_>,
) -> Result<(usize, Observed), Failure> {
    let path = group
        .resource
        .object(wanted.id.namespace.as_deref(), &wanted.id.name);
    match api.get(&path).await {
        Ok(object) => Ok((wanted.index, observed(object, wanted.target))),
        Err(Failure::Refused(refusal)) if refusal.is_missing() => {
            Ok((wanted.index, Observed::Gone))
        }
        Err(failure) => Err(failure),
    }
}

/// By our marks or by the recorded id it is ours; anything else that has the name is foreign.
fn observed(object: Json, target: &ReadTarget) -> Observed {
    let known = target.id.as_deref() == Some(body::uid(&object));
    let ours = body::ownership(&object, &target.marker) == Ownership::Ours;
    let live = Box::new(body::live(object, &target.marker, target.desired.as_ref()));
    if known || ours {
        Observed::Present(live)
    } else {
        Observed::Foreign(live)
    }
}

/// All pages of a list. A list whose continuation has expired begins again, twice at most.
async fn list(
    api: &Api,
    group: &Group<'_>,
    selector: Option<String>,
    accept: &str,
) -> Result<Vec<Json>, Failure> {
    let collection = group.resource.collection(group.only_namespace().as_deref());
    let mut first = format!("{collection}?limit={}", api.options.page);
    if let Some(selector) = selector {
        first = format!("{first}&labelSelector={selector}");
    }
    let mut restarts = 0;
    'list: loop {
        let mut out = Vec::new();
        let mut next = first.clone();
        loop {
            let mut page = match api.read(&next, accept).await {
                Ok(page) => page,
                // There is no such kind, or no such namespace. In the middle of a list it is no end of it.
                Err(Failure::Refused(refusal)) if refusal.is_missing() && next == first => {
                    return Ok(Vec::new());
                }
                Err(Failure::Refused(refusal)) if refusal.is_expired() && restarts < 2 => {
                    restarts += 1;
                    continue 'list;
                }
                Err(failure) => return Err(failure),
            };
            if let Json::Array(items) = page["items"].take() {
                out.extend(items.into_iter().map(|o| complete(o, &group.resource)));
            }
            match page["metadata"]["continue"].as_str() {
                Some(token) if !token.is_empty() => {
                    let further = format!("{first}&continue={}", escaped(token));
                    if further == next {
                        let message = format!("the list {collection} leads to itself");
                        let error = ProviderError::new(ErrorClass::Failed, message);
                        return Err(Failure::Lost(error));
                    }
                    next = further;
                }
                _ => return Ok(out),
            }
        }
    }
}

/// Items of a list do not say what they are.
fn complete(mut object: Json, resource: &Resource) -> Json {
    if let Json::Object(map) = &mut object {
        map.insert("apiVersion".to_owned(), resource.api_version().into());
        map.insert("kind".to_owned(), resource.kind.clone().into());
    }
    object
}

/// A token as part of a query.
pub(super) fn escaped(token: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(token.len());
    for byte in token.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
