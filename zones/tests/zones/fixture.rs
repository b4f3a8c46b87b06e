//! Projects as one text, and printing what comes of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use miette::{GraphicalReportHandler, GraphicalTheme};
use zonewright_engine::config::{Config, DatabaseDecision};
use zonewright_zones::{Diagnostic, Loaded, MemoryFiles, VendoredCharts, load};

use crate::registry::registry;

const ROOT: &str = r#"[project]
name = "wp"
zones = ["pz", "bz"]
active = "pz"

[secret]
token = { env = "TOKEN" }

[providers.digitalocean]
token = "${secret.token}"

[providers.cloudflare]
token = "${secret.token}"
"#;

/// Cuts a text at its `//- path` lines. A root file and two empty zones are there unless given.
pub(crate) fn files(text: &str) -> MemoryFiles {
    let mut out = BTreeMap::from([
        ("zonewright.toml".to_owned(), ROOT.to_owned()),
        ("zones/pz.toml".to_owned(), String::new()),
        ("zones/bz.toml".to_owned(), String::new()),
    ]);
    let mut path = None;
    for line in text.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix("//- ") {
            let name = name.trim();
            out.insert(name.to_owned(), String::new());
            path = Some(name.to_owned());
        } else if let Some(path) = &path {
            let line = line.replace("<NUL>", "\0");
            out.get_mut(path).unwrap().push_str(&line);
        }
    }
    MemoryFiles(out)
}

pub(crate) fn load_text(text: &str) -> Loaded {
    let files = files(text);
    load(&files, &VendoredCharts(&files), &registry())
}

/// The diagnostics as a terminal without colours shows them, then the configuration if any.
pub(crate) fn print(loaded: &Loaded) -> String {
    let mut out = String::new();
    for diagnostic in &loaded.diagnostics {
        out.push_str(&render(diagnostic));
        out.push('\n');
    }
    if loaded.hidden > 0 {
        writeln!(out, "and {} more", loaded.hidden).unwrap();
    }
    if let Some(config) = &loaded.config {
        out.push_str(&print_config(config));
    }
    let lines = out.lines().map(str::trim_end);
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned() + "\n"
}

pub(crate) fn render(diagnostic: &Diagnostic) -> String {
    let mut out = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::none())
        .with_width(90)
        .render_report(&mut out, diagnostic)
        .unwrap();
    out
}

pub(crate) fn print_config(config: &Config) -> String {
    let mut out = format!("project {}, active {}\n", config.project, config.active);
    for zone in config.zones.values() {
        let settings = serde_json::to_string(&zone.settings).unwrap();
        writeln!(out, "zone {} {} {settings}", zone.name, zone.role.name()).unwrap();
        let recovers = |d: &&DatabaseDecision| d.restore.is_some() || !d.post_restore.is_empty();
        if let Some(decision) = zone.database.as_ref().filter(recovers) {
            let decision = serde_json::to_string(decision).unwrap();
            writeln!(out, "  database {decision}").unwrap();
        }
    }
    for instance in config.instances.values() {
        write!(out, "{}", instance.id).unwrap();
        if let Some(container) = &instance.container {
            write!(out, " in {container}").unwrap();
        }
        writeln!(out, " {}", instance.config.to_json()).unwrap();
    }
    for (address, resource) in &config.resources {
        write!(out, "{address} by {}", resource.instance).unwrap();
        let meta = &resource.meta;
        for (set, word) in [
            (meta.protect, "protect"),
            (meta.observe, "observe"),
            (meta.stand_in, "stand-in"),
        ] {
            if set {
                write!(out, " {word}").unwrap();
            }
        }
        if let Some(timeout) = meta.timeout {
            write!(out, " timeout {}s", timeout.as_secs()).unwrap();
        }
        for (after, _) in &meta.after {
            write!(out, " after {after}").unwrap();
        }
        let at = resource.at.as_ref().map(ToString::to_string);
        writeln!(out, " at {}", at.unwrap_or_default()).unwrap();
        writeln!(out, "  {}", resource.body.to_json()).unwrap();
    }
    out
}
