//! Zones after inheritance and overlays, with their settings; the edge is one of them.
//!
//! Merge order: base zone's file, own file, base's overlay for the role, own overlay, and the same for
//! the posture. Every value keeps the place where it was written.

use std::collections::BTreeMap;

use zonewright_engine::address::{AttrPath, Segment, ZoneName};
use zonewright_engine::config::{DatabaseDecision, Media, Posture, Role};
use zonewright_engine::value::{Map, Value};

use super::root::{Project, start};
use super::template::{self, Piece};
use super::{Ctx, database, media, posture, types, unreadable};
use crate::diag::{Code, Draft};
use crate::suggest;
use crate::tree::{self, Entry, Item, Loc, Table, Tree};

/// A zone, or the edge.
pub(crate) struct Realm {
    pub(super) name: ZoneName,
    /// `None` for the edge.
    pub(super) role: Option<Role>,
    /// `None` for the edge and the zone that serves.
    pub(super) posture: Option<Posture>,
    pub(super) database: Option<DatabaseDecision>,
    /// Where its uploads are, and where that is written.
    pub(super) media: Option<(Media, Loc)>,
    /// Where `[database.restore]` names its source.
    pub(super) restore_from: Option<Loc>,
    /// Where it says the size of what is restored.
    pub(super) restored_size: Option<Loc>,
    pub(super) file: u32,
    /// Where it says what it extends.
    pub(super) extends: Option<Loc>,
    /// The files of the zones that it extends.
    pub(super) bases: Vec<u32>,
    /// What its own file says, overlays and all; nothing for the edge.
    pub(super) own: Table,
    /// Its database decision is missing, which is reported: what follows from that is not.
    undecided: bool,
    /// Providers' tables of kinds.
    pub(super) table: Table,
    /// `[providers]`.
    pub(super) providers: Table,
    /// Resolved settings.
    pub(super) settings: Table,
}

impl Realm {
    pub(super) fn setting(&self, name: &str) -> Option<&Tree> {
        self.settings.get(name).map(|e| &e.value)
    }

    /// Whether a setting is missing because of something that is reported elsewhere.
    pub(super) fn is_follow_up(&self, path: &AttrPath) -> bool {
        let first = path.segments().first();
        self.undecided && matches!(first, Some(Segment::Key(key)) if key == "database")
    }

    /// Whether a setting could not be worked out for the same reason: the reference is still in it.
    pub(super) fn is_open(&self, tree: &Tree) -> bool {
        let text = tree.str().unwrap_or_default();
        self.undecided && text.contains("${zone.database.")
    }

    /// The settings as values.
    pub(super) fn values(&self) -> Map {
        let entries = self.settings.iter();
        entries.map(|(k, e)| (k.clone(), value(&e.value))).collect()
    }

    /// Adds where an inherited place was pulled in.
    pub(super) fn inherited(&self, mut draft: Draft) -> Draft {
        if let (Some(extends), Some(at)) = (self.extends, draft.at())
            && self.bases.contains(&at.file)
            && draft.labels.iter().all(|(l, _)| *l != extends)
        {
            let text = format!("`{}` inherits it here", self.name);
            draft.labels.push((extends, text));
        }
        draft
    }
}

/// A tree without its places.
pub(super) fn value(tree: &Tree) -> Value {
    match &tree.node {
        Item::Bool(b) => Value::Bool(*b),
        Item::Number(n) => Value::Number(n.clone()),
        Item::String(s) => Value::text(s.as_str()),
        Item::List(items) => Value::List(items.iter().map(value).collect()),
        Item::Table(table) => Value::Map(
            table
                .iter()
                .map(|(k, e)| (k.clone(), value(&e.value)))
                .collect(),
        ),
    }
}

pub(super) struct ZoneFile {
    file: u32,
    pub(super) table: Table,
    extends: Option<(String, Loc)>,
}

