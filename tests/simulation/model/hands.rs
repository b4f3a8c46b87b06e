//! What others do meanwhile: hands at the vendors' consoles, a state from a backup, a second run.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use zonewright_engine::plan::Options;
use zonewright_state::StateError;
use zonewright_tests::simulation::weather::Dice;
use zonewright_tests::simulation::{Ended, Refusal, Trial, Work, options};

use super::spec::{SORTS, Sort};
use super::things::{Thing, Things, recorded, things};
use super::walk::{Told, Walk};

impl Walk<'_> {
    /// What is ours and in use.
    fn in_use(&self, now: &Things) -> Vec<(String, Thing)> {
        let all = now.iter().filter(|(id, t)| {
            !self.foreign.contains_key(*id) && !self.left.contains_key(*id) && !t.path.is_empty()
        });
        let mut all: Vec<_> = all.map(|(id, t)| (id.clone(), t.clone())).collect();
        // Ids are chance; what is chosen should not be another thing when a step is left out.
        all.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        all
    }

    /// Somebody changes something of ours.
    pub(super) async fn drift(&mut self, dice: &mut Dice) -> Told {
        let now = things(self.simulation).await;
        let can =
            |(id, t): (String, Thing)| changes(&t, dice.below(3)).map(|(m, p, b)| (id, t, m, p, b));
        let all: Vec<_> = self.in_use(&now).into_iter().filter_map(can).collect();
        if all.is_empty() {
            return Ok(());
        }
        let (id, thing, method, path, body) = &all[dice.index(all.len())];
        self.tell(format!("{} {body}", thing.name));
        // What the vendor refuses was not changed.
        let sent = self.simulation.by_hand(method, path, body).await;
        if sent.is_ok() && body.to_string().contains("\"\"") {
            self.stripped.insert(id.clone());
        }
        // A rule of somebody else's, maybe in the place of another.
        let after = things(self.simulation).await;
        self.foreign.retain(|id, _| after.contains_key(id));
        let new = after.into_iter().filter(|(id, _)| !now.contains_key(id));
        self.foreign.extend(new);
        Ok(())
    }

    /// Somebody removes something of ours.
    pub(super) async fn vanish(&mut self, dice: &mut Dice) -> Told {
        let now = things(self.simulation).await;
        let mut all = self.in_use(&now);
        all.retain(|(_, t)| {
            let whole = ["cluster ", "database ", "replica ", "load balancer"];
            !whole.iter().any(|w| t.name.starts_with(w))
                && !t.name.ends_with("/doadmin")
                && !t.name.ends_with("/defaultdb")
        });
        if all.is_empty() {
            return Ok(());
        }
        let (_, thing) = &all[dice.index(all.len())];
        self.tell(&thing.name);
        let _ = self
            .simulation
            .by_hand("DELETE", &thing.path, &Value::Null)
            .await;
        Ok(())
    }

    /// Somebody makes something under a name of ours, or takes it away again.
    pub(super) async fn squat(&mut self, dice: &mut Dice) -> Told {
        let mut theirs: Vec<_> = self
            .foreign
            .iter()
            .filter(|(_, t)| !t.path.is_empty())
            .collect();
        theirs.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        if dice.once_in(3) && !theirs.is_empty() {
            let id = theirs[dice.index(theirs.len())].0.clone();
            self.tell(format!("{id} goes"));
            return self.remove(&id).await;
        }
        let sort = SORTS[dice.index(SORTS.len())];
        let before = things(self.simulation).await;
        let taken = before.values().any(|t| t.name == sort.name());
        // What a killed run announced is taken for its own where there is no place for a mark.
        let claimed = !sort.marked() && self.certain.is_none();
        if taken && sort != Sort::Record || claimed {
            return Ok(());
        }
        let Some((path, body)) = self.by_others(sort, &before, dice) else {
            return Ok(());
        };
        self.tell(sort.name());
        // A vendor may refuse what collides with what is there.
        let _ = self.simulation.by_hand("POST", &path, &body).await;
        let now = things(self.simulation).await;
        let new = now.into_iter().filter(|(id, _)| !before.contains_key(id));
        self.foreign.extend(new);
        Ok(())
    }

    fn by_others(&self, sort: Sort, now: &Things, dice: &mut Dice) -> Option<(String, Value)> {
        let named = |name: &str| now.iter().find(|(_, t)| t.name == name);
        let n = dice.below(3);
        Some(match sort {
            Sort::Net => {
                let body = json!({"name": "vpc-one-extra", "region": "sfo3", "ip_range": format!("10.3{n}.0.0/16")});
                ("/v2/vpcs".to_owned(), body)
            }
            Sort::Record | Sort::Alias => {
                let (_, other) = now.iter().find(|(_, t)| t.name.starts_with("record "))?;
                let (zone, _) = other.path.rsplit_once('/')?;
                let body = match sort {
                    Sort::Record => {
                        json!({"type": "A", "name": "one-extra", "content": format!("203.0.113.{}", 100 + n), "ttl": 300})
                    }
                    _ => {
                        json!({"type": "CNAME", "name": "one-alias", "content": "elsewhere.example.org", "ttl": 300})
                    }
                };
                (zone.to_owned(), body)
            }
            Sort::Database | Sort::User => {
                let (id, _) = named("database one-pz-mysql")?;
                let part = if sort == Sort::Database {
                    "dbs"
                } else {
                    "users"
                };
                (
                    format!("/v2/databases/{id}/{part}"),
                    json!({"name": "extra"}),
                )
            }
            Sort::Manifest => {
                let (_, map) = named("k8s one-pz core/configmaps app/settings")?;
                let (list, _) = map.path.rsplit_once('/')?;
                let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra", "namespace": "app"}, "data": {"title": "theirs"}});
                (list.to_owned(), body)
            }
        })
    }

    /// Somebody removes what is not in use by us.
    pub(super) async fn remove(&mut self, id: &str) -> Told {
        let now = things(self.simulation).await;
        if let Some(thing) = now.get(id) {
            self.simulation
                .by_hand("DELETE", &thing.path, &Value::Null)
                .await?;
        }
        self.foreign.remove(id);
        self.left.remove(id);
        self.unknown.remove(id);
        Ok(())
    }

    /// The state of some time ago, from a backup.
    pub(super) async fn put_back(&mut self, dice: &mut Dice) -> Told {
        if self.copies.is_empty() {
            return Ok(());
        }
        let (image, spec) = self.copies[dice.index(self.copies.len())].clone();
        self.simulation.store.put_back(&image);
        let state = self.simulation.state();
        self.rolled_back = self.simulation.store.seen.is_some() && state.is_err();
        self.simulation.store.accept_rollback.set(true);
        let state = self.state()?;
        self.simulation.store.accept_rollback.set(false);
        let recorded = recorded(&state);
        let now = things(self.simulation).await;
        self.unknown.extend(
            now.keys()
                .filter(|id| !recorded.contains(*id) && !self.foreign.contains_key(*id))
                .cloned(),
        );
        self.left.retain(|id, _| !recorded.contains(id));
        self.tried.extend(self.certain.take());
        self.tried.push(spec);
        Ok(())
    }

    /// A second run, or a plan, begins while one is at work.
    pub(super) async fn two(&mut self, dice: &mut Dice) -> Told {
        let before = things(self.simulation).await;
        let state = self.simulation.state().ok();
        let wait = Duration::from_millis(
            [0, 200, 1_000, 20_000, 300_000][dice.index(5)] + dice.below(1_000),
        );
        let death = dice.once_in(3).then(|| self.some_death(dice));
        let weather = Some((
            Dice::of(dice.below(u64::MAX)),
            [12, u64::MAX][dice.index(2)],
        ));
        let first = Trial { weather, death };
        let only_plans = dice.once_in(3);
        self.tried.push(self.spec.clone());
        self.tell(format!(
            "{death:?}, the second after {wait:?}, plan: {only_plans}"
        ));
        let work = Work::Spec(options(&[]));
        let simulation = &*self.simulation;
        let one = async {
            let ended = simulation.work(&work, first.clone()).await;
            (ended, Instant::now())
        };
        let other = async {
            simulation.elapse(wait).await;
            let begun = Instant::now();
            if only_plans {
                let (_, passed) = simulation.planned(options(&[])).await;
                return (begun, None, passed);
            }
            let (ended, passed) = simulation.work(&work, Trial::default()).await;
            (begun, Some(ended), passed)
        };
        let (((ended, passed), over), (begun, second, other)) = futures::join!(one, other);
        let Some(second) = second else {
            if other.changing > 0 || other.effects > 0 {
                return Err(format!("a plan changes something: {other:?}"));
            }
            return self.judge(ended, passed, before, state, &first).await;
        };
        if let Ended::Refused(why) = &second
            && matches!(**why, Refusal::State(StateError::Locked { .. }))
        {
            if begun > over {
                return Err("the state is locked, and nobody holds it".to_owned());
            }
            if other.changing > 0 {
                return Err("a second run that is refused has sent something".to_owned());
            }
            return self.judge(ended, passed, before, state, &first).await;
        }
        if begun < over {
            return Err("two runs at once".to_owned());
        }
        self.foreign_untouched(&things(self.simulation).await)?;
        self.tell("one after the other");
        // What the first one had under way may have come between.
        let between = things(self.simulation).await;
        match second {
            Ended::Ran(_) => self.judge(second, other, between, None, &first).await,
            _ => {
                self.judge(second, other, between, None, &Trial::default())
                    .await
            }
        }
    }

    /// The standby is taken away; the next apply makes it again.
    pub(super) async fn standby(&mut self) -> Told {
        let before = things(self.simulation).await;
        let state = self.simulation.state().ok();
        let destroy = Options {
            destroy: true,
            ..options(&["bz"])
        };
        self.tried.push(self.spec.clone());
        let trial = Trial::default();
        let (ended, passed) = self
            .simulation
            .try_work(&Work::Spec(destroy), trial.clone())
            .await;
        match ended {
            Ended::Ran(applied) if applied.report.is_complete() => {
                self.tell("done");
                let now = things(self.simulation).await;
                let names = [
                    "vpc vpc-one-bz",
                    "replica one-bz-mysql",
                    "record A one-bz.guajiro.xyz",
                ];
                for (id, left) in now.iter().filter(|(_, t)| names.contains(&t.name.as_str())) {
                    // Made by a run that died, and its mark taken off before another looked for it.
                    let was_known = state.as_ref().is_some_and(|s| recorded(s).contains(id));
                    if self.stripped.contains(id) && !was_known {
                        self.remove(id).await?;
                        continue;
                    }
                    let name = &left.name;
                    return Err(format!("the standby is destroyed, and {name} is there"));
                }
                let others = |all: &Things| -> Vec<Thing> {
                    let theirs = |t: &&Thing| t.name.contains("one-pz") || t.name.contains("one-a");
                    all.values().filter(theirs).cloned().collect()
                };
                if others(&before) != others(&now) {
                    return Err(
                        "the standby is destroyed, and something else has changed".to_owned()
                    );
                }
                self.uncertain().await
            }
            ended => self.judge(ended, passed, before, state, &trial).await,
        }
    }
}

/// The request with which somebody changes something of ours.
fn changes(thing: &Thing, n: u64) -> Option<(&'static str, String, Value)> {
    let path = thing.path.clone();
    let (sort, _) = thing.name.split_once(' ')?;
    Some(match sort {
        "record" if thing.name.contains(" A ") && n > 0 => (
            "PATCH",
            path,
            json!({"content": format!("203.0.113.{}", 200 + n)}),
        ),
        "record" => ("PATCH", path, json!({"comment": ""})),
        "vpc" => ("PATCH", path, json!({"description": ""})),
        "database" | "replica" => (
            "PUT",
            format!("{path}/firewall"),
            json!({"rules": [{"type": "ip_addr", "value": format!("198.51.100.{}", 20 + n)}]}),
        ),
        "k8s" if thing.name.contains("configmaps") => (
            "PATCH",
            path,
            json!({"data": {"title": format!("theirs {n}")}}),
        ),
        "k8s" if thing.name.contains("deployments") => {
            ("PATCH", path, json!({"spec": {"replicas": 5 + n}}))
        }
        "k8s" if thing.name.contains("sites") => (
            "PATCH",
            path,
            json!({"spec": {"title": format!("theirs {n}")}}),
        ),
        _ => return None,
    })
}
