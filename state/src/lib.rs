//! Keeps a snapshot and a log per shard so that nothing acknowledged is ever lost.
//!
//! Invariants:
//! - An append that returned is durable; a failed write or sync poisons the handle for good.
//! - Recovered state is what was acknowledged, or that plus the one batch in flight.
//! - Damage, loss and rollback are errors that name the file, never an empty state.
//! - Nothing here reads the wall clock; times come from callers and are informative.

pub mod compare;
pub mod conformance;
pub mod damage;
pub mod digest_key;
pub mod dir;
pub mod error;
pub mod events;
pub mod examine;
pub mod format;
pub mod frame;
pub mod history;
pub mod home;
pub mod journal;
pub mod lock;
pub mod meta;
mod private_file;
mod reactor;
pub mod record;
mod rekey;
pub mod remote;
pub mod restore;
pub mod rng;
pub mod seal;
pub mod seen;
mod shard;
pub mod store;
mod stored;
pub mod sweep;
mod takeover;
mod unique;
pub mod unlock;
pub mod vfs;
pub mod writer;

pub use dir::{Loaded, StateDir, StateOptions};
pub use error::{Class, Notice, StateError};
pub use home::StateHome;
pub use rng::{OsRng, Rng, SeededRng};
pub use writer::Writer;
