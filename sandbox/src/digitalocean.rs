//! The DigitalOcean emulator: accounts, VPCs, clusters, databases, load balancers, tags.
//!
//! Documents are stored in the vendor's own shape plus stored times (`*_ms`); states are computed
//! from the times whenever a document is shown.

mod account;
mod backup;
pub(crate) mod bill;
mod catalog;
mod cluster;
mod credentials;
mod database;
mod database_parts;
mod error;
mod load_balancer;
pub(crate) mod login;
mod node_pool;
mod page;
mod replica;
mod tag;
mod vpc;

use http::{HeaderValue, Method, Response};
use serde_json::Value;

use crate::call::{Call, Scene, without_times};
use crate::reply::{self, Body};
use crate::world::Tables;

use error::ApiError;

pub(crate) use cluster::is_running;
pub(crate) use error::body as error_body;

/// The times of the backups that a database has, newest first.
pub(crate) fn backup_times(scene: &Scene<'_, '_>, doc: &Value) -> Vec<u64> {
    backup::times(scene, doc).collect()
}

/// Stores a changed database cluster or replica.
pub(crate) fn keep_database(scene: &mut Scene<'_, '_>, doc: Value) {
    let table = match doc["parent_id"].is_string() {
        true => replica::TABLE,
        false => database::TABLE,
    };
    database::store(scene, table, doc);
}

type Answer = Result<Response<Body>, ApiError>;

const HOURLY_LIMIT: u64 = 5000;

/// What every account has before anything is created.
pub(crate) fn seed(scene: &mut Scene<'_, '_>) {
    vpc::seed(scene);
}

/// Carries out what time has brought about.
pub(crate) fn settle(scene: &mut Scene<'_, '_>) {
    cluster::settle(scene);
    vpc::settle(scene);
}

/// A document of the table `table` as the API shows it now.
pub(crate) fn show(scene: &Scene<'_, '_>, table: &str, doc: &Value) -> Value {
    match table {
        "kubernetes_clusters" => cluster::show(scene, doc),
        "databases" => database::show(scene, doc),
        "database_replicas" => replica::show(scene, doc),
        "load_balancers" => load_balancer::show(doc, scene.now),
        _ => without_times(doc),
    }
}

/// Answers a call under `/v2`.
pub(crate) fn answer(scene: &mut Scene<'_, '_>, call: &Call) -> Response<Body> {
    let answered = if call.bearer.as_deref() == Some(&scene.identity.digitalocean_token()) {
        lagging(scene, call).and_then(|()| route(scene, call))
    } else {
        Err(ApiError::unauthorized())
    };
    let request_id = scene.uuid();
    let mut response = match answered {
        Ok(response) => {
            remember_for_lag(scene, call, &response);
            response
        }
        Err(error) => error.reply(&request_id),
    };
    let headers = response.headers_mut();
    let reset = scene.now / 1000 + 3600;
    for (name, value) in [
        ("ratelimit-limit", HOURLY_LIMIT.to_string()),
        ("ratelimit-remaining", (HOURLY_LIMIT - 1).to_string()),
        ("ratelimit-reset", reset.to_string()),
        ("x-request-id", request_id),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

fn route(scene: &mut Scene<'_, '_>, call: &Call) -> Answer {
    match call.path().as_slice() {
        ["account"] => account::account(scene, call),
        ["regions"] => account::regions(call),
        ["sizes"] => account::sizes(call),
        ["vpcs", rest @ ..] => vpc::answer(scene, call, rest),
        ["kubernetes", "options"] => cluster::options(scene, call),
        ["kubernetes", "clusters", rest @ ..] => cluster::answer(scene, call, rest),
        ["databases", rest @ ..] => database::answer(scene, call, rest),
        ["load_balancers", rest @ ..] => load_balancer::answer(scene, call, rest),
        ["volumes", rest @ ..] => load_balancer::volumes(scene, call, rest),
        ["tags", rest @ ..] => tag::answer(scene, call, rest),
        _ => Err(ApiError::not_found()),
    }
}

// An object just created may not be there yet for the next reader.
fn lagging(scene: &mut Scene<'_, '_>, call: &Call) -> Result<(), ApiError> {
    if call.method != Method::GET {
        return Ok(());
    }
    match scene.switches.lagging.get_mut(&call.segments.join("/")) {
        Some(left) if *left > 0 => {
            *left -= 1;
            Err(ApiError::not_found())
        }
        _ => Ok(()),
    }
}

fn remember_for_lag(scene: &mut Scene<'_, '_>, call: &Call, response: &Response<Body>) {
    let lag = scene.switches.lag;
    if lag == 0 || call.method != Method::POST || response.status() != 201 {
        return;
    }
    if let Some(Created(key)) = response.extensions().get::<Created>() {
        let path = format!("{}/{key}", call.segments.join("/"));
        scene.switches.lagging.insert(path, lag);
    }
}

/// The key under which the object just created is read.
#[derive(Clone)]
struct Created(String);

fn created(key: &str, body: &Value) -> Response<Body> {
    let mut response = reply::json(201, body);
    response.extensions_mut().insert(Created(key.to_owned()));
    response
}

fn wrong_method() -> ApiError {
    ApiError::new(405, "method_not_allowed", "Method not allowed.")
}

/// The documents of a table.
fn all<'t>(tables: &'t Tables, table: &str) -> impl Iterator<Item = &'t Value> {
    tables.list(table).map(|(_, doc)| doc)
}
