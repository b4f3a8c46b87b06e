//! What the cloud providers share: opening sessions, and sending targets and operations to kinds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use zonewright_engine::address::Kind;
use zonewright_engine::canon::Digest;
use zonewright_engine::provider::{
    ErrorClass, Observed, Op, Outcome, Owned, Provider, ProviderError, ReadTarget, Search, Session,
    Verb,
};
use zonewright_engine::schema::{Attr, KindSchema, ProviderSchema, Type, VendorFacts};
use zonewright_engine::secret::{Purpose, Secret};
use zonewright_engine::value::Value;

use crate::clock::Clock;
use crate::http::{Api, Dialect, scrub};
use crate::limit::Limiter;
use crate::transport::Transport;

/// The longest pause between two polls; the engine starts lower.
pub(crate) const POLL: Duration = Duration::from_secs(10);

/// The result of an operation.
pub(crate) type Applied = Result<Outcome, ProviderError>;

/// One kind of one vendor.
pub(crate) trait CloudKind: Send + Sync {
    /// What it is.
    fn schema(&self) -> KindSchema;

    /// Looks at all targets of the kind; the answers are in the order of the targets.
    fn refresh<'a>(
        &'a self,
        api: &'a Api,
        targets: &'a [&'a ReadTarget],
    ) -> BoxFuture<'a, Vec<Observed>>;

    /// Carries out one operation.
    fn apply<'a>(&'a self, api: &'a Api, op: &'a Op) -> BoxFuture<'a, Applied>;

    /// Looks for everything that carries a mark of the project.
    fn owned<'a>(
        &'a self,
        _api: &'a Api,
        _search: &'a Search,
    ) -> BoxFuture<'a, Result<Vec<Owned>, ProviderError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Fetches an output that is never stored.
    fn ephemeral<'a>(
        &'a self,
        _api: &'a Api,
        _id: &'a str,
        output: &'a str,
    ) -> BoxFuture<'a, Result<Secret, ProviderError>> {
        let message = format!("there is no ephemeral output `{output}`");
        Box::pin(async { Err(ProviderError::new(ErrorClass::Bug, message)) })
    }
}

/// Asks a vendor for today's prices: cents a month by item.
pub(crate) type Quotes =
    for<'a> fn(&'a Api) -> BoxFuture<'a, Result<BTreeMap<String, u64>, ProviderError>>;

/// Asks a vendor which domains the credentials open.
pub(crate) type Reach = for<'a> fn(&'a Api) -> BoxFuture<'a, Option<Vec<String>>>;

/// A cloud vendor.
pub(crate) struct CloudProvider {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) dialect: &'static Dialect,
    pub(crate) kinds: &'static [&'static dyn CloudKind],
    pub(crate) facts: VendorFacts,
    /// What its table says beside the token and the address.
    pub(crate) settings: fn() -> Vec<Attr>,
    /// Asks for today's prices.
    pub(crate) quotes: Option<Quotes>,
    /// Why a token is not taken, whatever the vendor would say.
    pub(crate) refused: fn(&str) -> Option<&'static str>,
    /// Asks which domains a token opens.
    pub(crate) reach: Option<Reach>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Goes before what the configuration says: a sandbox must not be left by a setting.
    pub(crate) endpoint: Option<String>,
    pub(crate) limiters: Mutex<BTreeMap<Digest, Arc<Limiter>>>,
}

impl CloudProvider {
    fn limiter(&self, token: &str, base: &str) -> Arc<Limiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        limiters
            .entry(Digest::of(token.as_bytes()))
            .or_insert_with(|| {
                // Plain http is an emulator on this machine: it has no budget to be kept.
                Arc::new(if base.starts_with("https:") {
                    Limiter::new(&*self.clock)
                } else {
                    Limiter::unbounded(&*self.clock)
                })
            })
            .clone()
    }

    /// The account that a configuration opens.
    pub(crate) fn api(&self, config: &Value) -> Result<Api, ProviderError> {
        let token = match config.get("token") {
            Some(Value::Secret(secret)) => secret.clone(),
            _ => return Err(self.no_token()),
        };
        let value = token.expose(Purpose::Request).map(str::trim);
        let value = value
            .filter(|v| !v.is_empty())
            .ok_or_else(|| self.no_token())?;
        if let Some(why) = (self.refused)(value) {
            return Err(ProviderError {
                at: Some(zonewright_engine::address::AttrPath::of("token")),
                ..ProviderError::new(ErrorClass::Unauthorized, why.to_owned())
            });
        }
        let configured = config.get("endpoint").and_then(Value::as_str);
        let base = self.endpoint.as_deref().or(configured);
        let base = base.unwrap_or(self.dialect.base);
        if !may_carry_token(base) {
            let message = format!("`{base}` is no https address; the token is not sent to it");
            return Err(crate::live::invalid("endpoint", message));
        }
        let limiter = self.limiter(value, base);
        let token = Secret::new(token.label.clone(), value, token.key());
        let ports = (self.transport.clone(), self.clock.clone());
        Ok(Api::new(self.dialect, ports, base, token, limiter))
    }

    fn session(&self, config: &Value) -> Result<CloudSession, ProviderError> {
        Ok(CloudSession {
            api: self.api(config)?,
            kinds: self.kinds.iter().map(|k| (k.schema().kind, *k)).collect(),
            quotes: self.quotes,
            reach: self.reach,
        })
    }

    fn no_token(&self) -> ProviderError {
        let message = format!("there is no {} token", self.dialect.vendor);
        ProviderError {
            at: Some(zonewright_engine::address::AttrPath::of("token")),
            ..ProviderError::new(ErrorClass::Unauthorized, message)
        }
    }
}

