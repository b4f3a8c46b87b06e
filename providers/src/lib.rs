//! The vendors: DigitalOcean, Cloudflare and Kubernetes behind the engine's provider port.
//!
//! Everything goes out through two ports, [`Transport`] and [`Clock`], so that the whole of it runs
//! against scripted replies and emulators.

mod clock;
mod cloud;
mod cloudflare;
#[cfg(test)]
mod contract;
mod digitalocean;
mod http;
pub mod kubernetes;
mod limit;
mod live;
pub mod probe;
#[cfg(test)]
mod script;
mod transport;

pub use clock::{Clock, TokioClock};
pub use cloudflare::{Tokens, cloudflare, cloudflare_at};
pub use digitalocean::{Lists, digitalocean, digitalocean_at, digitalocean_lists};
pub use transport::{
    HttpOptions, HttpSetupError, HttpTransport, Transport, TransportError, TransportErrorKind,
    install_crypto, patience,
};
