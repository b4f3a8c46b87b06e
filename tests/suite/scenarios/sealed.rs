//! A sealed state: nothing of it is in the clear, and without its key nothing is taken for empty.

use std::path::Path;

use zonewright_sandbox::fault::Kind;
use zonewright_state::seal::keys::NewKey;
use zonewright_state::store::Store;
use zonewright_tests::Env;

use super::bucket::{self, APPLY};
use super::doctor::{elsewhere, store, swept};
use super::transfer::restored;
use super::{applied, assert_complete_once, example};

/// A word of every record, and one of the log.
const CANARIES: [&str; 2] = ["digitalocean.vpc", "wordpress"];

/// The line of the spec that lists these.
fn recipients(keys: &[&NewKey]) -> String {
    let quoted = keys.iter().map(|k| format!("\"{}\"", k.recipient));
    format!("recipients = [{}]", quoted.collect::<Vec<_>>().join(", "))
}

/// A project, sealed for keys from now on; the first is at hand.
fn sealed_for(mut env: Env, keys: &[&NewKey]) -> Env {
    env.edit(
        "zonewright.toml",
        "# Secrets are references.",
        &format!(
            "[state.encryption]\n{}\nidentity = \"${{secret.state_key}}\"\n\n# Secrets are references.",
            recipients(keys)
        ),
    );
    env.edit(
        "zonewright.toml",
        "[secret]",
        "[secret]\nstate_key = { env = \"STATE_KEY\" }",
    );
    env.set("STATE_KEY", &keys[0].identity);
    env
}

/// The files below a directory that hold one of these words.
fn with_words(dir: &Path, words: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            out.extend(with_words(&path, words));
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        if words.iter().any(|word| text.contains(word)) {
            out.push(path.display().to_string());
        }
    }
    out
}

/// The directory of the state under `--sandbox`.
fn state_dir(env: &Env) -> std::path::PathBuf {
    env.path().join(".zonewright/sandbox/state")
}

#[test]
fn a_sealed_state_is_applied_once_and_settled() {
    let key = NewKey::generate();
    let mut env = sealed_for(example(), &[&key]);
    env.expect(0, &["plan", "-o", "all.plan"]);
    let plan = std::fs::read_to_string(env.path().join("all.plan")).unwrap();
    assert!(
        plan.contains("\"sealed\"") && !plan.contains(CANARIES[0]),
        "{plan:.300}"
    );
    let shown = env.expect(0, &["show", "all.plan"]);
    assert!(shown.stdout.contains(CANARIES[0]), "{}", shown.text());
    // A plan that was changed is made again: that is not for the state.
    let mut changed = plan.clone().into_bytes();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(env.path().join("changed.plan"), changed).unwrap();
    let refused = env.expect(4, &["apply", "changed.plan"]);
    let said = "is no plan as it was saved";
    assert!(refused.stderr.contains(said), "{}", refused.text());
    assert!(!refused.stderr.contains("restore"), "{}", refused.text());
    env.expect(0, &["apply", "all.plan"]);
    assert_complete_once(&env);
    env.assert_settled();
    let dir = state_dir(&env);
    assert_eq!(with_words(&dir, &CANARIES), Vec::<String>::new());
    assert!(with_words(&dir, &[key.recipient.as_str()]).len() >= 6);
    // Without the key, and with another one: an error, never "N to add".
    let before = env.state_bytes();
    env.set("STATE_KEY", &NewKey::generate().identity);
    for args in [&["plan"][..], APPLY, &["state", "list"]] {
        let refused = env.expect(9, args);
        assert!(refused.stderr.contains("ZW5017"), "{}", refused.text());
        assert!(!refused.text().contains("AGE-SECRET"), "{}", refused.text());
    }
    env.set("STATE_KEY", "");
    let refused = env.expect(9, &["plan"]);
    assert!(refused.stderr.contains("ZW5015"), "{}", refused.text());
    assert!(
        refused.stderr.contains(&key.recipient),
        "{}",
        refused.text()
    );
    assert_eq!(env.state_bytes(), before);
    env.set("STATE_KEY", &key.identity);
    env.assert_settled();
}

