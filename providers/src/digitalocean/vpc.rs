//! `digitalocean.vpc`: a private network.
//!
//! Its range must overlap with no other of the account. It can be deleted once its last member is
//! gone, which the vendor notices late.

use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use zonewright_engine::address::AttrPath;
use zonewright_engine::provider::{
    ErrorClass, Live, Marker, Observed, Op, Outcome, Owned, ProviderError, ReadTarget, Search,
    Status, Verb,
};
use zonewright_engine::schema::{
    Attr, Check, Containment, Equality, Form, KindSchema, Output, Part, Type, Typical,
};
use zonewright_engine::value::Value;

use super::names;
use super::top::{self, Place, Top};
use super::{create_error, created_id};
use crate::cloud::{Applied, CloudKind};
use crate::http::Api;
use crate::live::{
    Attrs, Lens, Reader, invalid, join_mark, marked, spec, split_mark, text, touches,
};

/// The kind.
pub(super) struct Vpc;

/// Its attributes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VpcSpec {
    name: String,
    region: String,
    ip_range: String,
    description: Option<String>,
}

/// The longest description, our mark included.
const DESCRIPTION_LIMIT: usize = 255;

static PLACE: Place = Place {
    path: "/v2/vpcs",
    list: "vpcs",
    item: "vpc",
    paged: true,
    grace: Duration::from_secs(60),
};

/// What is free of it beside our mark.
const DESCRIPTION_FREE: usize = 210;

/// `ip_range`: <https://docs.digitalocean.com/products/networking/vpc/details/limits/>.
const CHECKS: &[Check] = &[
    Check {
        attr: "description",
        refused: |attrs| {
            let text = attrs["description"].as_str()?;
            let long = text.chars().count() > DESCRIPTION_FREE;
            long.then_some("a description has up to 210 characters beside the ownership mark")
        },
    },
    Check {
        attr: "ip_range",
        refused: |attrs| {
            let (_, prefix) = attrs["ip_range"].as_str()?.split_once('/')?;
            let fits = (16..=28).contains(&prefix.parse::<u8>().ok()?);
            (!fits).then_some("a network is from `/16` to `/28`")
        },
    },
];

fn description(user: &str, marker: &Marker) -> Result<String, ProviderError> {
    let text = join_mark(user, marker);
    match text.chars().count() <= DESCRIPTION_LIMIT {
        true => Ok(text),
        false => Err(invalid(
            "description",
            "too long: 210 characters are free beside the ownership mark",
        )),
    }
}

impl Reader for Vpc {
    fn id(&self, item: &Json) -> String {
        text(item, "/id").unwrap_or_default().to_owned()
    }

    fn mark(&self, item: &Json, _wanted: &Marker) -> Option<String> {
        split_mark(text(item, "/description")?).1.map(str::to_owned)
    }

    fn named(&self, item: &Json, lens: &Lens<'_>) -> bool {
        lens.wants("name")
            .is_some_and(|n| Some(n) == text(item, "/name"))
    }

    fn live(&self, item: &Json, lens: &Lens<'_>) -> Live {
        let user = split_mark(text(item, "/description").unwrap_or_default()).0;
        Live {
            id: self.id(item),
            attrs: Attrs::new()
                .text("name", text(item, "/name"))
                .text("region", text(item, "/region"))
                .text("ip_range", text(item, "/ip_range"))
                .value("description", Value::text(user))
                .text("id", text(item, "/id"))
                .text("urn", text(item, "/urn"))
                .done(),
            mark: marked(self.mark(item, lens.marker)),
            status: Status::Ready,
        }
    }
}

impl Top for Vpc {
    fn place(&self) -> &'static Place {
        &PLACE
    }
}

impl Vpc {
    async fn create(&self, api: &Api, op: &Op, desired: &Value) -> Applied {
        let spec: VpcSpec = spec(desired)?;
        let body = json!({
            "name": spec.name,
            "region": spec.region,
            "ip_range": spec.ip_range,
            "description": description(spec.description.as_deref().unwrap_or(""), &op.marker)?,
        });
        // Parallel creates race for ranges on the vendor's side.
        let turn = api.turn("vpc").await;
        let reply = api.post(PLACE.path, &body).await.map_err(create_error)?;
        drop(turn);
        created_id(&reply, "/vpc/id")?;
        self.ready(op, &reply)
    }

