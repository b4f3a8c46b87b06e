//! Resources that have another address now (`[[moved]]`): the state is told before anything else is
//! looked at, so that a rename in the spec is no delete and create. Pure.

use super::Move;
use super::error::PlanError;
use crate::address::{Address, ZoneName};
use crate::config::Moved;
use crate::journal::moved::renamed;
use crate::journal::{Entry, fold};
use crate::snapshot::{Snapshot, State};

/// Puts what moved under its new address, and tells what did. What is recorded nowhere under its old
/// address has moved before, or never was.
///
/// # Errors
/// The new address is taken, or an operation has no known outcome.
pub fn settle(state: &mut State, moved: &[Moved]) -> Result<Vec<Move>, Vec<PlanError>> {
    let mut moves = Vec::new();
    let mut errors = Vec::new();
    for Moved { from, to, .. } in moved {
        let shard = state.shards.get(&from.zone);
        if !shard.is_some_and(|s| has(s, from)) {
            continue;
        }
        let step = Move {
            from: from.clone(),
            to: to.clone(),
        };
        match step.fold_into(state) {
            Ok(()) => moves.push(step),
            Err(why) => errors.push(PlanError::MoveBlocked {
                step: Box::new(step),
                why,
            }),
        }
    }
    if errors.is_empty() {
        Ok(moves)
    } else {
        Err(errors)
    }
}

fn has(shard: &Snapshot, from: &Address) -> bool {
    let mut recorded = shard.records.keys().chain(shard.open.keys());
    recorded.any(|a| renamed(a, from, from).is_some())
}

impl Move {
    fn entry(&self) -> Entry {
        Entry::Move {
            from: self.from.clone(),
            to: self.to.clone(),
        }
    }

    /// The resource's own shard decides; in the others references follow.
    fn fold_into(&self, state: &mut State) -> Result<(), String> {
        let own = state.shards.get_mut(&self.from.zone);
        own.map_or(Ok(()), |s| fold(s, &self.entry()).map_err(|e| e.0))?;
        let others = state
            .shards
            .iter_mut()
            .filter(|(z, _)| **z != self.from.zone);
        for (_, shard) in others {
            fold(shard, &self.entry()).map_err(|e| e.0)?;
        }
        Ok(())
    }
}

/// What is to be written into the logs of the shards that are held, in order: only what changes them.
pub fn entries(held: &State, moves: &[Move]) -> Vec<(ZoneName, Vec<Entry>)> {
    let mut out = Vec::new();
    for (zone, shard) in &held.shards {
        let mut shard = shard.clone();
        let mut entries = Vec::new();
        for step in moves {
            let before = shard.serial;
            if fold(&mut shard, &step.entry()).is_ok() && shard.serial != before {
                entries.push(step.entry());
            }
        }
        if !entries.is_empty() {
            out.push((zone.clone(), entries));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Record, RecordStatus};
    use crate::value::Value;

    fn address(name: &str) -> Address {
        format!("pz/digitalocean.vpc.{name}").parse().unwrap()
    }

    fn state(names: &[&str]) -> State {
        let zone: ZoneName = "pz".parse().unwrap();
        let mut shard = Snapshot::empty("l", zone.clone(), "live");
        for name in names {
            let record = Record {
                address: address(name),
                instance: "pz/provider.digitalocean".parse().unwrap(),
                id: (*name).to_owned(),
                generation: 1,
                status: RecordStatus::Ok,
                inputs: Value::Null,
                outputs: Value::Null,
                depends_on: Vec::new(),
                marked: None,
                contained_in: None,
                protect: false,
                keep: false,
                triggers: std::collections::BTreeMap::new(),
            };
            shard
                .records
                .insert(record.address.clone(), Box::new(record));
        }
        let mut state = State::default();
        state.shards.insert(zone, shard);
        state
    }

    fn moved(pairs: &[(&str, &str)]) -> Vec<Moved> {
        let entry = |(from, to): &(&str, &str)| Moved {
            from: address(from),
            to: address(to),
            at: None,
        };
        pairs.iter().map(entry).collect()
    }

    #[test]
    fn a_second_rename_follows_the_first_from_wherever_a_state_is() {
        let chain = moved(&[("a", "b"), ("b", "c")]);
        for (recorded, moves) in [("a", 2), ("b", 1), ("c", 0)] {
            let mut state = state(&[recorded]);
            assert_eq!(settle(&mut state, &chain).unwrap().len(), moves);
            assert_eq!(state.record(&address("c")).unwrap().id, recorded);
        }
    }

    #[test]
    fn two_things_do_not_become_one() {
        let mut both = state(&["a", "b"]);
        let errors = settle(&mut both, &moved(&[("a", "b")])).unwrap_err();
        assert!(
            errors[0].to_string().contains("is recorded already"),
            "{errors:?}"
        );
    }

    #[test]
    fn what_the_logs_get_is_what_was_settled() {
        let before = state(&["a"]);
        let mut after = before.clone();
        let moves = settle(&mut after, &moved(&[("a", "b"), ("b", "c")])).unwrap();
        let mut replayed = before.clone();
        for (zone, entries) in entries(&before, &moves) {
            let shard = replayed.shards.get_mut(&zone).unwrap();
            entries.iter().for_each(|e| fold(shard, e).unwrap());
        }
        assert_eq!(replayed, after);
    }
}
