//! The rules of the house: which crate may use which, sizes, names, where secrets come out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust files of the workspace's crates, tests included, by path from the root.
fn sources() -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for member in [
        "engine",
        "zones",
        "providers",
        "state",
        "sandbox",
        "cli",
        "xtask",
        "tests",
    ] {
        collect(&root().join(member), &mut out);
    }
    assert!(out.len() > 50, "the workspace was not found");
    out
}

fn collect(dir: &Path, out: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            out.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/")
        || path.ends_with("/tests.rs")
        || path.contains("/tests/")
        || path.contains("/benches/")
}

/// Which of our crates each crate uses outside its tests.
#[test]
fn crates_use_only_what_they_may() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> = [
        ("engine", vec![]),
        ("zones", vec!["engine"]),
        ("state", vec!["engine"]),
        ("providers", vec!["engine"]),
        ("sandbox", vec![]),
        (
            "cli",
            vec!["engine", "zones", "state", "providers", "sandbox"],
        ),
        ("xtask", vec![]),
    ]
    .map(|(k, v)| (k, v.into_iter().collect()))
    .into();
    for (member, allowed) in allowed {
        let manifest = std::fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let used: BTreeSet<String> = manifest["dependencies"]
            .as_table()
            .unwrap()
            .keys()
            .filter_map(|k| k.strip_prefix("zonewright-").map(str::to_owned))
            .collect();
        let extra: Vec<&String> = used
            .iter()
            .filter(|u| !allowed.contains(u.as_str()))
            .collect();
        assert!(extra.is_empty(), "{member} must not use {extra:?}");
    }
}

/// Guidance with a hard end: a file over this many lines holds more than one concept.
#[test]
fn files_stay_small() {
    let big: Vec<String> = sources()
        .iter()
        .filter(|(path, _)| !is_test(path))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > 700)
        .map(|(path, lines)| format!("{path}: {lines}"))
        .collect();
    assert!(big.is_empty(), "files over 700 lines: {big:#?}");
}

#[test]
fn nothing_is_called_util() {
    for path in sources().keys() {
        for part in path.trim_end_matches(".rs").split('/') {
            assert!(
                ![
                    "util", "utils", "helper", "helpers", "common", "misc", "mod"
                ]
                .contains(&part),
                "{path}: a name that says nothing"
            );
        }
    }
}

/// Where a secret becomes text. A new place has to be added here, on purpose.
#[test]
fn secrets_are_exposed_in_few_places() {
    let places: Vec<String> = sources()
        .iter()
        .filter(|(path, _)| !is_test(path))
        .filter(|(_, text)| {
            let code = text.split("#[cfg(test)]").next().unwrap_or("");
            code.contains(".expose(Purpose::")
        })
        .map(|(path, _)| path.clone())
        .collect();
    let expected = EXPOSING;
    assert_eq!(places, expected);
}

/// Templates and request bodies; the authorization headers; the clear text of a live Secret, to be
/// compared in memory; the credentials of a cluster; and the kubeconfig that a user asks for.
const EXPOSING: &[&str] = &[
    "cli/src/commands/kubeconfig.rs",
    "engine/src/expr.rs",
    "engine/src/value.rs",
    "providers/src/cloud.rs",
    "providers/src/http.rs",
    "providers/src/kubernetes/canonical.rs",
    "providers/src/kubernetes/client.rs",
];

#[test]
fn every_module_says_what_it_is() {
    for (path, text) in sources() {
        let first = text.lines().next().unwrap_or("");
        assert!(
            is_test(&path) || first.starts_with("//!"),
            "{path} has no //! line"
        );
    }
}
