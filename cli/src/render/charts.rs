//! What `zonewright charts` shows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use zonewright_engine::address::ZoneName;
use zonewright_engine::plan::AttrChange;
use zonewright_zones::{ChartSpec, Pin};

use super::plan::attr_lines;
use super::style::{Paint, Tone};
use super::text::{count, escape};
use crate::charts::rendering::{Made, images_json};

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is as it shall be.
    Same,
    /// It is written.
    Written,
    /// It goes.
    Removed,
}

/// A file below the project.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path.
    pub(crate) path: String,
    /// What becomes of it.
    pub(crate) change: Change,
}

impl File {
    pub(crate) fn new(path: &str, change: Change) -> File {
        File {
            path: path.to_owned(),
            change,
        }
    }

    fn word(&self, check: bool) -> &'static str {
        match (self.change, check) {
            (Change::Same, _) => "unchanged",
            (Change::Written, false) => "written",
            (Change::Removed, false) => "removed",
            (Change::Written, true) => "would change",
            (Change::Removed, true) => "would go",
        }
    }
}

/// Images with how firmly each is named, and by whom.
pub(crate) type Images = BTreeMap<String, (Pin, Vec<String>)>;

/// A chart that was rendered.
#[derive(Debug)]
pub(crate) struct Row {
    name: String,
    source: String,
    version: String,
    helm: String,
    renderings: Vec<(String, ZoneName, String, usize)>,
    images: Images,
    remarks: Vec<String>,
    /// Why what was locked does not fit.
    pub(crate) stale: Vec<String>,
}

impl Row {
    pub(crate) fn of(spec: &ChartSpec, version: &str, helm: &str) -> Row {
        let source = match &spec.repository {
            Some(repository) => format!("{} of {repository}", spec.chart),
            None => spec.chart.clone(),
        };
        Row {
            name: spec.address.name.as_str().to_owned(),
            source,
            version: version.to_owned(),
            helm: helm.to_owned(),
            renderings: Vec::new(),
            images: Images::new(),
            remarks: Vec::new(),
            stale: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, file: &str, zone: &ZoneName, modes: &str, made: &Made) {
        let row = (
            file.to_owned(),
            zone.clone(),
            modes.to_owned(),
            made.objects.len(),
        );
        self.renderings.push(row);
        for (image, (firm, users)) in made.images() {
            let known = &mut self.images.entry(image).or_insert((firm, Vec::new())).1;
            known.extend(users);
            known.sort();
            known.dedup();
        }
        for remark in made.remarks() {
            if !self.remarks.contains(&remark) {
                self.remarks.push(remark);
            }
        }
    }
}

/// What `lock` did or would do.
pub(crate) struct LockReport<'r> {
    pub(crate) rows: &'r [Row],
    pub(crate) files: &'r [File],
    pub(crate) missing: &'r [String],
    pub(crate) check: bool,
}

/// `lock` for people.
pub(crate) fn lock_text(report: &LockReport<'_>, paint: Paint) -> String {
    let mut out = String::new();
    for row in report.rows {
        let head = format!(
            "{} {} from {} by helm {}",
            row.name, row.version, row.source, row.helm
        );
        let _ = writeln!(out, "{}", paint.tone(Tone::Strong, escape(&head)));
        for (file, zone, modes, objects) in &row.renderings {
            let what = count(*objects, "object");
            let _ = writeln!(out, "  {}  {what} of {zone} ({modes})", escape(file));
        }
        for line in row.remarks.iter() {
            let _ = writeln!(out, "  note: {}", escape(line));
        }
        out.push_str(&images_text(&row.images, paint));
        for line in row.stale.iter().filter(|_| report.check) {
            let _ = writeln!(out, "  {}", paint.tone(Tone::Change, escape(line)));
        }
    }
    for line in report.missing {
        let _ = writeln!(
            out,
            "{}",
            paint.tone(Tone::Bad, escape(&format!("not vendored: {line}")))
        );
    }
    for file in report
        .files
        .iter()
        .filter(|f| report.check || f.change != Change::Same)
    {
        let tone = match file.change {
            Change::Same => Tone::Faint,
            Change::Written => Tone::Change,
            Change::Removed => Tone::Bad,
        };
        let word = format!("{:<13}", file.word(report.check));
        let _ = writeln!(out, "{}{}", paint.tone(tone, word), escape(&file.path));
    }
    if report.files.iter().all(|f| f.change == Change::Same) && report.missing.is_empty() {
        out.push_str("Everything is as it was locked.\n");
    }
    out
}

