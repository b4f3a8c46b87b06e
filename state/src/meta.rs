//! `meta.json`: the project's lineage and world, made once and never changed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zonewright_engine::address::ZoneName;
use zonewright_engine::canon;

use crate::error::StateError;
use crate::seen::{Seen, SeenFile};

/// The key of the object.
pub const KEY: &str = "meta.json";

/// The name of the format.
pub const FORMAT: &str = "zonewright.meta";

/// The version that is written.
pub const VERSION: u64 = 1;

/// What all shards of a project share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// [`FORMAT`].
    pub format: String,
    /// The version of the file.
    pub version: u64,
    /// 32 hex digits, never reused.
    pub lineage: String,
    /// `live` or `sandbox:<id>`.
    pub world: String,
    /// Which program made it, informative.
    pub created_by: String,
}

impl Meta {
    /// Worlds do not mix.
    pub(crate) fn check_world(&self, file: &Path, world: &str) -> Result<(), StateError> {
        if self.world == world {
            return Ok(());
        }
        Err(StateError::World {
            file: file.to_owned(),
            expected: world.to_owned(),
            found: self.world.clone(),
        })
    }

    /// The same, if it is of a world and of the lineage that this host has seen here.
    pub(crate) fn of(
        self,
        file: PathBuf,
        world: &str,
        seen: Option<&Seen>,
    ) -> Result<Meta, StateError> {
        self.check_world(&file, world)?;
        match seen.filter(|seen| seen.lineage != self.lineage) {
            Some(seen) => Err(StateError::Lineage {
                file,
                expected: seen.lineage.clone(),
                found: self.lineage,
            }),
            None => Ok(self),
        }
    }

    /// The text of the object.
    pub fn encode(&self) -> String {
        canon::pretty(self)
    }

    /// Reads the object.
    ///
    /// # Errors
    /// It is damaged or newer.
    pub fn decode(bytes: &[u8], file: &Path) -> Result<Meta, StateError> {
        let damaged = |what: &str| StateError::Damaged {
            file: file.to_owned(),
            offset: 0,
            what: what.to_owned(),
            history: Vec::new(),
        };
        let json: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|_| damaged("it is not JSON"))?;
        match json.get("version").and_then(serde_json::Value::as_u64) {
            Some(VERSION) => {}
            Some(found) if found > VERSION => {
                return Err(StateError::Newer {
                    file: file.to_owned(),
                    found,
                    supported: VERSION,
                });
            }
            _ => return Err(damaged("it has no version that exists")),
        }
        let meta: Meta = serde_json::from_value(json)
            .map_err(|_| damaged("a field is unknown, missing or of the wrong type"))?;
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if meta.format != FORMAT || meta.lineage.len() != 32 || !meta.lineage.bytes().all(hex) {
            return Err(damaged("it does not hold a lineage"));
        }
        Ok(meta)
    }
}

/// What is lost when there is no lineage: `None` when nothing was ever written. `what` is what a state is made
/// of at its place, `back` how it comes back.
pub(crate) fn lost(
    shard: Option<&ZoneName>,
    seen: Option<&Seen>,
    marks: Option<&SeenFile>,
    (what, back): (&str, &str),
) -> Option<String> {
    let seen = seen.filter(|s| !s.shards.is_empty());
    match (shard, seen) {
        (Some(shard), _) => Some(format!("is missing, but {what} of shard {shard} exist")),
        (None, Some(seen)) => Some(format!(
            "is missing, but this host has seen lineage {} here; {back}, or remove {} if the project was ended on purpose",
            seen.lineage,
            marks.map_or_else(String::new, |f| f.path().display().to_string()),
        )),
        (None, None) => None,
    }
}
