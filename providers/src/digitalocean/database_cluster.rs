//! `digitalocean.database_cluster`: a managed MySQL cluster. It holds data and is protected.

use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use zonewright_engine::provider::{
    ErrorClass, Live, Marker, Observed, Op, Outcome, Owned, ProviderError, ReadTarget, Search,
    Status, Verb,
};
use zonewright_engine::schema::{
    Attr, Containment, Equality, Form, KindSchema, Output, Part, Type, Typical,
};
use zonewright_engine::value::Value;

use super::inside::{add_ca, cluster_path, connection};
use super::names;
use super::tags::{mark_in_tags, user_tags, with_mark};
use super::top::{self, Place, Top};
use super::{create_error, created_id};
use crate::cloud::{Applied, CloudKind};
use crate::http::{Api, ApiError, found, segment};
use crate::live::{
    Attrs, Lens, Reader, is_mark, mark_among, spec, text, texts, touches, version_matches,
};

/// The kind.
pub(super) struct DatabaseCluster;

/// Its attributes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatabaseClusterSpec {
    name: String,
    engine: Option<String>,
    version: Option<String>,
    region: String,
    size: String,
    num_nodes: Option<i64>,
    vpc: Option<String>,
    tags: Option<Vec<String>>,
}

static PLACE: Place = Place {
    path: "/v2/databases",
    list: "databases",
    item: "database",
    paged: false,
    grace: Duration::from_secs(120),
};

impl Reader for DatabaseCluster {
    fn id(&self, item: &Json) -> String {
        text(item, "/id").unwrap_or_default().to_owned()
    }

    fn mark(&self, item: &Json, wanted: &Marker) -> Option<String> {
        mark_among(texts(item, "/tags"), wanted)
    }

    fn named(&self, item: &Json, lens: &Lens<'_>) -> bool {
        lens.wants("name")
            .is_some_and(|n| Some(n) == text(item, "/name"))
    }

    fn live(&self, item: &Json, lens: &Lens<'_>) -> Live {
        let id = self.id(item);
        let mut attrs = Attrs::new()
            .text("name", text(item, "/name"))
            .text("engine", text(item, "/engine"))
            .text("version", version(item))
            .text("region", text(item, "/region"))
            .text("size", text(item, "/size"))
            .json("num_nodes", item.get("num_nodes"))
            .text("vpc", text(item, "/private_network_uuid"))
            .text("id", Some(&id))
            .text("urn", Some(&format!("do:dbaas:{id}")))
            .text("database", text(item, "/connection/database"));
        // Without the right to read tags the field is absent: then nothing is known about them.
        if !item["tags"].is_null() {
            attrs = attrs.list("tags", user_tags(texts(item, "/tags")));
        }
        Live {
            id,
            attrs: connection(attrs, item, lens.address).done(),
            mark: mark_in_tags(item, lens.marker),
            status: status(item),
        }
    }
}

fn version(item: &Json) -> Option<&str> {
    text(item, "/semantic_version").or_else(|| text(item, "/version"))
}

/// The state of a cluster or a replica; the vendor's documents disagree on the word for "ready".
pub(super) fn status(item: &Json) -> Status {
    match text(item, "/status").unwrap_or("unknown") {
        "online" | "active" => Status::Ready,
        "deleting" => Status::Deleting,
        other => Status::Pending(other.to_owned()),
    }
}

/// Whether what was asked for about sizes has come true.
pub(super) fn resizing(item: &Json, wanted: &Value) -> Option<String> {
    let size = wanted.get("size").and_then(Value::as_str);
    let nodes = wanted.get("num_nodes").and_then(Value::as_i64);
    let off = size.is_some_and(|s| Some(s) != text(item, "/size"))
        || nodes.is_some_and(|n| item["num_nodes"].as_i64().is_some_and(|live| live != n));
    off.then(|| "being resized".to_owned())
}

impl Top for DatabaseCluster {
    fn place(&self) -> &'static Place {
        &PLACE
    }

    fn complete<'a>(
        &'a self,
        api: &'a Api,
        item: &'a mut Json,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(add_ca(api, item))
    }
}

