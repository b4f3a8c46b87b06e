//! Kubernetes: one resource per object, written by server-side apply and nothing else.
//!
//! - An object is ours when its label `zonewright.dev/owner` holds the owner of our project and zone
//!   and its annotation `zonewright.dev/address` holds its address. Nothing else is changed.
//! - In our terms `data` of a Secret is base64 and `stringData` is clear text, always; live Secrets
//!   show `stringData` (see [`canonical`]).
//! - Everything that decides is a pure function in its own file; [`session`] only talks.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use zonewright_engine::address::Kind;
use zonewright_engine::config::INSTANCE_IDENTITY;
use zonewright_engine::provider::{Provider, ProviderError, Session};
use zonewright_engine::schema::{
    Attr, ContainerLink, Containment, Form, KindSchema, ObjectRules, ProviderSchema, Type, Typical,
    VendorFacts,
};
use zonewright_engine::secret::Secret;
use zonewright_engine::value::Value;

use crate::transport::Transport;

mod billing;
mod body;
mod canonical;
mod carrier;
pub(crate) mod client;
mod contest;
pub(crate) mod discovery;
pub(crate) mod exposure;
pub(crate) mod failure;
pub(crate) mod kinds;
mod order;
mod owned;
mod pods;
mod quantity;
pub(crate) mod ready;
mod refresh;
mod rules;
mod scale;
mod session;
mod sharing;
mod succession;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod told;
mod tools;
mod trial;
mod types;

pub use client::Options;

/// The provider.
pub fn provider(options: Options) -> Arc<dyn Provider> {
    Arc::new(Kubernetes {
        options,
        transport: None,
    })
}

/// The provider whose requests to clusters of a cloud go through a given transport: for emulators in
/// the same process. A kubeconfig still leads over the network, if the options allow one.
pub fn provider_over(transport: Arc<dyn Transport>, options: Options) -> Arc<dyn Provider> {
    Arc::new(Kubernetes {
        options,
        transport: Some(transport),
    })
}

struct Kubernetes {
    options: Options,
    transport: Option<Arc<dyn Transport>>,
}

impl Provider for Kubernetes {
    fn schema(&self) -> ProviderSchema {
        ProviderSchema {
            name: "kubernetes",
            doc: "Objects of a Kubernetes cluster, by server-side apply.",
            config: vec![
                Attr::optional(
                    "cluster",
                    Type::String,
                    "The cluster whose objects these are: a reference to a `digitalocean.kubernetes_cluster`.",
                ),
                Attr::optional(
                    "kubeconfig",
                    Type::String,
                    "Instead of `cluster`, for one that exists already: a secret that holds a kubeconfig in YAML.",
                )
                .secret(),
                Attr::optional(
                    "context",
                    Type::String,
                    "The context of the kubeconfig; its current one otherwise.",
                ),
                Attr::optional(
                    INSTANCE_IDENTITY,
                    Type::String,
                    "The uid of the namespace `kube-system` of the cluster that is meant; any other is refused. Without it, the one that was first seen.",
                ),
            ],
            container: Some(ContainerLink {
                attr: "cluster",
                kind: kind("digitalocean.kubernetes_cluster"),
                output: "credentials",
                instead: "kubeconfig",
            }),
            kinds: vec![manifest(), secret(), chart()],
            objects: Some(ObjectRules {
                implied: order::implied,
                needs: pods::needs_of,
                immutable: rules::IMMUTABLE,
                evict_first: rules::evict_first,
                exposes: exposure::exposes,
                typical: rules::typical,
                list_key: rules::list_key,
                zero_is_unset: rules::ZERO_IS_UNSET,
                brings: rules::brings,
                replaced_freely: rules::replaced_freely,
                never_replaced: rules::never_replaced,
                reads_at_start: pods::reads_at_start,
                stands_on: rules::stands_on,
                takes: tools::takes,
                deadline: rules::deadline,
                tool: tools::tool,
                misfits: types::misfits,
                canonical: canonical::canonical,
            }),
            facts: VendorFacts {
                prices: Some(billing::RULES),
                backup_every: None,
                restore_by_hand: None,
                inside: None,
            unwanted: &[],
            },
        }
    }

