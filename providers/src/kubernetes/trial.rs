//! Trying an operation at the server: a dry-run of the very request, and what its answer means.

use zonewright_engine::address::AttrPath;
use zonewright_engine::provider::{Op, Trial, Verb};
use zonewright_engine::value::Value;

use super::body;
use super::client::{Api, Apply, Failure};
use super::contest::{self, Applied, Stopped};
use super::discovery::Discovery;
use super::failure::{Refusal, Verdict};
use super::kinds::Identity;

/// Tries a create or an update; nothing else can be tried.
pub(crate) async fn try_out(api: &Api, discovery: &Discovery, op: &Op) -> Option<Trial> {
    let (desired, uid) = match &op.verb {
        Verb::Create { desired } => (desired, None),
        Verb::Update { id, desired, .. } => (desired, Some(id.as_str())),
        Verb::Delete { .. } | Verb::Poll { .. } | Verb::Find { .. } => return None,
    };
    let id = Identity::of(Some(desired), &op.address)?;
    let resource = match discovery.resolve(api, &id).await {
        Ok(Some(resource)) => resource,
        Ok(None) => return Some(untried("its kind is not served")),
        Err(failure) => return Some(untried(failure.error("discovery", false).message)),
    };
    let sent = match body::to_send(desired, &op.marker, uid) {
        Ok(sent) => sent,
        Err(error) => return Some(untried(error.to_string())),
    };
    let path = resource.object(id.namespace.as_deref(), &id.name);
    let answer = match uid {
        Some(_) => contest::apply(api, &path, true, sent, &op.sharing).await,
        // What is there by now is not merged into: a create takes nothing from others.
        None => {
            let how = Apply {
                force: false,
                dry: true,
            };
            let answer = api.patch(&path, how, &sent).await;
            let new = |object| Applied { object, held: None };
            answer.map(new).map_err(Stopped::Failed)
        }
    };
    Some(match answer {
        Ok(applied) => {
            let seen = |object| Box::new(body::live(object, &op.marker, Some(desired)));
            let after = seen(applied.object);
            match applied.held {
                None => Trial::Accepted(after),
                Some(held) => Trial::Succeeds(after, seen(held)),
            }
        }
        Err(Stopped::Disputed(claims)) => Trial::Disputed(claims),
        Err(Stopped::Failed(failure)) => said(failure, &id, desired),
    })
}

fn untried(why: impl Into<String>) -> Trial {
    Trial::Untried(why.into())
}

/// What a refused trial means for the plan.
fn said(failure: Failure, id: &Identity, desired: &Value) -> Trial {
    let immutable = failure.refusal().and_then(Refusal::immutable);
    if let Some(fields) = immutable {
        let path = |field: &String| field.parse().unwrap_or_else(|_| AttrPath::root());
        return Trial::Immutable(fields.iter().map(path).collect());
    }
    let verdict = failure.refusal().map_or(Verdict::Unable, |r| r.verdict());
    let error = failure.error(&id.to_string(), body::is_secret(id, desired));
    match verdict {
        Verdict::Refuses => Trial::Refused(error),
        Verdict::Unable => Trial::Untried(error.message),
    }
}
