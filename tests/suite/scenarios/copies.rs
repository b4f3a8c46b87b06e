//! Mirrors of the state: copied to, never waited for, caught up with, and good to go on from.

use zonewright_sandbox::fault::{Fault, Kind};

use super::assert_complete_once;
use super::bucket::{APPLY, objects, ready};

const MIRRORS: &str = r#"[state]
mirror = [
  { backend = "file", dir = "copies" },
  { backend = "s3", bucket = "wp-state", region = "fra1", endpoint = "https://fra1.digitaloceanspaces.com", prefix = "mirror", access_key = "${secret.spaces_access_key}", secret_key = "${secret.spaces_secret_key}" },
]"#;

#[test]
fn the_state_is_copied_to_mirrors_and_goes_on_from_one() {
    let env = ready();
    env.expect(0, APPLY);
    env.edit("zonewright.toml", "[state]", MIRRORS);
    let before = env.expect(0, &["state", "doctor"]);
    assert_eq!(
        before.stdout.matches("the next run copies them").count(),
        2,
        "{}",
        before.text()
    );
    env.edit("zones/pz.toml", "ttl = 60", "ttl = 120");
    let quiet = env.expect(0, APPLY);
    assert!(!quiet.stderr.contains("mirror"), "{}", quiet.text());
    let copies = |prefix: &str| -> Vec<String> {
        let all = objects(&env).into_iter();
        let own = all.filter_map(|k| Some(k.strip_prefix(prefix)?.to_owned()));
        own.filter(|k| !k.ends_with("/hint")).collect()
    };
    assert_eq!(copies("mirror/"), copies("wp/"));
    let well = env.expect(0, &["state", "doctor"]);
    assert_eq!(
        well.stdout.matches("has everything").count(),
        2,
        "{}",
        well.text()
    );
    assert!(
        well.stdout
            .contains("a mirror is in fra1, where the store is"),
        "{}",
        well.text()
    );
    // One that does not answer stops nothing.
    let client = env.client();
    let fault = Fault {
        service: Some("s3".to_owned()),
        method: Some("PUT".to_owned()),
        path: Some("/_s3/wp-state/mirror/*".to_owned()),
        nth: 1,
        count: u64::MAX,
        kind: Kind::DropBefore,
    };
    env.wait(client.add_fault(&fault)).unwrap();
    env.edit("zones/pz.toml", "ttl = 120", "ttl = 60");
    let told = env.expect(0, APPLY);
    assert!(
        told.stderr.contains("lacks a part of pz"),
        "{}",
        told.text()
    );
    env.clear_faults();
    let json = env
        .expect(0, &["state", "doctor", "--format", "json"])
        .json();
    let behind = |i: usize| json["mirrors"][i]["behind"].as_u64().unwrap();
    assert_eq!(behind(0), 0);
    assert!(behind(1) > 0, "{json}");
    env.edit("zones/pz.toml", "ttl = 60", "ttl = 120");
    env.expect(0, APPLY);
    assert_eq!(copies("mirror/"), copies("wp/"));
    env.assert_settled();
    // The store is lost: the mirror is the state.
    env.edit("zonewright.toml", MIRRORS, "[state]");
    env.edit("zonewright.toml", "prefix = \"wp\"", "prefix = \"mirror\"");
    env.assert_settled();
    env.edit("zones/pz.toml", "ttl = 120", "ttl = 60");
    env.expect(0, APPLY);
    env.expect(0, &["state", "doctor"]);
    assert_complete_once(&env);
    env.assert_settled();
}

#[test]
fn a_state_in_files_has_no_mirror() {
    let env = super::example();
    env.edit(
        "zonewright.toml",
        "[state]",
        "[state]\nmirror = [{ backend = \"file\", dir = \"copies\" }]",
    );
    let refused = env.expect(1, &["validate"]);
    assert!(
        refused.stderr.contains("no objects to copy"),
        "{}",
        refused.text()
    );
    assert!(
        refused.stderr.contains("state migrate"),
        "{}",
        refused.text()
    );
}
