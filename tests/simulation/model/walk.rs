//! One walk: steps by chance, and after each of them what must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use zonewright_engine::orphans::Case;
use zonewright_engine::plan::{Certainty, Plan};
use zonewright_engine::snapshot::{Record, RecordStatus, State};
use zonewright_state::vfs::model::Image;
use zonewright_tests::simulation::fuse::{Death, Passed};
use zonewright_tests::simulation::weather::Dice;
use zonewright_tests::simulation::{Ended, Refusal, Simulation, Trial, Work, options};

use super::spec::{Guard, SORTS, Spec};
use super::things::{Reference, Thing, Things, Wanted, by_name, recorded, things};

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Edit,
    Plan,
    Save,
    ApplySaved,
    Apply,
    Weather,
    Kill,
    Drift,
    Vanish,
    Squat,
    PutBack,
    Two,
    Standby,
    Pause,
}

/// Odds: who is there twice is chosen twice as often.
const DEEDS: [Deed; 24] = [
    Deed::Edit,
    Deed::Edit,
    Deed::Edit,
    Deed::Edit,
    Deed::Edit,
    Deed::Edit,
    Deed::Plan,
    Deed::Save,
    Deed::Save,
    Deed::ApplySaved,
    Deed::ApplySaved,
    Deed::Apply,
    Deed::Apply,
    Deed::Weather,
    Deed::Weather,
    Deed::Kill,
    Deed::Kill,
    Deed::Drift,
    Deed::Drift,
    Deed::Vanish,
    Deed::Squat,
    Deed::PutBack,
    Deed::Two,
    Deed::Standby,
];

/// A step, with dice of its own: it stays the same when others are left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) deed: Deed,
    pub(super) dice: u64,
}

/// The steps of a seed.
pub(super) fn steps(seed: u64) -> Vec<Step> {
    let mut dice = Dice::of(seed);
    let many = 12 + dice.index(9);
    (0..many)
        .map(|_| Step {
            deed: match dice.once_in(20) {
                true => Deed::Pause,
                false => DEEDS[dice.index(DEEDS.len())],
            },
            dice: dice.below(u64::MAX),
        })
        .collect()
}

/// A plan that was saved, and what there was then.
struct Saved {
    plan: Box<Plan>,
    spec: Spec,
    state: State,
    ours: BTreeMap<String, Thing>,
}

/// What should be, kept beside the engine.
pub(super) struct Walk<'a> {
    pub(super) simulation: &'a mut Simulation,
    reference: &'a Reference,
    /// What the files say.
    pub(super) spec: Spec,
    /// What was applied to the end, unless something has come in between since then.
    pub(super) certain: Option<Spec>,
    /// Specs that were tried since something was certain.
    pub(super) tried: Vec<Spec>,
    /// Made by hand, to be left untouched.
    pub(super) foreign: Things,
    /// Ours once, and left alone by intent.
    pub(super) left: Things,
    /// Ours, with their marks taken off by hand.
    pub(super) stripped: BTreeSet<String>,
    /// There, and not known to a state that was put back.
    pub(super) unknown: BTreeSet<String>,
    saved: Option<Saved>,
    pub(super) copies: Vec<(Image, Spec)>,
    /// Whether the state is older than what the host has seen.
    pub(super) rolled_back: bool,
    passed: Passed,
    /// What was done, for whoever reads of a failure.
    pub(super) told: Vec<String>,
}

/// What is wrong, if anything is.
pub(super) type Told = Result<(), String>;

