//! The bytes of a chart: those that are vendored where they are right, else from where the spec says.

use zonewright_engine::canon::Digest;
use zonewright_zones::{
    ChartSpec, DirError, DiskFiles, Files, Lock, LockedChart, Source, contents, directory, same,
};

use super::archive::{Archive, ArchiveError};
use super::fetch::Fetcher;
use crate::report::Failure;
use crate::report::code::Code;

/// Whether sources may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// What is not vendored is missing.
    Never,
    /// For what is not vendored.
    Missing,
    /// For everything.
    Always,
}

/// A chart at hand.
#[derive(Debug)]
pub(crate) struct Chart {
    /// What is in it.
    pub(crate) archive: Archive,
    /// The archive to vendor.
    pub(crate) bytes: Vec<u8>,
    /// Of a directory: the digest of its files.
    pub(crate) contents: Option<Digest>,
    /// Of a registry: the digest of the manifest.
    pub(crate) manifest: Option<Digest>,
}

/// The chart of a spec; `None` when it is not vendored and nobody may be asked.
pub(crate) async fn obtain(
    files: &DiskFiles,
    spec: &ChartSpec,
    lock: Option<&Lock>,
    ask: Ask,
) -> Result<Option<Chart>, Failure> {
    let source = Source::of(&spec.chart, spec.repository.as_deref());
    let known = lock.and_then(|l| vendored(files, spec, l));
    let chart = match source {
        Source::Directory(dir) => from_directory(files, dir, known)?,
        Source::Archive(path) => {
            let bytes = files.read(path).map_err(|e| {
                Failure::error(format!("the chart archive `{path}` cannot be read"))
                    .code(Code::ChartArchive)
                    .help("paths are relative to the directory of zonewright.toml")
                    .because(e)
            })?;
            read(bytes, path)?
        }
        _ => match (known, ask) {
            (Some((locked, bytes)), Ask::Never | Ask::Missing) => Chart {
                manifest: locked.manifest,
                ..read(bytes, &locked.archive)?
            },
            (None, Ask::Never) => return Ok(None),
            _ => {
                let version = spec.version.as_deref();
                let fetched = Fetcher::new()?.fetch(&source, version).await?;
                Chart {
                    manifest: fetched.manifest,
                    ..read(fetched.bytes.to_vec(), &spec.chart)?
                }
            }
        },
    };
    right_version(spec, &chart.archive)?;
    Ok(Some(chart))
}

/// The locked chart of the same source and version, when its archive is what was locked.
fn vendored<'l>(
    files: &DiskFiles,
    spec: &ChartSpec,
    lock: &'l Lock,
) -> Option<(&'l LockedChart, Vec<u8>)> {
    let found = lock.charts.iter().find(|c| {
        let versions = spec.version.as_ref().is_none_or(|v| same(v, &c.version));
        c.name == spec.address.name.as_str()
            && c.source == spec.chart
            && c.repository == spec.repository
            && versions
    })?;
    let bytes = files.read(&found.archive).ok()?;
    (Digest::of(&bytes) == found.digest).then_some((found, bytes))
}

/// Packs a directory, unless the same files are packed already: another release of the packer may give
/// other bytes for them.
fn from_directory(
    files: &DiskFiles,
    dir: &str,
    known: Option<(&LockedChart, Vec<u8>)>,
) -> Result<Chart, Failure> {
    let found = directory(files, dir).map_err(|e| unreadable(dir, e))?;
    let digest = contents(&found);
    let archive = Archive::of_files(found, dir).map_err(|e| no_chart(dir, e))?;
    let bytes = match known {
        Some((locked, bytes)) if locked.contents == Some(digest) => bytes,
        _ => archive.pack().map_err(|e| {
            Failure::error(format!("the chart `{dir}` cannot be packed"))
                .code(Code::ChartArchive)
                .because(e)
        })?,
    };
    Ok(Chart {
        archive,
        bytes,
        contents: Some(digest),
        manifest: None,
    })
}

/// A chart in a directory or an archive of the project, whatever is locked.
pub(crate) fn at(files: &DiskFiles, path: &str) -> Result<Chart, Failure> {
    match Source::of(path, None) {
        Source::Directory(dir) => from_directory(files, dir, None),
        _ => {
            let bytes = files.read(path).map_err(|e| {
                Failure::error(format!("`{path}` cannot be read"))
                    .code(Code::ChartArchive)
                    .help("paths are relative to the directory of zonewright.toml; directories begin with `./`")
                    .because(e)
            })?;
            read(bytes, path)
        }
    }
}

fn read(bytes: Vec<u8>, origin: &str) -> Result<Chart, Failure> {
    let archive = Archive::read(&bytes).map_err(|e| no_chart(origin, e))?;
    Ok(Chart {
        archive,
        bytes,
        contents: None,
        manifest: None,
    })
}

fn no_chart(origin: &str, error: ArchiveError) -> Failure {
    Failure::error(format!("`{origin}` is no chart that is taken"))
        .code(Code::ChartArchive)
        .help("nothing of it was written; `zonewright explain ZW4031` says what a chart may hold")
        .because(error)
}

fn unreadable(dir: &str, error: DirError) -> Failure {
    Failure::error(format!("the directory `{dir}` of a chart cannot be read"))
        .code(Code::ChartArchive)
        .help("paths are relative to the directory of zonewright.toml and stay below it")
        .because(error)
}

fn right_version(spec: &ChartSpec, archive: &Archive) -> Result<(), Failure> {
    let Some(wanted) = spec.version.as_ref() else {
        return Ok(());
    };
    if same(wanted, &archive.version) {
        return Ok(());
    }
    let message = format!(
        "`{}` has version {} in its Chart.yaml, the spec says {wanted}",
        spec.chart, archive.version
    );
    Err(Failure::error(message)
        .code(Code::ChartArchive)
        .help("write the version that is meant, in full"))
}
