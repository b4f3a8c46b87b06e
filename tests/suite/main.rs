//! The suites: house rules, and the whole product against the sandbox.

mod house;
mod scenarios;
