//! One zone's cluster, as probes see it: objects, Secrets, and Services through the API server.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::try_join_all;
use serde_json::Value as Json;
use zonewright_engine::check::{
    Answer, Entry, Found, ObjectRef, READ_ONLY_HEADER, ServiceRef, WiringProbe,
};
use zonewright_engine::provider::{ErrorClass, ProviderError, Status};
use zonewright_engine::secret::{DigestKey, Secret};
use zonewright_engine::value::Value;

use super::{CONNECT, READ, failed, text};
use crate::kubernetes::client::{Api, Failure, Options, Visited};
use crate::kubernetes::discovery::Discovery;
use crate::kubernetes::exposure;
use crate::kubernetes::failure::Refusal;
use crate::kubernetes::kinds::{Identity, Resource};
use crate::kubernetes::ready;

/// Any object of a kind.
fn door((group, kind): (&str, &str)) -> Identity {
    Identity {
        group: group.to_owned(),
        version: None,
        kind: kind.to_owned(),
        namespace: None,
        name: String::new(),
    }
}

/// An item of a list; its trouble is that it exposes.
fn seen(resource: &Resource, item: &Json) -> Found {
    let mut item = item.clone();
    // Items of a list do not say what they are.
    item["apiVersion"] = resource.api_version().into();
    item["kind"] = resource.kind.clone().into();
    let exposes = Value::from_json(item.clone())
        .ok()
        .and_then(|v| exposure::exposes(&v));
    Found {
        object: ObjectRef {
            api_version: resource.api_version(),
            kind: resource.kind.clone(),
            namespace: Some(text(&item, "/metadata/namespace").to_owned()),
            name: text(&item, "/metadata/name").to_owned(),
            replicas: None,
        },
        live: Some(item),
        trouble: exposes.map(|e| e.what),
    }
}

fn patience(kubeconfig: bool) -> Options {
    Options {
        connect_timeout: CONNECT,
        read_timeout: READ,
        attempts: 2,
        kubeconfig,
        ..Options::default()
    }
}

/// An open cluster.
pub struct Cluster {
    pub(super) api: Api,
    discovery: Discovery,
    uid: String,
}

impl Cluster {
    /// Opens the cluster that `credentials` (the ephemeral output of its resource) lead to.
    ///
    /// # Errors
    /// The credentials are not of the expected form, or the cluster does not say which it is.
    pub async fn open(credentials: &Secret) -> Result<Cluster, ProviderError> {
        Cluster::of(Api::open(&patience(true), None, credentials)?).await
    }

    /// Opens the cluster that the kubeconfig in a provider's table leads to. `real` is false where only
    /// emulated clusters may be reached.
    ///
    /// # Errors
    /// The kubeconfig is none or is not accepted here, or the cluster does not say which it is.
    pub async fn from_kubeconfig(table: &Value, real: bool) -> Result<Cluster, ProviderError> {
        Cluster::of(Api::from_kubeconfig(&patience(real), table).await?).await
    }

    async fn of(api: Api) -> Result<Cluster, ProviderError> {
        Ok(Cluster {
            uid: api.identity().await?,
            api,
            discovery: Discovery::default(),
        })
    }

    /// The uid of its namespace `kube-system`.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The path of an object; `None` when its kind is not served.
    async fn path(&self, object: &ObjectRef) -> Result<Option<String>, ProviderError> {
        let (group, version) = match object.api_version.split_once('/') {
            Some((group, version)) => (group.to_owned(), version.to_owned()),
            None => (String::new(), object.api_version.clone()),
        };
        let id = Identity {
            group,
            version: Some(version),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        };
        let resource = self.discovery.resolve(&self.api, &id).await;
        let resource = resource.map_err(|f| f.error("discovery", false))?;
        Ok(resource.map(|r| r.object(object.namespace.as_deref(), &object.name)))
    }

    /// Reads one thing that may be missing.
    pub(super) async fn read(&self, path: &str, what: &str) -> Result<Option<Json>, ProviderError> {
        match self.api.get(path).await {
            Ok(object) => Ok(Some(object)),
            Err(Failure::Refused(refusal)) if refusal.is_missing() => Ok(None),
            Err(failure) => Err(failure.error(what, true)),
        }
    }

    pub(super) async fn objects(&self, objects: &[ObjectRef]) -> Result<Answer, ProviderError> {
        let found = objects.iter().map(|object| async move {
            let live = match self.path(object).await? {
                Some(path) => self.read(&path, &object.to_string()).await?,
                None => None,
            };
            let trouble = live.as_ref().and_then(|o| match ready::status(o) {
                Status::Ready => None,
                Status::Pending(why) | Status::Failed(why) => Some(why),
                Status::Deleting => Some("is being deleted".to_owned()),
            });
            Ok::<_, ProviderError>(Found {
                object: object.clone(),
                live,
                trouble,
            })
        });
        Ok(Answer::Objects(try_join_all(found).await?))
    }

    /// Everything that can let somebody in from outside, with how it does. What a cluster does not
    /// serve it does not have.
    pub(super) async fn exposed(&self) -> Result<Answer, ProviderError> {
        let kinds: Vec<Identity> = exposure::DOORS.iter().map(|d| door(*d)).collect();
        let served = self.discovery.resolve_all(&self.api, &kinds).await;
        let served = served.map_err(|f| f.error("discovery", false))?;
        let mut out = Vec::new();
        for resource in served.into_iter().flatten() {
            let list = self
                .read(&resource.collection(None), &resource.kind)
                .await?;
            let items = list.as_ref().and_then(|l| l["items"].as_array());
            out.extend(items.into_iter().flatten().map(|i| seen(&resource, i)));
        }
        Ok(Answer::Objects(out))
    }

