//! Laws of planning and applying together, on random graphs against a simulated cloud.
//!
//! The state machine has no IO, so a run is a loop that picks one pending command at random, carries
//! it out on the simulated cloud, and tells the result. Crashes and lost replies are inserted at
//! will. The oracle is naive: what the spec says, resource by resource.

use proptest::prelude::*;

use super::*;
use crate::plan::Options;

mod sim;

use sim::{Fault, Project, Rng, Sim};

/// One resource of a random project: size, whether its name changes, what it refers to.
fn project() -> impl Strategy<Value = Project> {
    proptest::collection::vec(
        (0i64..3, 0u8..3, proptest::collection::vec(0usize..12, 0..3)),
        1..12,
    )
    .prop_map(Project::new)
}

/// Plans and applies until it is done; panics when it does not converge.
fn converge(sim: &mut Sim, project: &Project, rng: &mut Rng) {
    for _ in 0..4 {
        let plan = sim.plan(project, Options::default());
        if plan.is_empty() {
            return assert_world(sim, project);
        }
        sim.run(project, &plan, rng, Fault::None);
    }
    panic!(
        "not empty after four runs:\n{:#?}",
        sim.plan(project, Options::default()).changes
    );
}

/// The oracle: exactly the resources of the spec exist, once, as the spec says.
fn assert_world(sim: &Sim, project: &Project) {
    let mut expected = project.expected(sim);
    for object in sim.objects.values() {
        let wanted = expected.remove(&object.name);
        assert_eq!(
            wanted.as_ref(),
            Some(&object.attrs),
            "{} is wrong or doubled",
            object.name
        );
    }
    assert!(expected.is_empty(), "missing: {:?}", expected.keys());
    assert!(!sim.ever_doubled, "something was made twice");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn apply_reaches_the_spec_and_the_next_plan_is_empty(
        first in project(), second in project(), seed: u64,
    ) {
        let mut rng = Rng(seed);
        let mut sim = Sim::default();
        converge(&mut sim, &first, &mut rng);
        converge(&mut sim, &second, &mut rng);
        converge(&mut sim, &Project::new(Vec::new()), &mut rng);
        prop_assert!(sim.objects.is_empty());
    }

    #[test]
    fn no_step_starts_before_what_it_waits_for(first in project(), second in project(), seed: u64) {
        let mut rng = Rng(seed);
        let mut sim = Sim::default();
        converge(&mut sim, &first, &mut rng);
        let plan = sim.plan(&second, Options::default());
        let events = sim.run(&second, &plan, &mut rng, Fault::None);
        let position = |wanted: &Event| {
            events.iter().position(|e| match (e, wanted) {
                (Event::Finished { step: a, .. }, Event::Finished { step: b, .. })
                | (Event::Started { step: a }, Event::Started { step: b }) => a == b,
                _ => false,
            })
        };
        for edge in &plan.edges {
            let before = position(&Event::Finished { step: edge.from, elapsed: Duration::ZERO });
            let after = position(&Event::Started { step: edge.to });
            prop_assert!(before.is_some() && before < after, "{edge:?}");
        }
    }

    #[test]
    fn a_run_killed_anywhere_converges_without_doubles(
        first in project(), second in project(), seed: u64, cuts in proptest::collection::vec(0usize..60, 1..4),
    ) {
        let mut rng = Rng(seed);
        let mut sim = Sim::default();
        converge(&mut sim, &first, &mut rng);
        for cut in cuts {
            let plan = sim.plan(&second, Options::default());
            sim.run(&second, &plan, &mut rng, Fault::Crash { after: cut });
        }
        converge(&mut sim, &second, &mut rng);
    }

    #[test]
    fn lost_replies_make_nothing_twice(first in project(), second in project(), seed: u64) {
        let mut rng = Rng(seed);
        let mut sim = Sim::default();
        let plan = sim.plan(&first, Options::default());
        sim.run(&first, &plan, &mut rng, Fault::LoseReplies);
        prop_assert!(!sim.ever_doubled);
        converge(&mut sim, &first, &mut rng);
        let plan = sim.plan(&second, Options::default());
        sim.run(&second, &plan, &mut rng, Fault::LoseReplies);
        converge(&mut sim, &second, &mut rng);
    }

    #[test]
    fn a_failure_stops_only_what_waits_for_it(first in project(), seed: u64, victim in 0usize..12) {
        let mut rng = Rng(seed);
        let mut sim = Sim::default();
        let plan = sim.plan(&first, Options::default());
        let victim = victim % plan.steps.len();
        let events = sim.run(&first, &plan, &mut rng, Fault::Fail { step: victim });
        let mut behind = vec![false; plan.steps.len()];
        behind[victim] = true;
        // Edges go from lower to higher rank; a few rounds reach the fixed point.
        for _ in 0..plan.steps.len() {
            for edge in &plan.edges {
                behind[edge.to] |= behind[edge.from];
            }
        }
        for (step, behind) in behind.iter().enumerate() {
            let finished = events.iter().any(|e| matches!(e, Event::Finished { step: s, .. } if *s == step));
            prop_assert_eq!(finished, !behind, "step {}", step);
        }
        converge(&mut sim, &first, &mut rng);
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes(first in project(), second in project(), seed: u64) {
        let mut rng = Rng(seed);
        let mut sim = Sim::default();
        converge(&mut sim, &first, &mut rng);
        let a = sim.plan(&second, Options::default());
        let b = sim.plan(&second, Options::default());
        prop_assert_eq!(a.bytes(), b.bytes());
        let back: Plan = serde_json::from_slice(&a.bytes()).expect("a plan reads back");
        prop_assert_eq!(back.bytes(), a.bytes());
    }

    #[test]
    fn any_parallelism_ends_in_the_same_world(first in project(), seed: u64, width in 1usize..32) {
        let mut wide = Sim::default();
        wide.parallelism = width;
        let mut narrow = Sim::default();
        narrow.parallelism = 1;
        converge(&mut wide, &first, &mut Rng(seed));
        converge(&mut narrow, &first, &mut Rng(seed ^ 1));
        let names = |sim: &Sim| sim.objects.values().map(|o| o.name.clone()).collect::<BTreeSet<_>>();
        prop_assert_eq!(names(&wide), names(&narrow));
    }

    #[test]
    fn a_stopped_run_can_be_resumed(first in project(), seed: u64, at in 0usize..40) {
        let mut rng = Rng(seed);
        let mut sim = Sim::default();
        let plan = sim.plan(&first, Options::default());
        sim.run(&first, &plan, &mut rng, Fault::Stop { after: at });
        prop_assert!(!sim.ever_doubled);
        converge(&mut sim, &first, &mut rng);
    }
}

#[test]
fn a_change_behind_our_back_stops_the_write() {
    let project = Project::new(vec![(1, 0, vec![])]);
    let changed = Project::new(vec![(2, 0, vec![])]);
    let mut rng = Rng(7);
    let mut sim = Sim::default();
    converge(&mut sim, &project, &mut rng);
    let plan = sim.plan(&changed, Options::default());
    for object in sim.objects.values_mut() {
        object.attrs.0 = 9;
    }
    let events = sim.run(&changed, &plan, &mut rng, Fault::None);
    let text = format!("{events:?}");
    assert!(
        text.contains("was changed since the plan was made"),
        "{text}"
    );
    assert_eq!(sim.objects.values().next().unwrap().attrs.0, 9);
}

#[test]
fn what_was_removed_outside_is_made_again() {
    let project = Project::new(vec![(1, 0, vec![]), (1, 0, vec![0])]);
    let mut rng = Rng(7);
    let mut sim = Sim::default();
    converge(&mut sim, &project, &mut rng);
    let first = sim.objects.keys().next().unwrap().clone();
    sim.objects.remove(&first);
    let plan = sim.plan(&project, Options::default());
    assert_eq!(
        (plan.summary().create, plan.summary().update),
        (1, 1),
        "{plan:#?}"
    );
    converge(&mut sim, &project, &mut rng);
}

#[test]
fn a_foreign_object_with_the_same_name_is_refused() {
    let project = Project::new(vec![(1, 0, vec![])]);
    let mut sim = Sim::default();
    sim.insert_foreign("r0-0");
    let errors = sim.try_plan(&project, Options::default()).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].to_string().contains("exists already (id 1)"),
        "{errors:?}"
    );
    assert!(
        errors[0]
            .help()
            .contains("zonewright import z/sim.thing.r0 1")
    );
}
