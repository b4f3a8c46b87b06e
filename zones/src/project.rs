//! What the root file says besides resources; at hand even when the rest has mistakes.

pub use zonewright_engine::config::Objectives;
use zonewright_engine::config::SecretSource;

/// Facts of the root file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// `[project] name`.
    pub name: Option<String>,
    /// `[project] env`.
    pub env: Option<String>,
    /// `[state]`.
    pub state: StateSettings,
    /// `[objectives]`.
    pub objectives: Objectives,
}

/// Where and how the state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSettings {
    /// The directory of the file backend, relative to the project.
    pub dir: String,
    /// The key of secret digests.
    pub digest_key: Option<SecretSource>,
}

impl Default for StateSettings {
    fn default() -> Self {
        StateSettings {
            dir: "state".to_owned(),
            digest_key: None,
        }
    }
}
