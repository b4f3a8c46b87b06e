//! A sealed state: nothing of it is in the clear, and without its key nothing is taken for empty.

use std::path::Path;

use zonewright_state::seal::keys::NewKey;
use zonewright_tests::Env;

use super::bucket::APPLY;
use super::{assert_complete_once, example};

/// A word of every record, and one of the log.
const CANARIES: [&str; 2] = ["digitalocean.vpc", "wordpress"];

/// The example, sealed for keys; the first is at hand.
fn sealed_for(mut env: Env, keys: &[&NewKey]) -> Env {
    let recipients: Vec<String> = keys
        .iter()
        .map(|k| format!("\"{}\"", k.recipient))
        .collect();
    env.edit(
        "zonewright.toml",
        "# Secrets are references.",
        &format!(
            "[state.encryption]\nrecipients = [{}]\nidentity = \"${{secret.state_key}}\"\n\n# Secrets are references.",
            recipients.join(", ")
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
