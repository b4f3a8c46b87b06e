//! The directory of a chart: its files, and one digest of them.

use std::collections::BTreeMap;

use zonewright_engine::canon::{self, Digest};

use crate::source::{FileError, Files, MAX_FILE};

/// The most files that a chart may have.
const MAX_FILES: usize = 5_000;

/// Why a directory is not taken for a chart.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// A file of it cannot be read.
    #[error("`{path}` cannot be read")]
    File {
        /// The file, relative to the project.
        path: String,
        /// Why.
        source: FileError,
    },
    /// More files or bytes than any chart has.
    #[error("it has more than {MAX_FILES} files, or more than {MAX_FILE} bytes")]
    TooLarge,
}

/// The files of a directory by their paths in it. What begins with a dot is left out: it is an editor's or
/// version control's.
///
/// # Errors
/// See [`DirError`].
pub fn directory(files: &dyn Files, dir: &str) -> Result<BTreeMap<String, Vec<u8>>, DirError> {
    let mut out = BTreeMap::new();
    let mut bytes = 0;
    let mut left = vec![String::new()];
    while let Some(below) = left.pop() {
        let path = format!("{}{below}", prefix(dir));
        let refused = |path: &str, source| DirError::File {
            path: path.to_owned(),
            source,
        };
        let names = files.list(&path).map_err(|e| refused(&path, e))?;
        for name in names.iter().filter(|n| !n.starts_with('.')) {
            let inside = match below.is_empty() {
                true => name.clone(),
                false => format!("{below}/{name}"),
            };
            let full = format!("{}{inside}", prefix(dir));
            match files.read(&full) {
                Ok(text) => {
                    bytes += text.len() as u64;
                    out.insert(inside, text);
                }
                // Files in memory have no directories of their own.
                Err(FileError::NotAFile | FileError::NotFound) => left.push(inside),
                Err(error) => return Err(refused(&full, error)),
            }
            if out.len() + left.len() > MAX_FILES || bytes > MAX_FILE {
                return Err(DirError::TooLarge);
            }
        }
    }
    Ok(out)
}

fn prefix(dir: &str) -> String {
    format!("{}/", dir.trim_end_matches('/'))
}

/// The digest of names and contents: the same on every host, whatever packs them.
pub fn contents(files: &BTreeMap<String, Vec<u8>>) -> Digest {
    let digests: BTreeMap<&str, Digest> = files
        .iter()
        .map(|(path, bytes)| (path.as_str(), Digest::of(bytes)))
        .collect();
    canon::digest(&digests)
}
