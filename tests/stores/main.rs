//! The stores of the state, each against a server: what they promise, and that those which promise
//! too much are refused.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod kubernetes;
mod postgres;
mod s3;
mod server;
