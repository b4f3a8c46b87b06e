//! The private certificate authority of a world's databases, and what they show.
//!
//! As with the vendor, one authority signs for the databases of an account.

use std::sync::Arc;

use rustls::ServerConfig;
use serde_json::json;

use crate::authority::{Authority, AuthorityError};
use crate::world::{Tables, Txn};

const TABLE: &str = "sandbox/database_authority";
const NAME: &str = "Sandbox Project CA";

/// Which certificate a database shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// One that is right.
    Right,
    /// One for its names by an authority of the same name that is another one.
    OtherAuthority,
    /// One by the right authority for another name.
    OtherName,
}

impl Shown {
    pub(crate) fn parse(name: &str) -> Option<Shown> {
        match name {
            "right" => Some(Shown::Right),
            "other_authority" => Some(Shown::OtherAuthority),
            "other_name" => Some(Shown::OtherName),
            _ => None,
        }
    }
}

/// The authority's certificate, PEM; it is made when nobody has asked before.
pub(crate) fn certificate(txn: &mut Txn<'_>) -> Result<String, AuthorityError> {
    Ok(authority(txn)?.certificate)
}

/// The same, if somebody has asked before.
pub(super) fn known(tables: &Tables) -> Option<String> {
    stored(tables).map(|authority| authority.certificate)
}

fn authority(txn: &mut Txn<'_>) -> Result<Authority, AuthorityError> {
    if let Some(known) = stored(txn.tables()) {
        return Ok(known);
    }
    let made = Authority::new(NAME)?;
    txn.put(TABLE, "authority", json!(made));
    Ok(made)
}

/// What a server shows that has these names.
pub(super) fn server_config(
    txn: &mut Txn<'_>,
    names: &[String],
    shown: Shown,
) -> Result<Arc<ServerConfig>, AuthorityError> {
    let signer = match shown {
        Shown::OtherAuthority => Authority::new(NAME)?,
        Shown::Right | Shown::OtherName => authority(txn)?,
    };
    let names = match shown {
        Shown::OtherName => vec!["another-do-user-1-0.db.ondigitalocean.com".to_owned()],
        Shown::Right | Shown::OtherAuthority => names.to_vec(),
    };
    signer.server(NAME, "mysql", names)
}

fn stored(tables: &Tables) -> Option<Authority> {
    serde_json::from_value(tables.get(TABLE, "authority")?.clone()).ok()
}
