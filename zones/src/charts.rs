//! Charts: the port that gives their renderings, the lock that says which ones are right, and what
//! `charts lock` needs to make them.

use serde::{Deserialize, Serialize};
use zonewright_engine::address::{Address, ZoneName};

use crate::source::Files;

mod directory;
mod image;
pub(crate) mod lock;
mod rendered;
mod source;

pub use directory::{DirError, contents, directory};
pub use image::{Pin, images, pin};
pub use lock::{LOCK_FILE, Lock, LockedChart, LockedRendering, Subchart, Unfit, same};
pub use rendered::{Document, objects, rendered, without};
pub use source::Source;

/// The rendered objects of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendering {
    /// YAML documents.
    pub text: String,
    /// The file, or another name for where the text comes from.
    pub origin: String,
    /// Whether it only stands in for the chart (sandbox).
    pub stand_in: bool,
}

/// Gives charts that are not in the lock their renderings.
pub trait Charts {
    /// The rendering of the chart that a zone declares as `name`; `chart` is the reference in the
    /// spec.
    fn rendering(
        &self,
        zone: &ZoneName,
        chart: &str,
        name: &str,
        namespace: &str,
    ) -> Option<Rendering>;
}

/// Where a chart's rendering is vendored.
pub fn rendering_path(zone: &ZoneName, name: &str) -> String {
    format!("charts/{zone}/{name}.yaml")
}

/// Renderings that are vendored in the project; nothing else.
#[derive(Clone, Copy)]
pub struct VendoredCharts<'a>(pub &'a dyn Files);

impl Charts for VendoredCharts<'_> {
    fn rendering(&self, zone: &ZoneName, _: &str, name: &str, _: &str) -> Option<Rendering> {
        let origin = rendering_path(zone, name);
        let text = String::from_utf8(self.0.read(&origin).ok()?).ok()?;
        Some(Rendering {
            text,
            origin,
            stand_in: false,
        })
    }
}

/// What becomes of the hooks of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hooks {
    /// A chart that has any, other than tests, is refused.
    #[default]
    Refuse,
    /// They are left out.
    Drop,
}

impl Hooks {
    /// The words of the spec.
    pub const NAMES: &'static [&'static str] = &["refuse", "drop"];

    /// The word of the spec.
    pub fn name(self) -> &'static str {
        match self {
            Hooks::Refuse => "refuse",
            Hooks::Drop => "drop",
        }
    }

    fn is_default(&self) -> bool {
        *self == Hooks::default()
    }
}

/// Where the rendering of a chart comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendered {
    /// The lock has it, and the files are what the lock says.
    Locked,
    /// It is vendored, and nothing proves that it fits.
    Unlocked,
    /// It only stands in for the chart.
    StandIn,
    /// There is none that can be used.
    Not,
}

/// A declared chart, as `zonewright charts lock` needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartSpec {
    /// The declaration.
    pub address: Address,
    /// The chart's reference: an OCI address, a repository's chart, an archive, a directory.
    pub chart: String,
    /// The repository that it is looked up in.
    pub repository: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The release's namespace.
    pub namespace: Option<String>,
    /// The version of Kubernetes that it is rendered for.
    pub kube_version: Option<String>,
    /// API versions beyond those that helm knows.
    pub api_versions: Vec<String>,
    /// What becomes of its hooks.
    pub hooks: Hooks,
    /// The values, settings filled in.
    pub values: serde_json::Value,
    /// Where its rendering comes from.
    pub rendered: Rendered,
}
