//! What should change, in what order, and how far have we got.
//!
//! The core of zonewright. Planning is pure: a configuration, a state and observations go in, a
//! [`plan`] comes out as inert data. Applying is a state machine without IO (`apply`), driven by a
//! small async shell (`apply::driver`). Effects happen only behind the ports of [`provider`] and
//! [`journal`].

pub mod absorb;
pub mod address;
pub mod apply;
pub(crate) mod assume;
pub mod canon;
pub mod check;
pub mod config;
pub mod cost;
pub mod data;
mod declared;
pub mod diff;
pub mod drift;
pub mod expr;
pub mod failpoint;
pub mod import;
pub mod journal;
pub mod objectives;
pub mod observability;
pub mod observe;
pub mod orphans;
pub mod parity;
pub mod plan;
pub mod provider;
pub mod restore;
pub mod retry;
pub mod runbook;
pub mod schema;
pub mod secret;
pub mod snapshot;
pub mod unread;
pub mod value;
