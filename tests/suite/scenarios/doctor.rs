//! `state doctor` and `state migrate`: what is wrong is named, and what is moved is whole.

use zonewright_engine::secret::Secret;
use zonewright_sandbox::control::{Storage, Switches};
use zonewright_state::store::Store;
use zonewright_state::store::s3::{S3Options, S3Store};
use zonewright_tests::Env;

use super::bucket::{APPLY, fresh, objects, ready};
use super::{applied, assert_complete_once};

/// The bucket, for whoever meddles with it.
pub(super) fn store(env: &Env, prefix: &str) -> S3Store {
    let pairs = env.ready().env();
    let of = |name: &str| pairs.iter().find(|(n, _)| *n == name).unwrap().1.clone();
    let secret = |name: &str| Secret::new(name, of(name), None);
    S3Store::new(&S3Options {
        bucket: "wp-state".to_owned(),
        region: "fra1".to_owned(),
        endpoint: Some(of("ZONEWRIGHT_SANDBOX_S3")),
        prefix: prefix.to_owned(),
        access_key: secret("SPACES_ACCESS_KEY_ID"),
        secret_key: secret("SPACES_SECRET_ACCESS_KEY"),
    })
    .unwrap()
}

#[test]
fn the_doctor_names_what_was_changed_or_is_gone() {
    let env = ready();
    env.expect(0, APPLY);
    let well = env.expect(0, &["state", "doctor"]);
    assert!(
        well.stdout.contains("Everything is whole"),
        "{}",
        well.text()
    );
    let json = env
        .expect(0, &["state", "doctor", "--format", "json"])
        .json();
    assert_eq!(json["well"], true);
    assert_eq!(json["place"], "s3://wp-state/wp");
    assert_eq!(json["shards"].as_array().unwrap().len(), 3);
    assert!(json["shards"][0]["batches"].as_u64().unwrap() > 1);

    let bucket = store(&env, "wp");
    let logs = env.wait(bucket.list("pz/log/", None)).unwrap();
    let (second, third) = (&logs[1], &logs[2]);
    let mut bytes = env.wait(bucket.get(second)).unwrap().unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    env.wait(bucket.put_hint(second, &bytes)).unwrap();
    env.wait(bucket.gc(third)).unwrap();
    let sick = env.expect(6, &["state", "doctor"]);
    for key in [second, third] {
        assert!(sick.stdout.contains(key.as_str()), "{key}: {}", sick.text());
    }
    assert!(!sick.stdout.contains("bz/log"), "{}", sick.text());
    // The snapshots after it are whole, so that work goes on meanwhile.
    env.expect(0, &["plan", "--detailed-exitcode"]);
}

#[test]
fn the_doctor_judges_the_store_and_its_place() {
    let env = fresh();
    env.edit("zonewright.toml", "region = \"fra1\"", "region = \"nyc3\"");
    env.expect(0, &["state", "init"]);
    let near = env.expect(6, &["state", "doctor"]);
    assert!(
        near.stdout.contains("nyc3, the region of pz") && near.stdout.contains("bz, edge"),
        "{}",
        near.text()
    );
    env.edit("zonewright.toml", "region = \"nyc3\"", "region = \"fra1\"");
    env.expect(0, &["state", "doctor"]);
    let mut switches = Switches::default();
    switches.storage = Storage::CheckThenAct;
    let client = env.client();
    env.wait(client.set_switches(&switches)).unwrap();
    let liar = env.expect(6, &["state", "doctor"]);
    assert!(
        liar.stdout.contains("of 8 writers at once"),
        "{}",
        liar.text()
    );
    let refused = env.expect(6, &["state", "init"]);
    assert!(refused.stderr.contains("[ZW5014]"), "{}", refused.text());
}

/// `zonewright.toml` with another place of the state.
pub(super) fn elsewhere(env: &Env, from: &str, to: &str) {
    let text = std::fs::read_to_string(env.path().join("zonewright.toml")).unwrap();
    assert!(text.contains(from), "{text}");
    env.write("new.toml", &text.replacen(from, to, 1));
}

