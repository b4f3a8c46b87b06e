//! Taking an outside change into the spec instead of undoing it: what is to be written where. Pure.

use crate::address::{Address, AttrPath, Segment};
use crate::expr::{Expr, Node, Origin};
use crate::observe::Inputs;
use crate::plan::{Action, AttrChange, Certainty, Change};
use crate::value::Value;

/// One value that the spec is to have.
#[derive(Debug, Clone, PartialEq)]
pub struct Absorbed {
    /// The resource.
    pub address: Address,
    /// The attribute.
    pub path: AttrPath,
    /// What is live.
    pub value: Value,
    /// Where it goes.
    pub place: Place,
}

/// Where a value goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// In the place of what is written there.
    At(Origin),
    /// Into the resource's table in its zone's own file: what is written is inherited from elsewhere.
    Own,
}

/// What cannot be taken into the spec, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address}: `{path}` cannot be written into the spec: {why}")]
pub struct Refused {
    /// The resource.
    pub address: Address,
    /// The attribute.
    pub path: AttrPath,
    /// Why.
    pub why: String,
}

/// What of a change's attributes is to be written where.
///
/// # Errors
/// An attribute has no value that can be written, or no place for one.
pub fn absorb(inputs: &Inputs, change: &Change) -> Result<Vec<Absorbed>, Refused> {
    if !is_seen(change) {
        return Err(Refused {
            address: change.address.clone(),
            path: AttrPath::root(),
            why: "it was not compared with what is live, or is to be made or to go".to_owned(),
        });
    }
    let all = change.attrs.iter();
    all.map(|attr| one(inputs, &change.address, attr)).collect()
}

/// Whether a change is about something that exists, is to stay and was looked at.
pub fn is_seen(change: &Change) -> bool {
    let stays = |a: &Action| matches!(a, Action::NoOp | Action::Update);
    change.certainty == Certainty::Seen
        && change.desired.is_some()
        && change.actions.iter().all(stays)
}

fn one(inputs: &Inputs, address: &Address, attr: &AttrChange) -> Result<Absorbed, Refused> {
    let refused = |why: String| Refused {
        address: address.clone(),
        path: attr.path.clone(),
        why,
    };
    let body = inputs.config.resources.get(address).map(|r| &r.body);
    let origin = body.and_then(|b| b.origin_of(&attr.path));
    let by_hand = origin.map_or_else(String::new, |o| format!("; edit {o} by hand"));
    let recorded = inputs.state.record(address).map(|r| &r.inputs);
    let applied = recorded.and_then(|r| r.at(&attr.path));
    if applied.is_some() && applied != attr.after.as_ref() {
        return Err(refused(
            "the spec was changed there, and that is not applied yet".to_owned(),
        ));
    }
    let Some(value) = &attr.before else {
        return Err(refused(format!("it is not there any more{by_hand}")));
    };
    if !is_plain(value) {
        return Err(refused("it is a secret, or not known".to_owned()));
    }
    let (Some(body), Some(origin)) = (body, origin) else {
        return Err(refused("it is written nowhere".to_owned()));
    };
    if !origin.file.ends_with(".toml") {
        return Err(refused(format!(
            "it comes from another file than the spec's own{by_hand}"
        )));
    }
    let place = match leaf(body, &attr.path).map(|e| &e.node) {
        Some(Node::Literal(_)) if *origin.file == own_file(address) => Place::At(origin.clone()),
        _ if *origin.file == own_file(address) => {
            return Err(refused(format!(
                "it is made of a reference or of parts{by_hand}"
            )));
        }
        _ if attr
            .path
            .segments()
            .iter()
            .all(|s| matches!(s, Segment::Key(_))) =>
        {
            Place::Own
        }
        _ => {
            return Err(refused(format!(
                "it is an item of an inherited list{by_hand}"
            )));
        }
    };
    Ok(Absorbed {
        address: address.clone(),
        path: attr.path.clone(),
        value: value.clone(),
        place,
    })
}

/// The file in which a zone says what it has of its own.
pub fn own_file(address: &Address) -> String {
    match address.zone.is_edge() {
        true => "zonewright.toml".to_owned(),
        false => format!("zones/{}.toml", address.zone),
    }
}

fn leaf<'e>(body: &'e Expr, path: &AttrPath) -> Option<&'e Expr> {
    path.segments()
        .iter()
        .try_fold(body, |here, segment| match (&here.node, segment) {
            (Node::Map(map), Segment::Key(key)) => map.get(key),
            (Node::List(items), Segment::Index(at)) => items.get(*at),
            // A literal list or table is one value.
            (Node::Literal(_), _) => Some(here),
            _ => None,
        })
}

fn is_plain(value: &Value) -> bool {
    let mut plain = value.is_known();
    value.visit(&mut |leaf| plain &= !matches!(leaf, Value::Secret(_) | Value::Null));
    plain
}
