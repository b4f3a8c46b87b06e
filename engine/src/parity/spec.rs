//! What the specs of two zones say differently.

use std::collections::{BTreeMap, BTreeSet};

use super::words::agree;
use super::{Cause, ChartFacts, Difference, Found, Question, Relative, Side, Words};
use crate::address::{AttrPath, Segment, ZoneName};
use crate::config::Resource;
use crate::expr::{Expr, Node, Origin};
use crate::observe::Inputs;
use crate::value::{Text, Value};

pub(super) fn compare(
    inputs: &Inputs,
    ask: &Question<'_>,
    words: &[Words; 2],
    sides: &[BTreeMap<Relative, &Resource>; 2],
) -> Vec<Found> {
    let mut out = charts(ask, words);
    let mut lonely: BTreeMap<(String, bool), (usize, &Resource)> = BTreeMap::new();
    for (relative, left) in &sides[0] {
        match sides[1].get(relative) {
            Some(right) => {
                let mut walk = Walk {
                    words,
                    resource: relative.to_string(),
                    out: &mut out,
                };
                walk.pair(&AttrPath::root(), [&left.body, &right.body], [left, right]);
            }
            None => count(&mut lonely, left, true),
        }
    }
    for (relative, right) in &sides[1] {
        if !sides[0].contains_key(relative) {
            count(&mut lonely, right, false);
        }
    }
    for ((resource, is_left), (objects, one)) in lonely {
        let other = if is_left { ask.right } else { ask.left };
        out.push(alone(inputs, resource, is_left, objects, one, other));
    }
    out
}

/// Objects that one zone lacks, by declaration.
fn count<'a>(
    lonely: &mut BTreeMap<(String, bool), (usize, &'a Resource)>,
    resource: &'a Resource,
    is_left: bool,
) {
    let declaration = Relative::of(&resource.address.declaration()).to_string();
    lonely
        .entry((declaration, is_left))
        .or_insert((0, resource))
        .0 += 1;
}

fn alone(
    inputs: &Inputs,
    resource: String,
    is_left: bool,
    objects: usize,
    one: &Resource,
    other: &ZoneName,
) -> Found {
    let elsewhere = one.address.declaration().in_zone(other);
    let disabled = inputs.config.disabled.get(&elsewhere);
    let here = one.at.as_ref().map(ToString::to_string);
    let there = disabled
        .and_then(|d| d.at.as_ref())
        .map(|at| format!("disabled at {at}"));
    let (left_at, right_at) = if is_left {
        (here, there)
    } else {
        (there, here)
    };
    let what = Some(Value::text("declared"));
    let (left, right) = if is_left { (what, None) } else { (None, what) };
    Found {
        because: disabled.filter(|d| d.by_setting).map(|_| Cause::Settings),
        difference: Difference {
            resource,
            path: None,
            side: Side::Spec,
            left,
            right,
            left_at,
            right_at,
            objects,
        },
    }
}

/// Charts by version and values: a rendering that looks the same may still come from another version.
fn charts(ask: &Question<'_>, words: &[Words; 2]) -> Vec<Found> {
    let of = |zone: &ZoneName| -> BTreeMap<Relative, &ChartFacts> {
        let mine = ask.charts.iter().filter(|c| c.address.zone == *zone);
        mine.map(|c| (Relative::of(&c.address), c)).collect()
    };
    let (left, right) = (of(ask.left), of(ask.right));
    let mut out = Vec::new();
    for (relative, l) in &left {
        let Some(r) = right.get(relative) else {
            continue;
        };
        let (l, r) = (Some(&l.facts), Some(&r.facts));
        leaves(&AttrPath::root(), l, r, &mut |path, l, r| {
            if agree(words, l, r) {
                return;
            }
            out.push(Found {
                because: None,
                difference: Difference {
                    resource: relative.to_string(),
                    path: Some(path.clone()),
                    side: Side::Spec,
                    left: l.cloned(),
                    right: r.cloned(),
                    left_at: None,
                    right_at: None,
                    objects: 1,
                },
            });
        });
    }
    out
}

