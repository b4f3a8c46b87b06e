//! `digitalocean.kubernetes_cluster`: a managed Kubernetes cluster with one pool of nodes.
//!
//! Deleting it takes along the load balancers that its services made and leaves the volumes.

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
use zonewright_engine::secret::Secret;
use zonewright_engine::value::Value;

use super::names;
use super::node_pool::{self, PoolSpec};
use super::tags::{mark_in_tags, user_tags, with_mark};
use super::top::{self, Place, Top};
use super::{create_error, created_id};
use crate::cloud::{Applied, CloudKind};
use crate::http::{Api, ApiError, found};
use crate::live::{
    Attrs, Lens, Reader, invalid, mark_among, spec, text, texts, touches, version_matches,
};

/// The kind.
pub(super) struct KubernetesCluster;

/// Its attributes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterSpec {
    name: String,
    region: String,
    version: String,
    vpc: Option<String>,
    cluster_subnet: Option<String>,
    service_subnet: Option<String>,
    tags: Option<Vec<String>>,
    ha: Option<bool>,
    auto_upgrade: Option<bool>,
    surge_upgrade: Option<bool>,
    node_pool: PoolSpec,
}

static PLACE: Place = Place {
    path: "/v2/kubernetes/clusters",
    list: "kubernetes_clusters",
    item: "kubernetes_cluster",
    paged: true,
    grace: Duration::from_secs(60),
};

/// Credentials live for an hour and are fetched anew by each run.
const EXPIRY: u32 = 3600;

fn path(id: &str) -> String {
    format!("{}/{id}", PLACE.path)
}

impl Reader for KubernetesCluster {
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
            .text("region", text(item, "/region"))
            .text("version", text(item, "/version"))
            .text("vpc", text(item, "/vpc_uuid"))
            .text("cluster_subnet", text(item, "/cluster_subnet"))
            .text("service_subnet", text(item, "/service_subnet"))
            .list("tags", user_tags(texts(item, "/tags")))
            .json("ha", item.get("ha"))
            .json("auto_upgrade", item.get("auto_upgrade"))
            .json("surge_upgrade", item.get("surge_upgrade"))
            .text("id", Some(&id))
            .text("urn", Some(&format!("do:kubernetes:{id}")))
            .text("endpoint", text(item, "/endpoint"))
            .text("version_slug", text(item, "/version"));
        if let Some(pool) = node_pool::live_pool(item, lens) {
            attrs = attrs.value("node_pool", pool);
        }
        Live {
            id,
            attrs: attrs.done(),
            mark: mark_in_tags(item, lens.marker),
            status: status(item),
        }
    }
}

fn status(item: &Json) -> Status {
    match text(item, "/status/state").unwrap_or("unknown") {
        "running" => match node_pool::nodes_missing(item) {
            None => Status::Ready,
            Some(why) => Status::Pending(why),
        },
        "error" => {
            let why = text(item, "/status/message").unwrap_or("no reason was given");
            Status::Failed(format!("the cluster failed: {why}"))
        }
        "deleting" | "deleted" => Status::Deleting,
        // `degraded` is normal while nodes join.
        other => Status::Pending(other.to_owned()),
    }
}

impl Top for KubernetesCluster {
    fn place(&self) -> &'static Place {
        &PLACE
    }
}

