//! Charts: the port that gives their renderings, and what `charts lock` needs to make them.

use zonewright_engine::address::{Address, ZoneName};

use crate::source::Files;

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

/// Gives charts their renderings.
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

/// A declared chart, as `zonewright charts lock` needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartSpec {
    /// The declaration.
    pub address: Address,
    /// The chart's reference: an OCI address, a repository's chart, a directory.
    pub chart: String,
    /// Its version.
    pub version: Option<String>,
    /// The release's namespace.
    pub namespace: Option<String>,
    /// The values, settings filled in.
    pub values: serde_json::Value,
    /// Whether a rendering was found.
    pub rendered: bool,
    /// Whether the rendering only stands in for the chart.
    pub stand_in: bool,
}
