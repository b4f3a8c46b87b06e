//! Charts in OCI registries: a manifest, and the layer that is the archive. Both are pinned by digest.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use zonewright_engine::canon::Digest;

use super::fetch::{Fetched, Fetcher, failed, is_loopback, no_version, not_that_version, success};
use crate::report::Failure;

/// The layer that helm puts a chart into.
const LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A manifest, as far as it is read.
#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Debug, Deserialize)]
struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: Digest,
}

#[derive(Debug, Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Token {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

/// A repository of a registry, and the right to read it once that was asked for.
struct Repository<'f> {
    fetcher: &'f Fetcher,
    base: String,
    bearer: Option<String>,
}

/// The chart of a reference without `oci://`: by its version, or by the tag or digest that the reference has.
pub(super) async fn fetch(
    fetcher: &Fetcher,
    reference: &str,
    version: Option<&str>,
) -> Result<Fetched, Failure> {
    let (path, digest) = match reference.split_once('@') {
        Some((path, digest)) => (path, Some(digest)),
        None => (reference, None),
    };
    let Some((host, name)) = path.split_once('/') else {
        return Err(failed(format!("`oci://{reference}` names no repository"))
            .help("write `oci://HOST/PATH/NAME`"));
    };
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) => (name, Some(tag)),
        None => (name, None),
    };
    let bare = host.split(':').next().unwrap_or(host);
    let scheme = if is_loopback(bare) { "http" } else { "https" };
    let mut repository = Repository {
        fetcher,
        base: format!("{scheme}://{host}/v2/{name}"),
        bearer: None,
    };
    let Some(wanted) = digest.or(version).or(tag) else {
        let tags = repository.tags().await?;
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        return Err(no_version(name, host, &tags));
    };
    let (text, manifest) = repository.manifest(name, host, wanted).await?;
    if digest.is_some_and(|d| d != manifest.to_string()) {
        return Err(
            failed(format!("{host} gives another manifest than {wanted}"))
                .help("use neither before it is known why"),
        );
    }
    let read: Manifest = serde_json::from_slice(&text)
        .map_err(|e| failed(format!("{host} gives no manifest for {wanted}")).because(e))?;
    let layer = read.layers.iter().find(|l| l.media_type == LAYER);
    let layer = layer.ok_or_else(|| {
        failed(format!("`oci://{path}` in version {wanted} is no chart"))
            .help("it has no layer of a chart; check the address: it may be an image")
    })?;
    let url = format!("{}/blobs/{}", repository.base, layer.digest);
    let bytes = repository.read(&url, "*/*").await?;
    success(&url, bytes.0)?;
    let found = Digest::of(&bytes.1);
    if found != layer.digest {
        return Err(failed(format!(
            "{host} gives another archive than the manifest says"
        ))
        .help(format!(
            "the manifest says {}, the archive has {found}",
            layer.digest
        )));
    }
    Ok(Fetched {
        bytes: bytes.1,
        manifest: Some(manifest),
    })
}

impl Repository<'_> {
    /// The manifest of a version, and its digest.
    async fn manifest(
        &mut self,
        name: &str,
        host: &str,
        wanted: &str,
    ) -> Result<(Bytes, Digest), Failure> {
        // A tag has no `+`: helm writes versions with build metadata with `_`.
        let tag = wanted.replace('+', "_");
        let mut names = vec![tag.clone()];
        if !tag.starts_with("sha256:") {
            names.push(match tag.strip_prefix('v') {
                Some(bare) => bare.to_owned(),
                None => format!("v{tag}"),
            });
        }
        for name in &names {
            let url = format!("{}/manifests/{name}", self.base);
            let (status, text) = self.read(&url, MANIFEST).await?;
            if status == StatusCode::NOT_FOUND {
                continue;
            }
            success(&url, status)?;
            let digest = Digest::of(&text);
            return Ok((text, digest));
        }
        let tags = self.tags().await.unwrap_or_default();
        let tags: Vec<String> = tags.iter().map(|t| t.replace('_', "+")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        Err(not_that_version(name, wanted, host, &tags))
    }

    async fn tags(&mut self) -> Result<Vec<String>, Failure> {
        let url = format!("{}/tags/list", self.base);
        let (status, text) = self.read(&url, "application/json").await?;
        success(&url, status)?;
        let tags: Result<Tags, _> = serde_json::from_slice(&text);
        tags.map(|t| t.tags)
            .map_err(|e| failed(format!("{url} is no list of tags")).because(e))
    }

    /// Reads an address; a registry that wants a token first is asked for one, without a login.
    async fn read(&mut self, url: &str, accept: &str) -> Result<(StatusCode, Bytes), Failure> {
        let mut reply = self.send(url, accept).await?;
        if reply.0 == StatusCode::UNAUTHORIZED
            && self.bearer.is_none()
            && let Some(address) = token_address(&reply.1)
        {
            self.bearer = Some(self.token(&address).await?);
            reply = self.send(url, accept).await?;
        }
        Ok((reply.0, reply.2))
    }

    async fn send(
        &self,
        url: &str,
        accept: &str,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Failure> {
        let bearer = self.bearer.as_ref().map(|t| format!("Bearer {t}"));
        let mut headers = vec![("accept", accept)];
        if let Some(bearer) = &bearer {
            headers.push(("authorization", bearer));
        }
        let (head, body) = self.fetcher.get(url, &headers).await?.into_parts();
        Ok((head.status, head.headers, body))
    }

    async fn token(&self, address: &str) -> Result<String, Failure> {
        let reply = self.fetcher.get(address, &[]).await?;
        let place = address.split('?').next().unwrap_or(address);
        success(place, reply.status())?;
        let token: Option<Token> = serde_json::from_slice(reply.body()).ok();
        let token = token.and_then(|t| t.token.or(t.access_token));
        token.ok_or_else(|| failed(format!("{place} gives no token")))
    }
}

/// Where a registry says that tokens are had: `Bearer realm="…",service="…",scope="…"`.
fn token_address(headers: &HeaderMap) -> Option<String> {
    let challenge = headers.get("www-authenticate")?.to_str().ok()?;
    let rest = challenge.strip_prefix("Bearer ")?;
    let mut realm = None;
    let mut query = Vec::new();
    // A scope holds commas, within its quotes.
    let mut parts = rest.split('"');
    while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
        let key = key.trim_matches([',', ' ', '=']);
        match key {
            "realm" => realm = Some(value),
            "service" | "scope" => query.push(format!("{key}={}", value.replace(' ', "%20"))),
            _ => {}
        }
    }
    let realm = realm?;
    let mark = if realm.contains('?') { '&' } else { '?' };
    Some(format!("{realm}{mark}{}", query.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_where_tokens_are_had() {
        let mut headers = HeaderMap::new();
        let challenge = "Bearer realm=\"https://auth.x/token\",service=\"reg.x\",scope=\"repository:a/b:pull,push\"";
        headers.insert("www-authenticate", challenge.parse().unwrap());
        let address = token_address(&headers).unwrap();
        assert_eq!(
            address,
            "https://auth.x/token?service=reg.x&scope=repository:a/b:pull,push"
        );
        headers.insert("www-authenticate", "Basic realm=\"x\"".parse().unwrap());
        assert!(token_address(&headers).is_none());
    }
}