#[test]
fn a_state_in_the_clear_is_sealed_and_its_recipients_come_and_go() {
    let (ours, theirs) = (NewKey::generate(), NewKey::generate());
    let env = applied();
    let dir = state_dir(&env);
    assert!(!with_words(&dir, &CANARIES).is_empty());
    let mut env = sealed_for(env, &[&ours]);
    env.assert_settled();
    let plain = env.expect(0, &["state", "doctor"]);
    assert!(
        plain.stdout.contains("in the clear, which is not"),
        "{}",
        plain.text()
    );
    let dry = env.expect(0, &["state", "rekey", "--dry-run"]);
    assert!(
        dry.stdout
            .contains("is in the clear, a new one will be sealed for 1"),
        "{}",
        dry.text()
    );
    assert!(!with_words(&dir, &CANARIES).is_empty(), "it was only shown");
    env.expect(6, &["state", "rekey"]);
    env.expect(0, &["state", "rekey", "--auto-approve"]);
    assert_eq!(with_words(&dir, &CANARIES), Vec::<String>::new());
    let clean = env.expect(0, &["state", "doctor"]);
    assert!(!clean.stdout.contains("which is not"), "{}", clean.text());
    let listed = env.expect(0, &["state", "list"]).stdout;
    // Somebody comes.
    env.edit(
        "zonewright.toml",
        &recipients(&[&ours]),
        &recipients(&[&ours, &theirs]),
    );
    let two = env.expect(0, &["state", "rekey", "--zone", "pz", "--auto-approve"]);
    assert!(
        two.stdout.contains(&format!("+ {}", theirs.recipient)),
        "{}",
        two.text()
    );
    let part = env.expect(0, &["state", "doctor"]);
    assert!(
        part.stdout.contains("bz: ") && !part.stdout.contains("pz: "),
        "{}",
        part.text()
    );
    env.expect(0, &["state", "rekey", "--auto-approve"]);
    env.set("STATE_KEY", &theirs.identity);
    assert_eq!(env.expect(0, &["state", "list"]).stdout, listed);
    // And somebody goes.
    env.edit(
        "zonewright.toml",
        &recipients(&[&ours, &theirs]),
        &recipients(&[&theirs]),
    );
    let one = env.expect(0, &["state", "rekey", "--auto-approve"]);
    assert!(
        one.stdout.contains(&format!("- {}", ours.recipient)),
        "{}",
        one.text()
    );
    assert_eq!(with_words(&dir, &[&ours.recipient]), Vec::<String>::new());
    env.edit(
        "zonewright.toml",
        &recipients(&[&theirs]),
        &recipients(&[&ours]),
    );
    env.set("STATE_KEY", &ours.identity);
    let gone = env.expect(9, &["plan"]);
    assert!(
        gone.stderr.contains("ZW5015") && gone.stderr.contains(&theirs.recipient),
        "{}",
        gone.text()
    );
    env.edit(
        "zonewright.toml",
        &recipients(&[&ours]),
        &recipients(&[&theirs]),
    );
    env.set("STATE_KEY", &theirs.identity);
    assert_eq!(env.expect(0, &["state", "list"]).stdout, listed);
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn what_is_in_the_clear_is_refused_where_it_must_be_sealed() {
    let env = sealed_for(example(), &[&NewKey::generate()]);
    env.expect(0, APPLY);
    let listed = env.expect(0, &["state", "list"]).stdout;
    env.edit(
        "zonewright.toml",
        "[state.encryption]",
        "[state.encryption]\nrequire = true",
    );
    env.assert_settled();
    env.edit("zonewright.toml", "require = true", "seal = false");
    env.expect(0, &["state", "rekey", "--auto-approve"]);
    env.edit("zonewright.toml", "seal = false", "require = true");
    let downgraded = env.expect(7, &["plan"]);
    assert!(
        downgraded.stderr.contains("ZW5016"),
        "{}",
        downgraded.text()
    );
    env.edit("zonewright.toml", "require = true\n", "");
    env.expect(0, &["state", "rekey", "--auto-approve"]);
    let history = env.expect(0, &["state", "history"]);
    assert!(history.stdout.contains("rekey"), "{}", history.text());
    assert_eq!(env.expect(0, &["state", "list"]).stdout, listed);
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn a_key_behind_a_passphrase_opens_a_state() {
    let mut env = example();
    env.set("STATE_PASSPHRASE", "correct horse battery");
    let args = ["state", "keygen", "-o", "state.agekey"];
    let made = env.expect(
        0,
        &[&args[..], &["--passphrase-env", "STATE_PASSPHRASE"]].concat(),
    );
    let public = made.stdout.trim().to_owned();
    let file = std::fs::read_to_string(env.path().join("state.agekey")).unwrap();
    assert!(
        file.starts_with("-----BEGIN AGE") && !file.contains("SECRET"),
        "{file}"
    );
    env.expect(1, &args);
    env.edit(
        "zonewright.toml",
        "# Secrets are references.",
        &format!(
            "[state.encryption]\nrecipients = [\"{public}\"]\nidentity = \"${{secret.state_key}}\"\npassphrase = \"${{secret.state_passphrase}}\"\n\n# Secrets are references.",
        ),
    );
    env.edit(
        "zonewright.toml",
        "[secret]",
        "[secret]\nstate_key = { file = \"state.agekey\" }\nstate_passphrase = { env = \"STATE_PASSPHRASE\" }",
    );
    env.expect(0, &["apply", "--zone", "pz", "--auto-approve"]);
    env.expect(0, &["plan", "--zone", "pz", "--detailed-exitcode"]);
    assert_eq!(
        with_words(&state_dir(&env), &CANARIES),
        Vec::<String>::new()
    );
    env.set("STATE_PASSPHRASE", "wrong horse battery");
    let wrong = env.expect(9, &["state", "list"]);
    assert!(
        wrong.stderr.contains("secret.state_passphrase"),
        "{}",
        wrong.text()
    );
    assert!(!wrong.text().contains("horse"), "{}", wrong.text());
}

#[test]
fn a_sealed_state_in_a_bucket_is_copied_moved_and_found_out() {
    let key = NewKey::generate();
    let env = sealed_for(bucket::fresh(), &[&key]);
    env.edit(
        "zonewright.toml",
        "[state]",
        "[state]\nmirror = [{ backend = \"file\", dir = \"copies\" }]",
    );
    env.expect(0, &["state", "init"]);
    env.expect(0, APPLY);
    assert_complete_once(&env);
    env.assert_settled();
    let there = store(&env, "wp");
    for object in env.wait(there.list("", None)).unwrap() {
        let bytes = env.wait(there.get(&object)).unwrap().unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            CANARIES.iter().all(|word| !text.contains(word)),
            "{object}: {text:.400}"
        );
        assert!(
            object.ends_with("hint") || object == "meta.json" || text.contains("age1"),
            "{object}"
        );
    }
    let copies = env.path().join(".zonewright/sandbox/mirror/copies");
    assert_eq!(with_words(&copies, &CANARIES), Vec::<String>::new());
    assert!(with_words(&copies, &[&key.recipient]).len() > 6);
    env.expect(0, &["state", "doctor"]);

    // f12: an object in the place of another one.
    let logs = env.wait(there.list("pz/log/", None)).unwrap();
    let (last, other) = (logs.last().unwrap(), &logs[1]);
    let good = env.wait(there.get(last)).unwrap().unwrap();
    let bytes = env.wait(there.get(other)).unwrap().unwrap();
    env.wait(there.put_hint(last, &bytes)).unwrap();
    for args in [&["plan"][..], APPLY] {
        let found = env.expect(7, args);
        assert!(
            found.stderr.contains("belongs to another"),
            "{}",
            found.text()
        );
    }
    env.wait(there.put_hint(last, &good)).unwrap();
    env.assert_settled();

    // Pulled sealed, and pushed in the clear and sealed.
    let sealed = env.expect(0, &["state", "pull", "--zone", "pz"]);
    assert!(!sealed.stdout.contains(CANARIES[0]), "{}", sealed.text());
    env.write("pz.json", &sealed.stdout);
    let clear = env.expect(0, &["state", "pull", "--zone", "pz", "--decrypt"]);
    assert!(clear.stdout.contains(CANARIES[0]), "{}", clear.text());
    env.write("clear.json", &clear.stdout);
    for file in ["pz.json", "clear.json"] {
        env.expect(0, &["state", "diff", file, "current", "--zone", "pz"]);
        let same = env.expect(0, &["state", "push", file]);
        assert!(same.stderr.contains("No difference"), "{}", same.text());
    }

    // To files and back to another place.
    elsewhere(&env, bucket::STATE, "backend = \"file\"");
    let text = std::fs::read_to_string(env.path().join("new.toml")).unwrap();
    let mirror = text.lines().find(|l| l.starts_with("mirror")).unwrap();
    env.write("new.toml", &text.replace(mirror, ""));
    env.expect(0, &["state", "migrate", "new.toml", "--yes"]);
    env.assert_settled();
    assert_eq!(
        with_words(&state_dir(&env), &CANARIES),
        Vec::<String>::new()
    );
    let moved = bucket::STATE.replace("prefix = \"wp\"", "prefix = \"moved\"");
    elsewhere(&env, "backend = \"file\"", &moved);
    env.expect(0, &["state", "migrate", "new.toml", "--yes"]);
    env.edit("zones/pz.toml", "ttl = 60", "ttl = 120");
    env.expect(0, APPLY);
    env.expect(0, &["state", "doctor"]);
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn a_sealed_state_in_a_bucket_is_led_back() {
    let env = sealed_for(bucket::ready(), &[&NewKey::generate()]);
    restored(&env);
}

#[test]
fn what_is_superfluous_of_a_sealed_state_is_removed() {
    let key = NewKey::generate();
    let env = bucket::ready();
    env.expect(0, APPLY);
    // The first run was in the clear: that goes, too.
    let env = sealed_for(env, &[&key]);
    env.expect(0, &["state", "rekey", "--auto-approve"]);
    let left = env.expect(0, &["state", "doctor"]);
    assert!(
        left.stdout.contains("`zonewright --sandbox state gc`"),
        "{}",
        left.text()
    );
    swept(&env);
    let clean = env.expect(0, &["state", "doctor"]);
    assert!(!clean.stdout.contains("in the clear"), "{}", clean.text());
    let there = store(&env, "wp");
    for object in env.wait(there.list("", None)).unwrap() {
        let bytes = env.wait(there.get(&object)).unwrap().unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(CANARIES.iter().all(|word| !text.contains(word)), "{object}");
    }
}

#[test]
fn a_damaged_sealed_log_is_repaired_with_its_key_only() {
    let key = NewKey::generate();
    let mut env = sealed_for(example(), &[&key]);
    env.fault("POST", "/v2/kubernetes/clusters", 1, Kind::HoldBefore);
    let mut child = env.spawn(APPLY);
    assert!(env.wait_held(&mut child));
    child.kill().unwrap();
    child.wait().unwrap();
    env.clear_faults();
    let journal = state_dir(&env).join("pz.journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&journal, &bytes).unwrap();
    env.expect(7, &["plan"]);
    // Only the name in the lock may be another.
    let kept = |env: &Env| {
        let mut all = env.state_bytes();
        all.retain(|(file, _)| file.extension().is_some_and(|e| e != "lock"));
        all
    };
    let before = kept(&env);
    env.set("STATE_KEY", "");
    for args in [
        &["state", "repair", "--auto-approve"][..],
        &["state", "restore", "--auto-approve"],
    ] {
        env.expect(9, args);
        assert!(kept(&env) == before, "nothing was changed");
    }
    env.set("STATE_KEY", &key.identity);
    let shown = env.expect(7, &["state", "repair", "--dry-run"]);
    assert!(shown.stdout.contains("about pz/"), "{}", shown.text());
    env.expect(0, &["state", "repair", "--auto-approve"]);
    env.expect(0, APPLY);
    assert_complete_once(&env);
    env.assert_settled();
}