    fn proxy(service: &ServiceRef, path: &str) -> String {
        format!(
            "/api/v1/namespaces/{}/services/http:{}:{}/proxy{path}",
            service.namespace, service.name, service.port
        )
    }

    pub(super) async fn targets(&self, service: &ServiceRef) -> Result<Answer, ProviderError> {
        let visit = |path: &'static str| async move {
            let path = Self::proxy(service, path);
            let answer = self.api.visit(&path, &[]).await;
            let answer = answer.map_err(|f| f.error("Prometheus", false))?;
            match answer.status {
                200 => Ok(answer.body),
                status => Err(failed(format!(
                    "Prometheus answers {status}{}",
                    refusal(&answer.body)
                ))),
            }
        };
        visit("/-/healthy").await?;
        let body = visit("/api/v1/targets?state=active").await?;
        let json: Json = serde_json::from_str(&body).unwrap_or_default();
        match json.pointer("/data/activeTargets").and_then(Json::as_array) {
            Some(targets) => Ok(Answer::Targets(targets.clone())),
            None => Err(failed("Prometheus lists no targets")),
        }
    }

    pub(super) async fn smoke(
        &self,
        service: &ServiceRef,
        host: Option<&str>,
    ) -> Result<Answer, ProviderError> {
        let page = self.login_page(service, host).await?;
        if page.status == 503 {
            let why = refusal(&page.body);
            return Ok(Answer::Done(Err(format!("nobody answers{why}"))));
        }
        Ok(Answer::Http {
            status: page.status,
            body: page.body,
        })
    }

    /// Where the zone's programs are told to find their database, and whether they say that they stop
    /// writes.
    pub(super) async fn wiring(
        &self,
        wiring: &WiringProbe,
        key: Option<&Arc<DigestKey>>,
    ) -> Result<Answer, ProviderError> {
        let told = self.entry(&wiring.host, key).await?;
        let is = |host: &String| {
            let meant = Secret::new(wiring.server.clone(), host.clone(), key.cloned());
            told.same(&meant) == Some(true)
        };
        let leads = wiring.hosts.iter().any(is);
        // What an application says that reads another database is of no use.
        let stops_writes = match wiring.app.as_ref().filter(|_| leads) {
            None => None,
            Some((service, host)) => {
                let page = self.login_page(service, host.as_deref()).await?;
                if page.status >= 500 {
                    let (status, why) = (page.status, refusal(&page.body));
                    return Err(failed(format!("the application answers {status}{why}")));
                }
                Some(page.headers.contains_key(READ_ONLY_HEADER))
            }
        };
        Ok(Answer::Wiring {
            leads,
            stops_writes,
        })
    }

    /// WordPress' page that every installation has, whoever asks.
    async fn login_page(
        &self,
        service: &ServiceRef,
        host: Option<&str>,
    ) -> Result<Visited, ProviderError> {
        // A proxy of the API server sets neither: without them WordPress redirects to its own name.
        let mut headers = vec![("x-forwarded-proto", "https")];
        headers.extend(host.map(|h| ("host", h)));
        let path = Self::proxy(service, "/wp-login.php");
        let answer = self.api.visit(&path, &headers).await;
        answer.map_err(|f| f.error("the application", false))
    }

    /// The entries of a Secret, decoded.
    pub(super) async fn secret(
        &self,
        namespace: &str,
        name: &str,
        key: Option<&Arc<DigestKey>>,
    ) -> Result<Option<Vec<(String, Secret)>>, ProviderError> {
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        let what = format!("Secret {namespace}/{name}");
        let Some(object) = self.read(&path, &what).await? else {
            return Ok(None);
        };
        let data = object["data"].as_object().into_iter().flatten();
        let entries = data.filter_map(|(entry, value)| {
            let bytes = STANDARD.decode(value.as_str()?).ok()?;
            let value = String::from_utf8(bytes).ok()?;
            let label = format!("{namespace}/{name}.{entry}");
            Some((entry.clone(), Secret::new(label, value, key.cloned())))
        });
        Ok(Some(entries.collect()))
    }

    pub(super) async fn entry(
        &self,
        entry: &Entry,
        key: Option<&Arc<DigestKey>>,
    ) -> Result<Secret, ProviderError> {
        let found = self.secret(&entry.namespace, &entry.secret, key).await?;
        let mut entries = found.into_iter().flatten();
        let found = entries.find(|(name, _)| *name == entry.key);
        found.map(|(_, secret)| secret).ok_or_else(|| {
            ProviderError::new(ErrorClass::NotFound, format!("{entry} does not exist"))
        })
    }
}

/// What the API server says about a Service that it cannot reach.
fn refusal(body: &str) -> String {
    let json: Json = serde_json::from_str(body).unwrap_or_default();
    match json["message"].as_str() {
        Some(message) => format!(": {message}"),
        None => String::new(),
    }
}

/// Whether an answer is the refusal of something missing.
pub(super) fn is_gone(failure: &Failure) -> bool {
    failure.refusal().is_some_and(Refusal::is_missing)
}
