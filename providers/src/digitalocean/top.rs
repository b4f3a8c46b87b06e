//! What the kinds with a list of their own share: reading, polling, finding.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value as Json;
use zonewright_engine::address::Kind;
use zonewright_engine::provider::{
    ErrorClass, Live, Marker, Observed, Op, Outcome, Owned, ProviderError, ReadTarget, Search,
    Status, Wait,
};

use crate::cloud::{Applied, POLL, unreadable};
use crate::http::{Api, ApiError, found, take_list};
use crate::live::{Lens, Listed, Reader, candidates, choose, project_of, text};

/// Where the objects of a kind are.
pub(super) struct Place {
    pub(super) path: &'static str,
    /// The key of the list in a reply.
    pub(super) list: &'static str,
    /// The key of one object in a reply.
    pub(super) item: &'static str,
    pub(super) paged: bool,
    /// How long a new object may be unknown to the vendor's readers.
    pub(super) grace: Duration,
}

/// A kind whose objects are listed for the whole account.
pub(super) trait Top: Reader {
    fn place(&self) -> &'static Place;

    /// Adds what takes further requests.
    fn complete<'a>(
        &'a self,
        _api: &'a Api,
        _item: &'a mut Json,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(async { Ok(()) })
    }
}

pub(super) async fn list(api: &Api, place: &Place) -> Result<Vec<Json>, ApiError> {
    if place.paged {
        return api
            .pages(place.path, (place.list, "/meta/total"), 200)
            .await;
    }
    Ok(take_list(&mut api.get(place.path).await?, place.list))
}

/// One object as the vendor reports it.
pub(super) async fn one(api: &Api, place: &Place, id: &str) -> Result<Option<Json>, ApiError> {
    let reply = found(api.get(&format!("{}/{id}", place.path)).await)?;
    let item = reply.map(|mut r| r.get_mut(place.item).map(Json::take).unwrap_or_default());
    if item.is_some() {
        api.seen(id);
    }
    Ok(item.filter(Json::is_object))
}

/// One object, completed.
pub(super) async fn whole<K: Top>(kind: &K, api: &Api, id: &str) -> Result<Option<Json>, ApiError> {
    let mut item = one(api, kind.place(), id).await?;
    if let Some(item) = &mut item {
        kind.complete(api, item).await?;
    }
    Ok(item)
}

pub(super) async fn refresh<K: Top>(kind: &K, api: &Api, targets: &[&ReadTarget]) -> Vec<Observed> {
    match try_refresh(kind, api, targets).await {
        Ok(observed) => observed,
        Err(e) => unreadable(&e.error, targets.len()),
    }
}

async fn try_refresh<K: Top>(
    kind: &K,
    api: &Api,
    targets: &[&ReadTarget],
) -> Result<Vec<Observed>, ApiError> {
    if let [target] = targets
        && let Some(id) = &target.id
        && let Some(item) = whole(kind, api, id).await?
    {
        let live = kind.live(&item, &Lens::of_target(target));
        return Ok(vec![Observed::Present(Box::new(live))]);
    }
    let mut items = list(api, kind.place()).await?;
    for item in &mut items {
        let ours = |t: &ReadTarget| {
            t.id.as_deref() == Some(&kind.id(item))
                || kind
                    .mark(item, &t.marker)
                    .is_some_and(|m| m.starts_with(&t.marker.stem()))
        };
        if targets.iter().any(|t| ours(t)) {
            kind.complete(api, item).await?;
        }
    }
    let items = Listed::new(kind, items);
    Ok(targets.iter().map(|t| choose(kind, t, &items)).collect())
}

/// Everything of the project in the account, with the word of the vendor's tool for it.
pub(super) async fn owned<K: Top>(
    kind: &K,
    api: &Api,
    search: &Search,
    (schema, tool): (Kind, &str),
) -> Result<Vec<Owned>, ProviderError> {
    let project = project_of(search);
    let items = list(api, kind.place()).await?;
    let any = Marker {
        lineage: search.lineage.clone(),
        address: format!("any/{schema}.any")
            .parse()
            .expect("invariant: an address"),
        generation: 1,
    };
    let owned = items.iter().filter_map(|item| {
        let mark = kind.mark(item, &any).filter(|m| m.starts_with(&project))?;
        let lens = Lens {
            address: &any.address,
            marker: &any,
            desired: None,
        };
        let live = kind.live(item, &lens);
        let name = text(item, "/name").unwrap_or_default();
        Some(Owned {
            kind: schema.clone(),
            what: format!("{} {name}", schema.name()),
            remove: format!("doctl {tool} delete {}", live.id),
            id: live.id,
            mark,
            address: None,
            attrs: live.attrs,
        })
    });
    Ok(owned.collect())
}

pub(super) async fn find<K: Top>(kind: &K, api: &Api, op: &Op) -> Applied {
    let mut items = list(api, kind.place()).await?;
    for item in &mut items {
        if kind.mark(item, &op.marker).is_some() {
            kind.complete(api, item).await?;
        }
    }
    Ok(Outcome::Found(candidates(kind, op, &items)))
}

/// Polls one object. `settle` may find a reason to go on waiting for one that is ready.
pub(super) async fn poll<K: Top>(
    kind: &K,
    api: &Api,
    op: &Op,
    (id, wait): (&str, Wait),
    settle: impl AsyncFnOnce(&Json) -> Result<Option<String>, ProviderError>,
) -> Applied {
    let Some(item) = whole(kind, api, id).await? else {
        return Ok(absent(api, id, wait, kind.place().grace));
    };
    let live = kind.live(&item, &Lens::of_op(op));
    if wait == Wait::Ready && matches!(live.status, Status::Ready | Status::Pending(_)) {
        let busy = settle(&item).await?;
        if let (Status::Ready, Some(detail)) = (&live.status, busy) {
            return Ok(pending(detail));
        }
    }
    judge(live, wait)
}

/// An object that is not there: gone, or not visible yet.
pub(super) fn absent(api: &Api, id: &str, wait: Wait, grace: Duration) -> Outcome {
    match wait {
        Wait::Ready if api.may_lag(id, grace) => pending("not visible yet"),
        Wait::Ready | Wait::Gone => Outcome::Gone,
    }
}

pub(super) fn pending(detail: impl Into<String>) -> Outcome {
    Outcome::Pending {
        detail: detail.into(),
        poll_after: POLL,
    }
}

/// What a look at an object means for what is waited for.
pub(super) fn judge(live: Live, wait: Wait) -> Applied {
    if wait == Wait::Gone {
        return Ok(pending("deleting"));
    }
    let failed = |message| Err(ProviderError::new(ErrorClass::Failed, message));
    match live.status {
        Status::Ready => Ok(Outcome::Ready(Box::new(live))),
        Status::Pending(detail) => Ok(pending(detail)),
        Status::Failed(why) => failed(why),
        Status::Deleting => failed("it is being deleted".to_owned()),
    }
}

pub(super) fn submitted(live: Live) -> Outcome {
    Outcome::Submitted {
        id: live.id,
        attrs: live.attrs,
        poll_after: POLL,
    }
}

/// A delete that was accepted.
pub(super) fn leaving(id: &str) -> Outcome {
    Outcome::Submitted {
        id: id.to_owned(),
        attrs: zonewright_engine::value::Value::Map(zonewright_engine::value::Map::new()),
        poll_after: POLL,
    }
}

/// An object that an update needs and that is not there.
pub(super) fn missing(id: &str) -> ProviderError {
    ProviderError::new(ErrorClass::NotFound, format!("`{id}` does not exist"))
}
