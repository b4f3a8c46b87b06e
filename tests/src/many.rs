//! Many runs on all cores. One that fails is named with the command that repeats it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// The seeds to try: one in `share` of `ZONEWRIGHT_SEEDS=10000`, `ZONEWRIGHT_SEED=7` alone, or a few.
pub fn seeds(few: u64, share: u64) -> Vec<u64> {
    match number("ZONEWRIGHT_SEED") {
        Some(one) => vec![one],
        None => (0..number("ZONEWRIGHT_SEEDS").map_or(few, |all| all.div_ceil(share))).collect(),
    }
}

/// The points of so many to try: all when many seeds are tried, `ZONEWRIGHT_SEED=7` alone, or a few that
/// are spread over them.
pub fn part(all: usize, few: usize) -> Vec<u64> {
    let all = all as u64;
    match (number("ZONEWRIGHT_SEED"), number("ZONEWRIGHT_SEEDS")) {
        (Some(one), _) => vec![one.min(all - 1)],
        (None, Some(_)) => (0..all).collect(),
        (None, None) => (0..few as u64).map(|n| n * all / few as u64).collect(),
    }
}

/// Writes a result into the table of a document, if a run is to do that: `ZONEWRIGHT_RESULTS=docs/crash-safety.md`.
/// The row begins with `what`; the column counts from the one after it.
///
/// # Panics
/// The document has no such row, or cannot be written.
pub fn note(what: &str, column: usize, value: &str) {
    static WRITING: Mutex<()> = Mutex::new(());
    let Some(file) = std::env::var_os("ZONEWRIGHT_RESULTS") else {
        return;
    };
    let file = crate::root().join(file);
    let _writing = WRITING.lock();
    let text = std::fs::read_to_string(&file).expect("the document is there");
    let row = format!("| {what} |");
    let mut found = false;
    let line = |line: &str| {
        if !line.starts_with(&row) {
            return format!("{line}\n");
        }
        found = true;
        let mut cells: Vec<&str> = line.split('|').map(str::trim).collect();
        cells[column + 1] = value;
        format!("{}\n", cells.join(" | ").trim())
    };
    let text: String = text.lines().map(line).collect();
    assert!(found, "{} has no row of {what}", file.display());
    std::fs::write(file, text).expect("the document can be written");
}

/// Runs all of them.
///
/// # Panics
/// One fails: the smallest that did is named.
#[expect(clippy::print_stdout, reason = "how much was tried is the result")]
pub fn many(what: &str, all: Vec<u64>, run: impl Fn(u64) -> Result<(), String> + Sync) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(seed) = all.get(next.fetch_add(1, Ordering::Relaxed)).copied() else {
                        return;
                    };
                    let ran = catch_unwind(AssertUnwindSafe(|| run(seed)));
                    if let Err(why) = ran.unwrap_or_else(|_| Err("it panics".to_owned())) {
                        failures
                            .lock()
                            .expect("nobody panics with it")
                            .push((seed, why));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("nobody panics with it");
    failures.sort();
    println!("{what}: {} tried, {} failed", all.len(), failures.len());
    note(what, 1, &all.len().to_string());
    note(what, 2, &failures.len().to_string());
    if let Some((seed, why)) = failures.first() {
        let all: Vec<u64> = failures.iter().map(|f| f.0).collect();
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        panic!(
            "{what}: {all:?} failed; ZONEWRIGHT_SEED={seed} and the test {test} repeat it\n{why}"
        );
    }
}
