//! `digitalocean.database_user`: a user of a managed cluster. Its id is `<cluster>/<name>`.

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use zonewright_engine::provider::{
    Live, Mark, Marker, Observed, Op, Outcome, ReadTarget, Status, Verb,
};
use zonewright_engine::schema::{Attr, Containment, Form, KindSchema, Output, Part, Type, Typical};
use zonewright_engine::value::Value;

use super::create_error;
use super::database::delete_part;
use super::inside::{self, Inside, cluster_path, joined_id, parent, under};
use crate::cloud::{Applied, CloudKind};
use crate::http::{Api, segment};
use crate::live::{Attrs, Lens, Reader, spec, text};

/// The kind.
pub(super) struct DatabaseUser;

/// Its attributes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatabaseUserSpec {
    cluster: String,
    name: String,
    auth_plugin: Option<String>,
}

impl Inside for DatabaseUser {
    const PARENT_ATTR: &'static str = "cluster";
    const LIST: &'static str = "users";
    const ITEM: &'static str = "user";
}

impl Reader for DatabaseUser {
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

    fn live(&self, item: &Json, lens: &Lens<'_>) -> Live {
        let id = self.id(item);
        let plugin = text(item, "/mysql_settings/auth_plugin");
        Live {
            attrs: Attrs::new()
                .text("cluster", parent(item))
                .text("name", text(item, "/name"))
                .text("auth_plugin", plugin)
                .text("id", Some(&id))
                .secret("password", lens.address, text(item, "/password"))
                .done(),
            id,
            mark: Mark::Untold,
            status: Status::Ready,
        }
    }
}

impl DatabaseUser {
    async fn create(&self, api: &Api, op: &Op, desired: &Value) -> Applied {
        let spec: DatabaseUserSpec = spec(desired)?;
        let mut body = json!({ "name": spec.name });
        if let Some(plugin) = spec.auth_plugin {
            body["mysql_settings"] = json!({ "auth_plugin": plugin });
        }
        let path = format!("{}/{}", cluster_path(&spec.cluster), Self::LIST);
        let turn = api.turn(&spec.cluster).await;
        let reply = api.post(&path, &body).await.map_err(create_error)?;
        drop(turn);
        self.ready(op, reply, &spec.cluster)
    }

    fn ready(&self, op: &Op, mut reply: Json, cluster: &str) -> Applied {
        let item = under(reply[Self::ITEM].take(), cluster);
        Ok(Outcome::Ready(Box::new(self.live(&item, &Lens::of_op(op)))))
    }

    /// The plugin is changed by a reset, which also makes a new password.
    async fn update(&self, api: &Api, op: &Op, desired: &Value) -> Applied {
        let spec: DatabaseUserSpec = spec(desired)?;
        let path = cluster_path(&spec.cluster);
        let path = format!("{path}/users/{}/reset_auth", segment(&spec.name));
        let plugin = spec
            .auth_plugin
            .as_deref()
            .unwrap_or("caching_sha2_password");
        let body = json!({ "mysql_settings": { "auth_plugin": plugin } });
        let turn = api.turn(&spec.cluster).await;
        let reply = api.post_again(&path, &body).await?;
        drop(turn);
        self.ready(op, reply, &spec.cluster)
    }
}

impl CloudKind for DatabaseUser {
    fn schema(&self) -> KindSchema {
        KindSchema {
            kind: "digitalocean.database_user"
                .parse()
                .expect("invariant: a kind"),
            part: Some(Part::DatabaseUser),
            doc: "A user of a managed MySQL cluster.",
            form: Form::Attributes,
            attrs: vec![
                Attr::required("cluster", Type::String, "The id of its cluster.").replaces(),
                Attr::required("name", Type::String, "Its name.").replaces(),
                Attr::optional(
                    "auth_plugin",
                    Type::OneOf(&["caching_sha2_password", "mysql_native_password"]),
                    "How it authenticates; a change makes a new password.",
                ),
            ],
            outputs: vec![
                Output::plain("id", Type::String, "`<cluster>/<name>`."),
                Output::secret("password", "Its password, which the vendor makes."),
            ],
            contained_in: Containment::Attribute("cluster"),
            marked: false,
            kept_when_off: false,
            protect: false,
            typical: Typical::secs(5, 5, 3),
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
                Verb::Update { desired, .. } => self.update(api, op, desired).await,
                Verb::Poll { id, .. } => inside::poll(self, api, op, id).await,
                Verb::Delete { id, .. } => delete_part(api, Self::LIST, id).await,
                Verb::Find { .. } => inside::find(self, api, op).await,
            }
        })
    }
}
