//! An open cluster: looks, applies, deletes, polls. Each operation is one or two requests.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value as Json, json};
use tokio::time::Instant;
use zonewright_engine::address::Kind;
use zonewright_engine::provider::{
    ErrorClass, Live, Mark, Observed, Op, Outcome, Owned, ProviderError, ReadTarget, Search,
    Session, Status, Trial, Verb, Wait,
};
use zonewright_engine::secret::Secret;
use zonewright_engine::value::Value;

use super::body::{self, Ownership};
use super::client::{Api, Apply, Failure};
use super::contest::{self, Stopped};
use super::discovery::Discovery;
use super::failure::Refusal;
use super::kinds::{Identity, Resource};
use super::told::{Quote, Told, told};
use super::{owned, ready, refresh, scale, trial};

/// Between two attempts of a create.
const SETTLE_PAUSE: Duration = Duration::from_secs(1);

/// A session in one cluster.
pub(crate) struct Cluster {
    api: Api,
    discovery: Discovery,
}

impl Cluster {
    /// Takes an open connection.
    pub(crate) fn new(api: Api) -> Cluster {
        Cluster {
            api,
            discovery: Discovery::default(),
        }
    }
}

impl Session for Cluster {
    fn refresh<'a>(
        &'a self,
        targets: &'a [ReadTarget],
    ) -> BoxFuture<'a, Result<Vec<Observed>, ProviderError>> {
        refresh::refresh(&self.api, &self.discovery, targets).boxed()
    }

    fn apply<'a>(&'a self, op: &'a Op) -> BoxFuture<'a, Result<Outcome, ProviderError>> {
        self.carry_out(op).boxed()
    }

    fn try_out<'a>(&'a self, op: &'a Op) -> BoxFuture<'a, Option<Trial>> {
        trial::try_out(&self.api, &self.discovery, op).boxed()
    }

    fn ephemeral<'a>(
        &'a self,
        kind: &'a Kind,
        _id: &'a str,
        output: &'a str,
    ) -> BoxFuture<'a, Result<Secret, ProviderError>> {
        let message = format!("{kind} has no ephemeral output `{output}`");
        async move { Err(ProviderError::new(ErrorClass::Bug, message)) }.boxed()
    }

    fn owned<'a>(&'a self, search: &'a Search) -> BoxFuture<'a, Result<Vec<Owned>, ProviderError>> {
        owned::owned(&self.api, &self.discovery, search).boxed()
    }

    fn identity(&self) -> BoxFuture<'_, Result<Option<String>, ProviderError>> {
        async move { self.api.identity().await.map(Some) }.boxed()
    }

    fn silent_for(&self) -> Option<Duration> {
        self.api.silent_for()
    }
}

/// An object that an operation is about.
struct Subject<'a> {
    op: &'a Op,
    /// The object as it was asked for or recorded.
    body: &'a Value,
    id: Identity,
    resource: Resource,
}

impl Subject<'_> {
    fn path(&self) -> String {
        self.resource
            .object(self.id.namespace.as_deref(), &self.id.name)
    }

    fn error(&self, failure: Failure) -> ProviderError {
        failure.error(&self.id.to_string(), body::is_secret(&self.id, self.body))
    }

    fn fault(&self, class: ErrorClass, message: &str) -> ProviderError {
        ProviderError::new(class, format!("{}: {message}", self.id))
    }

    fn live(&self, object: Json) -> Live {
        body::live(object, &self.op.marker, Some(self.body))
    }

    fn is_workload(&self) -> bool {
        matches!(self.id.group.as_str(), "apps" | "batch")
    }
}

/// When to look at an object for the first and every other time.
fn poll_after(kind: &str) -> Duration {
    Duration::from_millis(match kind {
        "Service" | "Certificate" | "Prometheus" | "Alertmanager" => 3_000,
        "CustomResourceDefinition" | "Namespace" => 300,
        _ => 1_000,
    })
}

