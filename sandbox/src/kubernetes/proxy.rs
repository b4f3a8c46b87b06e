//! The service proxy: enough for a probe to learn whether a Service has somebody behind it.

use super::failure::Failure;
use super::kinds::{key, table};
use super::request::{Answer, Ctx, Place, Reply};

/// Answers for the pods of a Service, or says that there are none.
pub(crate) fn service(ctx: &Ctx<'_, '_>, place: &Place) -> Result<Reply, Failure> {
    // The name is `[scheme:]name[:port]`.
    let text = place.name.as_deref().unwrap_or_default();
    let parts: Vec<&str> = text.split(':').collect();
    let name = match parts.as_slice() {
        ["http" | "https", name, ..] => name,
        [name, ..] => name,
        [] => text,
    };
    let at = key(place.namespace.as_deref(), name);
    if ctx.tables().get(&place.table, &at).is_none() {
        return Err(Failure::not_found(&place.kind, name));
    }
    let endpoints = ctx.tables().get(&table(ctx.cluster, "", "endpoints"), &at);
    if !endpoints.is_some_and(|e| e["subsets"][0]["addresses"][0].is_object()) {
        return Err(Failure::unavailable(&format!(
            "no endpoints available for service {text:?}"
        )));
    }
    Ok(Answer::Bytes(200, "text/plain; charset=utf-8", b"ok\n".to_vec()).into())
}
