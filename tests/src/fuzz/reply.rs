//! Replies of vendors: any body to any question.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use zonewright_engine::address::Address;
use zonewright_engine::provider::{Marker, Provider, ReadTarget};
use zonewright_engine::secret::Secret;
use zonewright_engine::value::Value;
use zonewright_providers::kubernetes::{self, provider_over};
use zonewright_providers::{TokioClock, Transport, TransportError};

/// More requests than this for one look are a list without an end.
const MOST: usize = 3000;

/// Answers everything with the same bytes; the first one is the status.
struct Parrot {
    says: Bytes,
    asked: AtomicUsize,
}

impl Transport for Parrot {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        assert!(asked < MOST, "a list without an end");
        let status = match self.says.first() {
            Some(b'{' | b'[') | None => 200,
            Some(n) => {
                [201, 204, 400, 401, 403, 404, 409, 422, 429, 500, 503][usize::from(*n) % 11]
            }
        };
        let body = match status {
            200 => self.says.clone(),
            _ => self.says.slice(1..),
        };
        let response = Response::builder().status(status).body(body);
        Box::pin(async move { Ok(response.expect("a reply")) })
    }
}

fn parrot(says: &[u8]) -> Arc<Parrot> {
    Arc::new(Parrot {
        says: Bytes::copy_from_slice(says),
        asked: AtomicUsize::new(0),
    })
}

/// The vendors' providers over a transport that says the same to everything.
pub fn providers(says: &[u8]) -> Vec<Arc<dyn Provider>> {
    let clock = || Arc::new(TokioClock::new());
    vec![
        zonewright_providers::digitalocean(parrot(says), clock()),
        zonewright_providers::cloudflare(parrot(says), clock()),
        provider_over(parrot(says), kubernetes::Options::default()),
    ]
}

/// Any body is an answer or an error, and every list ends.
///
/// # Panics
/// It does not hold.
pub fn digitalocean(bytes: &[u8]) {
    let kinds = [
        "vpc",
        "kubernetes_cluster",
        "database_cluster",
        "database_replica",
        "database",
        "database_user",
        "database_firewall",
    ];
    looked(0, "digitalocean", &kinds, bytes);
}

/// The same of the other vendor.
///
/// # Panics
/// It does not hold.
pub fn cloudflare(bytes: &[u8]) {
    looked(1, "cloudflare", &["dns_record"], bytes);
}

/// Looks at one thing of each kind, once by its id and once by what it should be.
fn looked(provider: usize, name: &str, kinds: &[&str], says: &[u8]) {
    let text = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), Value::text(*v)));
        Value::Map(pairs.collect())
    };
    let desired = text(&[
        ("name", "n"),
        ("region", "r"),
        ("zone", "z.example"),
        ("type", "A"),
        ("cluster", "c"),
        ("source", "s"),
    ]);
    let mut targets = Vec::new();
    for kind in kinds {
        for id in [None, Some("a/b".to_owned())] {
            let address: Address = format!("pz/{name}.{kind}.x").parse().expect("an address");
            targets.push(ReadTarget {
                kind: address.kind.clone(),
                marker: Marker {
                    lineage: "0".repeat(32),
                    address: address.clone(),
                    generation: 1,
                },
                address,
                id,
                desired: Some(desired.clone()),
                observe: false,
            });
        }
    }
    let token = Secret::new("secret.token", "a-token-of-nobody", None);
    let config = Value::Map([("token", Value::Secret(token))].into());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let provider = providers(says).swap_remove(provider);
        let Ok(session) = provider.open(&config, None).await else {
            return;
        };
        if let Ok(seen) = session.refresh(&targets).await {
            assert_eq!(seen.len(), targets.len(), "an answer for each");
        }
    });
}
