//! `digitalocean.database_replica`: a read-only copy of a database cluster, in any region.
//!
//! Promoted, it becomes a cluster of its own under the same id and stays this resource with another
//! role. It is asked for under its parent by name first, then as a cluster by id.

use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use zonewright_engine::provider::{
    ErrorClass, Live, Marker, Observed, Op, Outcome, ProviderError, ReadTarget, Verb, Wait,
};
use zonewright_engine::schema::{
    Attr, Containment, Equality, Form, KindSchema, Part, Type, Typical,
};
use zonewright_engine::value::Value;

use super::database_cluster::{connection_outputs, resizing, status};
use super::inside::{self, Inside, add_ca, by_parent, cluster_path, connection, parent, under};
use super::names;
use super::tags::{mark_in_tags, user_tags, with_mark};
use super::top;
use super::{create_error, created_id};
use crate::cloud::{Applied, CloudKind};
use crate::http::{Api, ApiError, found, segment};
use crate::live::{
    Attrs, Lens, Listed, Reader, choose, invalid, mark_among, need, spec, text, texts, touches,
};

/// The kind.
pub(super) struct DatabaseReplica;

/// Its attributes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatabaseReplicaSpec {
    source: String,
    name: String,
    region: String,
    size: String,
    vpc: Option<String>,
    tags: Option<Vec<String>>,
    role: Option<String>,
}

/// How long a new replica may be unknown under its name.
const GRACE: Duration = Duration::from_secs(120);
/// It has no parent any more.
const PRIMARY: &str = "primary";
const REPLICA: &str = "replica";

impl Inside for DatabaseReplica {
    const PARENT_ATTR: &'static str = "source";
    const LIST: &'static str = "replicas";
    const ITEM: &'static str = "replica";
}

impl Reader for DatabaseReplica {
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
        let under = parent(item);
        let role = if under.is_some() { REPLICA } else { PRIMARY };
        let mut attrs = Attrs::new()
            // What was promoted has no source; where it came from is no difference.
            .text("source", under.or_else(|| lens.wants("source")))
            .text("name", text(item, "/name"))
            .text("region", text(item, "/region"))
            .text("size", text(item, "/size").or_else(|| lens.wants("size")))
            .text("vpc", text(item, "/private_network_uuid"))
            .text("role", Some(role))
            .text("id", Some(&id));
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

/// Under its parent, by name.
async fn as_replica(api: &Api, source: &str, name: &str) -> Result<Option<Json>, ApiError> {
    let path = format!("{}/replicas/{}", cluster_path(source), segment(name));
    let reply = found(api.get(&path).await)?;
    Ok(reply.map(|mut r| under(r["replica"].take(), source)))
}

/// As a cluster of its own.
async fn as_cluster(api: &Api, id: &str) -> Result<Option<Json>, ApiError> {
    let reply = found(api.get(&cluster_path(id)).await)?;
    Ok(reply.map(|mut r| r["database"].take()))
}

/// In whichever role it is, if it is the one with this id.
async fn either(api: &Api, id: &str, lens: &Lens<'_>) -> Result<Option<Json>, ApiError> {
    if let (Some(source), Some(name)) = (lens.wants("source"), lens.wants("name"))
        && let Some(item) = as_replica(api, source, name).await?
        && text(&item, "/id") == Some(id)
    {
        return Ok(Some(item));
    }
    as_cluster(api, id).await
}

impl DatabaseReplica {
    async fn create(&self, api: &Api, op: &Op, desired: &Value) -> Applied {
        let spec: DatabaseReplicaSpec = spec(desired)?;
        if spec.role.as_deref() == Some(PRIMARY) {
            return Err(invalid(
                "role",
                "a new replica cannot be a primary; it is promoted later",
            ));
        }
        let mut body = json!({
            "name": spec.name,
            "region": spec.region,
            "size": spec.size,
            "tags": with_mark(spec.tags.as_ref(), std::iter::empty(), &op.marker),
        });
        if let Some(vpc) = spec.vpc {
            body["private_network_uuid"] = json!(vpc);
        }
        let path = format!("{}/replicas", cluster_path(&spec.source));
        let mut reply = api.post(&path, &body).await.map_err(|e| match e.is(412) {
            // The first backup of the source is not done; until then nothing is made.
            true => e.into_class(ErrorClass::NotYet { after: None }),
            false => create_error(e),
        })?;
        created_id(&reply, "/replica/id")?;
        let item = under(reply["replica"].take(), &spec.source);
        Ok(top::submitted(self.live(&item, &Lens::of_op(op))))
    }

