//! Has servers try what a draft of the plan would send: dry-runs, which change nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};

use super::{Inputs, Observations, Sessions};
use crate::plan::tier;
use crate::provider::{Op, Session, Trial};

/// Trials under way at once.
const PARALLEL: usize = 8;

/// How long one trial may take: a plan is not held up by a webhook that hangs.
const PATIENCE: Duration = Duration::from_secs(15);

/// Tries every change that can be tried, and keeps what the servers say among what was seen. A plan that
/// is made from that afterwards tells what they would do. What cannot be tried is left out.
pub async fn try_all(inputs: &Inputs, seen: &mut Observations, sessions: &Sessions) {
    let trials = tier::trials(inputs, seen);
    let work = trials.into_iter().filter_map(|(instance, op)| {
        let session = sessions.get(&instance)?;
        Some(async move {
            let said = try_one(inputs, session, &op).await;
            (op.address, said)
        })
    });
    let mut answers = stream::iter(work).buffer_unordered(PARALLEL);
    while let Some((address, said)) = answers.next().await {
        seen.trials.extend(said.map(|said| (address, said)));
    }
}

/// Tries one operation; what would be there is in the engine's terms.
pub(crate) async fn try_one(inputs: &Inputs, session: Arc<dyn Session>, op: &Op) -> Option<Trial> {
    let said = tokio::time::timeout(PATIENCE, session.try_out(op)).await;
    let Ok(said) = said else {
        let silent = format!("no answer within {} s", PATIENCE.as_secs());
        return Some(Trial::Untried(silent));
    };
    Some(match said? {
        Trial::Accepted(mut live) => {
            live.attrs = live.attrs.rekeyed(inputs.digest_key.as_ref());
            Trial::Accepted(live)
        }
        Trial::Succeeds(mut after, mut held) => {
            for live in [&mut after, &mut held] {
                live.attrs = live.attrs.clone().rekeyed(inputs.digest_key.as_ref());
            }
            Trial::Succeeds(after, held)
        }
        other => other,
    })
}
