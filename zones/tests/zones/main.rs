//! Text in, text out: projects written as one text with `//- path` headers, and what loading them
//! prints.

#![expect(clippy::unwrap_used, reason = "a failing test may panic anywhere")]

mod cases;
mod charts;
mod fixture;
mod laws;
mod registry;
mod tools;
