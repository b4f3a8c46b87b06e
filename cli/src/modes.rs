//! What zones cost in each of their modes: the spec is read once more for each, with the posture or the
//! role edited. Nobody is asked and nothing is written.

use std::collections::BTreeMap;
use std::thread;

use zonewright_engine::address::ZoneName;
use zonewright_engine::config::{Config, Role};
use zonewright_engine::cost::{ByMode, Line, Mode, ModeBill, of_spec};
use zonewright_engine::schema::Registry;
use zonewright_zones::Severity;

use crate::project::{Edit, Project, ROOT_FILE};
use crate::report::Failure;

/// The bills of these zones by mode. `config` is the spec as it is.
pub(crate) fn by_mode(
    project: &Project,
    config: &Config,
    registry: &Registry,
    sandbox: bool,
    selected: impl Fn(&ZoneName) -> bool,
) -> ByMode {
    let mut today = of_spec(config, registry);
    let account = today.remove(&ZoneName::edge()).unwrap_or_default();
    let mut zones = BTreeMap::new();
    for zone in config.zones.values().filter(|z| selected(&z.name)) {
        let current = Mode::of(zone);
        let modes: &[Mode] = match zone.role {
            Role::Active => &[Mode::Active],
            Role::Standby => &Mode::ALL,
        };
        let read = |mode: Mode| match current == Some(mode) {
            true => Ok(today.get(&zone.name).cloned().unwrap_or_default()),
            false => other(project, registry, sandbox, &zone.name, mode),
        };
        // Each reading is independent of the others, and they are most of the work.
        let rows = thread::scope(|scope| {
            let read = &read;
            let started: Vec<_> = modes
                .iter()
                .map(|m| scope.spawn(move || read(*m)))
                .collect();
            let rows = modes.iter().zip(started).map(|(mode, started)| ModeBill {
                mode: *mode,
                current: current == Some(*mode),
                lines: started
                    .join()
                    .unwrap_or_else(|_| Err("it could not be worked out".to_owned())),
            });
            rows.collect()
        });
        zones.insert(zone.name.clone(), rows);
    }
    ByMode { zones, account }
}

/// The bill of a zone in another mode, or why there is none.
fn other(
    project: &Project,
    registry: &Registry,
    sandbox: bool,
    zone: &ZoneName,
    mode: Mode,
) -> Result<Vec<Line>, String> {
    let edited = edited(project, zone, mode).map_err(|e| e.to_string())?;
    let loaded = edited.read(registry, sandbox);
    let Some(config) = loaded.config else {
        let first = loaded
            .diagnostics
            .iter()
            .find(|d| d.severity() == Severity::Error);
        let first = first.map_or_else(String::new, |d| format!(": {d} [{}]", d.code.id()));
        return Err(format!("the spec has mistakes with it{first}"));
    };
    if config.zone(zone).and_then(Mode::of) != Some(mode) {
        return Err("an overlay sets another posture".to_owned());
    }
    Ok(of_spec(&config, registry).remove(zone).unwrap_or_default())
}

fn edited(project: &Project, zone: &ZoneName, mode: Mode) -> Result<Project, Failure> {
    let edit: Edit = match mode {
        Mode::Standby(posture) => project.edit(format!("zones/{zone}.toml"), |text| {
            zonewright_zones::set_posture(text, posture)
        })?,
        Mode::Active => project.edit(ROOT_FILE.to_owned(), |text| {
            zonewright_zones::set_active(text, zone)
        })?,
    };
    Ok(project.clone().with(edit))
}