    fn open<'a>(
        &'a self,
        config: &'a Value,
        container: Option<(&'a str, &'a Secret)>,
    ) -> BoxFuture<'a, Result<Arc<dyn Session>, ProviderError>> {
        async move {
            let api = match container {
                Some((_, credentials)) => {
                    client::Api::open(&self.options, self.transport.clone(), credentials)?
                }
                None => client::Api::from_kubeconfig(&self.options, config).await?,
            };
            Ok(Arc::new(session::Cluster::new(api)) as Arc<dyn Session>)
        }
        .boxed()
    }
}

fn kind(text: &str) -> Kind {
    text.parse().expect("invariant: names of kinds parse")
}

fn object_kind(name: &str, form: Form, doc: &'static str, attrs: Vec<Attr>) -> KindSchema {
    KindSchema {
        kind: kind(name),
        part: None,
        doc,
        form,
        attrs,
        outputs: Vec::new(),
        contained_in: Containment::Instance,
        marked: true,
        kept_when_off: false,
        protect: false,
        typical: Typical::secs(5, 5, 5),
        identity: &["apiVersion", "kind", "metadata.namespace", "metadata.name"],
        checks: &[],
    }
}

fn manifest() -> KindSchema {
    object_kind(
        "kubernetes.manifest",
        Form::Manifest,
        "Objects as they are: one in the spec, or those of a YAML file.",
        vec![
            Attr::optional("object", Type::Any, "The object, as a table."),
            Attr::optional("file", Type::String, "A YAML file of one or more objects."),
            Attr::optional(
                "template",
                Type::Bool,
                "Whether references in the file are filled in.",
            ),
            Attr::optional(
                "with",
                Type::Map(Box::new(Type::Any)),
                "Values that the file refers to as `with.NAME`.",
            ),
            Attr::optional(
                "namespace",
                Type::String,
                "The namespace of objects that name none.",
            ),
        ],
    )
}

fn secret() -> KindSchema {
    let texts = || Type::Map(Box::new(Type::String));
    object_kind(
        "kubernetes.secret",
        Form::SecretObject,
        "A Secret whose values come from secret references.",
        vec![
            Attr::optional("namespace", Type::String, "Its namespace.").replaces(),
            Attr::optional(
                "name",
                Type::String,
                "Its name, if not that of the resource.",
            )
            .replaces(),
            Attr::optional("type", Type::String, "Its type; `Opaque` if not given.").replaces(),
            Attr::optional("data", texts(), "Entries with secret values.").secret(),
            Attr::optional("plain", texts(), "Entries whose values may be shown."),
        ],
    )
}

fn chart() -> KindSchema {
    object_kind(
        "kubernetes.chart",
        Form::Chart,
        "The objects of a Helm chart's vendored rendering.",
        vec![
            Attr::required(
                "chart",
                Type::String,
                "Where it is from: `oci://…`, the name in a `repository`, an archive (`….tgz`), or a directory (`./…`).",
            ),
            Attr::optional(
                "repository",
                Type::String,
                "The address of the repository that `chart` is a name in.",
            ),
            Attr::optional("version", Type::String, "The chart's version, in full."),
            Attr::optional(
                "namespace",
                Type::String,
                "The namespace it is rendered for.",
            ),
            Attr::optional(
                "kube_version",
                Type::String,
                "The version of Kubernetes it is rendered for; that of the zone's cluster if not given.",
            ),
            Attr::optional(
                "api_versions",
                Type::List(Box::new(Type::String)),
                "API versions that the chart asks for, beyond those of Kubernetes itself.",
            ),
            Attr::optional(
                "hooks",
                Type::OneOf(&["refuse", "drop"]),
                "What becomes of its hooks: `refuse` (tests apart), or `drop`.",
            ),
            Attr::optional("values", Type::Any, "The chart's values."),
        ],
    )
}