/// The files of zones by name.
pub(super) type ZoneFiles<'p> = BTreeMap<&'p str, ZoneFile>;

/// Reads the zones' files.
pub(super) fn files<'p>(ctx: &Ctx<'_>, project: &'p Project) -> ZoneFiles<'p> {
    let mut files = ZoneFiles::new();
    for (zone, at) in &project.zones {
        if let Some(file) = zone_file(ctx, zone, *at) {
            files.insert(zone.as_str(), file);
        }
    }
    unlisted(ctx, project);
    files
}

/// The zones with the roles that the project gives them.
pub(super) fn all(
    ctx: &Ctx<'_>,
    project: &Project,
    files: &ZoneFiles<'_>,
) -> BTreeMap<ZoneName, Realm> {
    let mut realms = BTreeMap::from([(ZoneName::edge(), edge(project))]);
    for (zone, _) in &project.zones {
        if let Some(own) = files.get(zone.as_str()) {
            let realm = build(ctx, project, zone, own, files);
            realms.insert(zone.clone(), realm);
        }
    }
    realms
}

fn zone_file(ctx: &Ctx<'_>, zone: &ZoneName, at: Loc) -> Option<ZoneFile> {
    let path = format!("zones/{zone}.toml");
    let (text, table) = match ctx.top(&path) {
        Ok(found) => found?,
        Err(crate::source::FileError::NotFound) => {
            let draft = Draft::new(
                Code::ZoneFileMissing,
                format!("the zone `{zone}` has no file"),
            )
            .label(at, "named here")
            .help(format!(
                "make `{path}`, for example with `[zone]` and `extends`"
            ));
            ctx.report(draft);
            return None;
        }
        Err(error) => {
            ctx.report(unreadable(&path, &error).label(at, "named here"));
            return None;
        }
    };
    let extends = tree::at(&table, &["zone", "extends"]).and_then(|entry| {
        let base = entry.value.str();
        if base.is_none() {
            let found = entry.value.what();
            ctx.report(types::wrong(
                entry.value.at,
                "extends",
                "the name of a zone",
                found,
            ));
        }
        base.map(|b| (b.to_owned(), entry.value.at))
    });
    Some(ZoneFile {
        file: text.file,
        table,
        extends,
    })
}

fn unlisted(ctx: &Ctx<'_>, project: &Project) {
    if project.zones.is_empty() {
        return; // The list itself is missing, which is reported.
    }
    for file in ctx.files.list("zones").unwrap_or_default() {
        let Some(name) = file.strip_suffix(".toml") else {
            continue;
        };
        if project.zones.iter().all(|(z, _)| z.as_str() != name) {
            let message = format!("zones/{file} belongs to no zone of the project");
            let draft = Draft::new(Code::ZoneFileUnlisted, message)
                .label(start(project.file), "not in `[project] zones`")
                .help(format!("add \"{name}\" to `zones`, or move the file away"));
            ctx.report(draft);
        }
    }
}

fn edge(project: &Project) -> Realm {
    let mut settings = Table::new();
    facts(project, &mut settings, start(project.file));
    Realm {
        name: ZoneName::edge(),
        role: None,
        posture: None,
        database: None,
        media: None,
        restore_from: None,
        restored_size: None,
        file: project.file,
        extends: None,
        bases: Vec::new(),
        own: Table::new(),
        undecided: false,
        table: project.shared.clone(),
        providers: project.providers.clone(),
        settings,
    }
}

/// The project's own facts, as settings of every zone.
fn facts(project: &Project, settings: &mut Table, at: Loc) {
    let entries = [
        ("project", &project.facts.name),
        ("env", &project.facts.env),
    ];
    for (key, text) in entries {
        if let Some(text) = text {
            settings
                .entry(key.to_owned())
                .or_insert_with(|| made(Item::String(text.clone()), at));
        }
    }
}

