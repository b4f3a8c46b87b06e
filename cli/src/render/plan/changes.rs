//! The changes of one zone: one block per resource, objects of one declaration folded.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use zonewright_engine::address::Address;
use zonewright_engine::diff::text::{Line, lines};
use zonewright_engine::expr::Node;
use zonewright_engine::plan::{Action, AttrChange, Certainty, Change};
use zonewright_engine::value::Value;

use super::{View, reason};
use crate::render::style::{Paint, Tone};
use crate::render::text::{elide, escape};
use crate::render::value;

/// The attributes of a create that are shown without `-v`.
const SHOWN: usize = 6;

/// What happens to a resource, as a reader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Delete,
    Replace,
    Recreate,
    Create,
    Adopt,
    Update,
    Forget,
    Unreadable,
}

impl Class {
    fn of(change: &Change) -> Option<Class> {
        let has = |a| change.actions.contains(&a);
        if change.is_no_op() {
            return (change.certainty == Certainty::Unreadable).then_some(Class::Unreadable);
        }
        Some(if change.is_replace() {
            Class::Replace
        } else if has(Action::Forget) && has(Action::Create) {
            Class::Recreate
        } else if has(Action::Create) {
            Class::Create
        } else if has(Action::Adopt) {
            Class::Adopt
        } else if has(Action::Update) {
            Class::Update
        } else if has(Action::Delete) {
            Class::Delete
        } else {
            Class::Forget
        })
    }

    fn label(self) -> (&'static str, &'static str, Tone) {
        match self {
            Class::Create => ("+", "create", Tone::Good),
            Class::Recreate => ("+", "create", Tone::Good),
            Class::Update => ("~", "update", Tone::Change),
            Class::Replace => ("-/+", "replace", Tone::Bad),
            Class::Delete => ("-", "delete", Tone::Bad),
            Class::Adopt => (">", "adopt", Tone::Note),
            Class::Forget => (".", "forget", Tone::Faint),
            Class::Unreadable => ("?", "unreadable", Tone::Change),
        }
    }

    /// Whether many objects of one declaration are as good as one line.
    fn folds(self) -> bool {
        !matches!(self, Class::Update | Class::Replace)
    }

    fn head(self, paint: Paint) -> String {
        let (symbol, word, tone) = self.label();
        paint.tone(tone, format!("{symbol:>3} {word:<8}"))
    }
}

/// Whether a reader needs to see a change at all.
pub(super) fn is_shown(change: &Change) -> bool {
    Class::of(change).is_some()
}

/// Writes the changes of one zone.
pub(super) fn write(list: &[&Change], view: &View, out: &mut String) {
    let mut folded: BTreeMap<(Class, Address), Vec<&Change>> = BTreeMap::new();
    for change in list {
        let Some(class) = Class::of(change) else {
            continue;
        };
        let name = if class.folds() && !view.verbose {
            change.address.declaration()
        } else {
            change.address.clone()
        };
        folded.entry((class, name)).or_default().push(change);
    }
    let mut blocks: Vec<_> = folded.into_iter().collect();
    blocks.sort_by(|a, b| (&a.0.1, a.0.0).cmp(&(&b.0.1, b.0.0)));
    for ((class, declaration), changes) in blocks {
        match changes.as_slice() {
            [one] => block(class, one, view, out),
            many => fold(class, &declaration, many, view, out),
        }
    }
}

fn fold(class: Class, declaration: &Address, list: &[&Change], view: &View, out: &mut String) {
    let stand_in = if list.iter().any(|c| c.stand_in) {
        " (stand-in)"
    } else {
        ""
    };
    let _ = writeln!(
        out,
        "{} {} objects of {declaration}{stand_in}",
        class.head(view.paint),
        list.len()
    );
    if let Some(first) = list.first() {
        let why = reason::why(first).replace(" (stand-in)", "");
        let why = format!("{}{}", escape(&why), reason::tiers(list));
        let _ = writeln!(out, "      {}", view.paint.tone(Tone::Faint, why));
    }
}

