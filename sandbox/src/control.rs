//! The control API under `/_sandbox`: the ground truth, the log of requests, faults and switches.
//!
//! It takes requests that were sent to a loopback name only and not by a web page, so that no site
//! that a browser shows can reach it.

pub mod client;
pub mod database;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use http::{Request, Response, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::reply::{self, Body};
use crate::sandbox::Sandbox;
use crate::{cloudflare, digitalocean, s3, seed};

pub use crate::s3::replication::Bucket;
pub use client::{Client, ClientError};

/// How an object storage treats writes. All but the first are what has been seen of real ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// Conditions hold, also between requests at the same moment.
    #[default]
    Honest,
    /// Conditions of writes are ignored.
    IgnoresConditions,
    /// A condition is checked first, and the write is done later.
    CheckThenAct,
    /// Something in front repeats each write and gives the second answer.
    RepeatsWrites,
    /// What was deleted is not found, and counts as there for conditions.
    DeleteMarkers,
    /// Writes are denied.
    ReadOnly,
}

/// The public address that this machine has at the databases, unless a switch says another: of a range
/// that is kept for documentation.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

/// Where the vendors' behaviour is not known or differs: how the emulators behave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// So many reads of an object just created are answered 404.
    pub lag: u32,
    /// A ready replica is called `active` instead of `online`.
    pub replica_active: bool,
    /// Tags that a cluster update does not name are cleared instead of kept.
    pub clear_omitted_tags: bool,
    /// Database passwords are left out, as for a token without the right to see them.
    pub hide_credentials: bool,
    /// Kubernetes versions that can no longer be created.
    pub withdrawn_versions: Vec<String>,
    /// Buckets whose objects can be stored and not be read.
    pub unreadable_buckets: Vec<String>,
    /// The public address that this machine has at the databases; [`CLIENT`] if nothing is said.
    pub client_address: Option<IpAddr>,
    /// What the second name server still answers to names (a full name without the last dot): an address, or the
    /// name that an alias leads to.
    pub stale_answers: BTreeMap<String, String>,
    /// How the object storage treats writes; well when missing.
    pub storage: Storage,
    #[serde(skip)]
    pub(crate) lagging: BTreeMap<String, u32>,
}

/// Answers a control request; `rest` is the path after `/_sandbox`.
pub(crate) fn answer(sandbox: &Sandbox, rest: &str, req: &Request<Bytes>) -> Response<Body> {
    if !is_local(req) {
        return refuse(403, "the control API is for this machine's own programs");
    }
    let world = &sandbox.world;
    let path: Vec<&str> = rest.split('/').filter(|s| !s.is_empty()).collect();
    match (req.method().as_str(), path.as_slice()) {
        ("GET", ["health"]) => reply::json(
            200,
            &json!({"id": sandbox.identity.id, "dir": world.dir().to_string_lossy(), "pid": std::process::id(),
                "profile": world.profile().name()}),
        ),
        ("GET", ["dump"]) => reply::json(200, &sandbox.dump()),
        ("GET", ["requests"]) => reply::json(200, &sandbox.journal.show()),
        ("DELETE", ["requests"]) => {
            sandbox.journal.clear();
            reply::empty(204)
        }
        ("GET", ["faults"]) => reply::json(200, &sandbox.board.show()),
        ("POST", ["faults"]) => add_fault(sandbox, req.body()),
        ("DELETE", ["faults"]) => {
            sandbox.board.clear();
            reply::empty(204)
        }
        ("GET", ["held"]) => reply::json(200, &sandbox.board.held()),
        ("POST", ["release"]) => reply::json(200, &json!({"released": sandbox.board.release()})),
        ("GET", ["switches"]) => reply::json(200, &json!(*lock(sandbox))),
        ("POST", ["switches"]) => match serde_json::from_slice::<Switches>(req.body()) {
            Ok(switches) => {
                *lock(sandbox) = switches;
                reply::empty(204)
            }
            Err(error) => refuse(400, &error.to_string()),
        },
        ("GET", ["databases"]) => sandbox.on_stage(|scene| database::list(scene)),
        ("POST", ["databases", named]) => {
            sandbox.on_stage(|scene| database::change(scene, named, req.body()))
        }
        ("GET", ["cost"]) => {
            sandbox.on_stage(|scene| reply::json(200, &digitalocean::bill::now(scene)))
        }
        ("POST", ["buckets", name]) => bucket(sandbox, name, req.body()),
        ("POST", ["zones"]) => add_zone(sandbox, req.body()),
        ("POST", ["tokens"]) => match serde_json::from_slice::<cloudflare::Minted>(req.body()) {
            Ok(minted) => sandbox.on_stage(|scene| {
                let token = cloudflare::mint(scene, &minted);
                reply::json(201, &json!({"token": token}))
            }),
            Err(error) => refuse(400, &error.to_string()),
        },
        ("POST", ["reset"]) => sandbox.on_stage(|scene| {
            seed::reset(scene);
            reply::empty(204)
        }),
        ("POST", ["stop"]) => {
            sandbox.stop();
            reply::json(200, &json!({"stopping": true}))
        }
        _ => refuse(404, "no such control request"),
    }
}

fn lock(sandbox: &Sandbox) -> std::sync::MutexGuard<'_, Switches> {
    sandbox
        .switches
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn add_fault(sandbox: &Sandbox, body: &Bytes) -> Response<Body> {
    const FIELDS: [&str; 10] = [
        "service", "method", "path", "nth", "count", "kind", "code", "body", "headers", "ms",
    ];
    let fault = serde_json::from_slice::<Value>(body).and_then(|value| {
        let unknown = value
            .as_object()
            .and_then(|map| map.keys().find(|key| !FIELDS.contains(&key.as_str())));
        match unknown {
            Some(name) => Err(serde::de::Error::custom(format!("unknown field `{name}`"))),
            None => serde_json::from_value::<Fault>(value),
        }
    });
    match fault {
        Ok(fault) => reply::json(201, &json!({"id": sandbox.board.add(fault)})),
        Err(error) => refuse(400, &error.to_string()),
    }
}

/// Makes a bucket, if it is not there, and changes what is asked.
fn bucket(sandbox: &Sandbox, name: &str, body: &Bytes) -> Response<Body> {
    let asked = match body.is_empty() {
        true => Ok(s3::replication::Bucket::default()),
        false => serde_json::from_slice(body),
    };
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => return refuse(400, &error.to_string()),
    };
    sandbox.on_stage(|scene| {
        if !s3::make_bucket(scene, name) {
            let message = "a bucket has a name of small letters, digits and hyphens";
            return refuse(400, message);
        }
        match s3::replication::change(scene, name, &asked) {
            Ok(()) => reply::empty(204),
            Err(why) => refuse(404, &why),
        }
    })
}

fn add_zone(sandbox: &Sandbox, body: &Bytes) -> Response<Body> {
    let name = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|v| v.get("name")?.as_str().map(str::to_owned));
    match name {
        Some(name) if name.contains('.') => sandbox.on_stage(|scene| {
            let zone = cloudflare::add_zone(scene, &name);
            reply::json(201, &zone)
        }),
        _ => refuse(400, "a zone has a name with a dot"),
    }
}

fn refuse(status: u16, message: &str) -> Response<Body> {
    reply::json(status, &json!({ "error": message }))
}

fn is_local(req: &Request<Bytes>) -> bool {
    if req.headers().contains_key(header::ORIGIN) {
        return false;
    }
    let Some(host) = req.headers().get(header::HOST) else {
        return true;
    };
    let host = host.to_str().unwrap_or("");
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    ["127.0.0.1", "localhost", "[::1]"].contains(&name)
}
