//! Charts with a real helm: what is locked, from where, what is refused, and that plans do without it.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod lab;
mod rendering;
mod roles;
mod sources;
mod vendored;
