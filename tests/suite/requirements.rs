//! The requirement table says what is tested, and only what is.

use std::collections::BTreeSet;

use super::house::{root, sources};

/// The names of all tests: functions that are marked as one, properties, and the cases of `zones`.
fn tests() -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for text in sources().values() {
        let mut marked = false;
        for line in text.lines().map(str::trim_start) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                marked = true;
            } else if let Some(rest) = line
                .strip_prefix("fn ")
                .or_else(|| line.strip_prefix("async fn "))
            {
                if marked {
                    out.extend(rest.split('(').next().map(str::to_owned));
                }
                marked = false;
            }
        }
    }
    // A macro makes a test of each of these.
    let targets = zonewright_tests::fuzz::TARGETS.iter();
    out.extend(targets.map(|t| t.name.to_owned()));
    let cases = std::fs::read_dir(root().join("zones/tests/cases")).unwrap();
    for case in cases {
        let path = case.unwrap().path();
        out.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
    }
    out
}

/// The words between backticks.
fn named(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_requirement_table_names_tests_that_exist() {
    let known = tests();
    assert!(known.len() > 400, "{} tests were found", known.len());
    let text = std::fs::read_to_string(root().join("docs/requirements.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| BZ-"));
    let mut found = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, _, command, tests, ..] = cells[..] else {
            panic!("a row with too few cells: {row}");
        };
        found.push(id.to_owned());
        assert!(!named(command).is_empty(), "{id} names no command");
        let tests = named(tests);
        let unknown: Vec<&&str> = tests.iter().filter(|t| !known.contains(**t)).collect();
        assert!(unknown.is_empty(), "{id}: no such tests: {unknown:?}");
        let says_so = row.contains("**missing**");
        assert_eq!(tests.is_empty(), says_so, "{id}: tests, or **missing**");
    }
    let wanted: Vec<String> = (1..=31).map(|n| format!("BZ-{n:02}")).collect();
    assert_eq!(found, wanted, "each row once, in order");
}

/// Contradictions are held by a code whose page names them, or by construction with a page of their own.
#[test]
fn the_table_of_contradictions_names_codes_and_tests_that_exist() {
    let known = tests();
    let text = std::fs::read_to_string(root().join("docs/contradictions.md")).unwrap();
    let mut found = Vec::new();
    for row in text.lines().filter(|line| line.starts_with("| X")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, _, held, tests] = cells[..] else {
            panic!("a row with other cells: {row}");
        };
        found.push(id.to_owned());
        let page = zonewright::explain(id).unwrap();
        if held == "by construction" {
            assert!(page.contains("Held by construction"), "{id}: {page}");
        } else {
            let main = held.split(", ").next().unwrap();
            assert!(page.contains(main), "{id} is not about {main}: {page}");
            let code = zonewright::explain(main).unwrap();
            let named = format!("Contradiction {id}.");
            assert!(code.contains(&named), "{main} does not say: {named}");
        }
        let tests = named(tests);
        assert!(!tests.is_empty(), "{id} names no test");
        let unknown: Vec<&&str> = tests.iter().filter(|t| !known.contains(**t)).collect();
        assert!(unknown.is_empty(), "{id}: no such tests: {unknown:?}");
    }
    let wanted: Vec<String> = (1..=14).map(|n| format!("X{n}")).collect();
    assert_eq!(found, wanted, "each row once, in order");
}

/// What is said of bad input is shown by a test, row by row.
#[test]
fn the_table_of_bad_input_names_tests_that_exist() {
    let known = tests();
    let text = std::fs::read_to_string(root().join("docs/bad-input.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<&str> = rows.filter(|l| !l.starts_with("| input |")).collect();
    assert!(rows.len() > 30, "{} rows", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [input, _, exit, tests] = cells[..] else {
            panic!("a row with other cells: {row}");
        };
        let mut codes = exit.split(", ").filter(|code| !code.is_empty());
        assert!(codes.all(|c| c.parse::<u8>().is_ok()), "{input}: {exit}");
        let tests = named(tests);
        assert!(!tests.is_empty(), "{input} names no test");
        let unknown: Vec<&&str> = tests.iter().filter(|t| !known.contains(**t)).collect();
        assert!(unknown.is_empty(), "{input}: no such tests: {unknown:?}");
    }
}

/// The check can fail.
#[test]
fn a_test_that_does_not_exist_is_not_known() {
    let known = tests();
    assert!(known.contains("the_requirement_table_names_tests_that_exist"));
    assert!(known.contains("database_undecided"), "a case of `zones`");
    assert!(known.contains("stages_hold_the_whole_plan_in_its_order"));
    assert!(!known.contains("tests"), "a function that is no test");
    assert!(!known.contains("nobody_wrote_this_one"));
    assert_eq!(named("`a`, `b` and c"), ["a", "b"]);
}
