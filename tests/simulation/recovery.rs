//! What must hold after whatever happened: one more process in fair weather makes everything right, what is
//! there is what an undisturbed run makes, and nothing is left to do.

use zonewright_engine::plan::Options;
use zonewright_tests::simulation::fuse::Passed;
use zonewright_tests::simulation::project::Project;
use zonewright_tests::simulation::{Ended, Settings, Simulation, Trial, options, simulate};
use zonewright_tests::truth::{Census, same};

/// The project of the tests with every kind in it.
pub(crate) const ALL_KINDS: &str = "one-of-each";

/// A project in fair weather.
pub(crate) fn settings(project: &str, seed: u64) -> Settings {
    let project = match project {
        ALL_KINDS => Project::of_tests(project),
        example => Project::example(example),
    };
    Settings {
        seed,
        ..Settings::realistic(project)
    }
}

/// What is there when nothing goes wrong, and what points a process passes on the way.
pub(crate) struct Undisturbed {
    /// With everything made.
    pub(crate) whole: Census,
    /// Without the standby.
    pub(crate) without_bz: Census,
    /// The points passed when everything is made.
    pub(crate) making: Passed,
    /// When the standby is destroyed.
    pub(crate) destroying: Passed,
    /// When pz is moved; nothing where its data is protected.
    pub(crate) moving: Option<Passed>,
}

pub(crate) fn undisturbed(project: &str) -> Undisturbed {
    let mut found = simulate(settings(project, 0), async |simulation| {
        let making = fair(simulation, options(&[])).await.unwrap();
        let whole = simulation.census().await;
        let destroying = fair(simulation, without_bz()).await.unwrap();
        Undisturbed {
            whole,
            without_bz: simulation.census().await,
            making,
            destroying,
            moving: None,
        }
    });
    if project == ALL_KINDS {
        found.moving = simulate(settings(project, 0), async |simulation| {
            fair(simulation, options(&[])).await.unwrap();
            move_pz(simulation);
            let moving = fair(simulation, options(&[])).await.unwrap();
            same(&simulation.census().await, &found.whole).unwrap();
            Some(moving)
        });
    }
    found
}

/// A process that nothing happens to.
pub(crate) async fn fair(simulation: &mut Simulation, options: Options) -> Result<Passed, String> {
    let (ended, passed) = simulation.attempt(options, Trial::mortal(None)).await;
    complete(ended).map(|()| passed)
}

/// Everything was done.
fn complete(ended: Ended) -> Result<(), String> {
    match ended {
        Ended::Ran(applied) if applied.report.is_complete() => Ok(()),
        Ended::Ran(applied) => {
            let failed: Vec<_> = applied.report.failed().collect();
            Err(format!("not everything is done: {failed:#?}"))
        }
        Ended::Refused(why) => Err(format!("refused: {why}")),
        Ended::Died => Err("it died".to_owned()),
    }
}

/// What takes the standby away again.
pub(crate) fn without_bz() -> Options {
    Options {
        destroy: true,
        ..options(&["bz"])
    }
}

/// Has pz moved to another region: its network is replaced, and with it all that is in it.
pub(crate) fn move_pz(simulation: &mut Simulation) {
    let (here, there) = ("\nregion = \"nyc3\"", "\nregion = \"ams3\"");
    simulation.project.edit("zones/pz.toml", here, there);
}

/// In fair weather one more process makes everything right.
pub(crate) async fn settle(
    simulation: &mut Simulation,
    options: Options,
    expected: &Census,
) -> Result<(), String> {
    complete(
        simulation
            .attempt(options.clone(), Trial::default())
            .await
            .0,
    )?;
    same(&simulation.census().await, expected)?;
    let (ended, passed) = simulation.attempt(options, Trial::default()).await;
    let Ended::Ran(applied) = ended else {
        return Err(format!("the second plan: {:?}", complete(ended)));
    };
    match applied.plan.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "left to do: {:#?}, {passed:?}",
            applied.plan.summary()
        )),
    }
}