impl KubernetesCluster {
    async fn create(&self, api: &Api, op: &Op, desired: &Value) -> Applied {
        let spec: ClusterSpec = spec(desired)?;
        let version = resolve(api, &spec.version).await?;
        let mut body = json!({
            "name": spec.name,
            "region": spec.region,
            "version": version,
            "tags": with_mark(spec.tags.as_ref(), std::iter::empty(), &op.marker),
            "node_pools": [spec.node_pool.first_pool(&op.marker)?],
        });
        for (key, value) in [
            ("vpc_uuid", json!(spec.vpc)),
            ("cluster_subnet", json!(spec.cluster_subnet)),
            ("service_subnet", json!(spec.service_subnet)),
            ("ha", json!(spec.ha)),
            ("auto_upgrade", json!(spec.auto_upgrade)),
            ("surge_upgrade", json!(spec.surge_upgrade)),
        ] {
            // What is left to the vendor is not sent: some defaults depend on the version.
            if !value.is_null() {
                body[key] = value;
            }
        }
        let reply = match api.post(PLACE.path, &body).await {
            Ok(reply) => reply,
            Err(e) if e.is(422) && e.error.message.contains("version") => {
                return Err(withdrawn(api, &version, e).await);
            }
            Err(e) => return Err(create_error(e)),
        };
        created_id(&reply, "/kubernetes_cluster/id")?;
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
        let spec: ClusterSpec = spec(desired)?;
        let Some(live) = top::one(api, &PLACE, id).await? else {
            return Err(top::missing(id));
        };
        if spec.ha == Some(false) && live["ha"] == json!(true) && touches(changed, "ha") {
            return Err(invalid(
                "ha",
                "high availability cannot be taken away again",
            ));
        }
        let plain = ["name", "tags", "ha", "auto_upgrade", "surge_upgrade"];
        let unmarked = self.mark(&live, &op.marker) != Some(op.marker.to_string());
        if unmarked || plain.iter().any(|a| touches(changed, a)) {
            api.put(&path(id), &settings(&spec, &live, &op.marker))
                .await?;
        }
        if unmarked {
            node_pool::mark(api, &path(id), &live, &spec.node_pool, &op.marker).await?;
        }
        if touches(changed, "node_pool") {
            node_pool::update(api, &path(id), &live, &spec.node_pool, &op.marker).await?;
        }
        let running = text(&live, "/version").unwrap_or_default();
        // Last: while it upgrades, the cluster refuses other changes.
        if touches(changed, "version") && !version_matches(&spec.version, running) {
            upgrade(api, id, &spec.version).await?;
        }
        Ok(top::submitted(self.live(&live, &Lens::of_op(op))))
    }

    /// The load balancers go along, the volumes stay.
    async fn delete(&self, api: &Api, id: &str) -> Applied {
        let associated = format!("{}/destroy_with_associated_resources", path(id));
        let Some(list) = found(api.get(&associated).await)? else {
            return Ok(Outcome::Gone);
        };
        let balancers: Vec<&str> = list["load_balancers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|b| text(b, "/id"))
            .collect();
        let there = if balancers.is_empty() {
            api.delete(&path(id), None).await?
        } else {
            let body = json!({
                "load_balancers": balancers, "volumes": [], "volume_snapshots": [],
            });
            api.delete(&format!("{associated}/selective"), Some(&body))
                .await?
        };
        Ok(if there {
            top::leaving(id)
        } else {
            Outcome::Gone
        })
    }

    async fn credentials(
        &self,
        api: &Api,
        id: &str,
        output: &str,
    ) -> Result<Secret, ProviderError> {
        let label = format!("digitalocean.kubernetes_cluster/{id}.{output}");
        // A cluster that has just come up may not have any yet.
        let early = |e: ApiError| match e.is(404) || e.is(409) || e.is(412) {
            true => e.into_class(ErrorClass::Transient { after: None }),
            false => e.error,
        };
        let unreadable = || {
            let message = format!("the {output} of the cluster cannot be read");
            ProviderError::new(ErrorClass::Transient { after: None }, message)
        };
        let value = match output {
            "credentials" => {
                let call = format!("{}/credentials?expiry_seconds={EXPIRY}", path(id));
                let reply = api.get(&call).await.map_err(early)?;
                // A server without TLS (on this very machine) has no CA.
                for key in ["/server", "/token"] {
                    text(&reply, key).ok_or_else(unreadable)?;
                }
                json!({
                    "server": reply["server"],
                    "certificate_authority_data": reply["certificate_authority_data"],
                    "token": reply["token"],
                    "expires_at": reply["expires_at"],
                })
                .to_string()
            }
            "kubeconfig" => {
                let call = format!("{}/kubeconfig?expiry_seconds={EXPIRY}&type=token", path(id));
                let reply = api.get(&call).await.map_err(early)?;
                reply.as_str().ok_or_else(unreadable)?.to_owned()
            }
            _ => {
                let message = format!("there is no ephemeral output `{output}`");
                return Err(ProviderError::new(ErrorClass::Bug, message));
            }
        };
        Ok(Secret::new(label, value, None))
    }
}

/// What a PUT of the cluster sends: the spec's values, and the live ones where it has none.
fn settings(spec: &ClusterSpec, live: &Json, marker: &Marker) -> Json {
    let mut body = json!({
        "name": spec.name,
        "tags": with_mark(spec.tags.as_ref(), texts(live, "/tags"), marker),
    });
    for (key, value) in [
        ("ha", spec.ha),
        ("auto_upgrade", spec.auto_upgrade),
        ("surge_upgrade", spec.surge_upgrade),
    ] {
        let value = value.map_or_else(|| live[key].clone(), Json::from);
        if !value.is_null() {
            body[key] = value;
        }
    }
    if live["maintenance_policy"].is_object() {
        let policy = &live["maintenance_policy"];
        body["maintenance_policy"] =
            json!({ "day": policy["day"], "start_time": policy["start_time"] });
    }
    body
}

async fn offered(api: &Api) -> Result<Vec<String>, ApiError> {
    let options = api.get("/v2/kubernetes/options").await?;
    let versions = options
        .pointer("/options/versions")
        .and_then(Json::as_array);
    let slugs = versions
        .into_iter()
        .flatten()
        .filter_map(|v| text(v, "/slug"));
    Ok(slugs.map(str::to_owned).collect())
}

/// The newest of the versions that a declared one stands for.
fn newest<'a>(declared: &str, slugs: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let numbers = |slug: &str| -> Vec<u64> {
        let parts = slug.split(|c: char| !c.is_ascii_digit());
        parts.filter_map(|n| n.parse().ok()).collect()
    };
    slugs
        .filter(|s| version_matches(declared, s))
        .max_by_key(|s| numbers(s))
}