    async fn update(&self, api: &Api, op: &Op, id: &str) -> Applied {
        let Verb::Update {
            desired, changed, ..
        } = &op.verb
        else {
            return Err(top::missing(id));
        };
        let spec: DatabaseReplicaSpec = spec(desired)?;
        let lens = Lens::of_op(op);
        let Some(item) = either(api, id, &lens).await? else {
            return Err(top::missing(id));
        };
        if touches(changed, "size") && text(&item, "/size") != Some(&spec.size) {
            let body = json!({ "size": spec.size, "num_nodes": 1 });
            api.put(&format!("{}/resize", cluster_path(id)), &body)
                .await?;
        }
        match (spec.role.as_deref(), parent(&item)) {
            (Some(PRIMARY), Some(_)) => promote(api, id, &spec).await?,
            (Some(REPLICA), None) => {
                let message = "a promoted replica cannot become a replica again";
                return Err(invalid("role", message));
            }
            _ => {}
        }
        Ok(top::submitted(self.live(&item, &lens)))
    }

    async fn delete(&self, api: &Api, op: &Op, id: &str) -> Applied {
        let lens = Lens::of_op(op);
        let Some(item) = either(api, id, &lens).await? else {
            return Ok(Outcome::Gone);
        };
        // The plan let a replica go, or a writer that was known as one.
        if parent(&item).is_none() && lens.wants("role") != Some(PRIMARY) {
            let message = "it was promoted meanwhile and is a writer now: it is not deleted";
            return Err(ProviderError::new(ErrorClass::Conflict, message));
        }
        let path = match (parent(&item), text(&item, "/name")) {
            (Some(source), Some(name)) => {
                format!("{}/replicas/{}", cluster_path(source), segment(name))
            }
            _ => cluster_path(id),
        };
        Ok(match api.delete(&path, None).await? {
            true => top::leaving(id),
            false => Outcome::Gone,
        })
    }

    async fn poll(&self, api: &Api, op: &Op, id: &str, wait: Wait) -> Applied {
        let lens = Lens::of_op(op);
        let Some(mut item) = either(api, id, &lens).await? else {
            return Ok(top::absent(api, id, wait, GRACE));
        };
        api.seen(id);
        add_ca(api, &mut item).await?;
        let live = self.live(&item, &lens);
        if wait == Wait::Ready {
            if lens.wants("role") == Some(PRIMARY) && parent(&item).is_some() {
                return Ok(top::pending("being promoted"));
            }
            let busy = lens.desired.and_then(|d| resizing(&item, d));
            if let Some(busy) = busy.filter(|_| text(&item, "/size").is_some()) {
                return Ok(top::pending(busy));
            }
        }
        top::judge(live, wait)
    }

    async fn group(
        &self,
        api: &Api,
        source: &str,
        group: &[(usize, &ReadTarget)],
    ) -> Vec<(usize, Observed)> {
        let failed = |e: &ApiError| {
            let one = |(i, _): &(usize, _)| (*i, Observed::Unreadable(e.error.clone()));
            group.iter().map(one).collect()
        };
        let mut items = match inside::list::<Self>(api, source).await {
            Ok(items) => items.unwrap_or_default(),
            Err(e) => return failed(&e),
        };
        for item in &mut items {
            if let Err(e) = add_ca(api, item).await {
                return failed(&e);
            }
        }
        let items = Listed::new(self, items);
        let looks = group.iter().map(|(i, t)| async {
            let seen = match choose(self, t, &items) {
                Observed::Gone => self.promoted(api, t).await,
                seen => seen,
            };
            (*i, seen)
        });
        join_all(looks).await
    }

