//! Charts: which rendering belongs to what the spec declares, and whether it is what was locked.
//!
//! A plan never runs helm and never goes to the network: everything that it reads is in the project, and
//! its digest in the lock.

use serde_json::Value as Json;
use zonewright_engine::address::{RefText, ZoneName};
use zonewright_engine::canon::Digest;
use zonewright_engine::expr::{Expr, Node};
use zonewright_engine::schema::Type;

use super::declare::Decl;
use super::object::documents;
use super::scope::Scope;
use super::{LockRead, Text, yaml};
use crate::charts::lock::Placed;
use crate::charts::{
    self, ChartSpec, Hooks, LOCK_FILE, LockedChart, Rendered, Rendering, Source, Unfit,
    rendering_path,
};
use crate::diag::{Code, Draft};
use crate::source::{FileError, MAX_FILE};
use crate::tree::{self, Item, Loc, Table, Tree};

/// Reads the objects of a chart.
pub(super) fn read(scope: &Scope<'_, '_>, decl: &mut Decl<'_>, specs: &mut Vec<ChartSpec>) {
    let Some((reference, at)) = decl.text(scope, "chart") else {
        decl.broken = true;
        return;
    };
    let mut spec = spec(scope, decl, reference);
    let rendering = match scope.ctx.lock() {
        LockRead::Broken => None,
        LockRead::Whole(placed) => match placed.lock.find(&spec) {
            Ok(found) => locked(scope, placed, found, at),
            Err(Unfit::Absent) => unlocked(scope, &spec, at),
            Err(unfit) => {
                stale(scope, decl, placed, &spec, &unfit);
                None
            }
        },
        LockRead::Absent => unlocked(scope, &spec, at),
    };
    if let Some((rendering, rendered)) = rendering {
        spec.rendered = rendered;
        objects(scope, decl, rendering, spec.release_namespace(), at);
    } else {
        decl.broken = true;
    }
    specs.push(spec);
}

/// What the spec says of a chart.
fn spec(scope: &Scope<'_, '_>, decl: &Decl<'_>, chart: String) -> ChartSpec {
    let text = |name: &str| decl.text(scope, name).map(|(t, _)| t);
    let hooks = match text("hooks").as_deref() {
        Some("drop") => Hooks::Drop,
        _ => Hooks::Refuse,
    };
    let own = text("kube_version").or_else(|| cluster_version(scope));
    ChartSpec {
        address: decl.address.clone(),
        chart,
        repository: text("repository"),
        version: text("version"),
        namespace: text("namespace"),
        kube_version: own.and_then(|v| plain_version(&v)),
        api_versions: api_versions(scope, decl),
        hooks,
        values: values(scope, decl),
        rendered: Rendered::Not,
    }
}

/// `1.34.1` of the vendor's `1.34.1-do.2`: charts compare it, and what looks like a pre-release of a version
/// is less than the version.
fn plain_version(slug: &str) -> Option<String> {
    let plain = slug.trim_start_matches('v').split('-').next()?;
    let numeric = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (plain.contains('.') && plain.split('.').all(numeric)).then(|| plain.to_owned())
}

fn api_versions(scope: &Scope<'_, '_>, decl: &Decl<'_>) -> Vec<String> {
    let Some(Item::List(items)) = decl.table.get("api_versions").map(|e| &e.value.node) else {
        return Vec::new();
    };
    let known = |tree: &Tree| {
        let value = scope.known(tree.str()?, tree.at)?;
        value.as_str().map(str::to_owned)
    };
    let mut out: Vec<String> = items.iter().filter_map(known).collect();
    out.sort();
    out.dedup();
    out
}

