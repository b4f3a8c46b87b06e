//! `zonewright charts lock`: archives, renderings and their digests. Everything is made in memory first; what
//! fails writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use zonewright_engine::canon::Digest;
use zonewright_zones::{
    ChartSpec, DiskFiles, Files, LOCK_FILE, Lock, LockedChart, LockedRendering,
};

use crate::Context;
use crate::args::{ChartsLockArgs, Format};
use crate::charts::helm::{Helm, Inputs};
use crate::charts::rendering::Made;
use crate::charts::vendored::{Ask, Chart, obtain};
use crate::charts::wanted::{Charts, Wanted};
use crate::exit::Exit;
use crate::project::replace_with;
use crate::render::charts::{self as show, Change, File, Row};
use crate::report::Failure;
use crate::report::code::Code;
use crate::world;

/// What is to be on disk, and what is said about it.
#[derive(Debug, Default)]
struct Target {
    files: BTreeMap<String, Vec<u8>>,
    charts: Vec<LockedChart>,
    rows: Vec<Row>,
    /// What cannot be made because nobody may be asked.
    missing: Vec<String>,
}

/// Runs the command.
pub(crate) async fn run(ctx: &Context, args: &ChartsLockArgs) -> Result<Exit, Failure> {
    let mut charts = Charts::read(ctx, &world::registry()?)?;
    charts.only(&args.names)?;
    let files = DiskFiles::new(charts.project.root());
    let old = charts.today.lock.clone();
    let ask = match (args.check, args.update) {
        (true, _) => Ask::Never,
        (_, true) => Ask::Always,
        _ => Ask::Missing,
    };
    let helm = match charts.wanted.is_empty() {
        true => None,
        false => Some(Helm::find().await?),
    };
    let mut target = Target::default();
    for group in groups(&charts.wanted) {
        if let Some(helm) = &helm {
            target.add(helm, &files, &group, old.as_ref(), ask).await?;
        }
    }
    let kept = kept(old.as_ref(), &args.names);
    target.charts.extend(kept.iter().cloned());
    let gone = gone(old.as_ref(), &target);
    let lock = Lock::new(target.charts.clone());
    let text = match lock.charts.is_empty() {
        true => None,
        false => Some(lock.to_toml()),
    };
    let mut changes = compare(&files, &target, &gone);
    changes.push(lock_change(&files, text.as_deref()));
    if !args.check {
        write(
            charts.project.root(),
            &target,
            &gone,
            text.as_deref(),
            &changes,
        )?;
    }
    let stale = !target.missing.is_empty() || changes.iter().any(|c| c.change != Change::Same);
    let report = show::LockReport {
        rows: &target.rows,
        files: &changes,
        missing: &target.missing,
        check: args.check,
    };
    match args.format {
        Format::Json => ctx.term.pretty(&show::lock_json(&report)),
        Format::Text => ctx
            .term
            .data(&show::lock_text(&report, ctx.term.out_paint())),
    }
    Ok(if stale && args.check {
        Exit::CHANGES
    } else {
        Exit::DONE
    })
}

/// What is wanted of one chart in one version.
struct Group<'w> {
    archive: String,
    all: Vec<&'w Wanted>,
}

/// Name, source, repository and version.
type Origin<'w> = (&'w str, &'w str, Option<&'w str>, Option<&'w str>);

/// One archive serves all zones that want the same version. Where they do not, the version is in the name.
fn groups(wanted: &[Wanted]) -> Vec<Group<'_>> {
    let mut of: BTreeMap<Origin<'_>, Vec<&Wanted>> = BTreeMap::new();
    for one in wanted {
        let spec = &one.spec;
        let key = (
            spec.address.name.as_str(),
            spec.chart.as_str(),
            spec.repository.as_deref(),
            spec.version.as_deref(),
        );
        of.entry(key).or_default().push(one);
    }
    let count = |name: &str| of.keys().filter(|k| k.0 == name).count();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut out = Vec::new();
    for (key, all) in &of {
        let name = key.0;
        let mut archive = format!("charts/{name}.tgz");
        if count(name) > 1 {
            archive = format!("charts/{name}-{}.tgz", key.3.unwrap_or("own"));
            let mut n = 2;
            while seen.contains(&archive) {
                archive = format!("charts/{name}-{}-{n}.tgz", key.3.unwrap_or("own"));
                n += 1;
            }
        }
        seen.insert(archive.clone());
        out.push(Group {
            archive,
            all: all.clone(),
        });
    }
    out
}

impl Target {
    async fn add(
        &mut self,
        helm: &Helm,
        files: &DiskFiles,
        group: &Group<'_>,
        old: Option<&Lock>,
        ask: Ask,
    ) -> Result<(), Failure> {
        let Some(first) = group.all.first() else {
            return Ok(());
        };
        let spec = &first.spec;
        let Some(chart) = obtain(files, spec, old, ask).await? else {
            let why =
                unfit(old, spec).unwrap_or_else(|| "its archive is not what was locked".to_owned());
            self.missing.push(format!("{}: {why}", spec.address.name));
            return Ok(());
        };
        let mut renderings = Vec::new();
        let mut row = Row::of(spec, &chart.archive.version, &helm.version);
        for wanted in &group.all {
            let spec = &wanted.spec;
            let made = Made::by(
                helm,
                &chart.archive,
                &chart.bytes,
                &Inputs::from(spec),
                spec.hooks,
            )
            .await?;
            let file = path(wanted, &group.all);
            if let Some(why) = unfit(old, spec) {
                row.stale
                    .push(format!("{} {}: {why}", spec.address.zone, modes(wanted)));
            }
            row.add(&file, &spec.address.zone, &modes(wanted), &made);
            renderings.push(locked(spec, &file, &made));
            self.files.insert(file, made.text.into_bytes());
        }
        self.charts
            .push(entry(spec, group, &chart, helm, renderings));
        self.files.insert(group.archive.clone(), chart.bytes);
        self.rows.push(row);
        Ok(())
    }
}

