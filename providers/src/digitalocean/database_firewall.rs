//! `digitalocean.database_firewall`: who may connect to a cluster or a replica.
//!
//! The vendor replaces the whole list at once. Our rules carry our mark in their description; all
//! others are sent back as they were. An empty list would mean "open to the world" and is refused.

use futures::future::{BoxFuture, join_all};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use zonewright_engine::provider::{
    ErrorClass, Live, Mark, Marker, Observed, Op, Outcome, ProviderError, ReadTarget, Status, Verb,
    Wait,
};
use zonewright_engine::schema::{
    Attr, Containment, Equality, Form, KindSchema, Output, Part, Type, Typical,
};
use zonewright_engine::value::Value;

use super::inside::cluster_path;
use super::top;
use crate::cloud::{Applied, CloudKind};
use crate::http::{Api, ApiError, found, take_list};
use crate::live::{Attrs, Lens, invalid, is_mark, need, spec, text};

/// The kind.
pub(super) struct DatabaseFirewall;

/// Its attributes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatabaseFirewallSpec {
    cluster: String,
    clusters: Option<Vec<String>>,
    addresses: Option<Vec<String>>,
}

impl DatabaseFirewallSpec {
    /// Type and value of each rule.
    fn rules(&self) -> Vec<(&'static str, &str)> {
        let clusters = self.clusters.iter().flatten().map(|v| ("k8s", v.as_str()));
        let addresses = self
            .addresses
            .iter()
            .flatten()
            .map(|v| ("ip_addr", v.as_str()));
        let mut rules: Vec<(&'static str, &str)> = Vec::new();
        for rule in clusters.chain(addresses) {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        rules
    }
}

fn path(cluster: &str) -> String {
    format!("{}/firewall", cluster_path(cluster))
}

async fn read(api: &Api, cluster: &str) -> Result<Option<Vec<Json>>, ApiError> {
    let reply = found(api.get(&path(cluster)).await)?;
    Ok(reply.map(|mut r| take_list(&mut r, "rules")))
}

fn is_owned(rule: &Json, op: &Op) -> bool {
    text(rule, "/description").is_some_and(|d| op.owns(d))
}

fn is_ours(rule: &Json, marker: &Marker) -> bool {
    text(rule, "/description").is_some_and(|d| d.starts_with(&marker.stem()))
}

/// Whether a rule carries a mark of the project, of whatever address.
fn is_of_project(rule: &Json, marker: &Marker) -> bool {
    text(rule, "/description").is_some_and(|d| is_mark(d) && d.starts_with(&marker.project()))
}

fn is_rule(rule: &Json, (kind, value): (&str, &str)) -> bool {
    text(rule, "/type") == Some(kind) && text(rule, "/value") == Some(value)
}

/// The list to send: what others wrote, then ours.
fn merged(rules: &[Json], wanted: &[(&str, &str)], op: &Op) -> Vec<Json> {
    let marker = &op.marker;
    let as_sent = |rule: &Json| {
        let mut rule = rule.clone();
        if let Some(fields) = rule.as_object_mut() {
            // Read-only.
            fields.remove("created_at");
            fields.remove("cluster_uuid");
        }
        rule
    };
    let mut list: Vec<Json> = Vec::new();
    for rule in rules {
        let asked = wanted.iter().any(|w| is_rule(rule, *w));
        if !is_owned(rule, op) || asked {
            let mut rule = as_sent(rule);
            // It was written under another address of the project.
            if asked && is_of_project(&rule, marker) {
                rule["description"] = json!(marker.to_string());
            }
            list.push(rule);
        }
    }
    for (kind, value) in wanted {
        if !list.iter().any(|r| is_rule(r, (kind, value))) {
            list.push(json!({ "type": kind, "value": value, "description": marker.to_string() }));
        }
    }
    list
}

/// The mark of our rules. A list of which all rules that are asked for are somebody else's has no place
/// for one.
fn mark(rules: &[Json], asked: &dyn Fn(&str, &str) -> bool, marker: &Marker) -> Mark {
    let wanted = |r: &&Json| {
        let value = text(r, "/value").unwrap_or_default();
        is_of_project(r, marker) && (asked("clusters", value) || asked("addresses", value))
    };
    let ours = rules.iter().find(|r| is_ours(r, marker));
    let rule = ours.or_else(|| rules.iter().find(wanted));
    let text = rule.and_then(|r| text(r, "/description"));
    text.map_or(Mark::Untold, |t| Mark::Carried(t.to_owned()))
}

/// The rules that are ours, or that the spec asks for, whoever wrote them.
fn live(cluster: &str, rules: &[Json], lens: &Lens<'_>) -> Live {
    let asked = |attr: &str, value: &str| {
        let list = lens
            .desired
            .and_then(|d| d.get(attr))
            .and_then(Value::as_list);
        list.is_some_and(|l| l.iter().any(|v| v.as_str() == Some(value)))
    };
    let values = |kind: &'static str, attr: &'static str| {
        let of_kind = rules.iter().filter(move |r| text(r, "/type") == Some(kind));
        let shown = of_kind.filter(move |r| {
            is_ours(r, lens.marker) || text(r, "/value").is_some_and(|v| asked(attr, v))
        });
        shown.filter_map(|r| text(r, "/value"))
    };
    Live {
        id: cluster.to_owned(),
        attrs: Attrs::new()
            .text("cluster", Some(cluster))
            .list("clusters", values("k8s", "clusters"))
            .list("addresses", values("ip_addr", "addresses"))
            .text("id", Some(cluster))
            .done(),
        mark: mark(rules, &asked, lens.marker),
        status: Status::Ready,
    }
}

async fn observe(api: &Api, target: &ReadTarget) -> Observed {
    let lens = Lens::of_target(target);
    let Some(cluster) = target.id.as_deref().or_else(|| lens.wants("cluster")) else {
        return Observed::Gone;
    };
    match read(api, cluster).await {
        Ok(None) => Observed::Gone,
        Ok(Some(rules)) => {
            let live = live(cluster, &rules, &lens);
            // Every cluster has a list; it is ours once we wrote into it.
            match target.observe || target.id.is_some() || live.mark.text().is_some() {
                true => Observed::Present(Box::new(live)),
                false => Observed::Gone,
            }
        }
        Err(e) => Observed::Unreadable(e.error),
    }
}

/// Reads, merges and writes; a second writer in between is not noticed by the vendor.
async fn write(api: &Api, op: &Op, desired: &Value) -> Applied {
    let spec: DatabaseFirewallSpec = spec(desired)?;
    let _turn = api.turn(&spec.cluster).await;
    let Some(rules) = read(api, &spec.cluster).await? else {
        return Err(top::missing(&spec.cluster));
    };
    let wanted = spec.rules();
    let list = merged(&rules, &wanted, op);
    if list.is_empty() {
        let message = "no rule would be left, which opens the database to the whole world";
        return Err(invalid("addresses", message));
    }
    let young = |e: ApiError| {
        let cluster_rule = wanted.iter().any(|(kind, _)| *kind == "k8s");
        // A new Kubernetes cluster is not known to the databases at once.
        match cluster_rule && (e.is(404) || e.is(422)) {
            true => e.into_class(ErrorClass::Transient { after: None }),
            false => e.error,
        }
    };
    let body = json!({ "rules": list });
    api.put(&path(&spec.cluster), &body).await.map_err(young)?;
    let live = live(&spec.cluster, &list, &Lens::of_op(op));
    Ok(Outcome::Ready(Box::new(live)))
}

async fn delete(api: &Api, op: &Op, cluster: &str) -> Applied {
    let _turn = api.turn(cluster).await;
    let Some(rules) = read(api, cluster).await? else {
        return Ok(Outcome::Gone);
    };
    let list = merged(&rules, &[], op);
    if list.len() < rules.len() {
        api.put(&path(cluster), &json!({ "rules": list })).await?;
    }
    Ok(Outcome::Gone)
}

async fn look(api: &Api, op: &Op, cluster: &str, wait: Wait) -> Applied {
    let lens = Lens::of_op(op);
    match read(api, cluster).await? {
        Some(rules) if wait == Wait::Ready || rules.iter().any(|r| is_ours(r, lens.marker)) => {
            top::judge(live(cluster, &rules, &lens), wait)
        }
        _ => Ok(Outcome::Gone),
    }
}

async fn find(api: &Api, op: &Op) -> Result<Outcome, ProviderError> {
    let lens = Lens::of_op(op);
    let cluster = need(lens.wants("cluster"), "the id of the cluster")?;
    let rules = read(api, cluster).await?.unwrap_or_default();
    let live = live(cluster, &rules, &lens);
    let ours = live.mark.text().is_some();
    Ok(Outcome::Found(ours.then_some(live).into_iter().collect()))
}

impl CloudKind for DatabaseFirewall {
    fn schema(&self) -> KindSchema {
        let texts = || Type::List(Box::new(Type::String));
        KindSchema {
            kind: "digitalocean.database_firewall"
                .parse()
                .expect("invariant: a kind"),
            part: Some(Part::DatabaseFirewall),
            doc: "Who may connect to a database cluster or a replica; rules of others are kept.",
            form: Form::Attributes,
            attrs: vec![
                Attr::required("cluster", Type::String, "The id of the cluster or replica.")
                    .replaces(),
                Attr::optional("clusters", texts(), "The ids of Kubernetes clusters.")
                    .equal(Equality::Unordered),
                Attr::optional("addresses", texts(), "IPv4 addresses and networks.")
                    .equal(Equality::Unordered),
            ],
            outputs: vec![Output::plain("id", Type::String, "The id of the cluster.")],
            contained_in: Containment::Attribute("cluster"),
            marked: true,
            kept_when_off: false,
            protect: false,
            typical: Typical::secs(3, 3, 3),
            identity: &["cluster"],
            checks: &[],
        }
    }

    fn refresh<'a>(
        &'a self,
        api: &'a Api,
        targets: &'a [&'a ReadTarget],
    ) -> BoxFuture<'a, Vec<Observed>> {
        Box::pin(join_all(targets.iter().map(|t| observe(api, t))))
    }

    fn apply<'a>(&'a self, api: &'a Api, op: &'a Op) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            match &op.verb {
                Verb::Create { desired } | Verb::Update { desired, .. } => {
                    write(api, op, desired).await
                }
                Verb::Delete { id, .. } => delete(api, op, id).await,
                Verb::Poll { id, wait, .. } => look(api, op, id, *wait).await,
                Verb::Find { .. } => find(api, op).await,
            }
        })
    }
}