/// Encrypted, or to this very machine.
fn may_carry_token(base: &str) -> bool {
    let Ok(uri) = base.parse::<http::Uri>() else {
        return false;
    };
    let local = matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match uri.scheme_str() {
        Some("https") => uri.host().is_some(),
        Some("http") => local,
        _ => false,
    }
}

impl Provider for CloudProvider {
    fn schema(&self) -> ProviderSchema {
        ProviderSchema {
            name: self.name,
            doc: self.doc,
            config: [
                Attr::required("token", Type::String, "The API token.").secret(),
                Attr::optional(
                    "endpoint",
                    Type::String,
                    "Another address of the API, with https.",
                ),
            ]
            .into_iter()
            .chain((self.settings)())
            .collect(),
            container: None,
            kinds: self.kinds.iter().map(|k| k.schema()).collect(),
            objects: None,
            facts: self.facts,
        }
    }

    fn open<'a>(
        &'a self,
        config: &'a Value,
        _container: Option<(&'a str, &'a Secret)>,
    ) -> BoxFuture<'a, Result<Arc<dyn Session>, ProviderError>> {
        Box::pin(async move {
            let session: Arc<dyn Session> = Arc::new(self.session(config)?);
            Ok(session)
        })
    }
}

struct CloudSession {
    api: Api,
    kinds: BTreeMap<Kind, &'static dyn CloudKind>,
    quotes: Option<Quotes>,
    reach: Option<Reach>,
}

impl CloudSession {
    fn kind(&self, kind: &Kind) -> Result<&'static dyn CloudKind, ProviderError> {
        self.kinds.get(kind).copied().ok_or_else(|| {
            ProviderError::new(
                ErrorClass::Bug,
                format!("`{kind}` belongs to another provider"),
            )
        })
    }

    async fn refresh_kind(&self, kind: &Kind, targets: &[&ReadTarget]) -> Vec<Observed> {
        match self.kind(kind) {
            Ok(found) => found.refresh(&self.api, targets).await,
            Err(e) => unreadable(&e, targets.len()),
        }
    }
}

/// The same failure for every target of a kind.
pub(crate) fn unreadable(error: &ProviderError, count: usize) -> Vec<Observed> {
    vec![Observed::Unreadable(error.clone()); count]
}

impl Session for CloudSession {
    fn refresh<'a>(
        &'a self,
        targets: &'a [ReadTarget],
    ) -> BoxFuture<'a, Result<Vec<Observed>, ProviderError>> {
        Box::pin(async move {
            let mut groups: BTreeMap<&Kind, Vec<usize>> = BTreeMap::new();
            for (i, target) in targets.iter().enumerate() {
                groups.entry(&target.kind).or_default().push(i);
            }
            let reads = groups.iter().map(|(kind, places)| async move {
                let group: Vec<&ReadTarget> = places.iter().map(|i| &targets[*i]).collect();
                self.refresh_kind(kind, &group).await
            });
            let mut all = vec![Observed::Gone; targets.len()];
            for (places, observed) in groups.values().zip(join_all(reads).await) {
                for (place, one) in places.iter().zip(observed) {
                    all[*place] = one;
                }
            }
            Ok(all)
        })
    }

    fn apply<'a>(&'a self, op: &'a Op) -> BoxFuture<'a, Result<Outcome, ProviderError>> {
        Box::pin(async move {
            let kind = self.kind(&op.kind)?;
            let applied = kind.apply(&self.api, op).await;
            applied.map_err(|e| ProviderError {
                message: scrub(&e.message, &secrets(op)),
                ..e
            })
        })
    }

    fn ephemeral<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        output: &'a str,
    ) -> BoxFuture<'a, Result<Secret, ProviderError>> {
        Box::pin(async move { self.kind(kind)?.ephemeral(&self.api, id, output).await })
    }

    fn owned<'a>(&'a self, search: &'a Search) -> BoxFuture<'a, Result<Vec<Owned>, ProviderError>> {
        Box::pin(async move {
            let mut out = Vec::new();
            for kind in self.kinds.values() {
                out.extend(kind.owned(&self.api, search).await?);
            }
            Ok(out)
        })
    }

    fn quotes(&self) -> BoxFuture<'_, Result<BTreeMap<String, u64>, ProviderError>> {
        match self.quotes {
            Some(ask) => ask(&self.api),
            None => Box::pin(async { Ok(BTreeMap::new()) }),
        }
    }

    fn reach(&self) -> BoxFuture<'_, Option<Vec<String>>> {
        match self.reach {
            Some(ask) => ask(&self.api),
            None => Box::pin(async { None }),
        }
    }

    fn silent_for(&self) -> Option<Duration> {
        self.api.silent_for()
    }
}

/// Every secret that an operation carries: a vendor may repeat one in its complaint.
fn secrets(op: &Op) -> Vec<Secret> {
    let mut all = Vec::new();
    let mut collect = |value: &Value| {
        value.visit(&mut |leaf| {
            if let Value::Secret(secret) = leaf {
                all.push(secret.clone());
            }
        });
    };
    match &op.verb {
        Verb::Create { desired } | Verb::Find { desired } => collect(desired),
        Verb::Update { desired, live, .. } => {
            collect(desired);
            collect(live);
        }
        Verb::Delete { prior, .. } => collect(prior),
        Verb::Poll { context, .. } => collect(context),
    }
    all
}