impl DatabaseCluster {
    async fn create(&self, api: &Api, op: &Op, desired: &Value) -> Applied {
        let spec: DatabaseClusterSpec = spec(desired)?;
        let mut body = json!({
            "name": spec.name,
            "engine": spec.engine.as_deref().unwrap_or("mysql"),
            "version": spec.version.as_deref().unwrap_or("8"),
            "region": spec.region,
            "size": spec.size,
            "num_nodes": spec.num_nodes.unwrap_or(1),
            "tags": with_mark(spec.tags.as_ref(), std::iter::empty(), &op.marker),
        });
        if let Some(vpc) = spec.vpc {
            body["private_network_uuid"] = json!(vpc);
        }
        let reply = api.post(PLACE.path, &body).await.map_err(create_error)?;
        created_id(&reply, "/database/id")?;
        Ok(top::submitted(
            self.live(&reply[PLACE.item], &Lens::of_op(op)),
        ))
    }

    async fn update(&self, api: &Api, op: &Op, id: &str) -> Applied {
        let Verb::Update {
            desired, changed, ..
        } = &op.verb
        else {
            return Err(top::missing(id));
        };
        let spec: DatabaseClusterSpec = spec(desired)?;
        let Some(live) = top::one(api, &PLACE, id).await? else {
            return Err(top::missing(id));
        };
        let path = cluster_path(id);
        let tags = with_mark(spec.tags.as_ref(), texts(&live, "/tags"), &op.marker);
        add_tags(api, id, &tags, &live).await?;
        drop_marks(api, id, &live, &op.marker).await?;
        if touches(changed, "size") || touches(changed, "num_nodes") {
            let nodes = spec
                .num_nodes
                .map_or_else(|| live["num_nodes"].clone(), Json::from);
            let body = json!({ "size": spec.size, "num_nodes": nodes });
            api.put(&format!("{path}/resize"), &body).await?;
        }
        let running = version(&live).unwrap_or_default();
        let declared = spec.version.as_deref();
        if let Some(version) = declared.filter(|v| !version_matches(v, running)) {
            let body = json!({ "version": version });
            api.put(&format!("{path}/upgrade"), &body).await?;
        }
        Ok(top::submitted(self.live(&live, &Lens::of_op(op))))
    }

    async fn delete(&self, api: &Api, id: &str) -> Applied {
        let path = cluster_path(id);
        let replicas = found(api.get(&format!("{path}/replicas")).await)?;
        let list = replicas.as_ref().and_then(|r| r["replicas"].as_array());
        let names: Vec<&str> = list
            .into_iter()
            .flatten()
            .filter_map(|r| text(r, "/name"))
            .collect();
        if !names.is_empty() {
            let message = format!("it still has the replicas {}", names.join(", "));
            return Err(ProviderError::new(ErrorClass::Conflict, message));
        }
        Ok(match api.delete(&path, None).await? {
            true => top::leaving(id),
            false => Outcome::Gone,
        })
    }
}

/// Puts on the tags that are missing. Tags are never taken off: others may have put them there.
pub(super) async fn add_tags(
    api: &Api,
    id: &str,
    tags: &[String],
    live: &Json,
) -> Result<(), ProviderError> {
    for tag in tags {
        if texts(live, "/tags").any(|t| t.eq_ignore_ascii_case(tag)) {
            continue;
        }
        // Making a tag that exists is accepted; so is tagging twice.
        match api.post_again("/v2/tags", &json!({ "name": tag })).await {
            Ok(_) => {}
            Err(e) if e.is(409) || e.is(422) => {}
            Err(e) => return Err(e.error),
        }
        let body = json!({ "resources": [{ "resource_id": id, "resource_type": "database" }] });
        let path = format!("/v2/tags/{}/resources", segment(tag));
        api.post_again(&path, &body).await?;
    }
    Ok(())
}