/// What is told of a difference: the place, and what both sides have there.
type OnDifference<'a> = dyn FnMut(&AttrPath, Option<&Value>, Option<&Value>) + 'a;

/// Calls `f` with every place at which two values differ.
pub(super) fn leaves(
    path: &AttrPath,
    left: Option<&Value>,
    right: Option<&Value>,
    f: &mut OnDifference<'_>,
) {
    match (left, right) {
        (Some(Value::Map(l)), Some(Value::Map(r))) => {
            let keys: BTreeSet<&Text> = l.keys().chain(r.keys()).collect();
            for key in keys {
                leaves(&path.key(key), l.get(key), r.get(key), f);
            }
        }
        (Some(Value::List(l)), Some(Value::List(r))) if l.len() == r.len() => {
            for (i, (l, r)) in l.iter().zip(r).enumerate() {
                leaves(&path.index(i), Some(l), Some(r), f);
            }
        }
        (l, r) if same(l, r) => {}
        (l, r) => f(path, l, r),
    }
}

/// Secrets that cannot be compared are not called the same.
fn same(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(Value::Secret(l)), Some(Value::Secret(r))) => l.same(r) == Some(true),
        (l, r) => l == r,
    }
}

struct Walk<'a> {
    words: &'a [Words; 2],
    resource: String,
    out: &'a mut Vec<Found>,
}

impl Walk<'_> {
    fn pair(&mut self, path: &AttrPath, exprs: [&Expr; 2], owners: [&Resource; 2]) {
        match (&exprs[0].node, &exprs[1].node) {
            (Node::Map(l), Node::Map(r)) => {
                let keys: BTreeSet<&Text> = l.keys().chain(r.keys()).collect();
                for key in keys {
                    match (l.get(key), r.get(key)) {
                        (Some(l), Some(r)) => self.pair(&path.key(key), [l, r], owners),
                        (l, r) => self.differs(&path.key(key), [l, r], owners),
                    }
                }
            }
            (Node::List(l), Node::List(r)) if l.len() == r.len() => {
                for (i, (l, r)) in l.iter().zip(r).enumerate() {
                    self.pair(&path.index(i), [l, r], owners);
                }
            }
            (l, r) if l == r => {}
            _ if self.words[0].leaf(exprs[0]) == self.words[1].leaf(exprs[1]) => {}
            _ => self.differs(path, exprs.map(Some), owners),
        }
    }

    fn differs(&mut self, path: &AttrPath, exprs: [Option<&Expr>; 2], owners: [&Resource; 2]) {
        let places = [0, 1].map(|i| {
            let own = exprs[i].and_then(|e| e.at.as_ref());
            own.or_else(|| owners[i].body.origin_of(path))
                .or(owners[i].at.as_ref())
        });
        let shown = |i: usize| exprs[i].map(|e| self.words[i].leaf(e));
        let difference = Difference {
            resource: self.resource.clone(),
            path: Some(path.clone()),
            side: Side::Spec,
            left: shown(0),
            right: shown(1),
            left_at: places[0].map(ToString::to_string),
            right_at: places[1].map(ToString::to_string),
            objects: 1,
        };
        let because = self.cause(path, places, exprs);
        self.out.push(Found {
            difference,
            because,
        });
    }

    fn cause(
        &self,
        path: &AttrPath,
        places: [Option<&Origin>; 2],
        exprs: [Option<&Expr>; 2],
    ) -> Option<Cause> {
        let mut overlays = places.iter().flatten().filter_map(|at| at.overlay.as_ref());
        if let Some(of) = overlays.next() {
            return Some(Cause::Overlay { of: of.to_string() });
        }
        let once = exprs.iter().all(Option::is_some) && places[0] == places[1];
        (once && places[0].is_some() && !is_version(path)).then_some(Cause::Settings)
    }
}

/// What runs must be the same on both sides, wherever it is written.
fn is_version(path: &AttrPath) -> bool {
    let last = path.segments().last();
    matches!(last, Some(Segment::Key(key)) if ["image", "version"].contains(&key.as_str()))
}
