//! Secrets: values that are used but never shown or stored.
//!
//! A [`Secret`] has no `Display`, its `Debug` and its serialised form hold the reference and a keyed
//! digest only. The one way out is [`Secret::expose`], which names its purpose; a test counts the
//! callers.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::canon::hex;

/// The project's key for digests of secrets. Without it a short password could be guessed from its
/// digest.
#[derive(Clone)]
pub struct DigestKey(Zeroizing<[u8; 32]>);

impl DigestKey {
    /// Takes 256 bits of key.
    pub fn new(bytes: [u8; 32]) -> DigestKey {
        DigestKey(Zeroizing::new(bytes))
    }

    /// What tells the key from others, and nothing of it.
    pub fn id(&self) -> String {
        self.fingerprint("which key is this")[..6].to_owned()
    }

    fn fingerprint(&self, value: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice())
            .expect("invariant: HMAC takes keys of any length");
        mac.update(value.as_bytes());
        hex(&mac.finalize().into_bytes()[..16])
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(digest key)")
    }
}

/// Why a secret is exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It goes to the vendor, in a header or a body.
    Request,
    /// It becomes part of another secret.
    Derive,
    /// It is written to a file that the user asked for.
    UserFile,
    /// It opens what is sealed.
    Open,
}

/// A secret value, or what is known of one.
#[derive(Clone)]
pub struct Secret {
    /// Where it comes from: `secret.do_token`, `bz/digitalocean.database_user.app.password`.
    pub label: Arc<str>,
    held: Arc<Held>,
}

enum Held {
    Value {
        value: Zeroizing<String>,
        key: Option<Arc<DigestKey>>,
    },
    Recorded {
        digest: Option<String>,
    },
}

/// The form in which a secret is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRecord {
    /// Where the value comes from.
    #[serde(rename = "ref")]
    pub label: String,
    /// Keyed digest, 32 hex digits; absent when the project has no digest key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Values below this number of bytes are not searched for in what others say: they occur in ordinary
/// words, and taking them out there would show where they occur.
pub const LEAST_MASKED: usize = 8;

impl Secret {
    /// Holds a value.
    pub fn new(
        label: impl Into<Arc<str>>,
        value: impl Into<String>,
        key: Option<Arc<DigestKey>>,
    ) -> Secret {
        Secret {
            label: label.into(),
            held: Arc::new(Held::Value {
                value: Zeroizing::new(value.into()),
                key,
            }),
        }
    }

    /// A secret of which only the record is known.
    pub fn recorded(record: SecretRecord) -> Secret {
        Secret {
            label: record.label.into(),
            held: Arc::new(Held::Recorded {
                digest: record.digest,
            }),
        }
    }

    /// What may be stored and shown.
    pub fn record(&self) -> SecretRecord {
        SecretRecord {
            label: self.label.to_string(),
            digest: self.digest(),
        }
    }

    /// The keyed digest, when there is a key.
    pub fn digest(&self) -> Option<String> {
        match &*self.held {
            Held::Value { value, key } => key.as_ref().map(|k| k.fingerprint(value)),
            Held::Recorded { digest } => digest.clone(),
        }
    }

    /// The value itself; `None` when only its record is known.
    pub fn expose(&self, _purpose: Purpose) -> Option<&str> {
        match &*self.held {
            Held::Value { value, .. } => Some(value.as_str()),
            Held::Recorded { .. } => None,
        }
    }

    /// The key that digests of this secret use.
    pub fn key(&self) -> Option<Arc<DigestKey>> {
        match &*self.held {
            Held::Value { key, .. } => key.clone(),
            Held::Recorded { .. } => None,
        }
    }

    /// Whether two secrets have the same value; `None` when that cannot be told.
    pub fn same(&self, other: &Secret) -> Option<bool> {
        if let (Held::Value { value: a, .. }, Held::Value { value: b, .. }) =
            (&*self.held, &*other.held)
        {
            return Some(a.as_bytes() == b.as_bytes());
        }
        Some(self.digest()? == other.digest()?)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(secret {})", self.label)
    }
}

/// By label and by what can be told of the value.
impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.same(other).unwrap_or(self.label == other.label)
    }
}
