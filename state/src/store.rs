//! The port to a dumb store. Correctness rests on one primitive: [`Store::put_new`] makes an
//! immutable object unless its key exists, and of several at once exactly one wins.
//!
//! Keys are `/`-separated names (letters, digits, `.`, `_`, `-`), in byte order.

use futures::future::BoxFuture;

mod again;
pub mod file;
pub mod kubernetes;
pub mod memory;
pub mod postgres;
pub mod probe;
pub mod s3;

pub use probe::Lie;

/// What became of [`Store::put_new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object is ours and durable.
    Created,
    /// Somebody made it before; it is unchanged.
    Exists,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The key is not of the allowed form.
    #[error("`{0}` is not a key of the store")]
    Key(String),
    /// The store failed; whether a write happened is not known.
    #[error("the store cannot {doing} {}", named(key))]
    Io {
        /// The key.
        key: String,
        /// What was tried.
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store does something else than it says, so that nothing can rest on it.
    #[error("{place} cannot keep a state, as `{key}` shows: {lie}")]
    Untrusted {
        /// The store.
        place: String,
        /// The object that showed it.
        key: String,
        /// What is wrong with it.
        lie: Lie,
    },
}

impl StoreError {
    /// Whether the credentials lack a right, or are none.
    pub fn is_denied(&self) -> bool {
        let denied = std::io::ErrorKind::PermissionDenied;
        matches!(self, StoreError::Io { source, .. } if source.kind() == denied)
    }
}

/// The result of a store's future.
pub type StoreResult<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A store of immutable objects, and of hints that nothing depends on.
pub trait Store: Send + Sync {
    /// Where it is, for messages: `s3://bucket/prefix`.
    fn place(&self) -> String;
    /// Makes what the store needs before its first object; most need nothing.
    fn prepare(&self) -> StoreResult<'_, ()> {
        Box::pin(async { Ok(()) })
    }
    /// Makes an object unless the key exists. Durable when it returns.
    fn put_new<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, Put>;
    /// The bytes of an object.
    fn get<'a>(&'a self, key: &'a str) -> StoreResult<'a, Option<Vec<u8>>>;
    /// The keys that begin with a prefix and come after a key, in order.
    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>) -> StoreResult<'a, Vec<String>>;
    /// Writes over whatever is there. For hints: never durable, never trusted.
    fn put_hint<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> StoreResult<'a, ()>;
    /// Removes an object that a later one has made superfluous; one that is gone is fine.
    fn gc<'a>(&'a self, key: &'a str) -> StoreResult<'a, ()>;
}

/// A key, or what a list without a prefix is about.
fn named(key: &str) -> String {
    match key {
        "" => "what it holds".to_owned(),
        key => format!("`{key}`"),
    }
}

/// Checks the form of a key.
pub(crate) fn check_key(key: &str) -> Result<(), StoreError> {
    let part_ok = |part: &str| {
        !part.is_empty()
            // A leading dot is for temporary names of a store.
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    if key.len() <= 512 && key.split('/').all(part_ok) {
        Ok(())
    } else {
        Err(StoreError::Key(key.to_owned()))
    }
}
