//! Why there is no plan: what stands in the way, and the way out.

use super::Move;
use super::needed::NeededAs;
use super::tokens;
use crate::address::{Address, InstanceId, ZoneName};
use crate::expr::Reference;
use crate::provider::{Claim, claimed};

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PlanError {
    /// Something has its name and is not ours.
    #[error(
        "{address}: `{names}` exists already (id {id}) and does not carry the mark of this resource{}", marker.as_ref().filter(|_| tool.is_some()).map(|m| format!(", but {m}")).unwrap_or_default()
    )]
    Foreign {
        /// The resource.
        address: Address,
        /// The vendor's id of what is there.
        id: String,
        /// The marker it carries, if any.
        marker: Option<String>,
        /// The tool that the marker is of, if it is one that is known.
        tool: Option<&'static str>,
        /// Its name at the vendor.
        names: String,
    },
    /// The mark that it would carry is on what was made under its address and moved since.
    #[error(
        "{address} would carry the mark of {taken}, which was made under this address and moved"
    )]
    MarkTaken {
        /// The resource.
        address: Address,
        /// What carries the mark.
        taken: Address,
    },
    /// What has its name is recorded under an address that is not in the spec any more.
    #[error(
        "{to} is what is recorded as {from}, which is not in the spec any more: it was renamed"
    )]
    Renamed {
        /// What it is recorded under.
        from: Address,
        /// What the spec calls it now.
        to: Address,
    },
    /// What moved cannot be recorded under its new address.
    #[error("{} cannot move to {}: {why}", step.from, step.to)]
    MoveBlocked {
        /// From where it would move, and to where.
        step: Box<Move>,
        /// What is in the way.
        why: String,
    },
    /// It is to be kept, and would go all the same.
    #[error("{address} is kept (`keep = true`) and would be replaced, or go with what it lives in")]
    Kept {
        /// The resource.
        address: Address,
    },
    /// It is protected.
    #[error("{address} is protected and would be deleted or replaced")]
    Protected {
        /// The resource.
        address: Address,
    },
    /// A replica that was promoted would be deleted as if nothing depended on its data.
    #[error(
        "{address} was promoted and is a writer now; it would be deleted or replaced like a replica"
    )]
    LiveWriter {
        /// The resource.
        address: Address,
    },
    /// A resource that is only observed is not there.
    #[error("{address} is observed, and `{names}` does not exist")]
    ObservedMissing {
        /// The resource.
        address: Address,
        /// Its name at the vendor.
        names: String,
    },
    /// A reference leaves the selection and nothing is recorded there.
    #[error(
        "{address} refers to {reference}, which is outside the selected zones and not made yet"
    )]
    OutsideMissing {
        /// Who refers.
        address: Address,
        /// To what.
        reference: Box<Reference>,
    },
    /// What is to be destroyed is needed by something that stays.
    #[error("{address} would be destroyed, and {by} {need}")]
    StillNeeded {
        /// What would go.
        address: Address,
        /// Who needs it.
        by: Address,
        /// What for.
        need: Box<NeededAs>,
    },
    /// The zone that serves would be destroyed.
    #[error("zone {zone} serves: it cannot be destroyed")]
    Serving {
        /// The zone.
        zone: ZoneName,
    },
    /// What shall be replaced is not in the spec, or not in the selection.
    #[error("{address} cannot be replaced: it is not among the selected resources of the spec")]
    NothingToReplace {
        /// What was asked for.
        address: Address,
    },
    /// An objective is out of reach, and they are strict.
    #[error("{message}")]
    Objective {
        /// What would happen instead.
        message: String,
        /// The way out.
        help: String,
    },
    /// It would make a zone reachable from outside that may not be.
    #[error("{address} would expose zone {}, which stands by: {what}{}", address.zone, declared.as_ref().map(|d| format!(" ({d})")).unwrap_or_default())]
    Exposes {
        /// The resource.
        address: Address,
        /// How.
        what: String,
        /// Where the spec says so.
        declared: Option<String>,
        /// The way out.
        help: &'static str,
    },
    /// A token opens more domains than the spec has records in, and must not.
    #[error("the token of {instance} sees more domains than {domains}, where the spec has records")]
    WideToken {
        /// Whose token.
        instance: InstanceId,
        /// The domains of the spec.
        domains: String,
    },
    /// A standby zone would get a database that holds nothing.
    #[error(
        "{address} would be an empty database of its own in a zone that stands by: neither a replica nor restored"
    )]
    EmptyDatabase {
        /// The resource.
        address: Address,
    },
    /// The zone that serves would have no database.
    #[error(
        "zone {zone} serves, and its database is to be restored: there is none yet, and applying does not restore one"
    )]
    NoDatabase {
        /// The zone.
        zone: ZoneName,
    },
    /// The edge would point at something that is not as the spec says yet.
    #[error(
        "{address} would point at {target}, which is not yet as the spec says: users would arrive at a zone that is not ready"
    )]
    FlipTooEarly {
        /// The shared resource.
        address: Address,
        /// What it refers to.
        target: Address,
    },
    /// The server would refuse it.
    #[error("{address} would be refused: {message}{}", declared.as_ref().map(|d| format!(" ({d})")).unwrap_or_default())]
    Refused {
        /// The resource.
        address: Address,
        /// What the server says.
        message: String,
        /// Where the spec says so.
        declared: Option<String>,
    },
    /// Fields that cannot change would, and the spec does not have it replaced.
    #[error("{address}: {paths} cannot change once it is there{}", loss.map(|l| format!("; if it was replaced, {l}")).unwrap_or_default())]
    Immutable {
        /// The resource.
        address: Address,
        /// The fields.
        paths: String,
        /// What a replacement would cost, where it is never made by itself.
        loss: Option<&'static str>,
    },
    /// Another field manager applies fields that the spec has, with other values.
    #[error("{address} is disputed: {}", claimed(claims))]
    Disputed {
        /// The resource.
        address: Address,
        /// Who applies what.
        claims: Vec<Claim>,
    },
    /// Steps wait for each other.
    #[error("these wait for each other: {}", nodes.join(", "))]
    Cycle {
        /// The resources or steps.
        nodes: Vec<String>,
    },
}

