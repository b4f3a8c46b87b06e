//! The command line of zonewright.
//!
//! Standard output is data, standard error is talk. Every command ends with one of the codes in
//! [`exit`]. What libraries report becomes words for people in [`report`], and nowhere else.

pub mod args;
pub mod commands;
pub mod env;
pub mod exit;
pub mod render;
