//! What the probes say of real servers: MariaDB with replication over TLS, and a link that can be cut.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod heartbeat;
mod inside;
mod lag;
mod link;
mod php;
mod plugin;
mod restore;
mod server;
mod session;
