//! Secrets of two zones, compared by keyed digest: that they are equal is seen, what they are is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zonewright_engine::check::{Answer, MirrorPair, MirrorRow};
use zonewright_engine::provider::ProviderError;
use zonewright_engine::secret::{DigestKey, Secret};

use super::cluster::Cluster;

pub(super) async fn compare(
    here: &Cluster,
    there: &Cluster,
    pairs: &[MirrorPair],
    key: Option<&Arc<DigestKey>>,
) -> Result<Answer, ProviderError> {
    let mut rows = Vec::new();
    for pair in pairs {
        let ours = here.secret(&pair.namespace, &pair.name, key).await?;
        let theirs = there.secret(&pair.namespace, &pair.name, key).await?;
        rows.extend(of_pair(pair, ours, theirs));
    }
    Ok(Answer::Mirror(rows))
}

type Entries = Option<Vec<(String, Secret)>>;

fn of_pair(pair: &MirrorPair, ours: Entries, theirs: Entries) -> Vec<MirrorRow> {
    let row = |key: Option<&String>, trouble: Option<&str>| MirrorRow {
        secret: format!("{}/{}", pair.namespace, pair.name),
        key: key.cloned(),
        trouble: trouble.map(str::to_owned),
    };
    let (ours, theirs): (BTreeMap<_, _>, BTreeMap<_, _>) = match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours.into_iter().collect(), theirs.into_iter().collect()),
        (None, _) => return vec![row(None, Some("does not exist here"))],
        (_, None) => return vec![row(None, Some("does not exist in the other zone"))],
    };
    let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    keys.into_iter()
        .map(|key| match (ours.get(key), theirs.get(key)) {
            (None, _) => row(Some(key), Some("is missing here")),
            (_, None) => row(Some(key), Some("is missing in the other zone")),
            (Some(a), Some(b)) if pair.equal.contains(key) => {
                let trouble = match a.same(b) {
                    Some(true) => None,
                    Some(false) => Some("has another value than in the other zone"),
                    None => Some("cannot be compared"),
                };
                row(Some(key), trouble)
            }
            _ => row(Some(key), None),
        })
        .collect()
}
