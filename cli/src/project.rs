//! A project on disk: where it is, and the files that zonewright keeps in it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::json;
use zonewright_engine::config::Config;
use zonewright_engine::schema::Registry;
use zonewright_zones::{Charts, DiskFiles, Facts, FileError, Files, Loaded, VendoredCharts};

use crate::Context;
use crate::exit::Exit;
use crate::report::{Failure, graphical};
use crate::sandboxed::StandIns;
use crate::writable;

/// The file that makes a directory a project.
pub(crate) const ROOT_FILE: &str = "zonewright.toml";

/// A project directory.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    root: PathBuf,
    /// Edits that are read as if they were on disk already; of one file, the last holds.
    edits: Vec<Edit>,
}

/// An edit of one of the project's files: planned with, and written once the plan is approved.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    /// The file, relative to the project.
    pub(crate) file: String,
    /// What it says.
    pub(crate) before: String,
    /// What it shall say.
    pub(crate) after: String,
}

/// The project's files, with edits that are not written yet.
struct Edited<'a> {
    disk: DiskFiles,
    edits: &'a [Edit],
}

impl Files for Edited<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        match self.edits.iter().rfind(|e| e.file == path) {
            Some(edit) => Ok(edit.after.clone().into_bytes()),
            None => self.disk.read(path),
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, FileError> {
        self.disk.list(dir)
    }
}

impl Project {
    /// The project that is named, or the nearest one upwards.
    pub(crate) fn find(ctx: &Context) -> Result<Project, Failure> {
        let start = ctx.global.directory.as_deref().unwrap_or(Path::new("."));
        let full = start
            .canonicalize()
            .map_err(|e| Failure::file("open", start, e))?;
        let mut candidates = full.ancestors();
        let found = if ctx.global.directory.is_some() {
            Some(full.as_path()).filter(|d| d.join(ROOT_FILE).is_file())
        } else {
            candidates.find(|d| d.join(ROOT_FILE).is_file())
        };
        let root = found.ok_or_else(|| {
            Failure::error(format!("no {ROOT_FILE} in {}", full.display()))
                .help("name a project with -C DIR, or make one with `zonewright init`")
        })?;
        Ok(Project {
            root: root.to_owned(),
            edits: Vec::new(),
        })
    }

    /// The same project, read with an edit that is not written yet.
    pub(crate) fn with(mut self, edit: Edit) -> Project {
        self.edits.push(edit);
        self
    }

    /// An edit of one of the project's files, which is not written.
    pub(crate) fn edit(
        &self,
        file: String,
        change: impl FnOnce(&str) -> Result<String, String>,
    ) -> Result<Edit, Failure> {
        let path = self.root.join(&file);
        let before = fs::read_to_string(&path).map_err(|e| Failure::file("read", &path, e))?;
        let after =
            change(&before).map_err(|e| Failure::error(format!("{file} cannot be edited: {e}")))?;
        Ok(Edit {
            file,
            before,
            after,
        })
    }

    /// Writes an edit, unless somebody changed the file meanwhile.
    pub(crate) fn write(&self, edit: &Edit) -> Result<(), Failure> {
        let path = self.root.join(&edit.file);
        let now = fs::read_to_string(&path).map_err(|e| Failure::file("read", &path, e))?;
        if now != edit.before {
            let message = format!("{} was changed meanwhile; nothing was sent", edit.file);
            return Err(Failure::new(Exit::STALE, message).help("run the command again"));
        }
        replace(&path, &edit.after)
    }

    /// The directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The Job in a file of the project.
    pub(crate) fn job(&self, file: &str) -> Result<serde_json::Value, Failure> {
        let read = DiskFiles::new(&self.root).read(file);
        let bytes = read.map_err(|e| Failure::error(format!("cannot read {file}")).because(e))?;
        let job = String::from_utf8(bytes).ok();
        let job = job.and_then(|text| zonewright_zones::job(&text));
        job.ok_or_else(|| Failure::error(format!("{file} was changed meanwhile: it is no Job")))
    }

    /// What is not for version control.
    pub(crate) fn private(&self) -> PathBuf {
        self.root.join(".zonewright")
    }

