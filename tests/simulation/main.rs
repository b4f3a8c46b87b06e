//! The whole engine on virtual time: what cannot be waited for, and what must be repeatable.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod deletes;
mod durations;
mod model;
mod points;
mod recovery;
mod repeatable;
mod restored;
mod seeds;
mod silence;