/// Images, the loosest first.
pub(crate) fn images_text(images: &Images, paint: Paint) -> String {
    let mut out = String::new();
    let mut all: Vec<_> = images
        .iter()
        .map(|(image, (firm, users))| (firm, image, users))
        .collect();
    all.sort();
    for (firm, image, users) in all {
        let (tone, word) = match firm {
            Pin::Floating => (Tone::Bad, "no fixed version"),
            Pin::Tag => (Tone::Change, "by tag"),
            Pin::Digest => (Tone::Good, "by digest"),
        };
        let word = paint.tone(tone, word);
        let _ = writeln!(
            out,
            "  image {} ({word}, {})",
            escape(image),
            escape(&users.join(", "))
        );
    }
    out
}

/// `lock` for programs.
pub(crate) fn lock_json(report: &LockReport<'_>) -> Json {
    let charts = report.rows.iter().map(|row| {
        let renderings = row.renderings.iter().map(|(file, zone, modes, objects)| {
            let modes: Vec<&str> = modes.split(", ").collect();
            json!({ "file": file, "zone": zone, "modes": modes, "objects": objects })
        });
        json!({
            "name": row.name,
            "version": row.version,
            "source": row.source,
            "helm": row.helm,
            "renderings": renderings.collect::<Json>(),
            "images": images_json(&row.images),
            "notes": row.remarks,
            "stale": row.stale,
        })
    });
    let files = report.files.iter().map(|file| {
        let change = match file.change {
            Change::Same => "unchanged",
            Change::Written => "written",
            Change::Removed => "removed",
        };
        json!({ "path": file.path, "change": change })
    });
    json!({
        "format_version": 1,
        "check": report.check,
        "missing": report.missing,
        "charts": charts.collect::<Json>(),
        "files": files.collect::<Json>(),
    })
}

/// How an object differs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ObjectChange {
    Added,
    Removed,
    Changed(Vec<AttrChange>),
}

/// Differences of objects for people.
pub(crate) fn diff_text(changes: &BTreeMap<String, ObjectChange>, paint: Paint) -> String {
    let mut out = String::new();
    for (key, change) in changes {
        let (tone, sign) = match change {
            ObjectChange::Added => (Tone::Good, '+'),
            ObjectChange::Removed => (Tone::Bad, '-'),
            ObjectChange::Changed(_) => (Tone::Change, '~'),
        };
        let _ = writeln!(
            out,
            "{}",
            paint.tone(tone, escape(&format!("{sign} {key}")))
        );
        if let ObjectChange::Changed(attrs) = change {
            for line in attrs.iter().flat_map(|a| attr_lines(a, paint)) {
                let _ = writeln!(out, "    {line}");
            }
        }
    }
    out
}

/// One line that says how much it is.
pub(crate) fn diff_summary(changes: &BTreeMap<String, ObjectChange>) -> String {
    if changes.is_empty() {
        return "No object differs.\n".to_owned();
    }
    let of = |wanted: fn(&ObjectChange) -> bool| changes.values().filter(|c| wanted(c)).count();
    format!(
        "{} differ: {} added, {} removed, {} changed.\n",
        count(changes.len(), "object"),
        of(|c| *c == ObjectChange::Added),
        of(|c| *c == ObjectChange::Removed),
        of(|c| matches!(c, ObjectChange::Changed(_))),
    )
}

/// Differences of objects for programs.
pub(crate) fn diff_json(changes: &BTreeMap<String, ObjectChange>) -> Json {
    let all = changes.iter().map(|(key, change)| match change {
        ObjectChange::Added => json!({ "object": key, "change": "added" }),
        ObjectChange::Removed => json!({ "object": key, "change": "removed" }),
        ObjectChange::Changed(attrs) => {
            json!({ "object": key, "change": "changed", "attrs": attrs })
        }
    });
    json!({ "format_version": 1, "equal": changes.is_empty(), "objects": all.collect::<Json>() })
}
