//! The log of requests: what was asked and what came of it, in the order of arrival.
//!
//! Kept in memory and bounded; calls to the control API are not in it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::call::query_pairs;

const LIMIT: usize = 100_000;

/// One of the emulated services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    DigitalOcean,
    Cloudflare,
    Kubernetes,
    Mysql,
    Dns,
    S3,
}

impl Service {
    /// The service that a path belongs to.
    pub(crate) fn of(path: &str) -> Option<Service> {
        let under = |prefix: &str| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if under("/v2") {
            Some(Service::DigitalOcean)
        } else if under("/client/v4") {
            Some(Service::Cloudflare)
        } else if under("/clusters") {
            Some(Service::Kubernetes)
        } else {
            None
        }
    }

    /// Its name in the log and in faults.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::DigitalOcean => "digitalocean",
            Service::Cloudflare => "cloudflare",
            Service::Kubernetes => "kubernetes",
            Service::Mysql => "mysql",
            Service::Dns => "dns",
            Service::S3 => "s3",
        }
    }
}

struct Entry {
    seq: u64,
    service: Service,
    method: String,
    path: String,
    query: String,
    mutating: bool,
    status: Option<u16>,
    applied: bool,
    fault: Option<&'static str>,
}

impl Entry {
    fn show(&self) -> Value {
        json!({
            "seq": self.seq, "service": self.service.name(), "method": self.method,
            "path": self.path, "query": self.query, "status": self.status,
            "mutating": self.mutating, "applied": self.applied, "fault": self.fault,
        })
    }
}

#[derive(Default)]
struct Inner {
    entries: VecDeque<Entry>,
    next: u64,
}

/// The log of requests.
#[derive(Default)]
pub(crate) struct Journal {
    inner: Mutex<Inner>,
}

impl Journal {
    /// Notes that a request has arrived; gives its number.
    pub(crate) fn begin(&self, service: Service, req: &Request<Bytes>) -> u64 {
        let mutating = mutating(service, req);
        let seq = self.note(service, req.method().as_str(), req.uri().path(), mutating);
        let query = req.uri().query().unwrap_or("").to_owned();
        self.update(seq, |entry| entry.query = query);
        seq
    }

    /// Notes that something other than an HTTP request has arrived; gives its number.
    pub(crate) fn note(&self, service: Service, method: &str, path: &str, mutating: bool) -> u64 {
        let mut inner = self.lock();
        inner.next += 1;
        let seq = inner.next;
        if inner.entries.len() == LIMIT {
            inner.entries.pop_front();
        }
        inner.entries.push_back(Entry {
            seq,
            service,
            method: method.to_owned(),
            path: path.to_owned(),
            query: String::new(),
            mutating,
            status: None,
            applied: false,
            fault: None,
        });
        seq
    }

    /// Notes which fault a request ran into.
    pub(crate) fn fault(&self, seq: u64, kind: &'static str) {
        self.update(seq, |entry| entry.fault = Some(kind));
    }

    /// Notes that a request was carried out, and how that ended.
    pub(crate) fn carried_out(&self, seq: u64, status: u16) {
        self.update(seq, |entry| entry.applied = entry.mutating && status < 400);
    }

    /// Notes the status that left for the client.
    pub(crate) fn replied(&self, seq: u64, status: u16) {
        self.update(seq, |entry| entry.status = Some(status));
    }

    /// The whole log.
    pub(crate) fn show(&self) -> Value {
        self.lock().entries.iter().map(Entry::show).collect()
    }

    /// Empties the log; the numbers go on.
    pub(crate) fn clear(&self) {
        self.lock().entries.clear();
    }

    fn update(&self, seq: u64, change: impl FnOnce(&mut Entry)) {
        let mut inner = self.lock();
        let Ok(at) = inner.entries.binary_search_by_key(&seq, |e| e.seq) else {
            return;
        };
        if let Some(entry) = inner.entries.get_mut(at) {
            change(entry);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mutating(service: Service, req: &Request<Bytes>) -> bool {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(req.method()) {
        return false;
    }
    !is_trial(service, req)
}

/// Whether a request to a cluster only tries something (a dry-run).
pub(crate) fn is_trial(service: Service, req: &Request<Bytes>) -> bool {
    let query = query_pairs(req.uri().query().unwrap_or(""));
    service == Service::Kubernetes && query.get("dryRun").is_some_and(|v| v == "All")
}
