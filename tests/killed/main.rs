//! The real program, with real files and a real store, ends itself at every point where it can: at every
//! write, sync and rename, before and after every request and every append. Another apply makes everything
//! right.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use zonewright_tests::Env;
use zonewright_tests::many::{many, part};
use zonewright_tests::truth::{Census, census, same};

const BINARY: &str = env!("CARGO_BIN_EXE_zonewright-under-test");
const APPLY: &[&str] = &["--profile", "instant", "apply", "--auto-approve"];
const BUCKET: &str = r#"[state]
backend = "s3"

[state.s3]
bucket = "one-state"
prefix = "one"
region = "fra1"
endpoint = "https://fra1.digitaloceanspaces.com"
access_key = "${secret.key}"
secret_key = "${secret.secret}"

[secret]
key = { env = "SPACES_ACCESS_KEY_ID" }
secret = { env = "SPACES_SECRET_ACCESS_KEY" }
"#;

/// One of each kind; the state in files.
fn in_files() -> Env {
    Env::project("one-of-each", BINARY)
}

/// The same with the state in a bucket.
fn in_a_bucket() -> Env {
    let env = in_files();
    env.edit("zonewright.toml", "[secret]\n", BUCKET);
    env.expect(0, &["--profile", "instant", "state", "init"]);
    env
}

/// What an apply makes, and how often it passes each point.
fn undisturbed(project: fn() -> Env) -> (Census, Vec<(String, u64)>) {
    let mut env = project();
    let log = env.path().join("points");
    env.set("ZONEWRIGHT_FAIL_LOG", log.to_str().unwrap());
    env.expect(0, APPLY);
    env.set("ZONEWRIGHT_FAIL_LOG", "/dev/null");
    env.assert_settled();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for label in std::fs::read_to_string(log).unwrap().lines() {
        *counts.entry(label.to_owned()).or_default() += 1;
    }
    let each = |(label, n): (String, u64)| (1..=n).map(move |k| (label.clone(), k));
    (
        census(&env.dump()),
        counts.into_iter().flat_map(each).collect(),
    )
}

/// An apply that ends itself at a point, and what another one makes of it.
fn killed(
    project: fn() -> Env,
    (label, k): &(String, u64),
    expected: &Census,
    died: &AtomicUsize,
) -> Result<(), String> {
    let mut env = project();
    env.set("ZONEWRIGHT_FAIL", &format!("{label}:{k}"));
    let killed = env.run(APPLY);
    match killed.code {
        -1 => died.fetch_add(1, Ordering::Relaxed),
        // How often it polls is not the same in every run: it may not get that far.
        0 => 0,
        _ => return Err(format!("{label}:{k} does not kill: {}", killed.text())),
    };
    env.set("ZONEWRIGHT_FAIL", "");
    let mended = env.run(APPLY);
    if mended.code != 0 {
        return Err(format!("after {label}:{k}: {}", mended.text()));
    }
    same(&census(&env.dump()), expected).map_err(|e| format!("after {label}:{k}: {e}"))?;
    let again = env.run(&["plan", "--detailed-exitcode"]);
    match again.code {
        0 => Ok(()),
        _ => Err(format!("after {label}:{k}: {}", again.text())),
    }
}

fn everywhere(what: &str, project: fn() -> Env, few: usize) {
    let (expected, points) = undisturbed(project);
    let chosen = part(points.len(), few);
    let (tried, died) = (chosen.len(), AtomicUsize::new(0));
    many(what, chosen, |n| {
        let point = &points[usize::try_from(n).unwrap()];
        killed(project, point, &expected, &died)
    });
    let died = died.into_inner();
    assert!(
        died * 10 >= tried * 9,
        "{what}: only {died} of {tried} were killed"
    );
}

#[test]
fn at_any_point_with_the_state_in_files() {
    everywhere("kills with files", in_files, 24);
}

#[test]
fn at_any_point_with_the_state_in_a_bucket() {
    everywhere("kills with a bucket", in_a_bucket, 12);
}
