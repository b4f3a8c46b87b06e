//! Emulators of the vendor APIs that zonewright talks to: DigitalOcean, Cloudflare and Kubernetes.
//!
//! Everything lives in one [`World`](world::World): a directory with an append-only log of JSON
//! documents. The crate shares no code with the providers, so that both sides can be wrong only
//! independently. The public face is [`Sandbox::handle`], from `http` request to `http` response;
//! [`serve`](lifecycle::serve) puts it on loopback ports: one for the vendors, one with TLS for the clusters.

mod authority;
mod call;
pub mod charts;
pub mod clock;
mod cloudflare;
pub mod control;
mod digitalocean;
mod dns;
pub mod fault;
pub mod identity;
mod journal;
pub mod kubernetes;
pub mod lifecycle;
mod listener;
mod mysql;
pub mod profile;
pub mod reply;
mod s3;
mod sandbox;
mod seed;
pub mod world;

pub use sandbox::{OpenError, Sandbox};
