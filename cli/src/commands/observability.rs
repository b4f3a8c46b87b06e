//! `zonewright observability`: the files that watch the zones from outside. Needs no world and no secret.

use std::fs;
use std::path::Path;

use serde_json::json;
use zonewright_engine::observability::{Artifact, artifacts};
use zonewright_engine::observe::Inputs;
use zonewright_engine::plan::Options;
use zonewright_engine::snapshot::State;

use crate::Context;
use crate::args::{Format, ObservabilityArgs};
use crate::exit::Exit;
use crate::project::{Project, replace_with};
use crate::report::Failure;
use crate::world;

/// Runs the command.
pub(crate) fn run(ctx: &Context, args: &ObservabilityArgs) -> Result<Exit, Failure> {
    let files = generate(ctx)?;
    if let Some(dir) = &args.out {
        return write(ctx, args, dir, &files);
    }
    if let Some(name) = &args.file {
        let known: Vec<&str> = files.iter().map(|f| f.path).collect();
        let file = files.iter().find(|f| f.path == name).ok_or_else(|| {
            Failure::error(format!("there is no file `{name}`"))
                .help(format!("the files are {}", known.join(", ")))
        })?;
        match args.format {
            Format::Text => ctx.term.data(&file.text),
            Format::Json => ctx.term.pretty(&listed(file, None)),
        }
        return Ok(Exit::DONE);
    }
    match args.format {
        Format::Text => {
            for file in &files {
                ctx.term
                    .data(&format!("{:<16}{}\n", file.path, file.purpose));
            }
        }
        Format::Json => {
            let all: Vec<_> = files.iter().map(|f| listed(f, None)).collect();
            ctx.term.pretty(&json!({ "files": all }));
        }
    }
    Ok(Exit::DONE)
}

fn generate(ctx: &Context) -> Result<Vec<Artifact>, Failure> {
    let registry = world::registry()?;
    let (config, _) = Project::find(ctx)?.config(ctx, &registry)?;
    let Some(told) = config.observability.clone() else {
        return Err(Failure::error(
            "the project does not say who is told when a zone is in trouble",
        )
        .help("declare `[observability]` in zonewright.toml with `owner` and `runbooks`"));
    };
    // The spec alone: the same files on every host, whatever was applied.
    let inputs = Inputs {
        lineage: String::new(),
        config,
        state: State::default(),
        world: String::new(),
        registry,
        secrets: std::collections::BTreeMap::new(),
        digest_key: None,
        moves: Vec::new(),
        options: Options::default(),
    };
    Ok(artifacts(&inputs, &told))
}

fn listed(file: &Artifact, changed: Option<bool>) -> serde_json::Value {
    let mut out = json!({"path": file.path, "purpose": file.purpose, "text": file.text});
    if let Some(changed) = changed {
        out["changed"] = json!(changed);
    }
    out
}

fn write(
    ctx: &Context,
    args: &ObservabilityArgs,
    dir: &Path,
    files: &[Artifact],
) -> Result<Exit, Failure> {
    if !args.check {
        fs::create_dir_all(dir).map_err(|e| Failure::file("make", dir, e))?;
    }
    let mut all = Vec::new();
    let mut stale = false;
    for file in files {
        let path = dir.join(file.path);
        let changed = match fs::read(&path) {
            Ok(there) => there != file.text.as_bytes(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
            Err(e) => return Err(Failure::file("read", &path, e)),
        };
        stale |= changed;
        if changed && !args.check {
            replace_with(&path, file.text.as_bytes(), 0o644)
                .map_err(|e| Failure::file("write", &path, e))?;
        }
        let word = match (changed, args.check) {
            (false, _) => "unchanged",
            (true, false) => "written",
            (true, true) => "would change",
        };
        if args.format == Format::Text {
            ctx.term.data(&format!("{word:<13}{}\n", path.display()));
        }
        all.push(listed(file, Some(changed)));
    }
    if args.format == Format::Json {
        ctx.term.pretty(&json!({ "files": all }));
    }
    Ok(if stale && args.check {
        Exit::CHANGES
    } else {
        Exit::DONE
    })
}
