//! How a client gets into a cluster: credentials as JSON, and the kubeconfig as YAML.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::call::{Call, Scene, due, rfc3339, text};
use crate::reply;

use super::error::ApiError;
use super::{Answer, cluster};

const WEEK: u64 = 7 * 24 * 3600;

pub(super) fn credentials(scene: &Scene<'_, '_>, call: &Call, id: &str) -> Answer {
    reachable(scene, id)?;
    let seconds = match call.query("expiry_seconds").map(str::parse::<u64>) {
        None | Some(Ok(0)) => WEEK,
        Some(Ok(seconds)) => seconds,
        Some(Err(_)) => return Err(ApiError::unprocessable("expiry_seconds is invalid")),
    };
    Ok(reply::json(
        200,
        &json!({
            "server": server(scene, id), "certificate_authority_data": authority(scene),
            "client_certificate_data": null, "client_key_data": null,
            "token": scene.identity.cluster_token(id),
            // Tokens of the sandbox do not expire: their time is told as the vendor tells it.
            "expires_at": rfc3339(scene.now.saturating_add(seconds.saturating_mul(1000))),
        }),
    ))
}

pub(super) fn kubeconfig(scene: &Scene<'_, '_>, id: &str) -> Answer {
    let doc = reachable(scene, id)?;
    let name = format!("do-{}-{}", text(&doc, "region"), text(&doc, "name"));
    let user = format!("{name}-admin");
    let mut cluster = json!({"server": server(scene, id)});
    let authority = authority(scene);
    if !authority.is_empty() {
        cluster["certificate-authority-data"] = json!(authority);
    }
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name, "preferences": {},
        "clusters": [{"name": name, "cluster": cluster}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "users": [{"name": user, "user": {"token": scene.identity.cluster_token(id)}}],
    });
    let yaml = serde_saphyr::to_string(&config)
        .map_err(|_| ApiError::new(500, "server_error", "the kubeconfig cannot be written"))?;
    Ok(reply::with_type(200, "application/yaml", yaml))
}

/// The authority's certificate as kubeconfigs hold it.
fn authority(scene: &Scene<'_, '_>) -> String {
    let known = scene.clusters.authority.as_deref();
    known.map(|pem| STANDARD.encode(pem)).unwrap_or_default()
}

fn server(scene: &Scene<'_, '_>, id: &str) -> String {
    format!("{}/clusters/{id}", scene.clusters.origin)
}

fn reachable(scene: &Scene<'_, '_>, id: &str) -> Result<Value, ApiError> {
    let doc = cluster::changeable(scene, id)?;
    if !due(&doc, "running_ms", scene.now) {
        return Err(ApiError::conflict("the cluster is not running yet"));
    }
    Ok(doc)
}
