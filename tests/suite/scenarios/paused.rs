//! A holder of the state that stood still while another run took over, and a store that is fit no more.

use std::process::Child;

use zonewright_sandbox::control::{Storage, Switches};
use zonewright_sandbox::fault::Kind;
use zonewright_tests::{Env, finish};

use super::assert_complete_once;
use super::bucket::{APPLY, ready};

fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn sent(env: &Env) -> Vec<serde_json::Value> {
    let mut sent = env.mutations();
    sent.retain(|r| r["service"] != "s3");
    sent
}

/// The announcement is durable and its answer on the way back, then the process stands still: what it wakes
/// up to send is announced by a writer that others have taken over from.
#[test]
fn a_paused_holder_sends_nothing_after_another_took_over() {
    let env = ready();
    env.edit("zonewright.toml", "[state]", "[state]\nttl = \"2s\"");
    env.fault("PUT", "/_s3/wp-state/wp/pz/log/*3", 1, Kind::HoldAfter);
    let mut first = env.spawn(APPLY);
    assert!(env.wait_held(&mut first));
    signal(&first, "STOP");
    env.clear_faults();
    let log = env.expect(0, &["state", "list"]).stdout;
    assert!(
        log.contains("without a known outcome"),
        "it was announced: {log}"
    );
    let taken = env.expect(0, &[APPLY, &["--lock-timeout", "60s"]].concat());
    assert!(taken.stderr.contains("was silent for"), "{}", taken.text());
    assert_complete_once(&env);
    env.clear_requests();
    signal(&first, "CONT");
    let first = finish(Ok(first));
    assert_ne!(first.code, 0, "{}", first.text());
    assert!(
        first.stderr.contains("was taken over by"),
        "{}",
        first.text()
    );
    assert!(sent(&env).is_empty(), "{:?}", sent(&env));
    assert_complete_once(&env);
    env.assert_settled();
}

/// Who waited for its log for too long makes sure of it once more, and goes on.
#[test]
fn a_holder_that_nobody_followed_goes_on() {
    let env = ready();
    env.edit("zonewright.toml", "[state]", "[state]\nttl = \"2s\"");
    env.fault("PUT", "/_s3/wp-state/wp/pz/log/*3", 1, Kind::HoldAfter);
    let mut first = env.spawn(APPLY);
    assert!(env.wait_held(&mut first));
    // Its signs of life go on, so that nobody takes it for dead.
    let waited = env.expect(5, &[APPLY, &["--lock-timeout", "3s"]].concat());
    assert!(waited.stderr.contains("is locked by"), "{}", waited.text());
    env.clear_faults();
    let first = finish(Ok(first));
    assert_eq!(first.code, 0, "{}", first.text());
    let history = env.expect(0, &["state", "history"]).stdout;
    assert!(history.contains("wrote nothing for"), "{history}");
    assert_complete_once(&env);
    env.assert_settled();
}

/// The store was fit when the state was made, and is another product since.
#[test]
fn a_store_is_tried_again_once_a_day() {
    let env = ready();
    let probes = || {
        let all = env.requests();
        let of_probe =
            |r: &&serde_json::Value| r["path"].as_str().is_some_and(|p| p.contains("/_probe/"));
        all.iter().filter(of_probe).count()
    };
    env.clear_requests();
    env.expect(0, APPLY);
    assert_eq!(probes(), 0, "it was found fit just now");
    let file = env.path().join(".zonewright/sandbox/proven.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let year = text.find("20").unwrap();
    let old = format!("{}19{}", &text[..year], &text[year + 2..]);
    std::fs::write(&file, &old).unwrap();
    env.edit("zones/pz.toml", "ttl = 60", "ttl = 120");
    env.expect(0, APPLY);
    assert!(probes() > 8, "it was tried");
    std::fs::write(&file, &old).unwrap();
    let mut switches = Switches::default();
    switches.storage = Storage::CheckThenAct;
    let client = env.client();
    env.wait(client.set_switches(&switches)).unwrap();
    env.edit("zones/pz.toml", "ttl = 120", "ttl = 60");
    env.clear_requests();
    let refused = env.expect(6, APPLY);
    assert!(refused.stderr.contains("[ZW5014]"), "{}", refused.text());
    assert!(sent(&env).is_empty());
    switches.storage = Storage::Honest;
    env.wait(client.set_switches(&switches)).unwrap();
    env.expect(0, APPLY);
    assert_complete_once(&env);
    env.assert_settled();
}
