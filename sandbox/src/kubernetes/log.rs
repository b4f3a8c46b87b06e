//! `pods/NAME/log`: what the program of a pod has printed.

use serde_json::Value;

use super::controllers::printed;
use super::failure::Failure;
use super::kinds::key;
use super::request::{Answer, Ctx, Place, Reply};

/// The text of a pod that has started.
pub(crate) fn read(ctx: &Ctx<'_, '_>, place: &Place) -> Result<Reply, Failure> {
    let name = place.name.as_deref().unwrap_or_default();
    let at = key(place.namespace.as_deref(), name);
    let pod = ctx.tables().get(&place.table, &at);
    let pod = pod.ok_or_else(|| Failure::not_found(&place.kind, name))?;
    let container = &pod["status"]["containerStatuses"][0];
    if let Some(reason) = container["state"]["waiting"]["reason"].as_str() {
        let shown = container["name"].as_str().unwrap_or_default();
        return Err(Failure::bad_request(format!(
            "container {shown:?} in pod {name:?} is waiting to start: {reason}"
        )));
    }
    let printed = ctx.tables().get(&printed(ctx.cluster), &at);
    let text = printed.and_then(Value::as_str).unwrap_or_default();
    Ok(Answer::Bytes(200, "text/plain", text.as_bytes().to_vec()).into())
}