/// The exact version for a declared one; an exact one is left to the vendor to judge.
async fn resolve(api: &Api, declared: &str) -> Result<String, ProviderError> {
    if declared.contains("-do.") {
        return Ok(declared.to_owned());
    }
    let slugs = offered(api).await?;
    newest(declared, slugs.iter().map(String::as_str))
        .map(str::to_owned)
        .ok_or_else(|| no_version(declared, &slugs))
}

fn no_version(declared: &str, slugs: &[String]) -> ProviderError {
    let message = format!(
        "DigitalOcean does not offer version `{declared}`; it offers {}",
        slugs.join(", ")
    );
    invalid("version", message)
}

/// A version that was refused, with what could be had instead.
async fn withdrawn(api: &Api, version: &str, refused: ApiError) -> ProviderError {
    match offered(api).await {
        Ok(slugs) => no_version(version, &slugs),
        Err(_) => invalid("version", refused.error.message),
    }
}

async fn upgrade(api: &Api, id: &str, declared: &str) -> Result<(), ProviderError> {
    let reply = api.get(&format!("{}/upgrades", path(id))).await?;
    let list = reply["available_upgrade_versions"].as_array();
    let slugs: Vec<&str> = list
        .into_iter()
        .flatten()
        .filter_map(|v| text(v, "/slug"))
        .collect();
    let Some(slug) = newest(declared, slugs.iter().copied()) else {
        let slugs: Vec<String> = slugs.into_iter().map(str::to_owned).collect();
        let message = match slugs.is_empty() {
            true => {
                format!("the cluster cannot be upgraded to `{declared}`: no upgrade is offered")
            }
            false => format!(
                "the cluster cannot be upgraded to `{declared}`; offered: {}",
                slugs.join(", ")
            ),
        };
        return Err(invalid("version", message));
    };
    // Upgrading twice to the same version is the same as once.
    api.post_again(
        &format!("{}/upgrade", path(id)),
        &json!({ "version": slug }),
    )
    .await?;
    Ok(())
}

impl CloudKind for KubernetesCluster {
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
            (self.schema().kind, "kubernetes cluster"),
        ))
    }

    fn apply<'a>(&'a self, api: &'a Api, op: &'a Op) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            match &op.verb {
                Verb::Create { desired } => self.create(api, op, desired).await,
                Verb::Update { id, .. } => self.update(api, op, id).await,
                Verb::Delete { id, .. } => self.delete(api, id).await,
                Verb::Poll { id, wait, context } => {
                    top::poll(self, api, op, (id, *wait), async |item: &Json| {
                        let running = text(item, "/version").unwrap_or_default();
                        let declared = context.get("version").and_then(Value::as_str);
                        if declared.is_some_and(|d| !version_matches(d, running)) {
                            return Ok(Some(format!("still at version {running}")));
                        }
                        let pool = context.get("node_pool");
                        node_pool::settle(api, &path(id), item, pool, &op.marker).await
                    })
                    .await
                }
                Verb::Find { .. } => top::find(self, api, op).await,
            }
        })
    }

    fn ephemeral<'a>(
        &'a self,
        api: &'a Api,
        id: &'a str,
        output: &'a str,
    ) -> BoxFuture<'a, Result<Secret, ProviderError>> {
        Box::pin(self.credentials(api, id, output))
    }
}

