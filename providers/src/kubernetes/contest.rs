//! Applying an object that others may have fields of: nothing is taken before it is known from whom.

use serde_json::{Value as Json, json};
use zonewright_engine::config::Sharing;
use zonewright_engine::provider::{Claim, ErrorClass, ProviderError, claimed};

use super::client::{Api, Apply, Failure};
use super::failure::Refusal;
use super::kinds::Identity;
use super::sharing::{disputed, give_up};
use super::succession::{Succession, succession};

/// Why an object was not applied.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The server refused, or did not answer.
    Failed(Failure),
    /// Others claim fields of it.
    Disputed(Vec<Claim>),
}

impl Stopped {
    /// Whether the server does not serve the kind.
    pub(crate) fn is_unserved(&self) -> bool {
        match self {
            Stopped::Failed(failure) => failure.refusal().is_some_and(Refusal::is_unserved),
            Stopped::Disputed(_) => false,
        }
    }

    /// The error about an object.
    pub(crate) fn error(self, id: &Identity, secret: bool) -> ProviderError {
        match self {
            Stopped::Failed(failure) => failure.error(&id.to_string(), secret),
            Stopped::Disputed(claims) => ProviderError::new(
                ErrorClass::Conflict,
                format!(
                    "{id}: {}; leave the fields to it with `yield`, or name it in `take_from`",
                    claimed(&claims)
                ),
            ),
        }
    }
}

/// What an object would be, or is, after it was applied.
pub(crate) struct Applied {
    /// The object.
    pub(crate) object: Json,
    /// What those had of it whose place is taken.
    pub(crate) held: Option<Json>,
}

/// Applies an object that is there, or tries to (`dry`): first without taking anything. A conflict is judged
/// by its causes; what is drift, or what the spec takes, is applied with force.
pub(crate) async fn apply(
    api: &Api,
    path: &str,
    dry: bool,
    mut body: Json,
    sharing: &Sharing,
) -> Result<Applied, Stopped> {
    let mut taken = None;
    let mut held = None;
    if !sharing.is_empty() {
        let live = api.get(path).await.map_err(Stopped::Failed)?;
        give_up(&mut body, &live, &sharing.yields);
        let version = body["apiVersion"].as_str().unwrap_or_default();
        taken = succession(&live, version, sharing);
        held = taken.as_ref().map(|t| t.held(&live));
        if let (Some(taken), false) = (&taken, dry) {
            succeed(api, path, &live, taken).await?;
        }
    }
    let mut object = contested(api, path, dry, &body, sharing).await?;
    if let (Some(taken), true) = (&taken, dry) {
        object = taken.without_the_rest(&object, sharing);
    }
    Ok(Applied { object, held })
}

/// Makes what others had ours, in the very object that was looked at and in no other.
async fn succeed(api: &Api, path: &str, live: &Json, taken: &Succession) -> Result<(), Stopped> {
    let metadata = &live["metadata"];
    let owners = json!({ "metadata": {
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
        "managedFields": taken.managed,
    } });
    let done = api.merge(path, &owners).await;
    done.map(drop).map_err(Stopped::Failed)
}

async fn contested(
    api: &Api,
    path: &str,
    dry: bool,
    body: &Json,
    sharing: &Sharing,
) -> Result<Json, Stopped> {
    let failure = match api.patch(path, Apply { force: false, dry }, body).await {
        Ok(object) => return Ok(object),
        Err(failure) => failure,
    };
    let Some(holders) = failure.refusal().and_then(Refusal::holders) else {
        return Err(Stopped::Failed(failure));
    };
    let claims = disputed(&holders, &sharing.take_from, body);
    if !claims.is_empty() {
        return Err(Stopped::Disputed(claims));
    }
    let taken = api.patch(path, Apply { force: true, dry }, body).await;
    taken.map_err(Stopped::Failed)
}