/// The version that the spec gives the cluster which the chart lives in.
fn cluster_version(scope: &Scope<'_, '_>) -> Option<String> {
    let schema = scope.ctx.registry.provider("kubernetes")?;
    let link = schema.container.as_ref()?;
    let entry = |table: &Table| {
        let provider = table.get("kubernetes")?.value.table()?;
        provider.get(link.attr).map(|e| e.value.clone())
    };
    let tree = entry(&scope.realm.providers).or_else(|| entry(&scope.project.providers))?;
    let inner = tree.str()?.strip_prefix("${")?.strip_suffix('}')?;
    let RefText::Resource {
        zone, kind, name, ..
    } = RefText::parse(inner).ok()?
    else {
        return None;
    };
    let quiet = Scope {
        quiet: true,
        ..scope.clone()
    };
    let zone: ZoneName = quiet.zone(zone.as_ref(), tree.at)?;
    let realm = scope.realms.get(&zone)?;
    let path = [kind.provider(), kind.name(), name.as_str(), "version"];
    let version = &tree::at(&realm.table, &path)?.value;
    let known = Scope { realm, ..quiet }.known(version.str()?, version.at)?;
    known.as_str().map(str::to_owned)
}

/// A rendering that the lock does not know: vendored by hand, or a stand-in.
fn unlocked(scope: &Scope<'_, '_>, spec: &ChartSpec, at: Loc) -> Option<(Rendering, Rendered)> {
    let (zone, name) = (&spec.address.zone, spec.address.name.as_str());
    let charts = scope.ctx.charts;
    let Some(found) = charts.rendering(zone, &spec.chart, name, spec.release_namespace()) else {
        let draft = Draft::new(
            Code::NoRendering,
            format!("the chart `{name}` has no rendering for `{zone}`"),
        )
        .label(at, format!("`{}` does not exist", rendering_path(zone, name)))
        .help(format!(
            "`zonewright charts lock {name}` resolves, vendors and renders it; commit what it writes"
        ));
        scope.report(draft);
        return None;
    };
    if found.stand_in {
        return Some((found, Rendered::StandIn));
    }
    let message = format!("the rendering of the chart `{name}` is not locked");
    let draft = Draft::new(Code::NotLocked, message)
        .label(at, format!("nothing proves that `{}` fits", found.origin))
        .help(format!("`zonewright charts lock {name}` renders it anew"));
    scope.report(draft);
    Some((found, Rendered::Unlocked))
}

/// The rendering that the lock says, if its file and the chart's are what was locked.
fn locked(
    scope: &Scope<'_, '_>,
    placed: &Placed,
    found: (usize, usize),
    at: Loc,
) -> Option<(Rendering, Rendered)> {
    let chart = placed.lock.charts.get(found.0)?;
    let rendering = chart.renderings.get(found.1)?;
    let whole = vendored(
        scope,
        &chart.archive,
        chart.digest,
        placed.chart(found.0),
        &chart.name,
    );
    if !whole || !unedited(scope, chart, placed.chart(found.0), at) {
        return None;
    }
    let entry = placed.rendering(found);
    if !vendored(scope, &rendering.file, rendering.digest, entry, &chart.name) {
        return None;
    }
    let text = String::from_utf8(scope.ctx.files.read(&rendering.file).ok()?).ok()?;
    let rendering = Rendering {
        text,
        origin: rendering.file.clone(),
        stand_in: false,
    };
    Some((rendering, Rendered::Locked))
}

/// Whether a vendored file has the digest of the lock.
fn vendored(scope: &Scope<'_, '_>, path: &str, wanted: Digest, entry: Loc, name: &str) -> bool {
    let mut why = "it was edited, or not committed with the lock";
    let found = scope.ctx.digest(path, |files| match files.read(path) {
        Ok(bytes) => Some(Digest::of(&bytes)),
        Err(_) => None,
    });
    if found == Some(wanted) {
        return true;
    }
    if found.is_none() {
        why = match scope.ctx.files.read(path) {
            Err(FileError::NotFound) => "it does not exist",
            _ => "it cannot be read",
        };
    }
    let message = format!("`{path}` is not what was locked");
    let draft = Draft::new(Code::VendoredEdited, message)
        .label(entry, why)
        .help(format!(
            "take the file of the commit that wrote {LOCK_FILE}, or run `zonewright charts lock {name}`"
        ));
    scope.ctx.report(draft);
    false
}

