//! What stands between a valid request and its effect: namespaces and webhooks.

use serde_json::Value;

use super::failure::Failure;
use super::kinds::{key, table};
use super::request::{Ctx, Place};

/// The namespace of a new object must exist and must not be going away.
pub(crate) fn namespace(ctx: &Ctx<'_, '_>, place: &Place, exists: bool) -> Result<(), Failure> {
    let Some(namespace) = place.namespace.as_deref() else {
        return Ok(());
    };
    let found = ctx
        .tables()
        .get(&table(ctx.cluster, "", "namespaces"), &key(None, namespace));
    let Some(found) = found else {
        return Err(Failure::namespace_not_found(namespace));
    };
    if !exists && found["metadata"]["deletionTimestamp"].is_string() {
        let name = place.name.as_deref().unwrap_or_default();
        return Err(Failure::terminating(&place.kind, name, namespace));
    }
    Ok(())
}

/// Calls the webhooks that match; a webhook answers when its backend has a ready endpoint and its
/// configuration has a CA bundle.
pub(crate) fn webhooks(
    ctx: &Ctx<'_, '_>,
    place: &Place,
    live: Option<&Value>,
    new: &Value,
) -> Result<(), Failure> {
    let operation = if live.is_some() { "UPDATE" } else { "CREATE" };
    for plural in [
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
    ] {
        let configurations = table(ctx.cluster, "admissionregistration.k8s.io", plural);
        for (_, configuration) in ctx.tables().list(&configurations) {
            for hook in configuration["webhooks"].as_array().into_iter().flatten() {
                if hook["failurePolicy"] != "Ignore"
                    && matches_rules(&hook["rules"], operation, place)
                    && matches_namespace(ctx, &hook["namespaceSelector"], place, new)
                    && let Some(why) = unanswered(ctx, hook)
                {
                    let name = hook["name"].as_str().unwrap_or_default();
                    let text =
                        format!("failed calling webhook {name:?}: failed to call webhook: {why}");
                    return Err(Failure::internal(&text));
                }
            }
        }
    }
    Ok(())
}

fn matches_rules(rules: &Value, operation: &str, place: &Place) -> bool {
    let has = |list: &Value, wanted: &str| {
        list.as_array()
            .into_iter()
            .flatten()
            .any(|v| v == "*" || v == wanted)
    };
    rules.as_array().into_iter().flatten().any(|rule| {
        has(&rule["operations"], operation)
            && has(&rule["apiGroups"], &place.kind.group)
            && has(&rule["apiVersions"], &place.kind.version)
            && (has(&rule["resources"], &place.kind.plural) || has(&rule["resources"], "*/*"))
            && match rule["scope"].as_str() {
                Some("Namespaced") => place.kind.namespaced,
                Some("Cluster") => !place.kind.namespaced,
                _ => true,
            }
    })
}

/// Webhook configurations are never subject to webhooks; neither is a namespace that opts out.
fn matches_namespace(ctx: &Ctx<'_, '_>, selector: &Value, place: &Place, new: &Value) -> bool {
    if place.kind.group == "admissionregistration.k8s.io" {
        return false;
    }
    let labels = match (&place.namespace, place.kind.is("", "Namespace")) {
        (Some(namespace), _) => {
            let found = ctx
                .tables()
                .get(&table(ctx.cluster, "", "namespaces"), &key(None, namespace));
            found
                .map(|n| n["metadata"]["labels"].clone())
                .unwrap_or_default()
        }
        (None, true) => new["metadata"]["labels"].clone(),
        (None, false) => return true,
    };
    super::selector::matches_label_selector(selector, &labels)
}

/// Why a webhook gives no answer.
fn unanswered(ctx: &Ctx<'_, '_>, hook: &Value) -> Option<String> {
    let client = &hook["clientConfig"];
    let seconds = hook["timeoutSeconds"].as_u64().unwrap_or(10);
    let Some(name) = client["service"]["name"].as_str() else {
        return None; // A webhook by URL is outside of the sandbox and taken to agree.
    };
    let namespace = client["service"]["namespace"].as_str().unwrap_or("default");
    let port = client["service"]["port"].as_u64().unwrap_or(443);
    let path = client["service"]["path"].as_str().unwrap_or("/");
    let query = format!("https://{name}.{namespace}.svc:{port}{path}?timeout={seconds}s");
    let at = key(Some(namespace), name);
    if ctx
        .tables()
        .get(&table(ctx.cluster, "", "services"), &at)
        .is_none()
    {
        return Some(format!("Post {query:?}: service {name:?} not found"));
    }
    let endpoints = ctx.tables().get(&table(ctx.cluster, "", "endpoints"), &at);
    if !endpoints.is_some_and(|e| e["subsets"][0]["addresses"][0].is_object()) {
        return Some(format!(
            "Post {query:?}: no endpoints available for service {name:?}"
        ));
    }
    if client["caBundle"].as_str().unwrap_or_default().is_empty() {
        let text =
            "tls: failed to verify certificate: x509: certificate signed by unknown authority";
        return Some(format!("Post {query:?}: {text}"));
    }
    None
}
