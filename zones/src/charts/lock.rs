//! `charts.lock`: what was vendored, from where, and which rendering belongs to which inputs.
//!
//! The text is the same for the same lock: entries are sorted, and nothing in it depends on the host or
//! the hour.

use serde::{Deserialize, Serialize};
use toml::Spanned;
use zonewright_engine::address::ZoneName;
use zonewright_engine::canon::{self, Digest};

use super::{ChartSpec, Hooks};
use crate::diag::{Code, Draft};
use crate::tree::Loc;

/// The lock file, relative to the project.
pub const LOCK_FILE: &str = "charts.lock";

/// The version of its form.
const FORMAT: u32 = 1;

const HEADER: &str = "# Written by `zonewright charts lock`; commit it together with charts/. An edit by hand is refused.\n\n";

/// What is locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The version of the form.
    version: u32,
    /// The charts, sorted.
    #[serde(rename = "chart", default, skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<LockedChart>,
}

/// A vendored chart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedChart {
    /// The name of the declaration.
    pub name: String,
    /// Where it is from, as the spec says.
    pub source: String,
    /// The repository that the source is a chart of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The name in its `Chart.yaml`.
    pub chart: String,
    /// The version in its `Chart.yaml`.
    pub version: String,
    /// The vendored archive, relative to the project.
    pub archive: String,
    /// Its SHA-256.
    pub digest: Digest,
    /// Of a directory: the digest of the names and contents of its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<Digest>,
    /// Of an OCI registry: the digest of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// The helm that made the renderings.
    pub helm: String,
    /// The charts inside it, by path.
    #[serde(rename = "subchart", default, skip_serializing_if = "Vec::is_empty")]
    pub subcharts: Vec<Subchart>,
    /// Its renderings.
    #[serde(rename = "rendering", default, skip_serializing_if = "Vec::is_empty")]
    pub renderings: Vec<LockedRendering>,
}

/// A chart inside a chart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subchart {
    /// Its directory or archive below the chart.
    pub path: String,
    /// The name in its `Chart.yaml`.
    pub name: String,
    /// The version in its `Chart.yaml`.
    pub version: String,
    /// The digest of the names and contents of its files.
    pub digest: Digest,
}

/// A rendering and what it was made from, besides the chart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedRendering {
    /// The zone.
    pub zone: ZoneName,
    /// The vendored rendering, relative to the project.
    pub file: String,
    /// The release's namespace.
    pub namespace: String,
    /// The version of Kubernetes, when the spec says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_version: Option<String>,
    /// API versions beyond those that helm knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_versions: Vec<String>,
    /// What was done with hooks.
    #[serde(default, skip_serializing_if = "Hooks::is_default")]
    pub hooks: Hooks,
    /// The digest of the values.
    pub values: Digest,
    /// The SHA-256 of the rendering.
    pub digest: Digest,
    /// How many objects it has.
    pub objects: usize,
}

/// Why nothing that is locked fits a chart of the spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// The lock has no chart of the name.
    Absent,
    /// The chart was locked from somewhere else.
    Source(String),
    /// Another version was locked.
    Version(String),
    /// There is no rendering for the zone.
    Zone,
    /// It was rendered with another value of an attribute of the chart.
    Input {
        /// The attribute.
        attr: &'static str,
        /// What it was, unless it is long.
        was: Option<String>,
    },
}

impl Unfit {
    /// The attribute of the chart that it is about.
    pub fn attr(&self) -> &'static str {
        match self {
            Unfit::Absent | Unfit::Source(_) | Unfit::Zone => "chart",
            Unfit::Version(_) => "version",
            Unfit::Input { attr, .. } => attr,
        }
    }

    /// What is different, for people.
    pub fn what(&self) -> String {
        match self {
            Unfit::Absent => "it is not locked".to_owned(),
            Unfit::Source(was) => format!("locked from `{was}`"),
            Unfit::Version(was) => format!("locked at {was}"),
            Unfit::Zone => "locked without a rendering for this zone".to_owned(),
            Unfit::Input {
                attr,
                was: Some(was),
            } => format!("rendered with `{attr}` {was}"),
            Unfit::Input { attr, was: None } => format!("rendered with other `{attr}`"),
        }
    }
}

impl Lock {
    /// A lock of these charts.
    pub fn new(charts: Vec<LockedChart>) -> Lock {
        let mut lock = Lock {
            version: FORMAT,
            charts,
        };
        lock.sort();
        lock
    }

    fn sort(&mut self) {
        for chart in &mut self.charts {
            chart.subcharts.sort();
            chart.renderings.sort();
        }
        self.charts.sort();
    }

    /// The text of the file.
    pub fn to_toml(&self) -> String {
        let mut sorted = self.clone();
        sorted.sort();
        let text = toml::to_string(&sorted);
        format!("{HEADER}{}", text.unwrap_or_default())
    }