/// An address as a TOML string.
fn quoted(address: &Address) -> String {
    let text = address.to_string();
    match text.contains('"') {
        true => format!("'{text}'"),
        false => format!("\"{text}\""),
    }
}

impl PlanError {
    /// Whether a rule refused, as opposed to a mistake.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            PlanError::Protected { .. }
                | PlanError::Kept { .. }
                | PlanError::Immutable { .. }
                | PlanError::Disputed { .. }
                | PlanError::LiveWriter { .. }
                | PlanError::Serving { .. }
                | PlanError::StillNeeded { .. }
                | PlanError::Exposes { .. }
                | PlanError::WideToken { .. }
                | PlanError::EmptyDatabase { .. }
                | PlanError::NoDatabase { .. }
                | PlanError::FlipTooEarly { .. }
                | PlanError::Objective { .. }
        )
    }

    /// The way out.
    pub fn help(&self) -> String {
        match self {
            PlanError::Foreign { address, id, tool, .. } => foreign(address, id, *tool),
            PlanError::MarkTaken { address, taken } => format!(
                "apply without {address} first: that renews the mark of {taken}; or give {address} another name"
            ),
            PlanError::Renamed { from, to } => format!(
                "write into zonewright.toml:\n\n[[moved]]\nfrom = {}\nto = {}\n",
                quoted(from),
                quoted(to)
            ),
            PlanError::MoveBlocked { step, .. } => format!(
                "give it its old name back in the spec, take `[[moved]]` out and apply, and then rename it; or see what is there: `zonewright state show '{}'`",
                step.to
            ),
            PlanError::Kept { address } => format!(
                "set `zonewright = {{ keep = false }}` on {address} and apply that first, or have the state forget it: `zonewright state rm '{address}'`"
            ),
            PlanError::Protected { address } => format!(
                "set `zonewright = {{ protect = false }}` on {address} and apply that first"
            ),
            PlanError::LiveWriter { address } => format!(
                "keep {address} in the spec, with `role = \"primary\"`; if its data is not needed any more, apply that together with `zonewright = {{ protect = false }}` first, and then let it go"
            ),
            PlanError::ObservedMissing { .. } => {
                "check the name, or drop `observe` to have it made".to_owned()
            }
            PlanError::OutsideMissing { reference, .. } => {
                let zone = reference.address().map_or("", |a| a.zone.as_str());
                format!("run `zonewright apply --zone {zone}` first, or apply everything at once")
            }
            PlanError::StillNeeded { address, by, need } => need.help(address, by),
            PlanError::NothingToReplace { .. } => {
                "`zonewright state list` names what exists".to_owned()
            }
            PlanError::Serving { zone } if zone.is_edge() => {
                "take single records out of the spec instead".to_owned()
            }
            PlanError::Serving { .. } => {
                "make another zone active first (`[project] active`)".to_owned()
            }
            PlanError::Objective { help, .. } => {
                format!("{help}; without `[objectives] strict` this is a warning")
            }
            PlanError::Exposes { help, .. } => (*help).to_owned(),
            PlanError::WideToken { domains, .. } => format!(
                "{}; without `narrow = \"required\"` this is a warning",
                tokens::help(domains)
            ),
            PlanError::EmptyDatabase { .. } => {
                "it would hold nothing, bill all the time, and be in the way of a restore under its name: take it out with `zonewright = { enabled = false }` and declare a replica, or `strategy = \"restore\"`".to_owned()
            }
            PlanError::NoDatabase { zone } => format!(
                "keep the other zone active until {zone} has its data: restore the backup, then declare the restored cluster in zones/{zone}.toml"
            ),
            PlanError::FlipTooEarly { target, .. } => format!(
                "run `zonewright apply --zone {0}` first, or apply everything at once: then the flip waits for {0}",
                target.zone
            ),
            PlanError::Immutable { address, loss: None, .. } => format!(
                "take the change back, or have it deleted and made anew with `zonewright = {{ on_immutable = \"replace\" }}`, or this once with `zonewright plan --replace '{address}' --out FILE`"
            ),
            PlanError::Immutable { address, .. } => format!(
                "take the change back; if the loss is meant, `zonewright plan --replace '{address}' --out FILE` plans it"
            ),
            PlanError::Disputed { claims, .. } => disputed(claims),
            PlanError::Refused { .. } => {
                "nothing was sent but a trial; correct it in the spec, or leave it out with `zonewright = { enabled = false }`".to_owned()
            }
            PlanError::Cycle { .. } => {
                "this is a contradiction in the plan: please report it with the spec".to_owned()
            }
        }
    }
}

/// Either side may have the fields.
fn disputed(claims: &[Claim]) -> String {
    let quoted = |texts: Vec<&str>| {
        let all: Vec<String> = texts.iter().map(|t| format!("{t:?}")).collect();
        all.join(", ")
    };
    let fields = claims.iter().flat_map(|c| &c.fields);
    let managers = claims.iter().map(|c| c.manager.as_str());
    format!(
        "leave the fields to it with `zonewright = {{ yield = [{}] }}`, or take them over with `zonewright = {{ take_from = [{}] }}` and keep it from applying them again",
        quoted(fields.map(String::as_str).collect()),
        quoted(managers.collect()),
    )
}

/// What is somebody else's may be left to him, or taken.
fn foreign(address: &Address, id: &str, tool: Option<&str>) -> String {
    match tool {
        Some(tool) => format!(
            "{tool} manages it: take its place with `zonewright = {{ take_from = \"{tool}\" }}` on {}, leave it out of the spec, or look at it only with `observe = true`",
            address.declaration()
        ),
        None => format!(
            "rename it in the spec, remove the other one, or take it over with `zonewright import {address} {id}`; with `observe = true` it is only looked at"
        ),
    }
}