impl Cluster {
    async fn carry_out(&self, op: &Op) -> Result<Outcome, ProviderError> {
        match &op.verb {
            Verb::Create { desired } => self.settle(op, desired).await,
            Verb::Update { id, desired, .. } => {
                let subject = self.subject(op, desired).await?;
                self.write(&subject, Some(id)).await
            }
            Verb::Delete { id, prior } => match self.existing(op, prior).await? {
                Some(subject) => self.delete(&subject, id).await,
                None => Ok(Outcome::Gone),
            },
            Verb::Poll { id, wait, context } => match self.existing(op, context).await? {
                Some(subject) => self.poll(&subject, id, *wait).await,
                None => Ok(Outcome::Gone),
            },
            Verb::Find { desired } => match self.existing(op, desired).await? {
                Some(subject) => self.find(&subject).await,
                None => Ok(Outcome::Found(Vec::new())),
            },
        }
    }

    /// Creates, and again what may work in a moment: to the engine a create is never harmless to repeat,
    /// but this one looks at what is there first.
    async fn settle(&self, op: &Op, desired: &Value) -> Result<Outcome, ProviderError> {
        let until = Instant::now() + self.api.options.settle;
        loop {
            let done = match self.subject(op, desired).await {
                Ok(subject) => self.create(&subject).await,
                Err(error) => Err(error),
            };
            let pause = match &done {
                Err(e) => match e.class {
                    ErrorClass::Transient { after } => after.unwrap_or(SETTLE_PAUSE),
                    _ => return done,
                },
                Ok(_) => return done,
            };
            if Instant::now() + pause > until {
                return done;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// The object, whose kind must be served: just after its definition it may not be yet.
    async fn subject<'a>(&self, op: &'a Op, body: &'a Value) -> Result<Subject<'a>, ProviderError> {
        let missing = || {
            let message = format!("{}: its kind is not served", op.address);
            ProviderError::new(ErrorClass::Transient { after: None }, message)
        };
        self.existing(op, body).await?.ok_or_else(missing)
    }

    async fn existing<'a>(
        &self,
        op: &'a Op,
        body: &'a Value,
    ) -> Result<Option<Subject<'a>>, ProviderError> {
        let id = Identity::of(Some(body), &op.address).ok_or_else(|| {
            let message = format!("{}: the object has no apiVersion, kind or name", op.address);
            ProviderError::new(ErrorClass::Invalid, message)
        })?;
        let resource = self.discovery.resolve(&self.api, &id).await;
        let resource = resource.map_err(|f| f.error("discovery", false))?;
        Ok(resource.map(|resource| Subject {
            op,
            body,
            id,
            resource,
        }))
    }

    /// What has the object's name now.
    async fn look(&self, subject: &Subject<'_>) -> Result<Option<Json>, ProviderError> {
        match self.api.get(&subject.path()).await {
            Ok(object) => Ok(Some(object)),
            Err(failure) if failure.refusal().is_some_and(Refusal::is_missing) => {
                if failure.refusal().is_some_and(Refusal::is_unserved) {
                    self.discovery.invalidate().await;
                }
                Ok(None)
            }
            Err(failure) => Err(subject.error(failure)),
        }
    }

    /// A server-side apply has no create-only form, so the name is looked at first: what somebody
    /// else made meanwhile must not be merged into.
    async fn create(&self, subject: &Subject<'_>) -> Result<Outcome, ProviderError> {
        let Some(there) = self.look(subject).await? else {
            return self.write(subject, None).await;
        };
        if there["metadata"]["deletionTimestamp"].is_string() {
            let class = ErrorClass::Transient { after: None };
            return Err(subject.fault(class, "its predecessor is still being deleted"));
        }
        match body::ownership(&there, &subject.op.marker) {
            Ownership::Ours => {
                let uid = body::uid(&there).to_owned();
                self.write(subject, Some(&uid)).await
            }
            Ownership::OtherAddress => {
                let other = there["metadata"]["annotations"][body::ADDRESS].as_str();
                let message = format!("it belongs to {}", other.unwrap_or("another resource"));
                Err(subject.fault(ErrorClass::Conflict, &message))
            }
            Ownership::Foreign => {
                let message = format!("it exists and is not ours (uid {})", body::uid(&there));
                Err(subject.fault(ErrorClass::Conflict, &message))
            }
        }
    }

    async fn write(
        &self,
        subject: &Subject<'_>,
        uid: Option<&str>,
    ) -> Result<Outcome, ProviderError> {
        let mut json = body::to_send(subject.body, &subject.op.marker, uid)
            .map_err(|e| subject.fault(ErrorClass::Bug, &e.to_string()))?;
        let end = scale::end(subject.body);
        let ready = match (end, uid) {
            (Some(_), Some(_)) => self.look(subject).await?.as_ref().map_or(0, scale::ready),
            _ => 0,
        };
        let stage = scale::next(subject.body, ready);
        if let Some(stage) = stage {
            json["spec"]["replicas"] = stage.into();
        }
        let object = match self.send(subject, uid.is_none(), json).await {
            Ok(object) => object,
            Err(stopped) => {
                if stopped.is_unserved() {
                    self.discovery.invalidate().await;
                }
                let secret = body::is_secret(&subject.id, subject.body);
                return Err(stopped.error(&subject.id, secret));
            }
        };
        if matches!(
            subject.id.kind.as_str(),
            "CustomResourceDefinition" | "APIService"
        ) {
            self.discovery.invalidate().await;
        }
        let live = subject.live(object);
        Ok(match &live.status {
            Status::Ready if stage == end => Outcome::Ready(Box::new(live)),
            _ => Outcome::Submitted {
                id: live.id,
                attrs: live.attrs,
                poll_after: poll_after(&subject.id.kind),
            },
        })
    }

    /// A new object takes nothing from anybody; one that is there is shared as the spec says.
    async fn send(&self, subject: &Subject<'_>, new: bool, body: Json) -> Result<Json, Stopped> {
        let path = subject.path();
        if !new {
            let done = contest::apply(&self.api, &path, false, body, &subject.op.sharing).await;
            return done.map(|applied| applied.object);
        }
        let how = Apply {
            force: false,
            dry: false,
        };
        let answer = self.api.patch(&path, how, &body).await;
        answer.map_err(Stopped::Failed)
    }

    async fn delete(&self, subject: &Subject<'_>, id: &str) -> Result<Outcome, ProviderError> {
        let policy = if subject.is_workload() {
            "Foreground"
        } else {
            "Background"
        };
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": id},
            "propagationPolicy": policy,
        });
        match self.api.delete(&subject.path(), &options).await {
            // A `Status` says that it is gone, an object that it is going.
            Ok(answer) if answer["kind"] == "Status" => Ok(Outcome::Gone),
            Ok(answer) => Ok(Outcome::Submitted {
                id: id.to_owned(),
                attrs: subject.live(answer).attrs,
                poll_after: poll_after(&subject.id.kind),
            }),
            Err(Failure::Refused(refusal)) if refusal.is_missing() || refusal.is_other_uid() => {
                Ok(Outcome::Gone)
            }
            Err(failure) => Err(subject.error(failure)),
        }
    }

    async fn poll(
        &self,
        subject: &Subject<'_>,
        id: &str,
        wait: Wait,
    ) -> Result<Outcome, ProviderError> {
        let found = self.look(subject).await?;
        let Some(object) = found.filter(|o| body::uid(o) == id) else {
            return Ok(match wait {
                Wait::Ready if cleans_up_itself(subject.body) => ended(subject, id),
                _ => Outcome::Gone,
            });
        };
        if wait == Wait::Gone {
            return Ok(pending(subject, going(&object)));
        }
        match ready::status(&object) {
            Status::Ready if is_on_its_way(subject, &object) => {
                self.write(subject, Some(id)).await?;
                let ready = scale::ready(&object);
                let detail = format!("the next replicas start after {ready}");
                Ok(pending(subject, detail))
            }
            Status::Ready => Ok(Outcome::Ready(Box::new(subject.live(object)))),
            Status::Failed(why) => {
                let trouble = self.pod_trouble(subject, &object).await;
                let why = explained(why, trouble.as_ref());
                Err(subject.fault(ErrorClass::Failed, &why))
            }
            Status::Deleting => Ok(pending(subject, "somebody is deleting it".to_owned())),
            Status::Pending(why) => {
                let trouble = self.pod_trouble(subject, &object).await;
                let detail = explained(why, trouble.as_ref());
                Ok(match trouble.and_then(|t| t.patience) {
                    Some(patience) => Outcome::Stuck {
                        detail,
                        poll_after: poll_after(&subject.id.kind),
                        patience,
                    },
                    None => pending(subject, detail),
                })
            }
        }
    }

    /// What keeps the pods of a workload from running.
    async fn pod_trouble(&self, subject: &Subject<'_>, object: &Json) -> Option<Told> {
        let namespace = object["metadata"]["namespace"].as_str()?;
        if !subject.is_workload() {
            return None;
        }
        let labels = object["spec"]["selector"]["matchLabels"].as_object()?;
        let terms: Vec<_> = labels
            .iter()
            .filter_map(|(key, value)| Some(format!("{key}%3D{}", value.as_str()?)))
            .collect();
        told(&self.api, namespace, &terms.join("%2C"), Quote::Messages).await
    }

    async fn find(&self, subject: &Subject<'_>) -> Result<Outcome, ProviderError> {
        let found = self.look(subject).await?;
        let found = found.map(|object| subject.live(object));
        Ok(Outcome::Found(found.into_iter().collect()))
    }
}

