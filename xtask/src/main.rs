//! Developer tasks: `cargo xtask kubernetes-tables [--specs DIR]`.

mod kubernetes_tables;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("kubernetes-tables") => tables(&args.collect::<Vec<_>>()),
        _ => usage(),
    }
}

#[expect(clippy::print_stderr, reason = "a developer's command line")]
fn usage() -> ExitCode {
    eprintln!("usage: cargo xtask kubernetes-tables [--specs DIR]");
    ExitCode::FAILURE
}

#[expect(clippy::print_stderr, reason = "a developer's command line")]
fn tables(args: &[String]) -> ExitCode {
    let specs = match args {
        [] => PathBuf::from("../shared/specs"),
        [flag, dir] if flag == "--specs" => PathBuf::from(dir),
        _ => return usage(),
    };
    match kubernetes_tables::write(&specs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("kubernetes-tables: {e}");
            ExitCode::FAILURE
        }
    }
}
