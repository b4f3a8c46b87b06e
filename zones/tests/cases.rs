//! One case per file in `cases/`: a project, then `//= out` and what loading it prints.
//!
//! `ZONEWRIGHT_BLESS=1 cargo test -p zonewright-zones` writes what is printed into the files; read
//! the difference before committing it.

use std::path::PathBuf;

use crate::fixture::{load_text, print};

const MARK: &str = "//= out\n";

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"))
}

fn check(name: &str) {
    let path = directory().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (project, expected) = text.split_once(MARK).unwrap_or((&text, ""));
    let found = print(&load_text(project));
    if std::env::var_os("ZONEWRIGHT_BLESS").is_some() {
        std::fs::write(&path, format!("{}{MARK}{found}", project)).unwrap();
        return;
    }
    assert_eq!(found, expected, "in {name}.txt, found:\n{found}");
}

macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_file_is_a_case() {
            let mut listed = vec![$(concat!(stringify!($name), ".txt").to_owned()),*];
            listed.sort();
            let files = std::fs::read_dir(directory()).unwrap();
            let mut found: Vec<String> =
                files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
            found.sort();
            assert_eq!(found, listed);
        }
    };
}

cases! {
    wordpress
}
