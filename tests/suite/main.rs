//! The suites: house rules, and the whole product against the sandbox.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod fuzz;
mod house;
mod requirements;
mod scenarios;
