//! Faults: what goes wrong with which request.
//!
//! A fault names requests by service, method and path. Every request that it names raises its
//! counter; it strikes from the `nth` on, `count` times. Of several that strike at once the one
//! added first wins.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

/// One fault, as it is sent to the control API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    /// `digitalocean`, `cloudflare` or `kubernetes`; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The HTTP method; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path, where `*` stands for any text; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Strikes from this match on, counted from one.
    #[serde(default = "one")]
    pub nth: u64,
    /// Strikes this many matches in a row.
    #[serde(default = "one")]
    pub count: u64,
    /// What happens.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// It is answered with this status and not carried out.
    Status {
        /// The status code.
        code: u16,
        /// The body; the service's own error body when missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Value>,
        /// More headers, e.g. `retry-after`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
    },
    /// It is not carried out and the connection is closed without a reply.
    DropBefore,
    /// It is carried out and the connection is closed without a reply.
    DropAfter,
    /// It is carried out and answered with this status all the same.
    StatusAfter {
        /// The status code.
        code: u16,
    },
    /// It waits first.
    Delay {
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// It waits to be released, and is carried out then.
    HoldBefore,
    /// It is carried out, and the reply waits to be released.
    HoldAfter,
}

impl Kind {
    /// The name that the control API uses.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Status { .. } => "status",
            Kind::DropBefore => "drop_before",
            Kind::DropAfter => "drop_after",
            Kind::StatusAfter { .. } => "status_after",
            Kind::Delay { .. } => "delay",
            Kind::HoldBefore => "hold_before",
            Kind::HoldAfter => "hold_after",
        }
    }
}

fn one() -> u64 {
    1
}

struct Armed {
    id: u64,
    fault: Fault,
    matched: u64,
    struck: u64,
}

#[derive(Default)]
struct Inner {
    faults: Vec<Armed>,
    next: u64,
    held: BTreeMap<u64, Value>,
}

/// The faults that are armed and the requests that are held.
pub(crate) struct Board {
    inner: Mutex<Inner>,
    released: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Board {
        Board {
            inner: Mutex::default(),
            released: watch::Sender::new(0),
        }
    }
}

impl Board {
    /// Arms a fault; gives its number.
    pub(crate) fn add(&self, fault: Fault) -> u64 {
        let mut inner = self.lock();
        inner.next += 1;
        let id = inner.next;
        inner.faults.push(Armed {
            id,
            fault,
            matched: 0,
            struck: 0,
        });
        id
    }

    /// Counts a request and says what happens to it.
    pub(crate) fn strike(&self, service: &str, method: &str, path: &str) -> Option<Kind> {
        let mut hit = None;
        for armed in &mut self.lock().faults {
            if !names(&armed.fault, service, method, path) {
                continue;
            }
            armed.matched += 1;
            let last = armed.fault.nth.saturating_add(armed.fault.count);
            let strikes = (armed.fault.nth..last).contains(&armed.matched);
            if strikes && hit.is_none() {
                armed.struck += 1;
                hit = Some(armed.fault.kind.clone());
            }
        }
        hit
    }

    /// The faults with their counters.
    pub(crate) fn show(&self) -> Value {
        let show = |armed: &Armed| {
            let mut value = json!(armed.fault);
            value["id"] = json!(armed.id);
            value["matched"] = json!(armed.matched);
            value["struck"] = json!(armed.struck);
            value
        };
        self.lock().faults.iter().map(show).collect()
    }

    /// Disarms every fault.
    pub(crate) fn clear(&self) {
        self.lock().faults.clear();
    }

    /// Waits until the held requests are released.
    pub(crate) async fn hold(&self, seq: u64, what: Value) {
        let mut released = self.released.subscribe();
        let _held = Held { board: self, seq };
        self.lock().held.insert(seq, what);
        // An error means that the board is gone, and the request with it.
        let _ = released.changed().await;
    }

    /// What is held now.
    pub(crate) fn held(&self) -> Value {
        self.lock().held.values().cloned().collect()
    }

    /// Lets everything go that is held now; says how much that was.
    pub(crate) fn release(&self) -> usize {
        let held = std::mem::take(&mut self.lock().held);
        self.released.send_modify(|n| *n += 1);
        held.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Also covers a client that goes away while its request is held.
struct Held<'a> {
    board: &'a Board,
    seq: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.board.lock().held.remove(&self.seq);
    }
}

fn names(fault: &Fault, service: &str, method: &str, path: &str) -> bool {
    let is = |want: &Option<String>, have: &str| {
        want.as_ref()
            .is_none_or(|want| want.eq_ignore_ascii_case(have))
    };
    is(&fault.service, service)
        && is(&fault.method, method)
        && fault.path.as_ref().is_none_or(|glob| matches(glob, path))
}

/// Whether a text has the form of a pattern in which `*` stands for any text.
fn matches(glob: &str, text: &str) -> bool {
    let Some((head, tail)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(rest) = text.strip_prefix(head) else {
        return false;
    };
    (0..=rest.len())
        .filter(|at| rest.is_char_boundary(*at))
        .any(|at| matches(tail, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        assert!(matches("/v2/*/x", "/v2/a/b/x"));
        assert!(matches("*", ""));
        assert!(matches("*/services*", "/clusters/1/api/v1/services/a"));
        assert!(!matches("/v2/vpcs", "/v2/vpcs/1"));
        assert!(!matches("a*b", "a"));
    }

    #[test]
    fn the_nth_match_is_struck_and_counted() {
        let board = Board::default();
        let fault = r#"{"method":"POST","path":"/v2/*","nth":2,"count":2,"kind":"drop_after"}"#;
        board.add(serde_json::from_str(fault).unwrap());
        let hits: Vec<bool> = (0..4)
            .map(|_| board.strike("digitalocean", "POST", "/v2/vpcs").is_some())
            .collect();
        assert_eq!(hits, [false, true, true, false]);
        assert!(board.strike("digitalocean", "GET", "/v2/vpcs").is_none());
        assert_eq!(board.show()[0]["matched"], 4);
        assert_eq!(board.show()[0]["struck"], 2);
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"status"}"#).is_err());
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"explode"}"#).is_err());
    }
}
