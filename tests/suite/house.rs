//! The rules of the house: which crate may use which, sizes, names, where secrets come out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust files of the workspace's crates, tests included, by path from the root.
pub(super) fn sources() -> BTreeMap<String, String> {
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
        // `cargo fuzz` builds beside its programs.
        if path.is_dir() && !path.ends_with("target") {
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
/// compared in memory; the credentials of a cluster, a database and a bucket, also
/// of those which the state is in; the keys of a sealed state; and the kubeconfig that a user asks for.
const EXPOSING: &[&str] = &[
    "cli/src/commands/kubeconfig.rs",
    "cli/src/sealed.rs",
    "engine/src/expr.rs",
    "engine/src/value.rs",
    "providers/src/cloud.rs",
    "providers/src/http.rs",
    "providers/src/kubernetes/canonical.rs",
    "providers/src/kubernetes/client.rs",
    "providers/src/probe/mysql.rs",
    "providers/src/probe/s3.rs",
    "state/src/store/kubernetes.rs",
    "state/src/store/postgres.rs",
    "state/src/store/s3.rs",
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

/// Every code that appears in the tree, and whether it is used where it should be.
#[test]
fn every_code_has_a_page_and_every_page_a_use() {
    let sources = sources();
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut texts: Vec<String> = sources
        .iter()
        .filter(|(path, _)| !is_test(path))
        .map(|(_, text)| text.split("#[cfg(test)]").next().unwrap_or("").to_owned())
        .collect();
    for file in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        texts.push(std::fs::read_to_string(root().join(file)).unwrap());
    }
    for text in &texts {
        for (at, _) in text.match_indices("ZW") {
            let code: String = text[at..].chars().take(6).collect();
            if code.len() == 6 && code[2..].bytes().all(|b| b.is_ascii_digit()) {
                used.insert(code);
            }
        }
    }
    assert!(used.len() > 80, "{}", used.len());
    let unexplained: Vec<&String> = used
        .iter()
        .filter(|code| zonewright::explain(code).is_none())
        .collect();
    assert!(unexplained.is_empty(), "no page: {unexplained:?}");
    for (table, code) in [
        ("zones/src/diag/code.rs", "zones/src/"),
        ("cli/src/report/code.rs", "cli/src/"),
        ("engine/src/plan/pages.rs", "engine/src/"),
    ] {
        let elsewhere = |needle: &str| {
            sources.iter().any(|(path, text)| {
                // The table itself has only the names of its variants.
                let own_impl =
                    path == table && text.matches(needle).count() > 0 && needle.contains("::");
                path.starts_with(code) && (path != table && text.contains(needle) || own_impl)
            })
        };
        for line in sources[table].lines() {
            let words: Vec<&str> = line.trim_start().splitn(3, ' ').collect();
            let needle = match words.as_slice() {
                // `Variant "ZW1001" …` in a table of variants, `"ZW3001",` in one of pages.
                [variant, id, ..] if id.starts_with("\"ZW") => format!("Code::{variant}"),
                [variant, id] if id.starts_with("\"ZW") => format!("Code::{variant}"),
                [id] if id.starts_with("\"ZW") => id.trim_end_matches(',').to_owned(),
                _ => continue,
            };
            assert!(elsewhere(&needle), "{table}: nothing uses {needle}");
        }
    }
}

/// A program that ends itself on demand is for tests alone.
#[test]
fn the_program_has_no_failpoints() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_zonewright-under-test")).unwrap();
    let word = b"ZONEWRIGHT_FAIL";
    let has = program.windows(word.len()).any(|w| w == word);
    assert_eq!(has, cfg!(feature = "failpoints"));
}
