//! Whether a session leads into the zone's own cluster. Pure.
//!
//! A cluster's id is the vendor's word; what tells clusters apart is the uid of their namespace
//! `kube-system`. It is recorded when a cluster is first opened and compared ever after.

use std::collections::BTreeMap;

use super::Inputs;
use crate::address::{InstanceId, ZoneName};
use crate::config::INSTANCE_IDENTITY;
use crate::provider::{ErrorClass, ProviderError};
use crate::snapshot::Identity;
use crate::value::Value;

/// Decides whether an instance may use a session that leads into `found`. `open` are the clusters of the
/// sessions that are open already.
///
/// # Errors
/// It is not the cluster that the configuration names or that is recorded, or it is another zone's.
pub fn check(
    inputs: &Inputs,
    open: &BTreeMap<InstanceId, Identity>,
    (id, config): (&InstanceId, &Value),
    found: &Identity,
) -> Result<(), ProviderError> {
    let declared = config.get(INSTANCE_IDENTITY).and_then(Value::as_str);
    let recorded = inputs.state.identity(id);
    let recorded = recorded.filter(|r| declared.is_none() && is_kept(inputs, id, r, found));
    let own = declared.or(recorded.map(|r| r.uid.as_str()));
    let own = own.filter(|uid| *uid != found.uid);
    let said = match declared {
        Some(_) => "`identity` names",
        None => "is recorded",
    };
    let other = shared_with(inputs, open, id, &found.uid);
    let message = match (other, own) {
        (None, None) => return Ok(()),
        (Some(other), own) => {
            let [a, b] = sorted(&id.zone, other);
            let meant = own.map(|uid| format!("; {uid} {said} for {}", id.zone));
            format!(
                "{a} and {b} lead into one cluster (uid of kube-system {}){}",
                found.uid,
                meant.unwrap_or_default()
            )
        }
        (None, Some(own)) => format!(
            "it leads into another cluster: the uid of kube-system is {}, {own} {said}",
            found.uid
        ),
    };
    Err(ProviderError::new(ErrorClass::WrongCluster, message))
}

/// Whether what is recorded still says which cluster it has to be: a replaced cluster has another id, and
/// a kubeconfig may lead anywhere as long as nothing was made through it.
fn is_kept(inputs: &Inputs, id: &InstanceId, recorded: &Identity, found: &Identity) -> bool {
    let cluster = |i: &Identity| i.container.as_ref().map(|c| c.id.clone());
    let same = cluster(recorded) == cluster(found);
    same && (recorded.container.is_some() || has_contents(inputs, id))
}

fn has_contents(inputs: &Inputs, id: &InstanceId) -> bool {
    inputs.state.records().any(|r| r.instance == *id)
}

/// The zone of another instance that leads into the same cluster.
fn shared_with<'a>(
    inputs: &'a Inputs,
    open: &'a BTreeMap<InstanceId, Identity>,
    id: &InstanceId,
    uid: &str,
) -> Option<&'a ZoneName> {
    let shards = inputs.state.shards.values();
    let recorded = shards.flat_map(|s| &s.identities).filter(|(other, i)| {
        !open.contains_key(other)
            && match &i.container {
                Some(c) => inputs
                    .state
                    .record(&c.address)
                    .is_some_and(|r| r.id == c.id),
                None => has_contents(inputs, other),
            }
    });
    let mut others = open.iter().chain(recorded);
    let found = others.find(|(other, i)| *other != id && i.uid == uid);
    found.map(|(other, _)| &other.zone)
}

fn sorted<'z>(one: &'z ZoneName, other: &'z ZoneName) -> [&'z ZoneName; 2] {
    let mut both = [one, other];
    both.sort();
    both
}
