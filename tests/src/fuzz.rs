//! What is read from outside, given bytes: nothing may panic, and laws have to hold.
//!
//! Each function is a whole property of any bytes whatever. `tests/suite/fuzz.rs` gives them the committed inputs
//! (`tests/fuzz/corpus`) and seeded changes of those; the programs in `tests/fuzz` give them to libFuzzer.

use std::path::PathBuf;

pub mod mutate;
pub mod plan;
pub mod reply;
pub mod spec;
pub mod state;
pub mod text;

/// A property of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, that of the program and of the folder with inputs.
    pub name: &'static str,
    /// What has to hold.
    pub holds: fn(&[u8]),
    /// How many changes of each input a test tries: as many as take about a second.
    pub changes: u32,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("snapshot", state::snapshot, 400),
    target("journal", state::journal, 150),
    target("record", state::record, 2000),
    target("fold", state::fold, 100),
    target("envelope", state::envelope, 60),
    target("plan", plan::plan, 100),
    target("spec", spec::spec, 60),
    target("layout", spec::layout, 300),
    target("reference", spec::reference, 3000),
    target("digitalocean", reply::digitalocean, 60),
    target("cloudflare", reply::cloudflare, 60),
    target("terminal", text::terminal, 1000),
    target("markdown", text::markdown, 1000),
];

const fn target(name: &'static str, holds: fn(&[u8]), changes: u32) -> Target {
    Target {
        name,
        holds,
        changes,
    }
}

/// Where the inputs of a target are.
pub fn corpus(target: &str) -> PathBuf {
    crate::root().join("tests/fuzz/corpus").join(target)
}