/// Whether the directory of a chart of one's own is as it was locked.
fn unedited(scope: &Scope<'_, '_>, chart: &LockedChart, entry: Loc, at: Loc) -> bool {
    let (Source::Directory(dir), Some(wanted)) = (Source::of(&chart.source, None), chart.contents)
    else {
        return true;
    };
    let found = scope.ctx.digest(dir, |files| {
        let found = charts::directory(files, dir).ok()?;
        Some(charts::contents(&found))
    });
    if found == Some(wanted) {
        return true;
    }
    let message = format!("`{dir}` is not as it was locked");
    let draft = Draft::new(Code::ChartStale, message)
        .label(at, "a file of it was changed, added or removed")
        .label(entry, "locked here")
        .help(lock_again(&chart.name));
    scope.report(draft);
    false
}

fn lock_again(name: &str) -> String {
    format!("`zonewright charts lock {name}` renders it anew; commit what it writes")
}

fn stale(scope: &Scope<'_, '_>, decl: &Decl<'_>, placed: &Placed, spec: &ChartSpec, unfit: &Unfit) {
    let name = spec.address.name.as_str();
    let zone = &spec.address.zone;
    let written = decl.table.get(unfit.attr()).or(decl.table.get("chart"));
    let at = written.map_or(decl.key, |e| e.value.at);
    let charts = placed.lock.charts.iter();
    let entry = charts.enumerate().find(|(_, c)| c.name == name);
    let mut draft = Draft::new(
        Code::ChartStale,
        format!("the chart `{name}` of `{zone}` is not as it was locked"),
    )
    .label(at, unfit.what());
    if let Some((index, _)) = entry {
        draft = draft.label(placed.chart(index), "locked here");
    }
    scope.report(draft.help(lock_again(name)));
}

fn objects(
    scope: &Scope<'_, '_>,
    decl: &mut Decl<'_>,
    rendering: Rendering,
    namespace: &str,
    at: Loc,
) {
    decl.stand_in = rendering.stand_in;
    let bytes = u64::try_from(rendering.text.len()).unwrap_or(u64::MAX);
    if bytes > MAX_FILE {
        let error = FileError::TooLarge { bytes };
        scope.report(super::unreadable(&rendering.origin, &error).label(at, "its rendering"));
        decl.broken = true;
        return;
    }
    let text = Text {
        file: scope.ctx.add_source(&rendering.origin, &rendering.text),
        text: rendering.text.into(),
    };
    documents(scope, decl, &text, false, Some(namespace));
}

/// The chart's values, which must be known when it is rendered.
fn values(scope: &Scope<'_, '_>, decl: &Decl<'_>) -> Json {
    let none = || Json::Object(serde_json::Map::new());
    let Some(tree) = decl.table.get("values").map(|e| &e.value) else {
        return none();
    };
    let Some(expr) = scope.value(tree, &Type::Any, "values") else {
        return none();
    };
    let Some(json) = plain(&expr) else {
        let draft = Draft::new(
            Code::WrongType,
            "`values` must be known when the chart is rendered",
        )
        .label(tree.at, "refers to a resource or a secret")
        .help("let the chart read a Secret that `[kubernetes.secret.…]` declares");
        scope.report(draft);
        return none();
    };
    match json {
        Json::String(text) => {
            let file = tree
                .table()
                .and_then(|t| t.get("file"))
                .and_then(|e| e.value.str());
            let name = file.unwrap_or("values");
            let text = Text {
                file: scope.ctx.add_source(name, &text),
                text: text.into(),
            };
            let mut found = yaml::documents(&text, &mut |d| scope.ctx.report(d));
            if found.is_empty() {
                none()
            } else {
                found.swap_remove(0).json
            }
        }
        json => json,
    }
}

/// An expression without references as JSON.
fn plain(expr: &Expr) -> Option<Json> {
    match &expr.node {
        Node::Literal(value) => Some(value.to_json()),
        Node::List(items) => items
            .iter()
            .map(plain)
            .collect::<Option<_>>()
            .map(Json::Array),
        Node::Map(map) => map
            .iter()
            .map(|(k, e)| Some((k.to_string(), plain(e)?)))
            .collect::<Option<_>>()
            .map(Json::Object),
        Node::Ref(_) | Node::Template(_) | Node::Fingerprint(_) => None,
    }
}