fn made(node: Item, at: Loc) -> Entry {
    Entry {
        key: at,
        value: Tree { node, at },
    }
}

/// The zone's own file and those it extends, the base first.
fn chain<'f>(
    ctx: &Ctx<'_>,
    zone: &'f str,
    own: &'f ZoneFile,
    files: &'f BTreeMap<&str, ZoneFile>,
) -> Vec<&'f ZoneFile> {
    let mut names = vec![zone];
    let mut out = vec![own];
    let mut labels: Vec<(Loc, String)> = Vec::new();
    let mut here = own;
    while let Some((base, at)) = &here.extends {
        labels.push((*at, format!("extends `{base}`")));
        if let Some(first) = names.iter().position(|n| n == base) {
            // Each zone of a circle would report it; the first by name does for all.
            if names[first..].iter().min() == Some(&zone) && first == 0 {
                let mut shown = names.clone();
                shown.push(base);
                let message = format!("zones extend each other: {}", shown.join(" -> "));
                let mut draft = Draft::new(Code::ExtendsLoop, message)
                    .help("take one `extends` out; the base of the chain extends nothing");
                draft.labels = labels;
                ctx.report(draft);
            }
            break;
        }
        let Some(next) = files.get(base.as_str()) else {
            if names.len() == 1 {
                let others = files.keys().copied().filter(|n| *n != zone);
                let draft = Draft::new(
                    Code::UnknownBase,
                    format!("there is no zone `{base}` to extend"),
                )
                .label(*at, "not a zone of the project with a file")
                .maybe_help(suggest::help(base, others));
                ctx.report(draft);
            }
            break;
        };
        names.push(base);
        out.push(next);
        here = next;
    }
    out.reverse();
    out
}

fn build(
    ctx: &Ctx<'_>,
    project: &Project,
    zone: &ZoneName,
    own: &ZoneFile,
    files: &ZoneFiles<'_>,
) -> Realm {
    let chain = chain(ctx, zone.as_str(), own, files);
    let role = if project.active.as_ref() == Some(zone) {
        Role::Active
    } else {
        Role::Standby
    };
    let mut table = Table::new();
    for file in &chain {
        let mut layer = file.table.clone();
        layer.remove("role");
        layer.remove("posture");
        if let Some(Item::Table(zone)) = layer.get_mut("zone").map(|e| &mut e.value.node) {
            zone.remove("extends");
        }
        put(ctx, &mut table, &layer);
    }
    for file in &chain {
        overlays(ctx, &file.table);
        posture::check(ctx, &file.table);
        if let Some(overlay) = tree::at(&file.table, &["role", role.name()])
            && let Some(layer) = overlay.value.table()
        {
            put(ctx, &mut table, layer);
        }
    }
    let posture = posture::take(ctx, &mut table, role);
    for layer in chain.iter().filter_map(|f| posture::overlay(f, posture)) {
        put(ctx, &mut table, layer);
    }
    let undecided = role == Role::Standby
        && !table.contains_key("database")
        && database::has_database(ctx, &table);
    let undecided = own.extends.as_ref().filter(|_| undecided);
    if let Some((_, at)) = undecided {
        database::undecided(ctx, zone, *at);
    }
    let mut take = |name: &str| match table.remove(name).map(|e| (e.value.what(), e.value)) {
        Some((
            _,
            Tree {
                node: Item::Table(table),
                ..
            },
        )) => table,
        Some((what, tree)) => {
            ctx.report(types::wrong(tree.at, name, "a table", what));
            Table::new()
        }
        None => Table::new(),
    };
    let (settings, providers) = (take("zone"), take("providers"));
    let (database, media) = (take("database"), take("media"));
    let mut realm = Realm {
        name: zone.clone(),
        role: Some(role),
        posture,
        database: None,
        media: None,
        restore_from: None,
        restored_size: None,
        file: own.file,
        extends: own.extends.as_ref().map(|(_, at)| *at),
        bases: chain
            .iter()
            .map(|f| f.file)
            .filter(|f| *f != own.file)
            .collect(),
        own: own.table.clone(),
        undecided: undecided.is_some(),
        table,
        providers,
        settings,
    };
    settle(ctx, project, &mut realm, (database, media));
    realm
}

