//! What carries a mark of the project and is in no record: left over from a reply that was lost for good, a
//! state that went back in time, a record that was forgotten. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::address::Address;
use crate::cost::{Line, charged};
use crate::observe::Inputs;
use crate::provider::{Marker, Owned, Search};

/// Something of ours that the state does not know.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Orphan {
    /// What it is, in a few words: `vpc vpc-wp-bz`.
    pub what: String,
    /// The vendor's id.
    pub id: String,
    /// The address that it was made for, when that can still be told.
    pub made_for: Option<Address>,
    /// Why it is here.
    pub case: Case,
    /// The command that removes it.
    pub remove: String,
    /// What it bills a month.
    pub bills: Vec<Line>,
}

/// Why something of ours is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    /// The spec has its address, and nothing is recorded there: the next plan takes it over.
    Adoptable,
    /// Its address is recorded with another object: it was made twice.
    Twin,
    /// Nothing in spec or state has its address.
    Stray,
}

/// What to look for: everything of the project, in the zones of the spec and of the state.
pub fn search(inputs: &Inputs) -> Search {
    let zones = inputs.config.zones.keys().chain(inputs.state.shards.keys());
    let recorded = inputs.state.records().map(|r| r.inputs.clone());
    let scope = |reference: &_| crate::observe::lookup_seen(inputs, &Default::default(), reference);
    let configured = inputs.config.resources.values();
    let configured = configured.map(|r| r.body.eval(&scope));
    let mut zones: Vec<_> = zones.cloned().collect();
    zones.sort();
    zones.dedup();
    Search {
        lineage: inputs.lineage.clone(),
        zones,
        places: recorded.chain(configured).collect(),
    }
}

/// Sorts out what was found. What `[[forget]]` leaves alone is nobody's orphan.
pub fn orphans(inputs: &Inputs, found: Vec<Owned>) -> Vec<Orphan> {
    let known = Known::of(inputs);
    let mut out: Vec<Orphan> = found
        .into_iter()
        .filter_map(|owned| known.judge(inputs, owned))
        .collect();
    out.sort_by(|a, b| (a.case, &a.what, &a.id).cmp(&(b.case, &b.what, &b.id)));
    out.dedup_by(|a, b| (&a.what, &a.id) == (&b.what, &b.id));
    out
}

/// Addresses by the marks that are made of them.
struct Known {
    by_stem: BTreeMap<String, Address>,
}

impl Known {
    fn of(inputs: &Inputs) -> Known {
        let recorded = inputs.state.records();
        let recorded = recorded.flat_map(|r| [(&r.address, &r.address), (r.mark_of(), &r.address)]);
        let open = inputs.state.opens().map(|(a, _)| (a, a));
        let configured = inputs.config.resources.keys().map(|a| (a, a));
        let forgotten = inputs.config.forgotten.iter();
        let forgotten = forgotten.map(|f| (&f.address, &f.address));
        let all = forgotten.chain(configured).chain(open).chain(recorded);
        let stem = |address: &Address| {
            let marker = Marker {
                lineage: inputs.lineage.clone(),
                address: address.clone(),
                generation: 1,
            };
            marker.stem()
        };
        Known {
            by_stem: all.map(|(mark, at)| (stem(mark), at.clone())).collect(),
        }
    }

    fn judge(&self, inputs: &Inputs, owned: Owned) -> Option<Orphan> {
        let stem = owned.mark.rfind(":g").map(|i| &owned.mark[..i + 2]);
        let address = owned.address.or_else(|| self.by_stem.get(stem?).cloned());
        let case = match &address {
            Some(address) => case(inputs, address, &owned.id)?,
            None => Case::Stray,
        };
        Some(Orphan {
            bills: charged(inputs, &owned.kind, &owned.attrs),
            what: owned.what,
            id: owned.id,
            made_for: address,
            case,
            remove: owned.remove,
        })
    }
}

/// Nothing when it is in its place.
fn case(inputs: &Inputs, address: &Address, id: &str) -> Option<Case> {
    if let Some(record) = inputs.state.record(address) {
        return (record.id != id).then_some(Case::Twin);
    }
    // An operation without a known outcome is settled by the next apply.
    if inputs.state.open(address).is_some() || inputs.config.resources.contains_key(address) {
        return Some(Case::Adoptable);
    }
    let moved = inputs.state.moved_from(address);
    if moved.is_some_and(|r| r.id == id) || inputs.config.is_forgotten(address) {
        return None;
    }
    Some(Case::Stray)
}
