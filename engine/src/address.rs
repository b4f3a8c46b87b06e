//! Addresses, references and attribute paths: the only parser and printer of each.
//!
//! ```text
//! bz/digitalocean.vpc.main
//! bz/kubernetes.chart.cert_manager["apps/Deployment/platform/cert-manager"]
//! ${pz/digitalocean.vpc.main.id}   ${zone.region}   ${secret.token}
//! ```

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

mod path;
mod reference;

pub use path::{AttrPath, Segment};
pub use reference::{RefText, ZoneSelector};

/// The shard and pseudo zone of resources that belong to no zone.
pub const EDGE: &str = "edge";

/// Why a text is no address, name or path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AddressError {
    /// What is wrong, as a fragment.
    pub message: String,
    /// Byte offset in the text where it goes wrong.
    pub at: usize,
}

impl AddressError {
    fn new(at: usize, message: impl Into<String>) -> Self {
        AddressError {
            message: message.into(),
            at,
        }
    }
}

fn is_ident(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        && text.len() <= 63
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = AddressError;
            fn from_str(text: &str) -> Result<Self, AddressError> {
                if is_ident(text) {
                    Ok($name(text.into()))
                } else {
                    Err(AddressError::new(
                        0,
                        format!(
                            "`{text}` is not a {}: a letter, then up to 62 letters, digits, `_` or `-`",
                            $what
                        ),
                    ))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        text_serde!($name);
    };
}

macro_rules! text_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_serde;

name_type!(
    /// The name of a zone, `edge` included. Also the name of its state shard.
    ZoneName,
    "zone name"
);
name_type!(
    /// The name that a spec gives to a resource.
    Name,
    "resource name"
);

impl ZoneName {
    /// The pseudo zone of shared resources.
    pub fn edge() -> ZoneName {
        ZoneName(SmolStr::new_static(EDGE))
    }

    /// Whether this is the pseudo zone of shared resources.
    pub fn is_edge(&self) -> bool {
        self.0 == EDGE
    }
}

/// A resource kind: `digitalocean.vpc`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    provider: SmolStr,
    name: SmolStr,
}

impl Kind {
    /// The provider part: `digitalocean`.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The part after the provider: `vpc`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for Kind {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.split_once('.') {
            Some((provider, name)) if is_ident(provider) && is_ident(name) => Ok(Kind {
                provider: provider.into(),
                name: name.into(),
            }),
            _ => Err(AddressError::new(
                0,
                format!("`{text}` is not a kind: expected `provider.kind`"),
            )),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.provider, self.name)
    }
}

text_serde!(Kind);

/// The name of one resource in the whole project. Copies share it: plans hold each many times.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<Parts>);

/// What an address consists of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parts {
    /// The zone, or `edge`.
    pub zone: ZoneName,
    /// What it is.
    pub kind: Kind,
    /// Its name in the spec.
    pub name: Name,
    /// The object's key, for objects that a chart or a manifest file brings:
    /// `<group or core>/<Kind>/<namespace or ->/<name>`.
    pub key: Option<String>,
}

impl Address {
    /// The address of a declaration, or with a key of one of its objects.
    pub fn new(zone: ZoneName, kind: Kind, name: Name, key: Option<String>) -> Address {
        Address(Arc::new(Parts {
            zone,
            kind,
            name,
            key,
        }))
    }

    /// The same declaration without the object key.
    pub fn declaration(&self) -> Address {
        match self.key {
            None => self.clone(),
            Some(_) => self.with_key(None),
        }
    }

    /// The address of one object of this declaration.
    pub fn object(&self, key: impl Into<String>) -> Address {
        self.with_key(Some(key.into()))
    }

    /// The same declaration, of one of its objects or as a whole.
    pub fn with_key(&self, key: Option<String>) -> Address {
        let Parts {
            zone, kind, name, ..
        } = &**self;
        Address::new(zone.clone(), kind.clone(), name.clone(), key)
    }

    /// What has the same name in another zone.
    pub fn in_zone(&self, zone: &ZoneName) -> Address {
        Address(Arc::new(Parts {
            zone: zone.clone(),
            ..Parts::clone(self)
        }))
    }
}

impl Deref for Address {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.zone, self.kind, self.name)?;
        match &self.key {
            Some(key) => write!(f, "[{}]", path::Quoted(key)),
            None => Ok(()),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let parsed = RefText::parse(text)?;
        match parsed {
            RefText::Resource {
                zone: Some(ZoneSelector::Named(zone)),
                kind,
                name,
                key,
                path,
            } if path.is_empty() => Ok(Address::new(zone, kind, name, key)),
            _ => Err(AddressError::new(
                0,
                format!("`{text}` is not an address: expected `zone/provider.kind.name`"),
            )),
        }
    }
}

text_serde!(Address);

/// A configured provider: `bz/provider.kubernetes`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId {
    /// The zone whose file configures it; `edge` for the root file.
    pub zone: ZoneName,
    /// The provider's name.
    pub provider: SmolStr,
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/provider.{}", self.zone, self.provider)
    }
}

impl FromStr for InstanceId {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let parts = text.split_once("/provider.");
        match parts {
            Some((zone, provider)) if is_ident(provider) => Ok(InstanceId {
                zone: zone.parse()?,
                provider: provider.into(),
            }),
            _ => Err(AddressError::new(
                0,
                format!("`{text}` is not a provider instance: expected `zone/provider.name`"),
            )),
        }
    }
}

text_serde!(InstanceId);

#[cfg(test)]
mod tests;