fn schema() -> KindSchema {
    KindSchema {
        kind: "digitalocean.kubernetes_cluster"
            .parse()
            .expect("invariant: a kind"),
        part: Some(Part::Cluster),
        doc: "A managed Kubernetes cluster with one pool of nodes.",
        form: Form::Attributes,
        attrs: attrs(),
        outputs: vec![
            Output::plain("id", Type::String, "The cluster's id."),
            Output::plain("urn", Type::String, "The cluster's name for projects."),
            Output::plain("endpoint", Type::String, "The address of its API server."),
            Output::plain("version_slug", Type::String, "The exact version it runs."),
            Output::ephemeral(
                "credentials",
                "Server, CA and a token that lives for an hour, as JSON.",
            ),
            Output::ephemeral(
                "kubeconfig",
                "A kubeconfig with a token that lives for an hour.",
            ),
        ],
        contained_in: Containment::None,
        marked: true,
        kept_when_off: false,
        protect: false,
        // 4 to 8 minutes are usual; the middle.
        typical: Typical::secs(360, 300, 120),
        identity: &["name"],
        checks: &[node_pool::SCALING],
    }
}

fn attrs() -> Vec<Attr> {
    let tags = || Type::List(Box::new(Type::String));
    vec![
        Attr::required("name", Type::String, "Its name."),
        Attr::required("region", Type::String, "The region, such as `sfo3`.").named(&names::REGION)
            .replaces()
            .equal(Equality::IgnoreCase),
        Attr::required(
            "version",
            Type::String,
            "The Kubernetes version, exact (`1.34.1-do.2`) or a prefix (`1.34`); a rise upgrades in place.",
        )
        .named(&names::KUBERNETES)
        .equal(Equality::VersionPrefix),
        Attr::optional("vpc", Type::String, "The id of its network.").replaces(),
        Attr::optional("cluster_subnet", Type::Cidr, "The network of its pods.")
            .replaces()
            .equal(Equality::Cidr),
        Attr::optional("service_subnet", Type::Cidr, "The network of its services.")
            .replaces()
            .equal(Equality::Cidr),
        Attr::optional("tags", tags(), "Tags; others on the cluster are left alone.")
            .equal(Equality::TagSet),
        Attr::optional(
            "ha",
            Type::Bool,
            "Whether its control plane is highly available; cannot be taken away again.",
        ),
        Attr::optional("auto_upgrade", Type::Bool, "Whether it takes patch releases by itself."),
        Attr::optional(
            "surge_upgrade",
            Type::Bool,
            "Whether new nodes come before old ones go in an upgrade.",
        ),
        Attr::required(
            "node_pool",
            Type::Object(vec![
                Attr::optional("name", Type::String, "Its name; `main` if not given."),
                Attr::required(
                    "size",
                    Type::String,
                    "The size of its nodes; another size brings a new pool and removes the old one.",
                )
                .named(&names::MACHINE),
                Attr::optional("count", Type::Int, "How many nodes; not with `min` and `max`."),
                Attr::optional("min", Type::Int, "The fewest nodes when it scales by itself."),
                Attr::optional("max", Type::Int, "The most nodes when it scales by itself."),
                Attr::optional("tags", tags(), "Tags of its nodes.").equal(Equality::TagSet),
                Attr::optional(
                    "labels",
                    Type::Map(Box::new(Type::String)),
                    "Kubernetes labels of its nodes.",
                ),
            ]),
            "The pool of nodes.",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn a_prefix_stands_for_the_newest_version_by_number() {
        let slugs = ["1.33.9-do.0", "1.34.1-do.9", "1.34.1-do.10", "1.3.0-do.1"];
        for (declared, expected) in [
            ("1.34", Some("1.34.1-do.10")),
            ("1.33", Some("1.33.9-do.0")),
            ("1.3", Some("1.3.0-do.1")),
            ("1.35", None),
        ] {
            assert_eq!(newest(declared, slugs.into_iter()), expected, "{declared}");
        }
    }
}