fn overlays(ctx: &Ctx<'_>, table: &Table) {
    let Some(roles) = table.get("role").and_then(|e| e.value.table()) else {
        return;
    };
    for (key, entry) in roles {
        let known = ["active", "standby"].contains(&key.as_str());
        if known && let Some(layer) = entry.value.table() {
            ctx.mark_overlay(layer, &format!("role.{key}"));
        } else {
            let draft = Draft::new(Code::UnknownTable, format!("there is no role `{key}`"))
                .label(entry.key, "a zone is `active` or `standby`")
                .help("write `[role.active.…]` or `[role.standby.…]`");
            ctx.report(draft);
        }
    }
}

/// Merges a layer, after taking out what it unsets.
fn put(ctx: &Ctx<'_>, table: &mut Table, layer: &Table) {
    let mut layer = layer.clone();
    for (provider, kinds) in &mut layer {
        let Item::Table(kinds) = &mut kinds.value.node else {
            continue;
        };
        for (kind, names) in kinds {
            let Item::Table(names) = &mut names.value.node else {
                continue;
            };
            for (name, resource) in names {
                let Item::Table(resource) = &mut resource.value.node else {
                    continue;
                };
                let Some(unset) = unset(resource) else {
                    continue;
                };
                let base = tree_mut(table, &[provider, kind, name]);
                take_out(ctx, base, &unset);
            }
        }
    }
    tree::merge(table, &layer);
}

fn unset(resource: &mut Table) -> Option<Tree> {
    match &mut resource.get_mut("zonewright")?.value.node {
        Item::Table(meta) => Some(meta.remove("unset")?.value),
        _ => None,
    }
}

fn tree_mut<'t>(table: &'t mut Table, path: &[&String]) -> Option<&'t mut Table> {
    path.iter().try_fold(table, |table, key| {
        match &mut table.get_mut(*key)?.value.node {
            Item::Table(inner) => Some(inner),
            _ => None,
        }
    })
}

fn take_out(ctx: &Ctx<'_>, mut base: Option<&mut Table>, unset: &Tree) {
    let Item::List(paths) = &unset.node else {
        ctx.report(types::wrong(
            unset.at,
            "unset",
            "a list of attribute paths",
            unset.what(),
        ));
        return;
    };
    for path in paths {
        let parsed: Option<AttrPath> = path.str().and_then(|p| p.parse().ok());
        let Some(parsed) = parsed else {
            ctx.report(types::wrong(
                path.at,
                "unset",
                "an attribute path",
                path.what(),
            ));
            continue;
        };
        let keys: Vec<&str> = parsed
            .segments()
            .iter()
            .filter_map(|s| match s {
                Segment::Key(key) => Some(key.as_str()),
                Segment::Index(_) => None,
            })
            .collect();
        let whole = keys.len() == parsed.segments().len();
        if !whole || !base.as_deref_mut().is_some_and(|b| tree::remove(b, &keys)) {
            let draft = Draft::new(
                Code::NothingToUnset,
                format!("nothing is inherited at `{parsed}`"),
            )
            .label(path.at, "has no effect")
            .help("remove the entry, or correct the path");
            ctx.report(draft);
        }
    }
}

