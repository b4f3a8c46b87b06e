//! `zonewright fmt`: spec files in their usual form.

use std::fs;

use crate::Context;
use crate::args::FmtArgs;
use crate::exit::Exit;
use crate::project::{Project, ROOT_FILE, replace};
use crate::report::{Failure, graphical};

/// Runs the command.
pub(crate) fn run(ctx: &Context, args: &FmtArgs) -> Result<Exit, Failure> {
    let project = Project::find(ctx)?;
    let mut changed = 0;
    let mut broken = 0;
    for name in files(&project)? {
        let path = project.root().join(&name);
        let text = fs::read_to_string(&path).map_err(|e| Failure::file("read", &path, e))?;
        match zonewright_zones::fmt(&text) {
            Ok(formatted) if formatted == text => {}
            Ok(formatted) => {
                changed += 1;
                ctx.term.data(&format!("{name}\n"));
                if !args.check {
                    // The spec is the user's: replaced in one step, with its own permissions.
                    replace(&path, &formatted)?;
                }
            }
            Err(diagnostic) => {
                broken += 1;
                let shown = graphical(
                    diagnostic.as_ref(),
                    ctx.term.err_paint().is_on(),
                    ctx.term.report_width(),
                );
                ctx.term.say(&format!("{name}:\n{shown}"));
            }
        }
    }
    Ok(if broken > 0 || (args.check && changed > 0) {
        Exit::ERROR
    } else {
        Exit::DONE
    })
}

/// The root file and the zone files, by name.
fn files(project: &Project) -> Result<Vec<String>, Failure> {
    let mut names = vec![ROOT_FILE.to_owned()];
    let dir = project.root().join("zones");
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(names),
        Err(e) => return Err(Failure::file("list", &dir, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| Failure::file("list", &dir, e))?;
        if let Ok(name) = entry.file_name().into_string()
            && name.ends_with(".toml")
        {
            names.push(format!("zones/{name}"));
        }
    }
    names.sort();
    Ok(names)
}