fn unfit(old: Option<&Lock>, spec: &ChartSpec) -> Option<String> {
    match old {
        None => Some("it is not locked".to_owned()),
        Some(lock) => lock.find(spec).err().map(|unfit| unfit.what()),
    }
}

fn modes(wanted: &Wanted) -> String {
    let names: Vec<&str> = wanted.modes.iter().map(|m| m.name()).collect();
    names.join(", ")
}

/// Zone and name; where roles or postures of the zone render differently, also the first of those.
fn path(wanted: &Wanted, all: &[&Wanted]) -> String {
    let address = &wanted.spec.address;
    let others = all.iter().filter(|w| w.spec.address == *address).count();
    match wanted.modes.first() {
        Some(mode) if others > 1 => {
            format!(
                "charts/{}/{}.{}.yaml",
                address.zone,
                address.name,
                mode.name()
            )
        }
        _ => zonewright_zones::rendering_path(&address.zone, address.name.as_str()),
    }
}

fn locked(spec: &ChartSpec, file: &str, made: &Made) -> LockedRendering {
    LockedRendering {
        zone: spec.address.zone.clone(),
        file: file.to_owned(),
        namespace: spec.release_namespace().to_owned(),
        kube_version: spec.kube_version.clone(),
        api_versions: spec.api_versions.clone(),
        hooks: spec.hooks,
        values: spec.values_digest(),
        digest: Digest::of(made.text.as_bytes()),
        objects: made.objects.len(),
    }
}

fn entry(
    spec: &ChartSpec,
    group: &Group<'_>,
    chart: &Chart,
    helm: &Helm,
    renderings: Vec<LockedRendering>,
) -> LockedChart {
    LockedChart {
        name: spec.address.name.as_str().to_owned(),
        source: spec.chart.clone(),
        repository: spec.repository.clone(),
        chart: chart.archive.name.clone(),
        version: chart.archive.version.clone(),
        archive: group.archive.clone(),
        digest: Digest::of(&chart.bytes),
        contents: chart.contents,
        manifest: chart.manifest,
        helm: helm.version.clone(),
        subcharts: chart.archive.subcharts.clone(),
        renderings,
    }
}

/// What was locked and is not asked about.
fn kept(old: Option<&Lock>, names: &[String]) -> Vec<LockedChart> {
    let all = old.into_iter().flat_map(|l| &l.charts);
    let kept = all.filter(|c| !names.is_empty() && !names.contains(&c.name));
    kept.cloned().collect()
}

/// Files of the old lock that the new one does not have.
fn gone(old: Option<&Lock>, target: &Target) -> Vec<String> {
    fn files(chart: &LockedChart) -> impl Iterator<Item = &String> {
        let renderings = chart.renderings.iter().map(|r| &r.file);
        std::iter::once(&chart.archive).chain(renderings)
    }
    let kept: BTreeSet<&String> = target.charts.iter().flat_map(files).collect();
    let old = old.into_iter().flat_map(|l| &l.charts).flat_map(files);
    let gone: BTreeSet<&String> = old.filter(|f| !kept.contains(f)).collect();
    // The lock names them, but only what lies where vendored files lie is ours to remove.
    let ours = |f: &&&String| f.starts_with("charts/") && !f.contains("..");
    gone.iter().filter(ours).map(|f| (*f).clone()).collect()
}

fn compare(files: &DiskFiles, target: &Target, gone: &[String]) -> Vec<File> {
    let wanted = target.files.iter().map(|(path, bytes)| {
        let same = files.read(path).is_ok_and(|there| there == *bytes);
        let change = if same { Change::Same } else { Change::Written };
        File::new(path, change)
    });
    let gone = gone.iter().filter(|path| files.read(path).is_ok());
    let gone = gone.map(|path| File::new(path, Change::Removed));
    wanted.chain(gone).collect()
}

fn lock_change(files: &DiskFiles, text: Option<&str>) -> File {
    let there = files.read(LOCK_FILE).ok();
    let change = match (there, text) {
        (None, None) => Change::Same,
        (Some(_), None) => Change::Removed,
        (Some(there), Some(text)) if there == text.as_bytes() => Change::Same,
        (_, Some(_)) => Change::Written,
    };
    File::new(LOCK_FILE, change)
}

/// The lock comes last: a run that was interrupted leaves files that do not fit it, which plans refuse.
fn write(
    root: &Path,
    target: &Target,
    gone: &[String],
    lock: Option<&str>,
    changes: &[File],
) -> Result<(), Failure> {
    let changed = |path: &str| {
        changes
            .iter()
            .any(|c| c.path == path && c.change == Change::Written)
    };
    for (path, bytes) in target.files.iter().filter(|(path, _)| changed(path)) {
        put(root, path, bytes)?;
    }
    match lock {
        Some(text) if changed(LOCK_FILE) => put(root, LOCK_FILE, text.as_bytes())?,
        Some(_) => {}
        None => remove(&root.join(LOCK_FILE))?,
    }
    for path in gone {
        remove(&root.join(path))?;
    }
    Ok(())
}

fn put(root: &Path, path: &str, bytes: &[u8]) -> Result<(), Failure> {
    let path = root.join(path);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|e| Failure::file("make", dir, e))?;
    }
    replace_with(&path, bytes, 0o644).map_err(|e| Failure::file("write", &path, e))
}

fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::file("remove", path, e).code(Code::General))
        }
        _ => Ok(()),
    }
}