/// Whether a workload that is ready is so at a stage before the last one.
fn is_on_its_way(subject: &Subject<'_>, live: &Json) -> bool {
    scale::end(subject.body).is_some_and(|end| scale::asked(live) < Some(end))
}

/// The same with what keeps the pods from running.
fn explained(why: String, trouble: Option<&Told>) -> String {
    match trouble {
        Some(trouble) => format!("{why}; {}", trouble.text),
        None => why,
    }
}

fn pending(subject: &Subject<'_>, detail: String) -> Outcome {
    Outcome::Pending {
        detail,
        poll_after: poll_after(&subject.id.kind),
    }
}

/// A finished Job with a time to live may be gone before anybody looks: that is success.
fn cleans_up_itself(body: &Value) -> bool {
    body.get("kind").and_then(Value::as_str) == Some("Job")
        && body
            .get("spec")
            .is_some_and(|spec| spec.get("ttlSecondsAfterFinished").is_some())
}

fn ended(subject: &Subject<'_>, id: &str) -> Outcome {
    Outcome::Ready(Box::new(Live {
        id: id.to_owned(),
        attrs: subject.body.clone(),
        mark: Mark::Carried(subject.op.marker.to_string()),
        status: Status::Ready,
    }))
}

/// What an object on its way out waits for.
fn going(object: &Json) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let stuck = conditions.into_iter().flatten().find(|c| {
        c["status"] == "True"
            && c["type"]
                .as_str()
                .is_some_and(|t| t.starts_with("Namespace"))
    });
    if let Some(message) = stuck.and_then(|c| c["message"].as_str()) {
        return message.to_owned();
    }
    let finalizers = object["metadata"]["finalizers"].as_array();
    let names: Vec<_> = finalizers
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    if names.is_empty() {
        "it is still there".to_owned()
    } else {
        format!("finalizers: {}", names.join(", "))
    }
}
