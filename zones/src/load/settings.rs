//! Settings of `[zone]` that nothing takes, and switches that deserve a second look.
//!
//! `[zone]` is open: any name may be a setting. So a slip in a name of zonewright's own goes unnoticed and the
//! switch keeps its default. What nothing refers to is therefore reported: as an error when it is nearly a
//! name that zonewright takes, as a warning otherwise.

use std::collections::BTreeSet;

use zonewright_engine::config::{Posture, Role};
use zonewright_engine::value::Value;

use super::realm::Realm;
use super::scope::World;
use super::template::{self, Piece};
use crate::diag::{Code, Draft, Severity};
use crate::suggest;
use crate::tree::{Item, Loc, Table, Tree};

/// The settings that mean something without a reference.
const TAKEN: [&str; 7] = [
    "extends", "observe", "exposed", "posture", "region", "cidr", "env",
];

/// The settings that zonewright makes; writing them is reported where they are made.
const MADE: [&str; 5] = ["name", "role", "database", "media", "project"];

pub(super) fn check(world: &World<'_, '_>) {
    let idle = idle(world);
    let mut meant = BTreeSet::new();
    for (name, at) in &idle {
        if let Some(near) = suggest::nearest(name, TAKEN) {
            meant.insert(near);
            world.ctx.report(misspelt(name, near, *at));
        }
    }
    follow_ups(world, &meant);
    let failed = |d: &Draft| d.code.severity() == Severity::Error;
    if world.ctx.drafts.borrow().iter().any(failed) {
        return; // What could not be read may refer to them.
    }
    for (name, at) in &idle {
        world.ctx.report(unused(name, *at));
    }
    world.realms.values().for_each(|r| exposed(world, r));
}

fn misspelt(name: &str, near: &str, at: Loc) -> Draft {
    let message = format!("nothing takes the setting `{name}`");
    Draft::new(Code::MisspeltSetting, message)
        .label(at, format!("nearly `{near}`"))
        .help(format!(
            "did you mean `{near}`? A setting of your own needs a reference, `${{zone.{name}}}`"
        ))
}

fn unused(name: &str, at: Loc) -> Draft {
    let message = format!("nothing refers to the setting `{name}`");
    let near = suggest::nearest(name, MADE);
    Draft::new(Code::UnusedSetting, message)
        .label(at, "has no effect")
        .help(format!("refer to it, `${{zone.{name}}}`, or take it out"))
        .maybe_help(near.map(|n| {
            format!(
                "`{n}` is made by zonewright and needs no line here; refer to it, `${{zone.{n}}}`"
            )
        }))
}

/// That the right name is missing follows from the wrong one.
fn follow_ups(world: &World<'_, '_>, meant: &BTreeSet<&str>) {
    let follows = |d: &Draft| {
        let ends = |name: &&str| d.message.ends_with(&format!("has no setting `{name}`"));
        d.code == Code::UnknownSetting && meant.iter().any(ends)
    };
    world.ctx.drafts.borrow_mut().retain(|d| !follows(d));
}

/// A standby that may be reached from outside is somebody's decision; it is said each time.
fn exposed(world: &World<'_, '_>, realm: &Realm) {
    let Some(tree) = realm.setting("exposed").filter(|t| t.bool() == Some(true)) else {
        return;
    };
    if realm.role != Some(Role::Standby) || realm.posture == Some(Posture::Off) {
        return;
    }
    let message = format!("`{}` stands by and is exposed", realm.name);
    let draft = Draft::new(Code::StandbyExposed, message)
        .label(tree.at, "set here")
        .help("write `exposed = false`, or leave it out: a standby is not exposed");
    world.ctx.report(realm.inherited(draft));
}

/// The settings that are written somewhere and that nothing takes.
fn idle(world: &World<'_, '_>) -> Vec<(String, Loc)> {
    let mut out: Vec<(String, Loc)> = Vec::new();
    for realm in world.realms.values() {
        written(&realm.own, &mut out);
    }
    out.retain(|(name, _)| !TAKEN.contains(&name.as_str()) && !MADE.contains(&name.as_str()));
    if out.is_empty() {
        return out;
    }
    let mut used = BTreeSet::new();
    let sources = world.ctx.sources.borrow();
    sources.originals().for_each(|t| refers(t, &mut used));
    drop(sources);
    out.retain(|(name, _)| !used.contains(name));
    if !out.is_empty() {
        // A disabled declaration's file is not read, and refers all the same.
        unread(world, &mut used);
        out.retain(|(name, _)| !used.contains(name));
    }
    out
}

/// The names in `[zone]` of a file and of its overlays.
fn written(file: &Table, out: &mut Vec<(String, Loc)>) {
    let mut add = |table: &Table| {
        let settings = table.get("zone").and_then(|e| e.value.table());
        for (name, entry) in settings.into_iter().flatten() {
            out.push((name.clone(), entry.key));
        }
    };
    add(file);
    for overlays in ["role", "posture"] {
        let overlays = file.get(overlays).and_then(|e| e.value.table());
        for (_, entry) in overlays.into_iter().flatten() {
            entry.value.table().into_iter().for_each(&mut add);
        }
    }
}

/// Adds the settings that a text refers to.
fn refers(text: &str, used: &mut BTreeSet<String>) {
    for (at, start) in text.match_indices("${zone.") {
        let rest = &text[at + start.len()..];
        let end = rest.find(['.', '[', '}', '\n']);
        used.insert(rest[..end.unwrap_or(rest.len())].to_owned());
    }
}

/// Adds what files refer to that the spec names and that were not read.
fn unread(world: &World<'_, '_>, used: &mut BTreeSet<String>) {
    let mut named = Vec::new();
    for realm in world.realms.values() {
        files(&realm.own, &mut named);
    }
    files(&world.project.shared, &mut named);
    let paths: BTreeSet<String> = named
        .into_iter()
        .flat_map(|(text, at)| paths(world, text, at))
        .collect();
    for path in paths {
        if let Ok(bytes) = world.ctx.files.read(&path) {
            refers(&String::from_utf8_lossy(&bytes), used);
        }
    }
}

/// All texts called `file`, however deep.
fn files<'t>(table: &'t Table, out: &mut Vec<(&'t str, Loc)>) {
    for (key, entry) in table {
        inside(key, &entry.value, out);
    }
}

fn inside<'t>(key: &str, tree: &'t Tree, out: &mut Vec<(&'t str, Loc)>) {
    match &tree.node {
        Item::String(text) if key == "file" => out.push((text, tree.at)),
        Item::Table(table) => files(table, out),
        Item::List(items) => items.iter().for_each(|i| inside("", i, out)),
        _ => {}
    }
}

/// What the name of a file comes to, in whichever zone.
fn paths(world: &World<'_, '_>, text: &str, at: Loc) -> Vec<String> {
    if template::is_plain(text) {
        return vec![text.to_owned()];
    }
    let settings = |p: &Piece<'_>| match p {
        Piece::Text(_) => true,
        Piece::Reference(inner) => inner.starts_with("zone."),
    };
    if !template::scan(text).is_ok_and(|pieces| pieces.iter().all(settings)) {
        return Vec::new();
    }
    let known = world.realms.values().filter_map(|realm| {
        let mut scope = world.scope(realm);
        scope.quiet = true;
        match scope.known(text, at)? {
            Value::String(path) => Some(path.into()),
            _ => None,
        }
    });
    known.collect()
}
