//! A secret is in no file, no output and no log.

use std::path::Path;

use super::example;

const SLOTS: &[&str] = &[
    "SPACES_ACCESS_KEY_ID",
    "SPACES_SECRET_ACCESS_KEY",
    "WORDPRESS_SALT",
    "GRAFANA_ADMIN_PASSWORD",
];

/// A value that would be recognised in any of the usual encodings.
fn canary(index: usize) -> String {
    format!("Canary+{index}/x&y=z{}", "Qz7!".repeat(4))
}

fn forms(secret: &str) -> Vec<String> {
    let url: String = secret
        .bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect();
    let json = serde_json::to_string(secret)
        .unwrap()
        .trim_matches('"')
        .to_owned();
    vec![secret.to_owned(), base64(secret.as_bytes()), url, json]
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .encode(bytes)
        .trim_end_matches('=')
        .to_owned()
}

fn files(dir: &Path, skip: &[&str], out: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.display().to_string();
        if skip.iter().any(|s| name.ends_with(s)) {
            continue;
        }
        if path.is_dir() {
            files(&path, skip, out);
        } else if let Ok(bytes) = std::fs::read(&path) {
            out.push((name, bytes));
        }
    }
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|w| w == needle.as_bytes())
}

#[test]
fn no_secret_is_in_any_file_output_or_log() {
    let mut env = example();
    for (i, slot) in SLOTS.iter().enumerate() {
        env.set(slot, &canary(i));
    }
    let mut texts = Vec::new();
    let mut keep = |name: &str, args: &[&str]| {
        let output = env.run(args);
        texts.push((format!("{name} stdout"), output.stdout.into_bytes()));
        texts.push((format!("{name} stderr"), output.stderr.into_bytes()));
        output.code
    };
    assert_eq!(keep("plan", &["-vvv", "plan", "-o", "p"]), 0);
    assert_eq!(keep("plan json", &["plan", "--format", "json"]), 0);
    assert_eq!(keep("show", &["show", "p"]), 0);
    assert_eq!(
        keep("apply", &["-vvv", "--log-format", "json", "apply", "p"]),
        0
    );
    keep("state", &["state", "list"]);
    keep("output", &["output", "--format", "json"]);
    keep("graph", &["graph"]);
    keep("show all", &["show"]);
    let config = std::fs::read_to_string(env.path().join("manifests/wordpress.yaml")).unwrap();
    env.write(
        "manifests/wordpress.yaml",
        &config.replace("name: wp-salt", "name: [broken"),
    );
    let output = env.run(&["-vvv", "plan"]);
    texts.push(("broken".to_owned(), output.text().into_bytes()));
    env.write("manifests/wordpress.yaml", &config);

    // Secrets that the vendors made: the database password and the clusters' tokens.
    let mut secrets: Vec<String> = (0..SLOTS.len()).map(canary).collect();
    let ready = env.ready();
    secrets.extend(
        ready
            .env()
            .into_iter()
            .filter(|(n, _)| n.ends_with("TOKEN"))
            .map(|(_, v)| v),
    );
    let dump = env.dump();
    collect_passwords(&dump, &mut secrets);
    assert!(
        secrets.len() > SLOTS.len() + 2,
        "no vendor secrets were found"
    );

    // The sandbox's own files are the vendors' side.
    let skip = [
        "world.log",
        "serve.json",
        "identity.json",
        ".key",
        "requests.log",
    ];
    files(env.path(), &skip, &mut texts);
    assert!(
        texts.iter().any(|(n, _)| n.ends_with("pz.state.json")),
        "the state was not looked at"
    );
    for secret in &secrets {
        for form in forms(secret) {
            for (name, bytes) in &texts {
                assert!(!contains(bytes, &form), "{name} holds a secret");
            }
        }
    }
    let shown = String::from_utf8_lossy(&texts[0].1).into_owned();
    assert!(
        shown.contains("secret"),
        "the plan names its secrets: {shown}"
    );
}

fn collect_passwords(value: &serde_json::Value, out: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(text) if (key == "password" || key == "token") && text.len() > 8 => {
                        out.push(text.to_owned());
                    }
                    _ => collect_passwords(value, out),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|v| collect_passwords(v, out)),
        _ => {}
    }
}

/// Taken out of every text, one letter would show itself in every word that has it.
#[test]
fn a_secret_of_a_few_letters_is_refused_by_name_and_changes_no_word() {
    let mut env = example();
    env.client();
    env.set("WORDPRESS_SALT", "a");
    env.set("GRAFANA_ADMIN_PASSWORD", "zq7");
    for command in [&["plan"][..], &["apply", "--auto-approve"]] {
        let refused = env.expect(1, command);
        let words: Vec<&str> = refused.stderr.split_whitespace().collect();
        let text = words.join(" ");
        assert!(text.contains("secret.wp_salt"), "{text}");
        assert!(text.contains("WORDPRESS_SALT"), "{text}");
        assert!(text.contains("secret.grafana_password"), "{text}");
        assert!(text.contains("ZW4004"), "{text}");
        assert!(
            !text.contains("zq7") && !text.contains("(secret)"),
            "{text}"
        );
    }
    assert!(env.mutations().is_empty());
    env.set("WORDPRESS_SALT", "long enough");
    env.set("GRAFANA_ADMIN_PASSWORD", "long enough, too");
    env.expect(0, &["apply", "--auto-approve"]);
}