#[test]
fn a_state_is_moved_from_files_to_a_bucket_and_to_another() {
    let env = applied();
    let text = std::fs::read_to_string(env.path().join("zonewright.toml")).unwrap();
    let line = text.lines().find(|l| l.starts_with("backend = ")).unwrap();
    elsewhere(&env, line, super::bucket::STATE);
    let shown = env.expect(0, &["state", "migrate", "new.toml"]);
    assert!(
        shown.stderr.contains("Nothing was written"),
        "{}",
        shown.text()
    );
    env.expect(0, &["state", "migrate", "new.toml", "--yes"]);
    env.assert_settled();
    env.expect(0, &["state", "doctor"]);
    env.edit("zones/pz.toml", "ttl = 60", "ttl = 120");
    env.expect(0, APPLY);
    env.assert_settled();

    elsewhere(&env, "prefix = \"wp\"", "prefix = \"moved\"");
    env.expect(0, &["state", "migrate", "new.toml", "--yes"]);
    let copies = |prefix: &str| -> Vec<String> {
        let all = objects(&env).into_iter();
        let own = all.filter_map(|k| Some(k.strip_prefix(prefix)?.to_owned()));
        own.filter(|k| !k.ends_with("/hint")).collect()
    };
    assert_eq!(copies("moved/"), copies("wp/"));
    env.assert_settled();
    // What another run did at the new place is never written over.
    env.edit("zones/pz.toml", "ttl = 120", "ttl = 60");
    env.expect(0, APPLY);
    env.assert_settled();
    elsewhere(&env, "prefix = \"moved\"", "prefix = \"wp\"");
    let back = env.expect(0, &["state", "migrate", "new.toml", "--yes"]);
    assert!(back.stderr.contains("s3://wp-state/wp"), "{}", back.text());
    // And back to files: not over those that were there before.
    elsewhere(&env, super::bucket::STATE, "backend = \"file\"");
    let over = env.expect(6, &["state", "migrate", "new.toml", "--yes"]);
    assert!(over.stderr.contains("a state already"), "{}", over.text());
    let files = env.path().join(".zonewright/sandbox/state");
    std::fs::rename(&files, files.with_extension("old")).unwrap();
    env.expect(0, &["state", "migrate", "new.toml"]);
    assert!(!files.exists(), "it was only shown");
    env.expect(0, &["state", "migrate", "new.toml", "--yes"]);
    env.assert_settled();
    env.edit("zones/pz.toml", "ttl = 60", "ttl = 120");
    env.expect(0, APPLY);
    env.expect(0, &["state", "doctor"]);
    assert_complete_once(&env);
    env.assert_settled();
}

/// Three runs, of which the first two left what the third makes superfluous.
pub(super) fn swept(env: &Env) {
    env.expect(0, APPLY);
    for (from, to) in [("ttl = 60", "ttl = 120"), ("ttl = 120", "ttl = 60")] {
        env.edit("zones/pz.toml", from, to);
        env.expect(0, APPLY);
    }
    let kept = env.expect(0, &["state", "gc", "--auto-approve"]);
    assert!(
        kept.stderr.contains("Nothing is superfluous"),
        "{}",
        kept.text()
    );
    env.edit(
        "zonewright.toml",
        "[state]",
        "[state]\nkeep = 1\nkeep_for = \"0s\"",
    );
    let listed = env.expect(0, &["state", "list"]).stdout;
    let shown = env.expect(0, &["state", "gc", "--dry-run"]);
    assert!(
        shown.stdout.contains("objects before that"),
        "{}",
        shown.text()
    );
    let history = |env: &Env| {
        let json = env
            .expect(0, &["state", "history", "--format", "json"])
            .json();
        json["history"].as_array().map_or(0, Vec::len)
    };
    let before = history(env);
    env.expect(6, &["state", "gc"]);
    assert_eq!(history(env), before, "nobody approved");
    let done = env.expect(0, &["state", "gc", "--auto-approve"]);
    assert!(done.stderr.contains("Removed"), "{}", done.text());
    assert!(history(env) < before);
    let again = env.expect(0, &["state", "gc", "--auto-approve"]);
    assert!(
        again.stderr.contains("Nothing is superfluous"),
        "{}",
        again.text()
    );
    assert_eq!(env.expect(0, &["state", "list"]).stdout, listed);
    env.expect(0, &["state", "doctor"]);
    env.assert_settled();
}

#[test]
fn what_is_superfluous_in_files_is_removed() {
    let env = super::example();
    swept(&env);
    assert_complete_once(&env);
}

#[test]
fn what_is_superfluous_in_a_bucket_is_removed() {
    let env = super::bucket::ready();
    swept(&env);
    let logs = |zone: &str| {
        let prefix = format!("wp/{zone}/log/");
        objects(&env)
            .iter()
            .filter(|k| k.starts_with(&prefix))
            .count()
    };
    assert!(
        logs("pz") < 6,
        "the log begins at the snapshot that is kept"
    );
    env.edit("zones/pz.toml", "ttl = 60", "ttl = 120");
    env.expect(0, APPLY);
    env.expect(0, &["state", "doctor"]);
    assert_complete_once(&env);
    env.assert_settled();
}
