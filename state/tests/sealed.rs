//! The cases of states in stores once more, sealed: losing shards, outages, what is kept meanwhile, mirrors.
#![expect(clippy::duplicate_mod, reason = "each of these brings what it needs")]

#[path = "mirror.rs"]
mod mirror;
#[path = "remote.rs"]
mod remote;

mod entries;

/// Or they would be the same cases twice.
#[test]
fn these_cases_are_sealed() {
    for module in ["sealed::remote", "sealed::mirror"] {
        assert!(entries::mode(module).seals());
    }
    assert!(module_path!() == "sealed" && !entries::mode("remote").seals());
}
