//! The project's files: the port that reads them, and the texts that diagnostics point into.
//!
//! Invariants: every path is relative to the project root and cannot leave it; no file over
//! [`MAX_FILE`] is read; a text registered here is shown with its secrets blanked out.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zonewright_engine::expr::Origin;

use crate::tree::{Item, Loc, Table};

/// The largest input file. Rendered charts with all their definitions stay under 6 MiB.
pub const MAX_FILE: u64 = 8 * 1024 * 1024;

/// Why a file of the project could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Nothing there.
    #[error("there is no such file")]
    NotFound,
    /// The path is absolute, has too many `..`, or follows a link out of the project.
    #[error("the path leaves the project directory")]
    OutsideRoot,
    /// A directory, socket or device.
    #[error("it is not a regular file")]
    NotAFile,
    /// Over [`MAX_FILE`].
    #[error("it has {bytes} bytes, the limit is {MAX_FILE}")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// The operating system refused.
    #[error("the system refused")]
    Io(#[from] io::Error),
}

/// Reads the files of a project. Paths are relative to its root, with `/`.
pub trait Files {
    /// The bytes of a file.
    ///
    /// # Errors
    /// See [`FileError`].
    fn read(&self, path: &str) -> Result<Vec<u8>, FileError>;

    /// The names of the entries of a directory, sorted.
    ///
    /// # Errors
    /// See [`FileError`].
    fn list(&self, dir: &str) -> Result<Vec<String>, FileError>;
}

/// The form of a relative path without `.` and `..`.
fn inside(path: &str) -> Result<String, FileError> {
    if path.starts_with('/') || path.contains('\0') || path.contains('\\') {
        return Err(FileError::OutsideRoot);
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or(FileError::OutsideRoot)?;
            }
            _ => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Files below a directory.
#[derive(Debug, Clone)]
pub struct DiskFiles {
    root: PathBuf,
}

impl DiskFiles {
    /// The files below `root`.
    pub fn new(root: impl Into<PathBuf>) -> DiskFiles {
        DiskFiles { root: root.into() }
    }

    /// Follows links, but not out of the root.
    fn resolve(&self, path: &str) -> Result<PathBuf, FileError> {
        let root = found(self.root.canonicalize())?;
        let full = found(root.join(inside(path)?).canonicalize())?;
        if full.starts_with(&root) {
            Ok(full)
        } else {
            Err(FileError::OutsideRoot)
        }
    }
}

fn found<T>(result: io::Result<T>) -> Result<T, FileError> {
    result.map_err(|e| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FileError::NotFound,
        _ => FileError::Io(e),
    })
}

fn read_regular(path: &Path) -> Result<Vec<u8>, FileError> {
    let meta = found(path.metadata())?;
    if !meta.is_file() {
        return Err(FileError::NotAFile);
    }
    if meta.len() > MAX_FILE {
        return Err(FileError::TooLarge { bytes: meta.len() });
    }
    found(std::fs::read(path))
}

impl Files for DiskFiles {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        read_regular(&self.resolve(path)?)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, FileError> {
        let mut names = Vec::new();
        for entry in found(self.resolve(dir)?.read_dir())? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

/// Files in memory, by path: texts, or whatever bytes.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles<T = String>(pub BTreeMap<String, T>);

impl<T: AsRef<[u8]>> Files for MemoryFiles<T> {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        let found = self.0.get(&inside(path)?).ok_or(FileError::NotFound)?;
        let found = found.as_ref();
        match u64::try_from(found.len()) {
            Ok(bytes) if bytes > MAX_FILE => Err(FileError::TooLarge { bytes }),
            _ => Ok(found.to_vec()),
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, FileError> {
        let prefix = format!("{}/", inside(dir)?);
        let below = self.0.keys().filter_map(|p| p.strip_prefix(&prefix));
        let mut names: Vec<String> = below
            .filter_map(|rest| rest.split('/').next())
            .map(str::to_owned)
            .collect();
        names.dedup();
        Ok(names)
    }
}

/// One text that spans point into.
pub(crate) struct Source {
    pub(crate) name: Arc<str>,
    /// The text as it is shown: secrets blanked out, same length.
    pub(crate) text: String,
    /// The text as it is, to look things up in.
    original: String,
    lines: Vec<u32>,
}

/// By name: the original text may hold what must not be shown.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "(source {})", self.name)
    }
}

impl Source {
    fn new(name: &str, text: &str) -> Source {
        let starts = text.match_indices('\n').map(|(i, _)| offset(i + 1));
        Source {
            name: name.into(),
            lines: std::iter::once(0).chain(starts).collect(),
            text: text.to_owned(),
            original: text.to_owned(),
        }
    }