/// Adds the settings that zonewright makes, then resolves settings in settings.
fn settle(ctx: &Ctx<'_>, project: &Project, realm: &mut Realm, (database, media): (Table, Table)) {
    let role = realm.role.unwrap_or(Role::Standby);
    for name in ["name", "role", "posture", "database", "media"] {
        if let Some(entry) = realm.settings.remove(name) {
            let draft = Draft::new(
                Code::Reserved,
                format!("the setting `{name}` is made by zonewright"),
            )
            .label(entry.key, "reserved")
            .help("take it out, or use another name");
            ctx.report(realm.inherited(draft));
        }
    }
    let at = realm.extends.unwrap_or(start(realm.file));
    let text = |t: &str| made(Item::String(t.to_owned()), at);
    let settings = &mut realm.settings;
    settings.insert("name".to_owned(), text(realm.name.as_str()));
    settings.insert("role".to_owned(), text(role.name()));
    let posture = realm.posture.map_or("none", Posture::name);
    settings.insert("posture".to_owned(), text(posture));
    settings
        .entry("exposed".to_owned())
        .or_insert_with(|| made(Item::Bool(role == Role::Active), at));
    facts(project, settings, at);
    if !database.is_empty() {
        let on = made(Item::Table(switches(database.clone(), at)), at);
        settings.insert("database".to_owned(), on);
    }
    if !media.is_empty() {
        let table = made(Item::Table(media.clone()), at);
        settings.insert("media".to_owned(), table);
    }
    for name in ["exposed", "observe"] {
        if let Some(tree) = realm.setting(name).filter(|t| t.bool().is_none()) {
            ctx.report(types::wrong(tree.at, name, "a boolean", tree.what()));
        }
    }
    let raw = realm.settings.clone();
    let mut resolver = Settings {
        ctx,
        realm,
        raw: &raw,
        stack: Vec::new(),
    };
    let resolved = resolver.table(&raw);
    let database_at = database.values().next().map_or(at, |e| e.key);
    let database = keep_source(database, &mut resolver);
    let media = resolver.table(&media);
    if !database.is_empty() {
        let place = |name| tree::at(&database, &["restore", name]).map(|e| e.value.at);
        (realm.restore_from, realm.restored_size) = (place("source"), place("size"));
        realm.database = database::decision(ctx, project, realm, &database, database_at);
    }
    if !media.is_empty() {
        let named = media.get("bucket").map(|e| e.value.at);
        let at = named.or(media.values().next().map(|e| e.key)).unwrap_or(at);
        realm.media = media::declared(ctx, realm, &media, at).map(|media| (media, at));
    }
    realm.settings = resolved;
}

/// The table with its settings worked out, except the reference to the source.
fn keep_source(mut database: Table, resolver: &mut Settings<'_, '_>) -> Table {
    let source = tree::at(&database, &["restore", "source"]).cloned();
    tree::remove(&mut database, &["restore", "source"]);
    let mut out = resolver.table(&database);
    if let (Some(source), Some(Item::Table(restore))) =
        (source, out.get_mut("restore").map(|e| &mut e.value.node))
    {
        restore.insert("source".to_owned(), source);
    }
    out
}

/// `[database]` as settings, with a switch for each strategy.
fn switches(mut database: Table, at: Loc) -> Table {
    let chosen = database.get("strategy").and_then(|e| e.value.str());
    let on = ["replica", "restore"].map(|name| chosen == Some(name));
    // What the restore is made of is kept apart: `${zone.database.restore}` is the switch.
    for (name, on) in ["replica", "restore"].into_iter().zip(on) {
        database.insert(name.to_owned(), made(Item::Bool(on), at));
    }
    database.remove("post_restore");
    database
}

struct Settings<'s, 'a> {
    ctx: &'s Ctx<'a>,
    realm: &'s Realm,
    raw: &'s Table,
    stack: Vec<AttrPath>,
}

impl Settings<'_, '_> {
    fn table(&mut self, table: &Table) -> Table {
        table
            .iter()
            .map(|(key, entry)| {
                let value = self.tree(&entry.value);
                (
                    key.clone(),
                    Entry {
                        key: entry.key,
                        value,
                    },
                )
            })
            .collect()
    }