impl<'a> Walk<'a> {
    pub(super) fn new(simulation: &'a mut Simulation, reference: &'a Reference) -> Walk<'a> {
        let spec = Spec::first();
        simulation.project = spec.project();
        Walk {
            simulation,
            reference,
            spec,
            certain: None,
            tried: Vec::new(),
            foreign: Things::new(),
            left: Things::new(),
            stripped: BTreeSet::new(),
            unknown: BTreeSet::new(),
            saved: None,
            copies: Vec::new(),
            rolled_back: false,
            passed: Passed {
                requests: 120,
                changing: 40,
                effects: 150,
            },
            told: Vec::new(),
        }
    }

    /// Takes all steps, and then makes everything right.
    pub(super) async fn go(&mut self, steps: &[Step]) -> Told {
        for step in steps {
            let mut dice = Dice::of(step.dice);
            self.told.push(format!("{:?}", step.deed));
            self.step(step.deed, &mut dice).await?;
        }
        self.told.push("make everything right".to_owned());
        self.settle().await
    }

    pub(super) fn tell(&mut self, what: impl Into<String>) {
        if let Some(last) = self.told.last_mut() {
            last.push_str(": ");
            last.push_str(&what.into());
        }
    }

    async fn step(&mut self, deed: Deed, dice: &mut Dice) -> Told {
        match deed {
            Deed::Edit => {
                let what = self.spec.edit(dice);
                self.tell(what);
                self.simulation.project = self.spec.project();
                Ok(())
            }
            Deed::Plan => self.plan_only(false).await,
            Deed::Save => self.plan_only(true).await,
            Deed::ApplySaved => self.apply_saved().await,
            Deed::Apply => self.apply(Trial::default()).await,
            Deed::Weather => {
                let weather = Some((Dice::of(dice.below(u64::MAX)), [5, 12, 40][dice.index(3)]));
                self.apply(Trial {
                    weather,
                    death: None,
                })
                .await
            }
            Deed::Kill => {
                let death = Some(self.some_death(dice));
                let rarity = [12, u64::MAX][dice.index(2)];
                let weather = Some((Dice::of(dice.below(u64::MAX)), rarity));
                self.tell(format!("{death:?}"));
                self.apply(Trial { weather, death }).await
            }
            Deed::Drift => self.drift(dice).await,
            Deed::Vanish => self.vanish(dice).await,
            Deed::Squat => self.squat(dice).await,
            Deed::PutBack => self.put_back(dice).await,
            Deed::Two => self.two(dice).await,
            Deed::Standby => self.standby().await,
            Deed::Pause => {
                self.simulation.elapse(Duration::from_secs(3600)).await;
                Ok(())
            }
        }
    }

    pub(super) fn some_death(&self, dice: &mut Dice) -> Death {
        let request = 1 + dice.index(self.passed.requests.max(1));
        match dice.below(4) {
            0 => Death::BeforeRequest(request),
            1 => Death::AfterRequest(request),
            _ => Death::AtEffect(1 + dice.index(self.passed.effects.max(1))),
        }
    }

    /// What is ours, as far as hands have left it: without what is foreign.
    fn ours(&self, all: &Things) -> Things {
        let mut ours = all.clone();
        ours.retain(|id, _| !self.foreign.contains_key(id));
        ours
    }

    pub(super) fn state(&self) -> Result<State, String> {
        self.simulation
            .state()
            .map_err(|e| format!("the state cannot be read: {e}"))
    }

    /// A plan changes nothing, takes nothing, and sends nothing that could.
    async fn plan_only(&mut self, save: bool) -> Told {
        let before = things(self.simulation).await;
        let state = self.simulation.state().ok();
        let (planned, passed) = self.simulation.planned(options(&[])).await;
        if passed.changing > 0 || passed.effects > 0 {
            return Err(format!("a plan changes something: {passed:?}"));
        }
        if self.simulation.state().ok() != state {
            return Err("a plan changes the state".to_owned());
        }
        let after = things(self.simulation).await;
        if before != after {
            return Err(format!(
                "a plan changes the world: {:#?}",
                difference(&before, &after)
            ));
        }
        match planned {
            Ok(planned) => {
                let bytes = planned.plan.bytes();
                let plan = serde_json::from_slice::<Plan>(&bytes).map_err(|e| e.to_string())?;
                if save {
                    self.saved = Some(Saved {
                        plan: Box::new(plan),
                        spec: self.spec.clone(),
                        state: self.state()?,
                        ours: self.ours(&before),
                    });
                }
                Ok(())
            }
            Err(why) => {
                self.tell(format!("refused: {why}"));
                self.justify(&why, &after).map(|_| ())
            }
        }
    }

    /// A saved plan is applied exactly as it is, or not at all.
    async fn apply_saved(&mut self) -> Told {
        let Some(saved) = self.saved.take() else {
            return Ok(());
        };
        let before = things(self.simulation).await;
        let Ok(state) = self.simulation.state() else {
            return Ok(());
        };
        let moved = saved.spec != self.spec || records(&saved.state) != records(&state);
        let same = !moved
            && serials(&saved.state) == serials(&state)
            && saved.ours == self.ours(&before)
            && !is_under_way(&state);
        let work = Work::Saved(saved.plan);
        self.tried.push(self.spec.clone());
        let (ended, passed) = self.simulation.try_work(&work, Trial::default()).await;
        match &ended {
            Ended::Refused(why) if matches!(**why, Refusal::Stale(_)) => {
                self.tell("it is stale");
                if same {
                    return Err(format!(
                        "nothing has changed, and the plan is refused: {why}"
                    ));
                }
                self.untouched(&before, &state, passed).await
            }
            Ended::Ran(_) if moved => Err("a stale plan is applied".to_owned()),
            _ => {
                self.judge(ended, passed, before, Some(state), &Trial::default())
                    .await
            }
        }
    }

    /// Plans and applies.
    async fn apply(&mut self, trial: Trial) -> Told {
        let before = things(self.simulation).await;
        let state = self.simulation.state().ok();
        self.tried.push(self.spec.clone());
        let work = Work::Spec(options(&[]));
        let (ended, passed) = self.simulation.try_work(&work, trial.clone()).await;
        self.judge(ended, passed, before, state, &trial).await
    }

    pub(super) async fn judge(
        &mut self,
        ended: Ended,
        passed: Passed,
        before: Things,
        state: Option<State>,
        trial: &Trial,
    ) -> Told {
        let rough = trial.weather.is_some();
        match ended {
            Ended::Ran(applied) if applied.report.is_complete() => {
                self.tell("done");
                if applied.plan.is_empty() && !rough && passed.changing > 0 {
                    return Err("an empty plan sends something".to_owned());
                }
                if passed.effects > self.passed.effects / 2 {
                    self.passed = passed;
                }
                if rough {
                    // What was late has arrived.
                    self.simulation.elapse(Duration::from_secs(10)).await;
                }
                let unread = applied
                    .plan
                    .changes
                    .iter()
                    .any(|c| c.certainty == Certainty::Unreadable);
                match unread {
                    true if rough => self.uncertain().await,
                    true => Err("in fair weather something cannot be read".to_owned()),
                    false => self.complete().await,
                }
            }
            Ended::Ran(applied) => {
                let failed: Vec<_> = applied
                    .report
                    .failed()
                    .map(|(_, e)| e.message.clone())
                    .collect();
                self.tell(format!("in part: {failed:?}"));
                if !rough {
                    return Err(format!(
                        "in fair weather not everything is done: {failed:?}"
                    ));
                }
                if failed.is_empty() {
                    return Err("it does not say what failed".to_owned());
                }
                self.uncertain().await
            }
            Ended::Died => {
                self.tell("it died");
                self.uncertain().await
            }
            Ended::Refused(why) => {
                self.tell(format!("refused: {why}"));
                if let Some(state) = &state {
                    self.untouched(&before, state, passed).await?;
                }
                match rough && !matches!(*why, Refusal::NoPlan(_) | Refusal::State(_)) {
                    true => Ok(()),
                    false => {
                        let now = things(self.simulation).await;
                        self.justify(&why, &now).map(|_| ())
                    }
                }
            }
        }
    }

    /// Something that refuses has changed nothing.
    async fn untouched(&self, before: &Things, state: &State, passed: Passed) -> Told {
        if passed.changing > 0 {
            return Err(format!("it refuses, and has sent something: {passed:?}"));
        }
        if records(&self.state()?) != records(state) {
            return Err("it refuses, and has changed the state".to_owned());
        }
        let now = things(self.simulation).await;
        match *before == now {
            true => Ok(()),
            false => Err(format!(
                "it refuses, and has changed {:#?}",
                difference(before, &now)
            )),
        }
    }

    /// After something that did not end well: whatever is there is recorded, announced, or known to be unknown.
    pub(super) async fn uncertain(&mut self) -> Told {
        self.certain = None;
        // What a dead process had under way arrives.
        self.simulation.elapse(Duration::from_secs(5)).await;
        let state = self.state()?;
        let now = things(self.simulation).await;
        self.foreign_untouched(&now)?;
        let recorded = recorded(&state);
        let announced = state.opens().count() > 0;
        for (id, thing) in &now {
            let known = recorded.contains(id) || announced || self.foreign.contains_key(id);
            let excused = self.left.contains_key(id) || self.unknown.contains(id);
            // What has no id of its own, or that the cluster makes by itself, is not looked for here.
            let ours =
                thing.marked && !thing.name.starts_with("load balancer") && thing.inside.is_none();
            if ours && !known && !excused && !self.may_stay(thing) {
                let serials: Vec<_> = state
                    .shards
                    .iter()
                    .map(|(n, s)| format!("{n}: serial {}, {} records", s.serial, s.records.len()))
                    .collect();
                return Err(format!("nobody knows of {} {id}: {serials:?}", thing.name));
            }
        }
        Ok(())
    }

    /// Whether it may have been left alone by intent in something that did not come to its end.
    fn may_stay(&self, thing: &Thing) -> bool {
        let slot = SORTS.iter().position(|s| s.name() == thing.name);
        slot.is_some_and(|at| self.is_guarded(at, true))
    }

    /// Whether some spec since the last certain one had a slot kept or forgotten (or protected, too).
    pub(super) fn is_guarded(&self, at: usize, only_stays: bool) -> bool {
        let all = self.tried.iter().chain(&self.certain).chain([&self.spec]);
        all.map(|s| &s.slots[at]).any(|slot| match slot.guard {
            _ if slot.forget.is_some() => true,
            Guard::Keep => true,
            Guard::Protect => !only_stays,
            Guard::Plain => false,
        })
    }

    pub(super) fn foreign_untouched(&mut self, now: &Things) -> Told {
        self.forget_what_went_along(now);
        for (id, thing) in &self.foreign {
            match now.get(id) {
                Some(found) if found.attrs == thing.attrs => {}
                found => {
                    return Err(format!(
                        "{} was somebody else's, and is now {found:?}",
                        thing.name
                    ));
                }
            }
        }
        Ok(())
    }

    /// Everything was applied: what there is, is what is wanted.
    async fn complete(&mut self) -> Told {
        let now = things(self.simulation).await;
        self.foreign_untouched(&now)?;
        self.compare(&now).await?;
        self.nothing_is_left_to_do().await?;
        self.records_fit()?;
        let kept: Vec<String> = self
            .left
            .keys()
            .filter(|id| !now.contains_key(*id))
            .cloned()
            .collect();
        if !kept.is_empty() {
            return Err(format!("what was left alone is gone: {kept:?}"));
        }
        self.certain = Some(self.spec.clone());
        self.tried.clear();
        self.stripped.clear();
        self.simulation.store.accept_rollback.set(false);
        self.copies
            .push((self.simulation.store.copy(), self.spec.clone()));
        Ok(())
    }

    /// What is wanted is there once and as wanted; what is there beyond that is foreign, was left alone, or
    /// is reported.
    async fn compare(&mut self, now: &Things) -> Told {
        let wanted = self.spec.wanted(self.reference);
        // What was left alone and has the name of something wanted was taken over again.
        self.left.retain(|_, t| !wanted.contains_key(&t.name));
        self.keep_left(now)?;
        let rest = now
            .iter()
            .filter(|(id, _)| !self.foreign.contains_key(*id) && !self.left.contains_key(*id));
        let mut rest: Things = rest.map(|(id, t)| (id.clone(), t.clone())).collect();
        if !self.unknown.is_empty() {
            let orphans = self
                .simulation
                .orphans()
                .await
                .map_err(|e| format!("orphans: {e}"))?;
            let reported = orphans.into_iter().filter(|o| o.case == Case::Stray);
            let reported: BTreeSet<String> = reported.map(|o| o.id).collect();
            let stray = |id: &String| self.unknown.contains(id) && reported.contains(id);
            let strays = now.iter().filter(|(id, _)| stray(id));
            self.left
                .extend(strays.map(|(id, t)| (id.clone(), t.clone())));
            rest.retain(|id, _| !self.left.contains_key(id));
            self.unknown.clear();
        }
        let found = by_name(rest.values());
        if found == wanted {
            return Ok(());
        }
        let only = |a: &Wanted, b: &Wanted| -> Vec<String> {
            let other = a.iter().filter(|(k, v)| b.get(*k) != Some(*v));
            other.map(|(k, v)| format!("{k}: {}", json!(v))).collect()
        };
        Err(format!(
            "found {:#?}\nwanted {:#?}",
            only(&found, &wanted),
            only(&wanted, &found)
        ))
    }

    /// What left the spec with leave to stay is left from now on.
    fn keep_left(&mut self, now: &Things) -> Told {
        for (at, sort) in SORTS.into_iter().enumerate() {
            if self.spec.slots[at].label.is_some() {
                continue;
            }
            let there = now
                .iter()
                .filter(|(id, t)| t.name == sort.name() && !self.foreign.contains_key(*id));
            let there: Vec<(String, Thing)> =
                there.map(|(id, t)| (id.clone(), t.clone())).collect();
            let before = self
                .certain
                .as_ref()
                .map(|c| &c.slots[at])
                .filter(|s| s.label.is_some());
            let forget = self.spec.slots[at].forget;
            let stays = before
                .is_some_and(|b| b.guard == Guard::Keep || forget.is_some() && forget == b.label);
            if stays && there.is_empty() && self.tried.len() <= 1 {
                return Err(format!("{} was to be left alone, and is gone", sort.name()));
            }
            if self.is_guarded(at, true) {
                self.left.extend(there);
            }
        }
        Ok(())
    }

    async fn nothing_is_left_to_do(&mut self) -> Told {
        let (planned, passed) = self.simulation.planned(options(&[])).await;
        let planned = planned.map_err(|e| format!("the second plan: {e}"))?;
        if !planned.plan.is_empty() {
            let left = planned.plan.changes.iter().filter(|c| !c.is_no_op());
            let left: Vec<_> = left
                .map(|c| format!("{} {:?} {:?}", c.address, c.actions, c.reason))
                .collect();
            return Err(format!("the second plan is not empty: {left:?}"));
        }
        if passed.changing > 0 {
            return Err("a plan changes something".to_owned());
        }
        let drift = self
            .simulation
            .drift()
            .await
            .map_err(|e| format!("drift: {e}"))?;
        match drift.found() || drift.incomplete() {
            true => Err(format!("drift: {:?} {:?}", drift.drift, drift.unreadable)),
            false => Ok(()),
        }
    }

    /// What is recorded is what the spec declares, and nothing is open.
    fn records_fit(&self) -> Told {
        let state = self.state()?;
        let declared = self.simulation.declared();
        let recorded: BTreeSet<String> = state.records().map(|r| r.address.to_string()).collect();
        if declared != recorded {
            let odd: Vec<_> = declared.symmetric_difference(&recorded).collect();
            return Err(format!("spec and records differ in {odd:?}"));
        }
        match state.opens().next() {
            Some((address, _)) => Err(format!("{address} is still open")),
            None => Ok(()),
        }
    }

    /// In fair weather everything becomes right, with no more help than the refusals ask for.
    async fn settle(&mut self) -> Told {
        for _ in 0..12 {
            let before = things(self.simulation).await;
            let state = self.simulation.state().ok();
            self.tried.push(self.spec.clone());
            let work = Work::Spec(options(&[]));
            let (ended, passed) = self.simulation.try_work(&work, Trial::default()).await;
            if let Ended::Refused(why) = &ended {
                let now = things(self.simulation).await;
                self.told.push(format!("refused: {why}"));
                let ways = self.justify(why, &now)?;
                for way in ways {
                    self.take(way).await?;
                }
                continue;
            }
            return self
                .judge(ended, passed, before, state, &Trial::default())
                .await;
        }
        Err("the ways out lead nowhere".to_owned())
    }

    /// What goes with something that is gone is nobody's loss.
    fn forget_what_went_along(&mut self, now: &Things) {
        let there = |t: &Thing| t.inside.as_ref().is_none_or(|c| now.contains_key(c));
        self.foreign.retain(|_, t| there(t));
        self.left.retain(|_, t| there(t));
    }
}

/// What is recorded, without the serials that a takeover leaves alone anyway.
fn records(state: &State) -> Vec<String> {
    let records = state.records().map(|r| format!("{r:?}"));
    let open = state.opens().map(|(a, o)| format!("{a} {o:?}"));
    records.chain(open).collect()
}

fn serials(state: &State) -> Vec<u64> {
    state.shards.values().map(|shard| shard.serial).collect()
}

/// Whether something goes on by itself: a plan may know less of it than one that is made later.
fn is_under_way(state: &State) -> bool {
    let ready = |r: &Record| r.status == RecordStatus::Ok;
    state.opens().next().is_some() || !state.records().all(ready)
}

fn difference(before: &Things, after: &Things) -> Vec<String> {
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = ids
        .into_iter()
        .filter(|id| before.get(*id) != after.get(*id));
    differs
        .map(|id| format!("{:?} -> {:?}", before.get(id), after.get(id)))
        .collect()
}