    /// Not under its parent: promoted, or gone.
    async fn promoted(&self, api: &Api, target: &ReadTarget) -> Observed {
        let Some(id) = &target.id else {
            return Observed::Gone;
        };
        let look = async {
            let mut item = as_cluster(api, id).await?;
            if let Some(item) = &mut item {
                add_ca(api, item).await?;
            }
            Ok::<_, ApiError>(item)
        };
        match look.await {
            Ok(Some(item)) => {
                Observed::Present(Box::new(self.live(&item, &Lens::of_target(target))))
            }
            Ok(None) => Observed::Gone,
            Err(e) => Observed::Unreadable(e.error),
        }
    }
}

/// Cannot be undone. A repeat answers 404: then it is a cluster already.
async fn promote(api: &Api, id: &str, spec: &DatabaseReplicaSpec) -> Result<(), ProviderError> {
    let path = cluster_path(&spec.source);
    let path = format!("{path}/replicas/{}/promote", segment(&spec.name));
    match api.put(&path, &json!({})).await {
        Ok(_) => Ok(()),
        Err(e) if e.is(404) && as_cluster(api, id).await?.is_some() => Ok(()),
        Err(e) => Err(e.error),
    }
}

impl CloudKind for DatabaseReplica {
    fn schema(&self) -> KindSchema {
        schema()
    }

    fn refresh<'a>(
        &'a self,
        api: &'a Api,
        targets: &'a [&'a ReadTarget],
    ) -> BoxFuture<'a, Vec<Observed>> {
        Box::pin(async move {
            let groups = by_parent(targets, Self::PARENT_ATTR);
            let reads = groups
                .iter()
                .map(|(source, group)| self.group(api, source, group));
            let mut all: Vec<Option<Observed>> = vec![None; targets.len()];
            for (i, observed) in join_all(reads).await.into_iter().flatten() {
                all[i] = Some(observed);
            }
            let mut out = Vec::new();
            for (target, observed) in targets.iter().zip(all) {
                out.push(match observed {
                    Some(observed) => observed,
                    None => self.promoted(api, target).await,
                });
            }
            out
        })
    }

    fn apply<'a>(&'a self, api: &'a Api, op: &'a Op) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            match &op.verb {
                Verb::Create { desired } => self.create(api, op, desired).await,
                Verb::Update { id, .. } => self.update(api, op, id).await,
                Verb::Delete { id, .. } => self.delete(api, op, id).await,
                Verb::Poll { id, wait, .. } => self.poll(api, op, id, *wait).await,
                Verb::Find { desired } => {
                    need(desired.get("source").and_then(Value::as_str), "the source")?;
                    inside::find(self, api, op).await
                }
            }
        })
    }
}

fn schema() -> KindSchema {
    KindSchema {
        kind: "digitalocean.database_replica"
            .parse()
            .expect("invariant: a kind"),
        part: Some(Part::Replica),
        doc: "A read-only copy of a managed MySQL cluster, in any region.",
        form: Form::Attributes,
        attrs: vec![
            Attr::required("source", Type::String, "The id of the cluster it copies.").replaces(),
            Attr::required("name", Type::String, "Its name, unique in the account.").replaces(),
            Attr::required("region", Type::String, "The region, such as `sfo3`.")
                .named(&names::REGION)
                .replaces()
                .equal(Equality::IgnoreCase),
            Attr::required(
                "size",
                Type::String,
                "Its size, not below that of the source.",
            )
            .named(&names::DATABASE),
            Attr::optional("vpc", Type::String, "The id of its network.").replaces(),
            Attr::optional("tags", Type::List(Box::new(Type::String)), "Tags.")
                .replaces()
                .equal(Equality::TagSet),
            Attr::optional(
                "role",
                Type::OneOf(&[REPLICA, PRIMARY]),
                "`primary` promotes it to a cluster of its own, which cannot be undone.",
            ),
        ],
        outputs: connection_outputs(),
        contained_in: Containment::None,
        marked: false,
        kept_when_off: false,
        protect: true,
        // A server of 4 to 8 minutes that begins with its source's backup, which adds time: the long end.
        // A fresh source has none; the vendor's Terraform provider waits for it up to 30 minutes.
        // A promotion takes seconds to a few minutes, and the vendor gives no figure: the middle of nothing and
        // three minutes.
        typical: Typical::secs(480, 300, 60)
            .made_from("source", 600)
            .promoted_in(90),
        identity: &["source", "name"],
        checks: &[],
    }
}
