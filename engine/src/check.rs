//! What has to be true of a zone that is called ready, as data. Pure.
//!
//! [`checks`] derives the lines from the spec and what is recorded; a [`Prober`] asks the world;
//! [`judge()`] decides on the answer. An answer that does not come is [`Verdict::Unknown`], which counts
//! as a failure: a check that could not be made has shown nothing. What there is nothing to ask about is
//! [`Verdict::NotApplicable`], and says why.

use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::address::ZoneName;
use crate::provider::ProviderError;

mod derive;
mod judge;
mod media;
mod probe;
mod readiness;
mod token;
mod wiring;

pub use crate::declared::{Entry, ObjectRef, ServiceRef};
pub use derive::checks;
pub use judge::judge;
pub use media::{Copies, PROBES, Stored};
pub use probe::{
    Answer, Container, DatabaseAnswer, DatabaseAsk, DatabaseProbe, DnsAnswer, DnsAsk, Found,
    MediaProbe, MediaSource, MirrorPair, MirrorRow, NetworkProbe, Probe, SmokeProbe, TokenAnswer,
    WiringProbe,
};
pub use readiness::{Demand, Gate, Moment, Proof, Readiness, Standing, budget, readiness};
pub use wiring::READ_ONLY_HEADER;

/// The lag from which a replica counts as too far behind: the alarm of the rules fires there, too.
pub const LAG_LIMIT: Duration = crate::objectives::LAG_ALARM;

/// Seconds that another clock may be ahead of ours.
const SKEW: u64 = 300;

/// One line of the validation list.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// A stable name, the same in every zone: `replication-lag`, or `replication-lag:main` where there are
    /// several of the kind.
    pub id: String,
    /// What has to be true.
    pub title: String,
    /// The requirements that it proves.
    pub rows: &'static [&'static str],
    /// What a failure means.
    pub severity: Severity,
    /// Whether asking makes something (and removes it again).
    pub writes: bool,
    /// How long its proof counts.
    pub max_age: Duration,
    /// What to ask.
    pub probe: Probe,
}

impl Check {
    /// Whether a name means this check: its own, or that of all of its kind.
    pub fn is(&self, name: &str) -> bool {
        let kind = self.id.split_once(':').map(|(kind, _)| kind);
        self.id == name || kind == Some(name)
    }

    /// The same, with a database asked by a Job in the zone: where whoever asks is not among its trusted sources.
    #[must_use]
    pub fn inside(self) -> Check {
        match self.probe {
            Probe::Database(database) if database.inside.is_some() => Check {
                writes: true,
                probe: Probe::DatabaseInside(database),
                ..self
            },
            Probe::Database(_) => {
                let why =
                    "no Secret beside the password says where the server is: a Job does not know";
                Check {
                    probe: Probe::Missing(why.to_owned()),
                    ..self
                }
            }
            _ => self,
        }
    }

    /// Whether it looks for ways into a zone that must have none.
    pub fn is_about_exposure(&self) -> bool {
        matches!(
            self.probe,
            Probe::ExposedObjects | Probe::LoadBalancers { .. }
        )
    }
}

/// What a failed check means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The zone is not ready.
    Blocking,
    /// The zone is ready, with a defect.
    Warning,
}

/// What came of a check, with its evidence in words. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is true.
    Pass(String),
    /// It is not.
    Fail(String),
    /// It is not known, which counts as a failure.
    Unknown(String),
    /// It was not asked, by request.
    Skipped(String),
    /// There is nothing to ask about, which proves nothing.
    NotApplicable(String),
}

impl Verdict {
    /// The stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Pass(_) => "pass",
            Verdict::Fail(_) => "fail",
            Verdict::Unknown(_) => "unknown",
            Verdict::Skipped(_) => "skipped",
            Verdict::NotApplicable(_) => "not_applicable",
        }
    }

    /// The evidence.
    pub fn evidence(&self) -> &str {
        match self {
            Verdict::Pass(t)
            | Verdict::Fail(t)
            | Verdict::Unknown(t)
            | Verdict::Skipped(t)
            | Verdict::NotApplicable(t) => t,
        }
    }

    /// Whether the check failed; what is not known did.
    pub fn is_failure(&self) -> bool {
        matches!(self, Verdict::Fail(_) | Verdict::Unknown(_))
    }
}

/// A check with what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The check.
    pub check: Check,
    /// What came of it.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
    /// What came back, if it was asked and something did.
    pub answer: Option<Answer>,
}

impl Line {
    /// Whether it keeps the zone from being ready.
    pub fn is_red(&self) -> bool {
        self.verdict.is_failure() && self.check.severity == Severity::Blocking
    }

    /// Whether it is a defect that the zone is ready with.
    pub fn is_warning(&self) -> bool {
        self.verdict.is_failure() && !self.is_red()
    }
}

/// Asks the world. The implementation has deadlines of its own; what it cannot learn is an error.
pub trait Prober: Send + Sync {
    /// Asks what a check of a zone wants to know.
    fn ask<'a>(
        &'a self,
        zone: &'a ZoneName,
        probe: &'a Probe,
    ) -> BoxFuture<'a, Result<Answer, ProviderError>>;

    /// Removes what these probes make in the zone, whichever run left it; the number of things.
    fn sweep<'a>(
        &'a self,
        zone: &'a ZoneName,
        probes: &'a [Probe],
    ) -> BoxFuture<'a, Result<usize, ProviderError>>;
}

#[cfg(test)]
mod tests;
