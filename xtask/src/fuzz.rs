//! Builds the programs in `tests/fuzz` with counters for libFuzzer, and lets each run for a bounded number of inputs.
//!
//! What `cargo fuzz` would do on a nightly toolchain, on the stable one: counters need no unstable option, and a
//! sanitizer would tell little of code without `unsafe`.

use std::path::{Path, PathBuf};
use std::process::Command;

const MANIFEST: &str = "tests/fuzz/Cargo.toml";

/// The counters that libFuzzer reads.
const COUNTERS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// What is asked for.
struct Asked {
    runs: u32,
    seconds: u32,
    targets: Vec<String>,
}

/// `[--runs N] [--seconds S] [TARGET…]`
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let asked = asked(args)?;
    let all = names()?;
    if let Some(unknown) = asked.targets.iter().find(|t| !all.contains(t)) {
        let known = all.join(", ");
        return Err(format!("there is no target {unknown}; there are {known}"));
    }
    build()?;
    let wanted = |t: &&String| asked.targets.is_empty() || asked.targets.contains(t);
    all.iter()
        .filter(wanted)
        .try_for_each(|target| fuzz(target, &asked))
}

fn asked(args: &[String]) -> Result<Asked, String> {
    let mut out = Asked {
        runs: 2000,
        seconds: 20,
        targets: Vec::new(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = || {
            let value = args.next().and_then(|n| n.parse().ok());
            value.ok_or_else(|| format!("{arg} takes a number"))
        };
        match arg.as_str() {
            "--runs" => out.runs = number()?,
            "--seconds" => out.seconds = number()?,
            target => out.targets.push(target.to_owned()),
        }
    }
    Ok(out)
}

/// The targets: those with inputs.
fn names() -> Result<Vec<String>, String> {
    let dir = Path::new("tests/fuzz/corpus");
    let entries = std::fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

fn output() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| "target".into(), PathBuf::from)
        .join("fuzz")
}

/// The machine that is built for. Named, so that programs which only build others get no counters.
fn host() -> Result<String, String> {
    let told = Command::new("rustc").arg("-vV").output();
    let told = told.map_err(|e| format!("rustc: {e}"))?.stdout;
    let told = String::from_utf8_lossy(&told).into_owned();
    let host = told.lines().find_map(|l| l.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc does not say its host".to_owned())
}

fn build() -> Result<(), String> {
    // The same versions as everywhere else.
    let copied = std::fs::copy("Cargo.lock", "tests/fuzz/Cargo.lock");
    copied.map_err(|e| format!("Cargo.lock cannot be copied: {e}"))?;
    let mut cargo = Command::new("cargo");
    cargo.args([
        "build",
        "--release",
        "--quiet",
        "--manifest-path",
        MANIFEST,
        "--target",
        &host()?,
    ]);
    cargo
        .env("CARGO_TARGET_DIR", output())
        .env("RUSTFLAGS", COUNTERS);
    done(&mut cargo, "the programs do not build")
}

fn fuzz(target: &str, asked: &Asked) -> Result<(), String> {
    let found = output().join("found").join(target);
    std::fs::create_dir_all(&found).map_err(|e| format!("{}: {e}", found.display()))?;
    let program = output().join(host()?).join("release").join(target);
    let mut program = Command::new(program);
    program
        .arg(&found)
        .arg(format!("tests/fuzz/corpus/{target}"));
    program.args([
        format!("-runs={}", asked.runs),
        format!("-max_total_time={}", asked.seconds),
        "-seed=1".to_owned(),
        "-timeout=25".to_owned(),
        "-rss_limit_mb=2048".to_owned(),
        "-max_len=8192".to_owned(),
        "-verbosity=0".to_owned(),
        "-print_final_stats=1".to_owned(),
        format!("-artifact_prefix={}/failed-", found.display()),
    ]);
    done(
        &mut program,
        &format!("{target} fails: put what it names into tests/fuzz/corpus/{target}"),
    )
}

fn done(command: &mut Command, otherwise: &str) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{otherwise}: {e}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{otherwise} ({status})")),
    }
}