    /// The chart and the rendering that belong to a chart of the spec, by their places in the lock.
    ///
    /// # Errors
    /// Nothing fits; what comes nearest says why.
    pub fn find(&self, spec: &ChartSpec) -> Result<(usize, usize), Unfit> {
        let named = self.charts.iter().enumerate();
        let named: Vec<_> = named
            .filter(|(_, c)| c.name == spec.address.name.as_str())
            .collect();
        let (_, first) = named.first().ok_or(Unfit::Absent)?;
        let of_source: Vec<_> = named
            .iter()
            .filter(|(_, c)| c.source == spec.chart && c.repository == spec.repository)
            .collect();
        let (_, near) = of_source
            .first()
            .ok_or_else(|| Unfit::Source(first.source.clone()))?;
        let of_version: Vec<_> = of_source
            .iter()
            .filter(|(_, c)| spec.version.as_ref().is_none_or(|v| same(v, &c.version)))
            .collect();
        if of_version.is_empty() {
            return Err(Unfit::Version(near.version.clone()));
        }
        let mut nearest = (0, Unfit::Zone);
        for (at, chart) in of_version {
            for (i, rendering) in chart.renderings.iter().enumerate() {
                if rendering.zone != spec.address.zone {
                    continue;
                }
                match rendering.fits(spec) {
                    Ok(()) => return Ok((*at, i)),
                    Err((right, unfit)) if right >= nearest.0 => nearest = (right, unfit),
                    Err(_) => {}
                }
            }
        }
        Err(nearest.1)
    }
}

impl LockedRendering {
    /// Whether it was made from these inputs; else the first that differs, and how many are right before it.
    fn fits(&self, spec: &ChartSpec) -> Result<(), (usize, Unfit)> {
        let differs = |right, attr, was| Err((right, Unfit::Input { attr, was }));
        if self.namespace != spec.release_namespace() {
            return differs(1, "namespace", Some(format!("`{}`", self.namespace)));
        }
        if self.kube_version != spec.kube_version {
            let was = self.kube_version.as_deref().unwrap_or("unknown");
            return differs(2, "kube_version", Some(was.to_owned()));
        }
        if self.api_versions != spec.api_versions {
            return differs(3, "api_versions", Some(self.api_versions.join(", ")));
        }
        if self.hooks != spec.hooks {
            return differs(4, "hooks", Some(format!("{:?}", self.hooks.name())));
        }
        if self.values != spec.values_digest() {
            return differs(5, "values", None);
        }
        Ok(())
    }
}

impl ChartSpec {
    /// The namespace that it is rendered for.
    pub fn release_namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }

    /// The digest of its values.
    pub fn values_digest(&self) -> Digest {
        canon::digest(&self.values)
    }
}

/// Versions are the same with and without a leading `v`.
pub fn same(one: &str, other: &str) -> bool {
    one.trim_start_matches('v') == other.trim_start_matches('v')
}

/// The lock and where its entries stand.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) lock: Lock,
    charts: Vec<(Loc, Vec<Loc>)>,
    whole: Loc,
}

impl Placed {
    /// Where a chart's entry is.
    pub(crate) fn chart(&self, index: usize) -> Loc {
        self.charts.get(index).map_or(self.whole, |(at, _)| *at)
    }

    /// Where a rendering's entry is.
    pub(crate) fn rendering(&self, (chart, index): (usize, usize)) -> Loc {
        let found = self.charts.get(chart).and_then(|(_, r)| r.get(index));
        found.copied().unwrap_or(self.whole)
    }
}

/// The places, by the order of the entries.
#[derive(Deserialize)]
struct Places {
    #[serde(rename = "chart", default)]
    charts: Vec<ChartPlace>,
}

#[derive(Deserialize)]
struct ChartPlace {
    name: Spanned<String>,
    #[serde(rename = "rendering", default)]
    renderings: Vec<RenderingPlace>,
}

#[derive(Deserialize)]
struct RenderingPlace {
    file: Spanned<String>,
}

/// Reads the file.
pub(crate) fn parse(file: u32, text: &str) -> Result<Placed, Draft> {
    let broken = |error: &toml::de::Error| {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().lines().next().unwrap_or_default();
        Draft::new(
            Code::LockBroken,
            format!("{LOCK_FILE} cannot be read: {message}"),
        )
        .label(Loc::new(file, span.start, span.end), "here")
        .help(
            "take the file of the last commit, or delete it and run `zonewright charts lock`; \
                 after a merge, always lock again",
        )
    };
    let lock: Lock = toml::from_str(text).map_err(|e| broken(&e))?;
    let whole = Loc::new(file, 0, text.find('\n').unwrap_or(text.len()));
    if lock.version != FORMAT {
        let message = format!("{LOCK_FILE} has version {} of its form", lock.version);
        return Err(Draft::new(Code::LockBroken, message)
            .label(whole, format!("this zonewright reads version {FORMAT}"))
            .help(
                "use the zonewright that wrote it, or delete it and run `zonewright charts lock`",
            ));
    }
    let places: Places = toml::from_str(text).map_err(|e| broken(&e))?;
    let loc = |s: &Spanned<String>| Loc::new(file, s.span().start, s.span().end);
    let charts = places.charts.iter().map(|c| {
        let renderings = c.renderings.iter().map(|r| loc(&r.file)).collect();
        (loc(&c.name), renderings)
    });
    Ok(Placed {
        charts: charts.collect(),
        lock,
        whole,
    })
}