    /// Line and column (in characters) of a byte, both from one.
    pub(crate) fn position(&self, at: u32) -> (u32, u32) {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines[line - 1] as usize;
        let end = (at as usize).min(self.text.len());
        let before = self.text.get(start..end).unwrap_or("");
        (offset(line), offset(before.chars().count() + 1))
    }

    /// The text of a line, counted from one.
    pub(crate) fn line(&self, line: u32) -> &str {
        let start = self.lines[line as usize - 1] as usize;
        let end = self.lines.get(line as usize).map(|e| *e as usize);
        self.text[start..end.unwrap_or(self.text.len())].trim_end()
    }

    fn blank(&mut self, start: usize, end: usize) {
        let Some(part) = self.text.get(start..end) else {
            return;
        };
        let blank: String = part
            .bytes()
            .map(|b| if b == b'\n' { '\n' } else { '*' })
            .collect();
        self.text.replace_range(start..end, &blank);
    }
}

/// An offset in a text; inputs are far below 4 GiB (see [`MAX_FILE`]).
pub(crate) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// All texts that were read.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: Vec<Source>,
    /// What is written in overlays: where each value starts, where it ends, and whose it is.
    overlays: BTreeMap<(u32, u32), (u32, Arc<str>)>,
}

impl Sources {
    pub(crate) fn add(&mut self, name: &str, text: &str) -> u32 {
        self.files.push(Source::new(name, text));
        offset(self.files.len() - 1)
    }

    pub(crate) fn get(&self, file: u32) -> &Source {
        &self.files[file as usize]
    }

    pub(crate) fn slice(&self, loc: Loc) -> &str {
        let text = &self.get(loc.file).original;
        text.get(loc.start as usize..loc.end as usize).unwrap_or("")
    }

    /// The text of a file as it was read.
    pub(crate) fn text(&self, file: u32) -> &str {
        &self.get(file).original
    }

    /// The texts as they are, to look for references in.
    pub(crate) fn originals(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|s| s.original.as_str())
    }

    pub(crate) fn origin(&self, loc: Loc) -> Origin {
        let source = self.get(loc.file);
        Origin {
            file: source.name.clone(),
            line: source.position(loc.start).0,
            start: loc.start as usize,
            end: loc.end as usize,
            overlay: self.overlay(loc),
        }
    }

    /// Everything in a table was written in an overlay.
    pub(crate) fn mark(&mut self, table: &Table, overlay: &Arc<str>) {
        for entry in table.values() {
            let at = entry.value.at;
            match &entry.value.node {
                Item::Table(inner) => self.mark(inner, overlay),
                _ => {
                    let whose = (at.end, overlay.clone());
                    self.overlays.insert((at.file, at.start), whose);
                }
            }
        }
    }

    fn overlay(&self, loc: Loc) -> Option<Arc<str>> {
        let before = self.overlays.range(..=(loc.file, loc.start));
        let ((file, _), (end, overlay)) = before.last()?;
        (*file == loc.file && loc.end <= *end).then(|| overlay.clone())
    }

    /// Blanks a secret, so that no diagnostic shows it, not even as a neighbouring line.
    pub(crate) fn blank(&mut self, loc: Loc) {
        self.files[loc.file as usize].blank(loc.start as usize, loc.end as usize);
    }

    pub(crate) fn into_files(self) -> Vec<Source> {
        self.files
    }
}

impl Sources {
    /// The number of a file; names come from here, so there is one.
    pub(crate) fn find(&self, name: &str) -> u32 {
        let at = self.files.iter().position(|s| &*s.name == name);
        offset(at.unwrap_or(0))
    }

    /// All texts by name.
    pub(crate) fn texts(&self) -> BTreeMap<Arc<str>, String> {
        let texts = self.files.iter();
        texts.map(|s| (s.name.clone(), s.text.clone())).collect()
    }
}