    fn tree(&mut self, tree: &Tree) -> Tree {
        let node = match &tree.node {
            Item::String(text) if !template::is_plain(text) => self.text(text, tree.at),
            Item::List(items) => Item::List(items.iter().map(|t| self.tree(t)).collect()),
            Item::Table(table) => Item::Table(self.table(table)),
            other => other.clone(),
        };
        Tree { node, at: tree.at }
    }

    fn text(&mut self, text: &str, at: Loc) -> Item {
        let kept = Item::String(text.to_owned());
        let Ok(pieces) = template::scan(text) else {
            self.report(
                Draft::new(Code::BadReference, "this `${` is never closed").label(at, "here"),
            );
            return kept;
        };
        if let [Piece::Reference(inner)] = pieces[..] {
            return self.lookup(inner, at).unwrap_or(kept);
        }
        let mut out = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(&text),
                Piece::Reference(inner) => match self.lookup(inner, at) {
                    Some(Item::String(text)) => out.push_str(&text),
                    Some(Item::Number(n)) => out.push_str(&n.to_string()),
                    Some(Item::Bool(b)) => out.push_str(if b { "true" } else { "false" }),
                    Some(_) => self.report(not_text(inner, at)),
                    None => {}
                },
            }
        }
        Item::String(out)
    }

    fn lookup(&mut self, inner: &str, at: Loc) -> Option<Item> {
        let path: Option<AttrPath> = inner.strip_prefix("zone.").and_then(|p| p.parse().ok());
        let Some(path) = path else {
            let draft = Draft::new(Code::BadReference, "a setting can only use other settings")
                .label(at, format!("`{inner}` is something else"))
                .help("settings are known before any resource: use `${zone.name}` and the like");
            self.report(draft);
            return None;
        };
        if self.stack.contains(&path) {
            let draft = Draft::new(
                Code::SettingLoop,
                format!("the setting `{path}` needs itself"),
            )
            .label(at, "through this");
            self.report(draft);
            return None;
        }
        let Some(found) = find(self.raw, &path) else {
            if self.realm.is_follow_up(&path) {
                return None;
            }
            self.report(unknown(self.raw, &path, at, &self.realm.name));
            return None;
        };
        self.stack.push(path);
        let found = self.tree(found);
        self.stack.pop();
        Some(found.node)
    }

    fn report(&self, draft: Draft) {
        self.ctx.report(self.realm.inherited(draft));
    }
}

pub(super) fn not_text(inner: &str, at: Loc) -> Draft {
    let message = format!("`{inner}` is a list or a table and cannot stand inside text");
    Draft::new(Code::NotText, message)
        .label(at, "in here")
        .help("make it the whole string, or pick a part of it")
}

/// The setting at a path.
pub(super) fn find<'t>(settings: &'t Table, path: &AttrPath) -> Option<&'t Tree> {
    let (first, rest) = path.segments().split_first()?;
    let Segment::Key(first) = first else {
        return None;
    };
    let start = &settings.get(first)?.value;
    rest.iter()
        .try_fold(start, |tree, segment| match (&tree.node, segment) {
            (Item::Table(table), Segment::Key(key)) => table.get(key).map(|e| &e.value),
            (Item::List(items), Segment::Index(i)) => items.get(*i),
            _ => None,
        })
}

pub(super) fn unknown(settings: &Table, path: &AttrPath, at: Loc, zone: &ZoneName) -> Draft {
    let word = path.to_string();
    let mut known: Vec<String> = settings.keys().cloned().collect();
    for (key, entry) in settings {
        let inner = entry.value.table().into_iter().flatten();
        known.extend(inner.map(|(k, _)| format!("{key}.{k}")));
    }
    Draft::new(
        Code::UnknownSetting,
        format!("the zone `{zone}` has no setting `{word}`"),
    )
    .label(at, "not set")
    .maybe_help(suggest::help(&word, known.iter().map(String::as_str)))
}
