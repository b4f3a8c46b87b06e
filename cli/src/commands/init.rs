//! `zonewright init`: a commented project of two zones that validates and plans in the sandbox.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::Context;
use crate::args::{InitArgs, Template};
use crate::exit::Exit;
use crate::report::Failure;

/// A file of a project: its path, and what is in it.
type File = (&'static str, &'static [u8]);

/// A file of the small project.
macro_rules! hello {
    ($path:literal) => {
        ($path, include_bytes!(concat!("init/", $path)))
    };
}

const HELLO: &[File] = &[
    hello!("zonewright.toml"),
    hello!("zones/pz.toml"),
    hello!("zones/bz.toml"),
    hello!("manifests/app.yaml"),
    hello!("manifests/ingress.yaml"),
    (".gitignore", include_bytes!("init/gitignore")),
];

/// A file of the example.
macro_rules! example {
    ($path:literal) => {
        (
            $path,
            include_bytes!(concat!("../../../examples/wordpress-dr/", $path)),
        )
    };
}

/// The example itself, without the runbook that follows from it.
const WORDPRESS: &[File] = &[
    example!("zonewright.toml"),
    example!("zones/pz.toml"),
    example!("zones/bz.toml"),
    example!("manifests/heartbeat.yaml"),
    example!("manifests/ingress.yaml"),
    example!("manifests/ingress-rules.yaml"),
    example!("manifests/issuers.yaml"),
    example!("manifests/namespaces.yaml"),
    example!("manifests/read-only.yaml"),
    example!("manifests/wordpress.yaml"),
    example!("manifests/zone-header.yaml"),
    example!("helm/guardrails/Chart.yaml"),
    example!("helm/guardrails/values.yaml"),
    example!("helm/guardrails/templates/_labels.tpl"),
    example!("helm/guardrails/templates/disruption.yaml"),
    example!("helm/guardrails/templates/requests.yaml"),
    example!("charts.lock"),
    example!("charts/guardrails.tgz"),
    example!("charts/bz/guardrails.yaml"),
    example!("charts/pz/guardrails.yaml"),
    (".gitignore", include_bytes!("init/gitignore")),
];

fn files(template: Template) -> &'static [File] {
    match template {
        Template::Hello => HELLO,
        Template::Wordpress => WORDPRESS,
    }
}

/// Runs the command.
pub(crate) fn run(ctx: &Context, args: &InitArgs) -> Result<Exit, Failure> {
    let base = ctx.global.directory.as_deref().unwrap_or(Path::new("."));
    let dir = base.join(&args.dir);
    let files = files(args.template);
    for (name, _) in files {
        if dir.join(name).symlink_metadata().is_ok() {
            return Err(
                Failure::error(format!("{name} is there already; nothing was written"))
                    .help("name an empty directory: `zonewright init DIR`"),
            );
        }
    }
    for (name, bytes) in files {
        let path = dir.join(name);
        write_new(&path, bytes).map_err(|e| Failure::file("write", &path, e))?;
        ctx.term.data(&format!("{name}\n"));
    }
    let at = match args.dir.to_str() {
        Some(".") | None => String::new(),
        Some(dir) => format!("-C {dir} "),
    };
    ctx.term.say(&format!(
        "Try it without an account:\n  zonewright {at}--sandbox validate\n  zonewright {at}--sandbox plan\n  zonewright {at}--sandbox apply"
    ));
    Ok(Exit::DONE)
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use zonewright_zones::{DiskFiles, VendoredCharts};

    use super::*;
    use crate::sandboxed::StandIns;

    #[test]
    fn the_skeleton_is_valid_and_not_written_twice() {
        for template in [Template::Hello, Template::Wordpress] {
            let dir = tempfile::tempdir().unwrap();
            for (name, bytes) in files(template) {
                write_new(&dir.path().join(name), bytes).unwrap();
            }
            let disk = DiskFiles::new(dir.path());
            let vendored = VendoredCharts(&disk);
            let registry = crate::world::registry().unwrap();
            let loaded = zonewright_zones::load(&disk, &StandIns(&vendored), &registry);
            let messages: Vec<_> = loaded.diagnostics.iter().map(|d| &d.message).collect();
            assert!(loaded.diagnostics.is_empty(), "{template:?}: {messages:?}");
            let config = loaded.config.unwrap();
            assert_eq!(config.active.as_str(), "pz");
            assert_eq!(config.zones.len(), 2);
            assert!(write_new(&dir.path().join("zonewright.toml"), b"").is_err());
        }
    }
}
