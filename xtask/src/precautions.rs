//! Leaves out one precaution after the other; a test must fail each time. That is how one knows that the tests
//! of crashes test anything.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where a missing precaution is found: targets of `cargo test`, filter, seeds.
struct Test(&'static [&'static str], &'static str, u32);

const SEEDS: Test = Test(
    &["--test", "simulation"],
    "whatever_happens_another_apply_makes_it_right",
    400,
);
const F3: Test = Test(&["--test", "suite"], "f3_", 0);
const REFUSE: Test = Test(&["--test", "suite"], "refuse::", 0);
const STORES: Test = Test(&["--test", "stores"], "s3", 0);
const ENGINE: Test = Test(&["--lib"], "apply::", 0);
const CRASH: Test = Test(&["--test", "crash"], "", 0);
const RECOVERY: Test = Test(&["--test", "recovery"], "", 0);
const UNREAD: Test = Test(&["--test", "suite"], "unread::", 0);
const GONE: Test = Test(&["--test", "simulation"], "what_does_not_go", 0);
const REMOTE: Test = Test(&["--test", "remote"], "", 0);
const STATE: Test = Test(&["--lib"], "lease", 0);

/// Name, what it is there for, what misses it.
const PRECAUTIONS: &[(&str, &str, Test)] = &[
    (
        "create-sent-once",
        "a create whose reply was lost is looked for, not sent again",
        SEEDS,
    ),
    (
        "post-not-repeated",
        "no POST is repeated once it may have arrived",
        SEEDS,
    ),
    (
        "lost-create-settles",
        "a create that is not found is looked for again after a while",
        SEEDS,
    ),
    (
        "intent-first",
        "nothing is sent before it is announced in the log",
        SEEDS,
    ),
    (
        "id-kept-at-once",
        "the id of what was made is recorded before it is waited for",
        F3,
    ),
    (
        "failed-poll-forgets-nothing",
        "what was accepted stays open when a poll fails",
        F3,
    ),
    (
        "outcome-recorded",
        "what came of a request is recorded",
        SEEDS,
    ),
    (
        "delete-followed",
        "a delete that was accepted is followed until the object is gone",
        GONE,
    ),
    (
        "foreign-left",
        "what has the name and is somebody else's is not taken",
        REFUSE,
    ),
    (
        "looked-at-again",
        "what changed since the plan is not written over",
        ENGINE,
    ),
    (
        "unread-is-not-gone",
        "what cannot be read is not taken for gone",
        UNREAD,
    ),
    (
        "journal-synced",
        "a batch is synced before it counts",
        CRASH,
    ),
    (
        "snapshot-synced",
        "a snapshot is synced before it takes its name",
        CRASH,
    ),
    (
        "names-synced",
        "a directory is synced after a rename",
        CRASH,
    ),
    (
        "snapshot-first",
        "the journal is started anew only after the snapshot",
        CRASH,
    ),
    (
        "torn-tail-cut",
        "half a record is cut before another is written",
        CRASH,
    ),
    (
        "checksum-read",
        "a record whose checksum is wrong is none",
        RECOVERY,
    ),
    ("chain-read", "a record follows the one before it", RECOVERY),
    ("lock-taken", "two writers do not share a shard", RECOVERY),
    (
        "rollback-seen",
        "a state older than one that was seen is refused",
        RECOVERY,
    ),
    (
        "failed-sync-is-final",
        "after a failed sync nothing more is written",
        CRASH,
    ),
    (
        "number-won",
        "who does not get the next number of a log does not write",
        REMOTE,
    ),
    (
        "lost-put-read-back",
        "a write to a store that may have failed is read back",
        STORES,
    ),
    (
        "lease-asked",
        "a writer whose lease lapsed sends nothing",
        STATE,
    ),
    (
        "plan-fresh",
        "a saved plan is applied as it is, or not at all",
        REFUSE,
    ),
];

/// The document with the table of results.
const DOCUMENT: &str = "docs/crash-safety.md";

