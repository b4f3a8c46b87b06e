//! Which renderings a project needs: of every chart in every zone, in each role and posture that the zone may
//! have. A switch to another zone then finds its own, without helm.

use std::collections::{BTreeMap, BTreeSet};

use zonewright_engine::address::ZoneName;
use zonewright_engine::config::Posture;
use zonewright_engine::schema::Registry;
use zonewright_zones::{ChartSpec, Code as SpecCode, Loaded, Severity};

use crate::Context;
use crate::project::{Project, ROOT_FILE, say_diagnostics};
use crate::report::Failure;
use crate::report::code::Code;

/// A mode of a zone, as files are named by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    Active,
    Warm,
    Cold,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Active => "active",
            Mode::Warm => "warm",
            Mode::Cold => "cold",
        }
    }
}

/// A rendering that is needed.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// What it is made from.
    pub(crate) spec: ChartSpec,
    /// In which modes of the zone.
    pub(crate) modes: BTreeSet<Mode>,
}

/// The project's charts.
#[derive(Debug)]
pub(crate) struct Charts {
    /// The project.
    pub(crate) project: Project,
    /// The spec as it is.
    pub(crate) today: Loaded,
    /// What is needed, sorted by name and zone.
    pub(crate) wanted: Vec<Wanted>,
}

/// What is said about charts is what this command is there to mend.
const OURS: &[SpecCode] = &[
    SpecCode::NoRendering,
    SpecCode::NotLocked,
    SpecCode::ChartStale,
    SpecCode::VendoredEdited,
];

impl Charts {
    /// Reads a project, in all modes of its zones.
    ///
    /// # Errors
    /// The spec has mistakes that are not about vendored charts.
    pub(crate) fn read(ctx: &Context, registry: &Registry) -> Result<Charts, Failure> {
        let project = Project::find(ctx)?;
        let mut today = project.read(registry, false);
        let about_charts = |code: SpecCode| OURS.contains(&code);
        today.diagnostics.retain(|d| !about_charts(d.code));
        let mistakes = |d: &&zonewright_zones::Diagnostic| d.severity() == Severity::Error;
        if today.diagnostics.iter().any(|d| mistakes(&d)) {
            say_diagnostics(ctx, &today);
            let all = today.diagnostics.iter();
            return Err(Failure::spec(
                all.map(|d| serde_json::json!(d.to_json())).collect(),
            ));
        }
        let zones = today.facts.zones.clone();
        let mut found: BTreeMap<String, Wanted> = BTreeMap::new();
        for zone in &zones {
            for (mode, loaded) in modes(&project, registry, zone, &zones)? {
                for spec in loaded.charts {
                    let shared = spec.address.zone.is_edge() && mode == Mode::Active;
                    if spec.address.zone != *zone && !shared {
                        continue;
                    }
                    let wanted = found.entry(identity(&spec)).or_insert_with(|| Wanted {
                        spec,
                        modes: BTreeSet::new(),
                    });
                    wanted.modes.insert(mode);
                }
            }
        }
        Ok(Charts {
            project,
            today,
            wanted: found.into_values().collect(),
        })
    }

    /// Only the charts of these names; of all when none is given.
    pub(crate) fn only(&mut self, names: &[String]) -> Result<(), Failure> {
        for name in names {
            self.known(name)?;
        }
        let named = |w: &Wanted| names.iter().any(|n| w.spec.address.name.as_str() == n);
        self.wanted.retain(|w| names.is_empty() || named(w));
        Ok(())
    }

    fn known(&self, name: &str) -> Result<(), Failure> {
        let all: BTreeSet<&str> = self
            .wanted
            .iter()
            .map(|w| w.spec.address.name.as_str())
            .collect();
        if all.contains(name) {
            return Ok(());
        }
        let all: Vec<&str> = all.into_iter().collect();
        let help = match all.is_empty() {
            true => {
                "the project has no charts: declare one as `[kubernetes.chart.NAME]`".to_owned()
            }
            false => format!("the charts are {}", all.join(", ")),
        };
        Err(Failure::error(format!("there is no chart `{name}`"))
            .code(Code::NoChart)
            .help(help))
    }

    /// A chart as the spec has it today: in a zone, or in the first one that has it.
    pub(crate) fn today(&self, name: &str, zone: Option<&ZoneName>) -> Result<&ChartSpec, Failure> {
        self.known(name)?;
        let mut of_name = self
            .today
            .charts
            .iter()
            .filter(|c| c.address.name.as_str() == name);
        let found = of_name.find(|c| zone.is_none_or(|z| c.address.zone == *z));
        found.ok_or_else(|| {
            let place = zone.map_or_else(|| "any zone".to_owned(), ToString::to_string);
            Failure::error(format!("{place} has no chart `{name}` as things are"))
                .code(Code::NoChart)
                .help("name a zone that has it with `--zone`")
        })
    }
}

/// What makes two specs need one rendering.
fn identity(spec: &ChartSpec) -> String {
    format!(
        "{}\n{}\n{}\n{:?}\n{:?}\n{}\n{:?}\n{:?}\n{}\n{}",
        spec.address.name,
        spec.address.zone,
        spec.chart,
        spec.repository,
        spec.version,
        spec.release_namespace(),
        spec.kube_version,
        spec.api_versions,
        spec.hooks.name(),
        spec.values_digest(),
    )
}

/// The spec in every mode of a zone.
fn modes(
    project: &Project,
    registry: &Registry,
    zone: &ZoneName,
    zones: &[ZoneName],
) -> Result<Vec<(Mode, Loaded)>, Failure> {
    let serving = |zone: &ZoneName| {
        let edit = project.edit(ROOT_FILE.to_owned(), |text| {
            zonewright_zones::set_active(text, zone)
        })?;
        Ok::<_, Failure>(project.clone().with(edit))
    };
    let mut out = vec![(Mode::Active, serving(zone)?.read(registry, false))];
    let Some(other) = zones.iter().find(|z| *z != zone) else {
        return Ok(out);
    };
    for (mode, posture) in [(Mode::Warm, Posture::Warm), (Mode::Cold, Posture::Cold)] {
        let edit = project.edit(format!("zones/{zone}.toml"), |text| {
            zonewright_zones::set_posture(text, posture)
        })?;
        out.push((mode, serving(other)?.with(edit).read(registry, false)));
    }
    Ok(out)
}
