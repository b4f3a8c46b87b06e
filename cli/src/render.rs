//! Renderers: data in, text out. Nothing here reads or writes anything.
//!
//! Every text that comes from outside (specs, vendors) passes [`text::escape`] before it gets onto a
//! terminal, and no renderer can print a secret: a [`Value`](zonewright_engine::value::Value) shows
//! them by reference only.

pub(crate) mod charts;
pub mod cost;
pub mod drift;
pub mod events;
pub mod forecast;
pub mod graph;
pub mod orphans;
pub mod parity;
pub mod plan;
pub mod plan_json;
pub mod progress;
pub mod readiness;
pub mod restore;
pub mod runbook;
pub mod state;
pub mod state_diff;
pub mod style;
pub mod text;
pub mod unread;
pub mod value;
pub mod verify;