/// Takes off the marks of other addresses of the project: a new resource there must not find this one.
async fn drop_marks(
    api: &Api,
    id: &str,
    live: &Json,
    marker: &Marker,
) -> Result<(), ProviderError> {
    let wanted = marker.to_string();
    let body = json!({ "resources": [{ "resource_id": id, "resource_type": "database" }] });
    for old in texts(live, "/tags").filter(|t| is_mark(t) && *t != wanted) {
        if old.starts_with(&marker.project()) {
            let path = format!("/v2/tags/{}/resources", segment(old));
            api.delete(&path, Some(&body)).await?;
        }
    }
    Ok(())
}

impl CloudKind for DatabaseCluster {
    fn schema(&self) -> KindSchema {
        schema()
    }

    fn refresh<'a>(
        &'a self,
        api: &'a Api,
        targets: &'a [&'a ReadTarget],
    ) -> BoxFuture<'a, Vec<Observed>> {
        Box::pin(top::refresh(self, api, targets))
    }

    fn owned<'a>(
        &'a self,
        api: &'a Api,
        search: &'a Search,
    ) -> BoxFuture<'a, Result<Vec<Owned>, ProviderError>> {
        Box::pin(top::owned(
            self,
            api,
            search,
            (self.schema().kind, "databases"),
        ))
    }

    fn apply<'a>(&'a self, api: &'a Api, op: &'a Op) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            match &op.verb {
                Verb::Create { desired } => self.create(api, op, desired).await,
                Verb::Update { id, .. } => self.update(api, op, id).await,
                Verb::Delete { id, .. } => self.delete(api, id).await,
                Verb::Poll { id, wait, context } => {
                    let settle = async |item: &Json| Ok(resizing(item, context));
                    top::poll(self, api, op, (id, *wait), settle).await
                }
                Verb::Find { .. } => top::find(self, api, op).await,
            }
        })
    }
}

/// The outputs that clusters and replicas have in common.
pub(super) fn connection_outputs() -> Vec<Output> {
    vec![
        Output::plain("id", Type::String, "The cluster's id."),
        Output::plain("host", Type::String, "The host name."),
        Output::plain("port", Type::Int, "The port."),
        Output::plain(
            "private_host",
            Type::String,
            "The host name inside its network.",
        ),
        Output::plain("user", Type::String, "The administrator's name."),
        Output::secret("password", "The administrator's password."),
        Output::plain("ca", Type::String, "The CA certificate of its TLS, in PEM."),
    ]
}

fn schema() -> KindSchema {
    let mut outputs = connection_outputs();
    outputs.push(Output::plain(
        "urn",
        Type::String,
        "The cluster's name for projects.",
    ));
    outputs.push(Output::plain(
        "database",
        Type::String,
        "The database that it starts with.",
    ));
    KindSchema {
        kind: "digitalocean.database_cluster"
            .parse()
            .expect("invariant: a kind"),
        part: Some(Part::Writer),
        doc: "A managed MySQL cluster.",
        form: Form::Attributes,
        attrs: vec![
            Attr::required("name", Type::String, "Its name, unique in the account.").replaces(),
            Attr::optional(
                "engine",
                Type::OneOf(&["mysql"]),
                "The engine; `mysql` if not given.",
            )
            .replaces(),
            Attr::optional("version", Type::String, "The version; `8` if not given.")
                .named(&names::MYSQL)
                .equal(Equality::VersionPrefix),
            Attr::required("region", Type::String, "The region, such as `sfo3`.")
                .named(&names::REGION)
                .replaces()
                .equal(Equality::IgnoreCase),
            Attr::required("size", Type::String, "The size of its nodes.").named(&names::DATABASE),
            Attr::optional("num_nodes", Type::Int, "How many nodes; 1 if not given."),
            Attr::optional("vpc", Type::String, "The id of its network.").replaces(),
            Attr::optional(
                "tags",
                Type::List(Box::new(Type::String)),
                "Tags; others on the cluster are left alone.",
            )
            .equal(Equality::TagSet),
        ],
        outputs,
        contained_in: Containment::None,
        marked: true,
        kept_when_off: false,
        protect: true,
        // 4 to 8 minutes are usual for MySQL; the middle.
        typical: Typical::secs(360, 300, 60),
        identity: &["name"],
        checks: &[],
    }
}
