//! Developer tasks: `cargo xtask kubernetes-tables [--specs DIR]`, `cargo xtask digitalocean-names [--specs DIR]`,
//! `cargo xtask precautions` and `cargo xtask fuzz`.

mod digitalocean_names;
mod fuzz;
mod kubernetes_tables;
mod precautions;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("kubernetes-tables") => generate(&args.collect::<Vec<_>>(), kubernetes_tables::write),
        Some("digitalocean-names") => {
            generate(&args.collect::<Vec<_>>(), digitalocean_names::write)
        }
        Some("fuzz") => done(fuzz::run(&args.collect::<Vec<_>>())),
        Some("precautions") => done(precautions::run(&args.collect::<Vec<_>>())),
        _ => usage(),
    }
}

#[expect(clippy::print_stderr, reason = "a developer's command line")]
fn done(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a developer's command line")]
fn usage() -> ExitCode {
    eprintln!("usage: cargo xtask kubernetes-tables|digitalocean-names [--specs DIR]");
    eprintln!("       cargo xtask precautions [--sample K/N] [--write] [NAME…]");
    eprintln!("       cargo xtask fuzz [--runs N] [--seconds S] [TARGET…]");
    ExitCode::FAILURE
}

#[expect(clippy::print_stderr, reason = "a developer's command line")]
fn generate(args: &[String], write: fn(&Path) -> io::Result<()>) -> ExitCode {
    let specs = match args {
        [] => PathBuf::from("../shared/specs"),
        [flag, dir] if flag == "--specs" => PathBuf::from(dir),
        _ => return usage(),
    };
    match write(&specs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("not written: {e}");
            ExitCode::FAILURE
        }
    }
}
