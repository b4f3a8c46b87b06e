//! Chart archives, read in memory: nothing is ever unpacked to disk before it is known to be a chart.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use serde::Deserialize;
use tar::EntryType;
use zonewright_zones::{MAX_FILE, Subchart, contents};

/// What all files of a chart may come to. The largest charts that are known have 6 MiB.
const MAX_UNPACKED: u64 = 64 << 20;
/// How many entries an archive may have.
const MAX_ENTRIES: usize = 10_000;
/// Charts in charts in charts.
const MAX_DEPTH: u8 = 5;

/// The file that makes a directory a chart.
const CHART_FILE: &str = "Chart.yaml";

/// A chart as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Archive {
    /// The name in its `Chart.yaml`.
    pub(crate) name: String,
    /// The version in its `Chart.yaml`.
    pub(crate) version: String,
    /// Whether it is a library, which renders nothing.
    pub(crate) is_library: bool,
    /// Its files by path below the chart.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The charts inside it.
    pub(crate) subcharts: Vec<Subchart>,
}

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("it has {bytes} bytes, the limit is {MAX_FILE}")]
    TooLarge { bytes: u64 },
    #[error("unpacked it has more than {} MiB", MAX_UNPACKED >> 20)]
    Bomb,
    #[error("it has more than {MAX_ENTRIES} entries")]
    TooMany,
    #[error("it is no gzip-compressed tar archive")]
    NotAnArchive(#[source] io::Error),
    #[error("its entry `{path}` leaves the chart's directory")]
    Outside { path: String },
    #[error("its entry `{path}` is a {what}, and charts have plain files only")]
    Special { path: String, what: &'static str },
    #[error("it has `{path}` twice, or once in capitals")]
    Twice { path: String },
    #[error("its files are not all below one directory")]
    NoRoot,
    #[error("there is no {CHART_FILE} in `{dir}`")]
    NoChart { dir: String },
    #[error("`{path}` is not what a chart needs: {why}")]
    Metadata { path: String, why: String },
    #[error("the chart inside it, `{path}`, is not taken")]
    Inside {
        path: String,
        source: Box<ArchiveError>,
    },
    #[error("it has charts in charts more than {MAX_DEPTH} deep")]
    TooDeep,
}

/// What is read of `Chart.yaml`.
#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    version: String,
    #[serde(rename = "type", default)]
    kind: Option<String>,
}

impl Archive {
    /// Reads an archive.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub(crate) fn read(bytes: &[u8]) -> Result<Archive, ArchiveError> {
        Archive::at_depth(bytes, 0)
    }

    fn at_depth(bytes: &[u8], depth: u8) -> Result<Archive, ArchiveError> {
        if depth > MAX_DEPTH {
            return Err(ArchiveError::TooDeep);
        }
        let size = bytes.len() as u64;
        if size > MAX_FILE {
            return Err(ArchiveError::TooLarge { bytes: size });
        }
        let (root, files) = unpacked(bytes)?;
        Archive::of(files, &root, depth)
    }

    /// The chart of these files.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn of_files(
        files: BTreeMap<String, Vec<u8>>,
        dir: &str,
    ) -> Result<Archive, ArchiveError> {
        Archive::of(files, dir, 0)
    }

    fn of(files: BTreeMap<String, Vec<u8>>, dir: &str, depth: u8) -> Result<Archive, ArchiveError> {
        let text = files.get(CHART_FILE).ok_or_else(|| ArchiveError::NoChart {
            dir: dir.to_owned(),
        })?;
        let metadata = metadata(text, &format!("{dir}/{CHART_FILE}"))?;
        let subcharts = subcharts(&files, depth)?;
        Ok(Archive {
            name: metadata.name,
            version: metadata.version,
            is_library: metadata.kind.as_deref() == Some("library"),
            files,
            subcharts,
        })
    }

    /// Packs it: the same bytes for the same files.
    ///
    /// # Errors
    /// A path is too long for an archive.
    pub(crate) fn pack(&self) -> io::Result<Vec<u8>> {
        let gzip = GzBuilder::new().write(Vec::new(), Compression::best());
        let mut tar = tar::Builder::new(gzip);
        for (path, bytes) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            header.set_entry_type(EntryType::Regular);
            tar.append_data(&mut header, format!("{}/{path}", self.name), &bytes[..])?;
        }
        tar.into_inner()?.finish()
    }
}

/// The name of a chart becomes a part of paths and of labels.
fn metadata(text: &[u8], path: &str) -> Result<Metadata, ArchiveError> {
    let refused = |why: String| ArchiveError::Metadata {
        path: path.to_owned(),
        why,
    };
    let text = std::str::from_utf8(text).map_err(|_| refused("it is not UTF-8".to_owned()))?;
    let options = serde_saphyr::options! { with_snippet: false };
    let found: Metadata = serde_saphyr::from_str_with_options(text, options).map_err(|e| {
        let message = e.to_string();
        refused(message.lines().next().unwrap_or_default().to_owned())
    })?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    for (what, value) in [("name", &found.name), ("version", &found.version)] {
        let fits = !value.is_empty() && value.len() <= 250 && value.chars().all(plain);
        if !fits || value.starts_with('.') {
            return Err(refused(format!("`{what}` has no usable value")));
        }
    }
    Ok(found)
}