    fn ready(&self, op: &Op, reply: &Json) -> Applied {
        let live = self.live(&reply["vpc"], &Lens::of_op(op));
        Ok(Outcome::Ready(Box::new(live)))
    }

    async fn update(&self, api: &Api, op: &Op, id: &str, changed: &[AttrPath]) -> Applied {
        let Verb::Update { desired, live, .. } = &op.verb else {
            return Err(top::missing(id));
        };
        let spec: VpcSpec = spec(desired)?;
        let mut body = Map::new();
        if touches(changed, "name") {
            body.insert("name".to_owned(), json!(spec.name));
        }
        let kept = live.get("description").and_then(Value::as_str);
        let user = spec.description.as_deref().or(kept).unwrap_or("");
        let marked = description(user, &op.marker)?;
        body.insert("description".to_owned(), json!(marked));
        let path = format!("{}/{id}", PLACE.path);
        let reply = api.patch(&path, &Json::Object(body)).await?;
        self.ready(op, &reply)
    }

    async fn delete(&self, api: &Api, id: &str) -> Applied {
        match api.delete(&format!("{}/{id}", PLACE.path), None).await {
            Ok(true) => Ok(top::leaving(id)),
            Ok(false) => Ok(Outcome::Gone),
            // Both mean either "the default network" or "has members".
            Err(e) if e.is(409) || e.is(403) => {
                let Some(vpc) = top::one(api, &PLACE, id).await? else {
                    return Ok(Outcome::Gone);
                };
                if vpc["default"] == json!(true) {
                    let message =
                        "it is the region's default network, which DigitalOcean never deletes";
                    return Err(ProviderError::new(ErrorClass::Denied, message));
                }
                Err(e.into_class(ErrorClass::NotYet { after: None }))
            }
            Err(e) => Err(e.error),
        }
    }
}

impl CloudKind for Vpc {
    fn schema(&self) -> KindSchema {
        KindSchema {
            kind: "digitalocean.vpc".parse().expect("invariant: a kind"),
            part: Some(Part::Network),
            doc: "A private network in one region.",
            form: Form::Attributes,
            attrs: vec![
                Attr::required("name", Type::String, "Its name, unique in the account."),
                Attr::required("region", Type::String, "The region, such as `sfo3`.")
                    .named(&names::REGION)
                    .replaces()
                    .equal(Equality::IgnoreCase),
                Attr::required(
                    "ip_range",
                    Type::Cidr,
                    "Its private network, `/16` to `/28`; overlaps with no other of the account.",
                )
                .replaces()
                .equal(Equality::Cidr),
                Attr::optional(
                    "description",
                    Type::String,
                    "Free text, up to 210 characters.",
                ),
            ],
            outputs: vec![
                Output::plain("id", Type::String, "The network's id."),
                Output::plain("urn", Type::String, "The network's name for projects."),
            ],
            contained_in: Containment::None,
            marked: true,
            kept_when_off: false,
            protect: false,
            typical: Typical::secs(2, 2, 20),
            identity: &["name"],
            checks: CHECKS,
        }
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
        Box::pin(top::owned(self, api, search, (self.schema().kind, "vpcs")))
    }

    fn apply<'a>(&'a self, api: &'a Api, op: &'a Op) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            match &op.verb {
                Verb::Create { desired } => self.create(api, op, desired).await,
                Verb::Update { id, changed, .. } => self.update(api, op, id, changed).await,
                Verb::Delete { id, .. } => self.delete(api, id).await,
                Verb::Poll { id, wait, .. } => {
                    top::poll(self, api, op, (id, *wait), async |_| Ok(None)).await
                }
                Verb::Find { .. } => top::find(self, api, op).await,
            }
        })
    }
}
