//! A process dies at every point there is: before a request, after a request, at an effect on the disk.
//! Another apply makes everything right.

use std::time::Duration;

use zonewright_engine::plan::Options;
use zonewright_tests::many::{many, part};
use zonewright_tests::simulation::fuse::{Death, Passed};
use zonewright_tests::simulation::weather::Dice;
use zonewright_tests::simulation::{Ended, Simulation, Trial, options, simulate};

use crate::recovery::{ALL_KINDS, fair, move_pz, settings, settle, undisturbed, without_bz};

fn deaths(passed: Passed) -> Vec<Death> {
    let requests = 1..=passed.requests;
    let effects = (1..=passed.effects).map(Death::AtEffect);
    requests
        .flat_map(|n| [Death::BeforeRequest(n), Death::AfterRequest(n)])
        .chain(effects)
        .collect()
}

/// A process that dies there.
async fn die(simulation: &mut Simulation, options: Options, death: Death) -> Result<(), String> {
    match simulation
        .attempt(options, Trial::mortal(Some(death)))
        .await
        .0
    {
        Ended::Died => Ok(()),
        _ => Err(format!("{death:?} is not reached")),
    }
}

#[test]
fn killed_at_any_point_while_everything_is_made() {
    let undisturbed = undisturbed(ALL_KINDS);
    let deaths = deaths(undisturbed.making);
    many("deaths in an apply", part(deaths.len(), 40), |n| {
        simulate(settings(ALL_KINDS, 0), async |simulation| {
            die(simulation, options(&[]), deaths[index(n)]).await?;
            settle(simulation, options(&[]), &undisturbed.whole).await
        })
    });
}

#[test]
fn killed_at_any_point_while_a_zone_is_destroyed() {
    let undisturbed = undisturbed(ALL_KINDS);
    let deaths = deaths(undisturbed.destroying);
    many("deaths in a destroy", part(deaths.len(), 20), |n| {
        simulate(settings(ALL_KINDS, 0), async |simulation| {
            fair(simulation, options(&[])).await?;
            die(simulation, without_bz(), deaths[index(n)]).await?;
            settle(simulation, without_bz(), &undisturbed.without_bz).await
        })
    });
}

#[test]
fn killed_at_any_point_while_a_zone_is_replaced() {
    let undisturbed = undisturbed(ALL_KINDS);
    let deaths = deaths(undisturbed.moving.unwrap());
    many("deaths in a replacement", part(deaths.len(), 20), |n| {
        simulate(settings(ALL_KINDS, 0), async |simulation| {
            fair(simulation, options(&[])).await?;
            move_pz(simulation);
            die(simulation, options(&[]), deaths[index(n)]).await?;
            settle(simulation, options(&[]), &undisturbed.whole).await
        })
    });
}

/// The process that mends dies as well, somewhere.
#[test]
fn killed_twice() {
    let undisturbed = undisturbed(ALL_KINDS);
    let deaths = deaths(undisturbed.making);
    many("pairs of deaths", part(deaths.len(), 20), |n| {
        simulate(settings(ALL_KINDS, 0), async |simulation| {
            let mut dice = Dice::of(n);
            die(simulation, options(&[]), deaths[index(n)]).await?;
            simulation.elapse(Duration::from_secs(dice.below(60))).await;
            let second = deaths[dice.index(deaths.len())];
            // What is left to do may pass fewer points.
            let _ = die(simulation, options(&[]), second).await;
            settle(simulation, options(&[]), &undisturbed.whole).await
        })
    });
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap()
}