fn block(class: Class, change: &Change, view: &View, out: &mut String) {
    let address = escape(&change.address.to_string()).into_owned();
    let _ = writeln!(out, "{} {address}", class.head(view.paint));
    let why = reason::line(change);
    let _ = writeln!(out, "      {}", view.paint.tone(Tone::Faint, why));
    match class {
        Class::Create | Class::Recreate
            if change.attrs.is_empty() || change.address.key.is_none() =>
        {
            desired(change, view, out);
        }
        Class::Update | Class::Replace | Class::Adopt => {
            for line in change.attrs.iter().flat_map(|a| attr_lines(a, view.paint)) {
                let _ = writeln!(out, "      {line}");
            }
        }
        _ => {}
    }
}

/// What the spec sets, compactly. What every Kubernetes object has is in its address already.
fn desired(change: &Change, view: &View, out: &mut String) {
    let Some(Node::Map(map)) = change.desired.as_ref().map(|e| &e.node) else {
        return;
    };
    let object = map.contains_key("apiVersion");
    let known = |k: &str| object && matches!(k, "apiVersion" | "kind" | "metadata" | "type");
    let parts: Vec<String> = map
        .iter()
        .filter(|(k, _)| view.verbose || !known(k))
        .map(|(k, e)| format!("{} = {}", escape(k), value::expr(e)))
        .collect();
    if view.verbose {
        for part in &parts {
            let _ = writeln!(out, "      {part}");
        }
        return;
    }
    let shown = parts.len().min(SHOWN);
    let mut line = elide(&parts[..shown].join(", "), 200).into_owned();
    if parts.len() > shown {
        let _ = write!(line, ", and {} more", parts.len() - shown);
    }
    if !line.is_empty() {
        let _ = writeln!(out, "      {line}");
    }
}

/// One attribute that changes, in one line or, for long texts, as a line by line difference.
pub fn attr_lines(attr: &AttrChange, paint: Paint) -> Vec<String> {
    let path = if attr.path.is_empty() {
        "(all)".to_owned()
    } else {
        escape(&attr.path.to_string()).into_owned()
    };
    let forces = if attr.replaces {
        paint.tone(Tone::Bad, "  (forces the replacement)")
    } else {
        String::new()
    };
    if let (Some(Value::String(old)), Some(Value::String(new))) = (&attr.before, &attr.after)
        && (old.contains('\n') || new.contains('\n'))
    {
        let mut out = vec![format!("{path}:{forces}")];
        out.extend(text_lines(old, new, paint));
        return out;
    }
    vec![format!("{path}: {}{forces}", sides(attr))]
}

fn sides(attr: &AttrChange) -> String {
    let secret = |v: &Option<Value>| match v {
        Some(Value::Secret(s)) => Some(escape(&s.label).into_owned()),
        _ => None,
    };
    // A plain value beside a secret one may be the secret itself: neither is shown.
    if let Some(label) = secret(&attr.after) {
        let how = if attr.before.is_some() {
            "changed"
        } else {
            "set"
        };
        return format!("(secret {label}, {how})");
    }
    if let Some(label) = secret(&attr.before) {
        let how = if attr.after.is_some() {
            "changed"
        } else {
            "removed"
        };
        return format!("(secret {label}, {how})");
    }
    match (&attr.before, &attr.after) {
        (Some(old), Some(new)) => format!("{} -> {}", value::value(old), value::value(new)),
        (None, Some(new)) => format!("(unset) -> {}", value::value(new)),
        (Some(old), None) => format!("{} -> (removed)", value::value(old)),
        (None, None) => "(unset)".to_owned(),
    }
}

fn text_lines(old: &str, new: &str, paint: Paint) -> Vec<String> {
    lines(old, new, 2)
        .into_iter()
        .map(|line| match line {
            Line::Same(text) => format!("    {}", escape(&text)),
            Line::Removed(text) => paint.tone(Tone::Bad, format!("  - {}", escape(&text))),
            Line::Added(text) => paint.tone(Tone::Good, format!("  + {}", escape(&text))),
            Line::Skipped(n) => paint.tone(Tone::Faint, format!("    … {n} equal lines")),
        })
        .collect()
}
