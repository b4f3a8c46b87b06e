//! `digitalocean.database`: a database inside a managed cluster. Its id is `<cluster>/<name>`.

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use zonewright_engine::provider::{
    Live, Mark, Marker, Observed, Op, Outcome, ReadTarget, Status, Verb,
};
use zonewright_engine::schema::{Attr, Containment, Form, KindSchema, Output, Part, Type, Typical};
use zonewright_engine::value::Value;

use super::create_error;
use super::inside::{self, Inside, cluster_path, joined_id, parent, split_id, under};
use crate::cloud::{Applied, CloudKind};
use crate::http::{Api, segment};
use crate::live::{Attrs, Lens, Reader, need, spec, text};

/// The kind.
pub(super) struct Database;

/// Its attributes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatabaseSpec {
    cluster: String,
    name: String,
}

impl Inside for Database {
    const PARENT_ATTR: &'static str = "cluster";
    const LIST: &'static str = "dbs";
    const ITEM: &'static str = "db";
}

impl Reader for Database {
    fn id(&self, item: &Json) -> String {
        joined_id(item)
    }

    fn mark(&self, _item: &Json, _wanted: &Marker) -> Option<String> {
        None
    }

    fn named(&self, item: &Json, lens: &Lens<'_>) -> bool {
        lens.wants("name")
            .is_some_and(|n| Some(n) == text(item, "/name"))
    }

    fn live(&self, item: &Json, _lens: &Lens<'_>) -> Live {
        let id = self.id(item);
        Live {
            attrs: Attrs::new()
                .text("cluster", parent(item))
                .text("name", text(item, "/name"))
                .text("id", Some(&id))
                .done(),
            id,
            mark: Mark::Untold,
            status: Status::Ready,
        }
    }
}

impl Database {
    async fn create(&self, api: &Api, op: &Op, desired: &Value) -> Applied {
        let spec: DatabaseSpec = spec(desired)?;
        let _turn = api.turn(&spec.cluster).await;
        let path = format!("{}/{}", cluster_path(&spec.cluster), Self::LIST);
        let reply = api.post(&path, &json!({ "name": spec.name })).await;
        let mut reply = reply.map_err(create_error)?;
        let item = under(reply[Self::ITEM].take(), &spec.cluster);
        Ok(Outcome::Ready(Box::new(self.live(&item, &Lens::of_op(op)))))
    }
}

/// Deletes a part of a cluster by its two-part id.
pub(super) async fn delete_part(api: &Api, list: &str, id: &str) -> Applied {
    let (cluster, name) = split_id(id).unwrap_or((id, ""));
    let name = need(Some(name).filter(|n| !n.is_empty()), "the name in the id")?;
    let _turn = api.turn(cluster).await;
    let path = format!("{}/{list}/{}", cluster_path(cluster), segment(name));
    api.delete(&path, None).await?;
    Ok(Outcome::Gone)
}

impl CloudKind for Database {
    fn schema(&self) -> KindSchema {
        KindSchema {
            kind: "digitalocean.database".parse().expect("invariant: a kind"),
            part: Some(Part::Database),
            doc: "A database inside a managed MySQL cluster.",
            form: Form::Attributes,
            attrs: vec![
                Attr::required("cluster", Type::String, "The id of its cluster.").replaces(),
                Attr::required("name", Type::String, "Its name.").replaces(),
            ],
            outputs: vec![Output::plain("id", Type::String, "`<cluster>/<name>`.")],
            contained_in: Containment::Attribute("cluster"),
            marked: false,
            kept_when_off: false,
            protect: true,
            typical: Typical::secs(3, 1, 3),
            identity: &["cluster", "name"],
            checks: &[],
        }
    }

    fn refresh<'a>(
        &'a self,
        api: &'a Api,
        targets: &'a [&'a ReadTarget],
    ) -> BoxFuture<'a, Vec<Observed>> {
        Box::pin(inside::refresh(self, api, targets))
    }

    fn apply<'a>(&'a self, api: &'a Api, op: &'a Op) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            match &op.verb {
                Verb::Create { desired } => self.create(api, op, desired).await,
                // Nothing about a database can be changed.
                Verb::Update { id, .. } | Verb::Poll { id, .. } => {
                    inside::poll(self, api, op, id).await
                }
                Verb::Delete { id, .. } => delete_part(api, Self::LIST, id).await,
                Verb::Find { .. } => inside::find(self, api, op).await,
            }
        })
    }
}
