//! Text in, text out: projects written as one text with `//- path` headers, and what loading them
//! prints.

mod cases;
mod fixture;
mod laws;
mod registry;
mod tools;