/// Tries all of them, or every nth from the kth on (`--sample k/n`), or those that are named; `--write` puts the
/// result into the document.
///
/// # Errors
/// A test fails with all precautions in place, or none fails without one.
#[expect(clippy::print_stdout, reason = "a developer's command line")]
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    check_names()?;
    let mut rows = Vec::new();
    let mut unmissed = Vec::new();
    let mut sound = BTreeSet::new();
    for (name, what, test) in chosen(args)? {
        if sound.insert((test.0, test.1)) && !passes(test, None)? {
            return Err(format!("{} fails with every precaution", by(test)));
        }
        match passes(test, Some(name))? {
            true => {
                println!("{name}: NOT missed by {}", by(test));
                unmissed.push(*name);
            }
            false => println!("{name}: missed by {}", by(test)),
        }
        rows.push(format!("| `{name}` | {what} | {} |", by(test)));
    }
    if !unmissed.is_empty() {
        return Err(format!("no test misses {}", unmissed.join(", ")));
    }
    println!(
        "{} precautions were left out, one at a time; a test missed each",
        rows.len()
    );
    match args.iter().any(|a| a == "--write") {
        true => write(&rows).map_err(|e| format!("{DOCUMENT} cannot be written: {e}")),
        false => Ok(()),
    }
}

type Precaution = (&'static str, &'static str, Test);

fn chosen(args: &[String]) -> Result<Vec<&'static Precaution>, String> {
    let all = PRECAUTIONS.iter();
    let named: Vec<&String> = args.iter().filter(|a| !a.starts_with("--")).collect();
    if let Some(at) = args.iter().position(|a| a == "--sample") {
        let text = args.get(at + 1).map_or("", String::as_str);
        let parts = text.split_once('/');
        let parts = parts.and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        let (k, n): (usize, usize) = parts.ok_or("--sample takes k/n")?;
        return Ok(all.skip(k % n.max(1)).step_by(n.max(1)).collect());
    }
    Ok(all
        .filter(|(name, ..)| named.is_empty() || named.iter().any(|n| n == name))
        .collect())
}

/// Whether the test passes. All packages are built with the same features every time.
fn passes(Test(targets, filter, seeds): &Test, without: Option<&str>) -> Result<bool, String> {
    let mut command = Command::new("cargo");
    command.args(["test", "--quiet", "--profile", "simulation"]);
    for package in ["engine", "state", "tests"] {
        command.args(["-p", &format!("zonewright-{package}")]);
    }
    command
        .args(["--features", "zonewright-tests/failpoints"])
        .args(*targets)
        .arg(filter)
        .env_remove("ZONEWRIGHT_BREAK")
        .env_remove("ZONEWRIGHT_SEEDS")
        .env_remove("ZONEWRIGHT_RESULTS")
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null());
    if *seeds > 0 {
        command.env("ZONEWRIGHT_SEEDS", seeds.to_string());
    }
    if let Some(name) = without {
        command.env("ZONEWRIGHT_BREAK", name);
    }
    let output = command
        .output()
        .map_err(|e| format!("cargo does not start: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let ran = text
        .lines()
        .any(|l| l.starts_with("test result:") && !l.contains(" 0 passed; 0 failed"));
    match (output.status.success(), ran) {
        (passed, true) => Ok(passed),
        // A process that is ended by a signal has noticed, too.
        (false, false) if text.contains("running ") => Ok(false),
        _ => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn by(Test(targets, filter, _): &Test) -> String {
    let target = targets.last().map_or("", |t| t.trim_start_matches("--"));
    format!("{target} {}", filter.trim_end_matches("::"))
        .trim_end()
        .to_owned()
}

/// The table and the sources name the same precautions.
fn check_names() -> Result<(), String> {
    let mut found = BTreeSet::new();
    for dir in ["engine/src", "providers/src", "state/src", "cli/src"] {
        collect(Path::new(dir), &mut found).map_err(|e| format!("{dir} cannot be read: {e}"))?;
    }
    let listed: BTreeSet<String> = PRECAUTIONS
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    match found == listed {
        true => Ok(()),
        false => Err(format!(
            "the sources and the table differ in {:?}",
            found.symmetric_difference(&listed).collect::<Vec<_>>()
        )),
    }
}

fn collect(dir: &Path, found: &mut BTreeSet<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        for rest in text.split("failpoint::without(\"").skip(1) {
            found.extend(rest.split('"').next().map(str::to_owned));
        }
    }
    Ok(())
}

/// Replaces what is below the table's head.
fn write(rows: &[String]) -> std::io::Result<()> {
    const HEAD: &str = "| precaution | what it is there for | missed by |\n|---|---|---|\n";
    let text = std::fs::read_to_string(DOCUMENT)?;
    let Some((before, after)) = text.split_once(HEAD) else {
        return Err(std::io::Error::other("it has no table of precautions"));
    };
    let rest = after.find("\n\n").map_or("\n", |at| &after[at..]);
    std::fs::write(DOCUMENT, format!("{before}{HEAD}{}{rest}", rows.join("\n")))
}
