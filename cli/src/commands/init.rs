//! `zonewright init`: a commented project of two zones that validates and plans in the sandbox.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::Context;
use crate::args::InitArgs;
use crate::exit::Exit;
use crate::report::Failure;

/// The files of the project, by path.
const FILES: [(&str, &str); 5] = [
    ("zonewright.toml", include_str!("init/zonewright.toml")),
    ("zones/pz.toml", include_str!("init/zones/pz.toml")),
    ("zones/bz.toml", include_str!("init/zones/bz.toml")),
    (
        "manifests/app.yaml",
        include_str!("init/manifests/app.yaml"),
    ),
    (".gitignore", include_str!("init/gitignore")),
];

/// Runs the command.
pub(crate) fn run(ctx: &Context, args: &InitArgs) -> Result<Exit, Failure> {
    let base = ctx.global.directory.as_deref().unwrap_or(Path::new("."));
    let dir = base.join(&args.dir);
    for (name, _) in FILES {
        if dir.join(name).symlink_metadata().is_ok() {
            return Err(
                Failure::error(format!("{name} is there already; nothing was written"))
                    .help("name an empty directory: `zonewright init DIR`"),
            );
        }
    }
    for (name, text) in FILES {
        let path = dir.join(name);
        write_new(&path, text).map_err(|e| Failure::file("write", &path, e))?;
        ctx.term.data(&format!("{name}\n"));
    }
    let at = match args.dir.to_str() {
        Some(".") | None => String::new(),
        Some(dir) => format!("-C {dir} "),
    };
    ctx.term.say(&format!(
        "Try it without an account:\n  zonewright {at}validate\n  zonewright {at}--sandbox plan\n  zonewright {at}--sandbox apply"
    ));
    Ok(Exit::DONE)
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use zonewright_zones::{DiskFiles, VendoredCharts};

    use super::*;

    #[test]
    fn the_skeleton_is_valid_and_not_written_twice() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in FILES {
            write_new(&dir.path().join(name), text).unwrap();
        }
        let files = DiskFiles::new(dir.path());
        let registry = crate::world::registry().unwrap();
        let loaded = zonewright_zones::load(&files, &VendoredCharts(&files), &registry);
        let messages: Vec<_> = loaded.diagnostics.iter().map(|d| &d.message).collect();
        assert!(loaded.diagnostics.is_empty(), "{messages:?}");
        let config = loaded.config.unwrap();
        assert_eq!(config.active.as_str(), "pz");
        assert_eq!(config.zones.len(), 2);
        assert!(write_new(&dir.path().join("zonewright.toml"), "").is_err());
    }
}