/// The archive's one directory and the files below it.
fn unpacked(bytes: &[u8]) -> Result<(String, BTreeMap<String, Vec<u8>>), ArchiveError> {
    let mut left = MAX_UNPACKED;
    let limited = Limited {
        inner: MultiGzDecoder::new(bytes),
        left: &mut left,
    };
    let mut archive = tar::Archive::new(limited);
    let mut files = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut root: Option<String> = None;
    let mut count = 0;
    for entry in archive.entries().map_err(refused)? {
        let mut entry = entry.map_err(refused)?;
        count += 1;
        if count > MAX_ENTRIES {
            return Err(ArchiveError::TooMany);
        }
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader) {
            continue;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some((top, below)) = placed(&path, kind)? else {
            continue;
        };
        if *root.get_or_insert_with(|| top.clone()) != top {
            return Err(ArchiveError::NoRoot);
        }
        if !seen.insert(below.to_lowercase()) {
            return Err(ArchiveError::Twice { path });
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(refused)?;
        files.insert(below, content);
    }
    let root = root.ok_or(ArchiveError::NoRoot)?;
    Ok((root, files))
}

/// The directory at the top and the path below it; directories themselves are left out.
fn placed(path: &str, kind: EntryType) -> Result<Option<(String, String)>, ArchiveError> {
    let special = |what| ArchiveError::Special {
        path: path.to_owned(),
        what,
    };
    match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::Directory => {}
        EntryType::Symlink => return Err(special("symbolic link")),
        EntryType::Link => return Err(special("hard link")),
        _ => return Err(special("special file")),
    }
    let outside = || ArchiveError::Outside {
        path: path.to_owned(),
    };
    if path.starts_with('/') || path.contains('\\') || path.chars().any(char::is_control) {
        return Err(outside());
    }
    let parts: Vec<&str> = path
        .split('/')
        .filter(|p| !p.is_empty() && *p != ".")
        .collect();
    if parts.contains(&"..") {
        return Err(outside());
    }
    if kind == EntryType::Directory {
        return Ok(None);
    }
    match parts.split_first() {
        Some((top, below)) if !below.is_empty() => Ok(Some(((*top).to_owned(), below.join("/")))),
        _ => Err(ArchiveError::NoRoot),
    }
}

fn refused(error: io::Error) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::FileTooLarge => ArchiveError::Bomb,
        _ => ArchiveError::NotAnArchive(error),
    }
}

/// Gives out no more than is left, whatever it was compressed from.
struct Limited<'l, R> {
    inner: R,
    left: &'l mut u64,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => *self.left = left,
            None => return Err(io::ErrorKind::FileTooLarge.into()),
        }
        Ok(read)
    }
}

/// The charts inside a chart: directories and archives in its `charts/`.
fn subcharts(files: &BTreeMap<String, Vec<u8>>, depth: u8) -> Result<Vec<Subchart>, ArchiveError> {
    let mut out = Vec::new();
    let mut dirs: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for (path, bytes) in files {
        let Some(rest) = path.strip_prefix("charts/") else {
            continue;
        };
        match rest.split_once('/') {
            Some((dir, below)) => {
                let inside = dirs.entry(dir.to_owned()).or_default();
                inside.insert(below.to_owned(), bytes.clone());
            }
            None if rest.ends_with(".tgz") => {
                let inner = Archive::at_depth(bytes, depth + 1);
                add(&mut out, path, inner)?;
            }
            None => {}
        }
    }
    for (dir, inside) in dirs {
        let path = format!("charts/{dir}");
        // helm takes what begins with these for no chart.
        if dir.starts_with(['_', '.']) {
            continue;
        }
        if depth >= MAX_DEPTH {
            return Err(ArchiveError::TooDeep);
        }
        let inner = Archive::of(inside, &path, depth + 1);
        add(&mut out, &path, inner)?;
    }
    Ok(out)
}

fn add(
    out: &mut Vec<Subchart>,
    path: &str,
    inner: Result<Archive, ArchiveError>,
) -> Result<(), ArchiveError> {
    let inner = inner.map_err(|source| ArchiveError::Inside {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    out.push(Subchart {
        path: path.to_owned(),
        name: inner.name,
        version: inner.version,
        digest: contents(&inner.files),
    });
    out.extend(inner.subcharts.into_iter().map(|s| Subchart {
        path: format!("{path}/{}", s.path),
        ..s
    }));
    Ok(())
}

#[cfg(test)]
mod tests;
