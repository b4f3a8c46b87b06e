//! cert-manager: CA injection and issuers, as far as its Deployments are ready.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::kinds::{key, table};
use super::super::request::Ctx;
use super::{Looked, condition, has_ready_deployment, waits_until};

const INJECT: &str = "cert-manager.io/inject-ca-from";

/// A deployment of cert-manager by its component.
pub(super) fn component(name: &'static str) -> impl Fn(&Value) -> bool {
    move |deployment| {
        let labels = &deployment["metadata"]["labels"];
        labels["app.kubernetes.io/component"] == name
            && (labels["app"] == name
                || labels["app.kubernetes.io/name"] == name
                || labels["app"] == "cert-manager")
    }
}

/// Fills the CA bundles of a webhook configuration that asks for it.
pub(super) fn inject(ctx: &mut Ctx<'_, '_>, mut it: Looked) -> Option<u64> {
    let mut asked = it.object["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten();
    if !asked.any(|(name, _)| name.starts_with(INJECT))
        || !has_ready_deployment(ctx, component("cainjector"))
    {
        return None;
    }
    let bundle =
        STANDARD.encode("-----BEGIN CERTIFICATE-----\nc2FuZGJveA==\n-----END CERTIFICATE-----\n");
    it.update(ctx, |o| {
        let mut changed = false;
        for hook in o["webhooks"].as_array_mut().into_iter().flatten() {
            if hook["clientConfig"]["caBundle"] != bundle.as_str() {
                hook["clientConfig"]["caBundle"] = json!(bundle);
                changed = true;
            }
        }
        if changed && let Some(generation) = o["metadata"]["generation"].as_u64() {
            o["metadata"]["generation"] = json!(generation + 1);
        }
    });
    None
}

/// The namespace in which the controller looks up what a cluster-wide issuer names.
pub(super) fn resource_namespace(ctx: &Ctx<'_, '_>) -> Option<String> {
    let deployments = table(ctx.cluster, "apps", "deployments");
    let found = ctx
        .tables()
        .list(&deployments)
        .find(|(_, d)| component("controller")(d));
    let (_, deployment) = found?;
    let own = deployment["metadata"]["namespace"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let args = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array();
    let named = args.into_iter().flatten().filter_map(Value::as_str);
    let named = named.filter_map(|a| a.strip_prefix("--cluster-resource-namespace="));
    let named = named.map(str::to_owned).find(|n| !n.starts_with('$'));
    Some(named.unwrap_or(own))
}

/// The secrets that the solvers of an issuer name.
pub(super) fn secrets_of(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, child) in map {
                if name == "apiTokenSecretRef" || name == "apiKeySecretRef" {
                    out.extend(child["name"].as_str().map(str::to_owned));
                } else {
                    secrets_of(child, out);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|v| secrets_of(v, out)),
        _ => {}
    }
}

/// Issuers are ready when the controller runs and their secrets exist.
pub(super) fn issuer(ctx: &mut Ctx<'_, '_>, mut it: Looked) -> Option<u64> {
    if it.is_terminating() || !has_ready_deployment(ctx, component("controller")) {
        return None;
    }
    let since = it.since(ctx, &it.generation().to_string());
    if let Some(due) = waits_until(ctx, since, 3) {
        return Some(due);
    }
    let namespace = if it.object["kind"] == "ClusterIssuer" {
        resource_namespace(ctx)?
    } else {
        it.namespace().to_owned()
    };
    let mut wanted = Vec::new();
    secrets_of(&it.object["spec"], &mut wanted);
    let secrets = table(ctx.cluster, "", "secrets");
    let missing = wanted.iter().find(|s| {
        ctx.tables()
            .get(&secrets, &key(Some(&namespace), s))
            .is_none()
    });
    let missing = missing.map(|s| format!("secrets \"{s}\" not found in namespace {namespace}"));
    let now = ctx.now();
    let generation = it.generation();
    let acme = it.object["spec"]["acme"].is_object();
    let (reason, text) = if acme {
        (
            "ACMEAccountRegistered",
            "The ACME account was registered with the ACME server",
        )
    } else {
        ("IsReady", "")
    };
    it.update(ctx, |o| {
        let status = &mut o["status"];
        match &missing {
            Some(message) => condition(status, &now, ("Ready", false, "ErrGetSecret", message)),
            None => condition(status, &now, ("Ready", true, reason, text)),
        }
        status["conditions"][0]["observedGeneration"] = json!(generation);
        if acme && missing.is_none() {
            status["acme"] = json!({"uri": "https://acme.sandbox.example/acct/1"});
        }
    });
    None
}
