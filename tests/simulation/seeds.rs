//! Chance decides what becomes of every request and where a process dies: another apply makes all of it
//! right. Nothing is lost, nothing is made twice, nothing is left to do.

use std::time::Duration;

use zonewright_engine::plan::Options;
use zonewright_tests::many::{many, seeds};
use zonewright_tests::simulation::fuse::{Death, Passed};
use zonewright_tests::simulation::weather::Dice;
use zonewright_tests::simulation::{Simulation, Trial, options, simulate};

use crate::recovery::{ALL_KINDS, Undisturbed, move_pz, settings, settle, undisturbed, without_bz};

/// A point of these, or of those soon after.
fn some_death(dice: &mut Dice, passed: Passed) -> Death {
    let request = 1 + dice.index(passed.requests);
    match dice.below(4) {
        0 => Death::BeforeRequest(request),
        1 => Death::AfterRequest(request),
        _ => Death::AtEffect(1 + dice.index(passed.effects)),
    }
}

/// A few processes in bad weather, some of which die.
async fn struggle(simulation: &mut Simulation, dice: &mut Dice, options: &Options, passed: Passed) {
    let rarity = [5, 12, 40][dice.index(3)];
    for _ in 0..=dice.below(3) {
        let death = dice.once_in(2).then(|| some_death(dice, passed));
        let weather = Some((Dice::of(dice.below(u64::MAX)), rarity));
        simulation
            .attempt(options.clone(), Trial { weather, death })
            .await;
        let pause = [0, 1, 30, 600][dice.index(4)];
        simulation.elapse(Duration::from_secs(pause)).await;
    }
}

/// One seed: everything is made; then, for some, the standby is destroyed or the other zone moved.
fn live(project: &str, seed: u64, undisturbed: &Undisturbed) -> Result<(), String> {
    simulate(settings(project, seed), async |simulation| {
        let mut dice = Dice::of(seed);
        struggle(simulation, &mut dice, &options(&[]), undisturbed.making).await;
        settle(simulation, options(&[]), &undisturbed.whole).await?;
        match (dice.below(6), undisturbed.moving) {
            (0 | 1, _) => {
                struggle(simulation, &mut dice, &without_bz(), undisturbed.destroying).await;
                settle(simulation, without_bz(), &undisturbed.without_bz).await
            }
            (2, Some(moving)) => {
                move_pz(simulation);
                struggle(simulation, &mut dice, &options(&[]), moving).await;
                settle(simulation, options(&[]), &undisturbed.whole).await
            }
            _ => Ok(()),
        }
    })
}

/// Every kind, everything that can happen to a request, death at any point.
#[test]
fn whatever_happens_another_apply_makes_it_right() {
    let project = ALL_KINDS;
    let undisturbed = undisturbed(project);
    many("seeds", seeds(60, 1), |seed| {
        live(project, seed, &undisturbed)
    });
}

/// The two-zone platform of the example.
#[test]
fn whatever_happens_another_apply_makes_the_example_right() {
    let project = "wordpress-dr";
    let undisturbed = undisturbed(project);
    many("seeds of the example", seeds(2, 50), |seed| {
        live(project, seed, &undisturbed)
    });
}