    /// Makes the private directory; git is told to leave it alone.
    pub(crate) fn make_private(&self) -> Result<PathBuf, Failure> {
        let dir = self.private();
        make_private_dir(&dir).map_err(|e| Failure::file("make", &dir, e))?;
        let ignore = dir.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(|e| Failure::file("write", &ignore, e))?;
        }
        Ok(dir)
    }

    /// The same, as far as it can be made: who only looks does without it.
    pub(crate) fn private_if_writable(&self) -> Result<PathBuf, Failure> {
        let dir = self.private();
        match writable::probe(&dir) {
            Err(error) if writable::is_read_only(&error) => Ok(dir),
            _ => self.make_private(),
        }
    }

    /// Reads the spec. Under the sandbox, charts that are not vendored have stand-ins.
    pub(crate) fn load(&self, registry: &Registry, sandbox: bool) -> Loaded {
        self.loaded(registry, sandbox, zonewright_zones::load)
    }

    /// The same without a look for contradictions.
    pub(crate) fn read(&self, registry: &Registry, sandbox: bool) -> Loaded {
        self.loaded(registry, sandbox, zonewright_zones::read)
    }

    fn loaded(
        &self,
        registry: &Registry,
        sandbox: bool,
        read: impl FnOnce(&dyn Files, &dyn Charts, &Registry) -> Loaded,
    ) -> Loaded {
        let files = Edited {
            disk: DiskFiles::new(&self.root),
            edits: &self.edits,
        };
        let vendored = VendoredCharts(&files);
        let stand_ins = StandIns(&vendored);
        let charts: &dyn Charts = if sandbox { &stand_ins } else { &vendored };
        read(&files, charts, registry)
    }

    /// What the root file says, also when the rest of the spec has mistakes. When they leave open where the
    /// state is, the command ends: another place would look like a state that is empty, or whole.
    pub(crate) fn facts(&self, ctx: &Context, registry: &Registry) -> Result<Facts, Failure> {
        let loaded = self.load(registry, ctx.global.sandbox.is_some());
        if !loaded.facts.state_unclear {
            return Ok(loaded.facts);
        }
        say_diagnostics(ctx, &loaded);
        whole(loaded).map(|(_, facts)| facts)
    }

    /// Reads the spec, says what is wrong with it, and ends the command when it has errors.
    pub(crate) fn config(
        &self,
        ctx: &Context,
        registry: &Registry,
    ) -> Result<(Config, Facts), Failure> {
        let loaded = self.load(registry, ctx.global.sandbox.is_some());
        say_diagnostics(ctx, &loaded);
        whole(loaded)
    }

    /// Reads a spec that was read before, with edits: warnings were said then, only errors are said now.
    pub(crate) fn edited(
        &self,
        ctx: &Context,
        registry: &Registry,
    ) -> Result<(Config, Facts), Failure> {
        let loaded = self.load(registry, ctx.global.sandbox.is_some());
        if loaded.config.is_none() {
            say_diagnostics(ctx, &loaded);
        }
        whole(loaded)
    }
}

/// The spec, unless it has errors.
fn whole(loaded: Loaded) -> Result<(Config, Facts), Failure> {
    match loaded.config {
        Some(config) => Ok((config, loaded.facts)),
        None => {
            let to_json = |d: &zonewright_zones::Diagnostic| json!(d.to_json());
            Err(Failure::spec(
                loaded.diagnostics.iter().map(to_json).collect(),
            ))
        }
    }
}

/// Shows every diagnostic on standard error.
pub(crate) fn say_diagnostics(ctx: &Context, loaded: &Loaded) {
    // Programs get them within the error.
    if ctx.term.is_json() && loaded.config.is_none() {
        return;
    }
    for diagnostic in &loaded.diagnostics {
        ctx.term.say(&graphical(
            diagnostic,
            ctx.term.err_paint().is_on(),
            ctx.term.report_width(),
        ));
    }
    if loaded.hidden > 0 {
        ctx.term.say(&format!("… and {} more", loaded.hidden));
    }
}

/// Makes a directory that only its owner can read.
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    replace_with(path, bytes, 0o600).map_err(|e| Failure::file("write", path, e))
}

/// Replaces a file of the project, whole or not at all; it keeps its permissions.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |e| Failure::file("write", path, e);
    // A link stays one: what it leads to is replaced.
    let file = path.canonicalize().map_err(failed)?;
    let permissions = fs::metadata(&file).map_err(failed)?.permissions();
    replace_with(&file, text.as_bytes(), permissions.mode()).map_err(failed)
}

/// Puts bytes in the place of a file in one step, durably, or leaves the file as it was. Until it is whole
/// the new one has a hidden name of its own, which no collector of `*.prom` and no other run takes. Only a
/// file is replaced: `/dev/null` and `/dev/stdout` are still there afterwards, whoever writes to them.
///
/// # Errors
/// It cannot be written, or there is something else than a file of that name.
pub(crate) fn replace_with(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_symlink() => {
            return Err(io::Error::other(
                "it is a symbolic link: name the file itself",
            ));
        }
        Ok(there) if !there.is_file() => return Err(io::Error::other("it is no regular file")),
        _ => {}
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(bytes)?;
        // The mode of a new file is cut by the umask.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    let written = write();
    if written.is_err() {
        // It helps nobody; the first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_files_are_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.plan");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_a_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "one").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        std::os::unix::fs::symlink("/dev/null", dir.path().join("null")).unwrap();
        for other in ["link", "null", "."] {
            assert!(write_private(&dir.path().join(other), b"two").is_err());
        }
        assert_eq!(fs::read(&file).unwrap(), b"one");
        // An edit of the project goes where the link leads.
        replace(&link, "two").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"two");
    }
}
