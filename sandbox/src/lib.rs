//! Emulators of the vendor APIs that zonewright talks to: DigitalOcean, Cloudflare and Kubernetes.
//!
//! Everything lives in one [`World`](world::World): a directory with an append-only log of JSON
//! documents. The crate shares no code with the providers, so that both sides can be wrong only
//! independently.

pub mod charts;
pub mod kubernetes;
pub mod profile;
pub mod world;
