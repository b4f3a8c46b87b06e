//! Charts from where they are published: repositories, OCI registries, plain addresses.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use serde::Deserialize;
use std::collections::BTreeMap;
use zonewright_engine::canon::Digest;
use zonewright_providers::{HttpOptions, HttpTransport, Transport};
use zonewright_zones::{Source, same};

use super::oci;
use crate::env;
use crate::report::Failure;
use crate::report::code::Code;

/// Registries and repositories lead to where the bytes are.
const MAX_REDIRECTS: u8 = 5;
/// So many versions are named when the one that is wanted is not there.
const NAMED: usize = 5;

/// What came from a source.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The archive.
    pub(crate) bytes: Bytes,
    /// Of a registry: the digest of the manifest.
    pub(crate) manifest: Option<Digest>,
}

/// Sends what is needed for a chart, and no credentials.
pub(crate) struct Fetcher {
    transport: Arc<dyn Transport>,
}

/// An error about a source.
pub(super) fn failed(message: impl Into<String>) -> Failure {
    Failure::error(message).code(Code::ChartSource)
}

impl Fetcher {
    /// Opens no connection.
    pub(crate) fn new() -> Result<Fetcher, Failure> {
        let options = HttpOptions {
            proxy: env::var(env::HTTPS_PROXY),
            extra_ca: Vec::new(),
        };
        let transport = HttpTransport::new(&options)
            .map_err(|e| failed("the HTTP client cannot be set up").because(e))?;
        Ok(Fetcher {
            transport: Arc::new(transport),
        })
    }

    /// The archive of a chart in this version.
    ///
    /// # Errors
    /// The source does not have it, or cannot be asked.
    pub(crate) async fn fetch(
        &self,
        source: &Source<'_>,
        version: Option<&str>,
    ) -> Result<Fetched, Failure> {
        match *source {
            Source::Repository { url, name } => self.repository(url, name, version).await,
            Source::Oci(reference) => oci::fetch(self, reference, version).await,
            Source::Url(url) => {
                let bytes = self.body(url).await?;
                Ok(Fetched {
                    bytes,
                    manifest: None,
                })
            }
            Source::Nowhere(name) => Err(failed(format!("nothing says where `{name}` is from"))
                .help(format!(
                    "write `repository = \"https://…\"` beside it, or `chart = \"oci://…/{name}\"`, an archive \
                     (`….tgz`) or a directory (`./…`)"
                ))),
            Source::Archive(path) | Source::Directory(path) => {
                Err(failed(format!("`{path}` is in the project")))
            }
        }
    }

    async fn repository(
        &self,
        url: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<Fetched, Failure> {
        let base = format!("{}/", url.trim_end_matches('/'));
        let address = format!("{base}index.yaml");
        let text = self.body(&address).await?;
        let index = index(&text).map_err(|why| {
            failed(format!("{address} is no index of charts: {why}"))
                .help("check the address of the repository")
        })?;
        let Some(entries) = index.entries.get(name) else {
            let known = index.entries.keys().map(String::as_str);
            let near: Vec<&str> = known
                .filter(|k| k.contains(name) || name.contains(k))
                .collect();
            let help = match near.is_empty() {
                true => format!("it has {} charts", index.entries.len()),
                false => format!("it has {}", near.join(", ")),
            };
            return Err(failed(format!("the repository {url} has no chart `{name}`")).help(help));
        };
        let versions: Vec<&str> = entries.iter().map(|e| e.version.as_str()).collect();
        let Some(version) = version else {
            return Err(no_version(name, url, &versions));
        };
        let Some(entry) = entries.iter().find(|e| same(&e.version, version)) else {
            return Err(not_that_version(name, version, url, &versions));
        };
        let Some(archive) = entry.urls.first() else {
            return Err(
                failed(format!("{url} says no address for `{name}` {version}"))
                    .help("its index is broken; use another source"),
            );
        };
        let archive = match archive.contains("://") {
            true => archive.clone(),
            false => format!("{base}{archive}"),
        };
        let bytes = self.body(&archive).await?;
        let found = Digest::of(&bytes);
        if let Some(promised) = &entry.digest
            && promised.trim_start_matches("sha256:") != found.hex()
        {
            return Err(failed(format!("{archive} is not what the index promises"))
                .help(format!(
                    "the index says sha256:{}, the archive has {found}; use neither before it is known why",
                    promised.trim_start_matches("sha256:")
                )));
        }
        Ok(Fetched {
            bytes,
            manifest: None,
        })
    }

    async fn body(&self, url: &str) -> Result<Bytes, Failure> {
        let reply = self.get(url, &[]).await?;
        success(url, reply.status())?;
        Ok(reply.into_body())
    }

    /// Reads an address, wherever it leads.
    ///
    /// # Errors
    /// There is no reply, or none that may be followed.
    pub(super) async fn get(
        &self,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response<Bytes>, Failure> {
        let mut at = url.to_owned();
        for turn in 0..MAX_REDIRECTS {
            safe(&at)?;
            let mut request = Request::get(&at);
            // What a registry is told is not for whom it sends us to.
            for (name, value) in headers
                .iter()
                .filter(|(n, _)| turn == 0 || *n != "authorization")
            {
                request = request.header(*name, *value);
            }
            let request = request
                .body(Bytes::new())
                .map_err(|e| failed(format!("`{at}` is no address")).because(e))?;
            let reply = self.transport.send(request).await;
            let reply = reply.map_err(|e| {
                failed(format!("{} cannot be read", host(&at)))
                    .help(
                        "check the address and the network (HTTPS_PROXY names a proxy); what is vendored already is \
                         used without it",
                    )
                    .because(e)
            })?;
            if !reply.status().is_redirection() {
                return Ok(reply);
            }
            let next = reply
                .headers()
                .get("location")
                .and_then(|v| v.to_str().ok());
            let Some(next) = next else {
                return Err(failed(format!("{} leads nowhere", host(&at))));
            };
            at = joined(&at, next)?;
        }
        Err(failed(format!("{} leads on and on", host(url))))
    }
}

/// Whether a reply has what was asked for.
pub(super) fn success(url: &str, status: StatusCode) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let help = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "it wants a login; pull the archive by other means and name the file: `chart = \"vendor/….tgz\"`"
        }
        StatusCode::NOT_FOUND => "check the address, the name and the version",
        _ => "try again later; what is vendored already is used without it",
    };
    Err(failed(format!("{url} answers {status}")).help(help))
}

/// Plain HTTP only where nobody can listen.
fn safe(url: &str) -> Result<(), Failure> {
    let uri: Uri = url
        .parse()
        .map_err(|e| failed(format!("`{url}` is no address")).because(e))?;
    let local = uri.host().is_some_and(is_loopback);
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if local => Ok(()),
        _ => Err(failed(format!("`{url}` is not HTTPS")).help(
            "charts are code that runs in a cluster: they come over HTTPS, or from this very host",
        )),
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    ["127.0.0.1", "localhost", "[::1]"].contains(&host)
}

fn host(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    let authority = uri
        .as_ref()
        .and_then(Uri::authority)
        .map(ToString::to_string);
    authority.unwrap_or_else(|| url.to_owned())
}

fn joined(from: &str, to: &str) -> Result<String, Failure> {
    if to.contains("://") {
        return Ok(to.to_owned());
    }
    let base: Uri = from
        .parse()
        .map_err(|e| failed(format!("`{from}` is no address")).because(e))?;
    let scheme = base.scheme_str().unwrap_or("https");
    let authority = base
        .authority()
        .map(ToString::to_string)
        .unwrap_or_default();
    let path = match to.strip_prefix('/') {
        Some(absolute) => format!("/{absolute}"),
        None => match base.path().rsplit_once('/') {
            Some((dir, _)) => format!("{dir}/{to}"),
            None => format!("/{to}"),
        },
    };
    Ok(format!("{scheme}://{authority}{path}"))
}

/// What is read of `index.yaml`.
#[derive(Debug, Deserialize)]
struct Index {
    entries: BTreeMap<String, Vec<IndexEntry>>,
}

#[derive(Debug, Deserialize)]
struct IndexEntry {
    version: String,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    urls: Vec<String>,
}

fn index(text: &[u8]) -> Result<Index, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_nodes: 5_000_000,
            max_events: 15_000_000,
        },
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|e| e.to_string().lines().next().unwrap_or_default().to_owned())
}

/// A version is always written out: what `latest` was at some time is no record.
pub(super) fn no_version(name: &str, place: &str, versions: &[&str]) -> Failure {
    failed(format!("nothing says which version of `{name}`")).help(format!(
        "write `version = \"…\"`; {place} has {}",
        near(versions, None).join(", ")
    ))
}

pub(super) fn not_that_version(
    name: &str,
    version: &str,
    place: &str,
    versions: &[&str],
) -> Failure {
    let near = near(versions, Some(version));
    let help = match near.is_empty() {
        true => "it has no version of it".to_owned(),
        false => format!("near it there are {}", near.join(", ")),
    };
    failed(format!("{place} has no version {version} of `{name}`")).help(help)
}

/// The versions around a wanted one, or the newest ones; newest first.
fn near(versions: &[&str], wanted: Option<&str>) -> Vec<String> {
    let parse = |text: &str| semver::Version::parse(text.trim_start_matches('v')).ok();
    let mut known: Vec<(semver::Version, &str)> = versions
        .iter()
        .filter_map(|v| Some((parse(v)?, *v)))
        .collect();
    known.sort();
    known.reverse();
    let at = wanted.and_then(parse).map_or(0, |w| {
        let newer = known.iter().take_while(|(v, _)| *v > w).count();
        newer.saturating_sub(NAMED / 2)
    });
    let at = at.min(known.len().saturating_sub(NAMED));
    let shown = known.iter().skip(at).take(NAMED);
    shown.map(|(_, text)| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_versions_are_those_around_it() {
        let all = [
            "1.0.0", "v1.2.0", "1.10.0", "1.9.1", "2.0.0", "3.0.0", "nonsense",
        ];
        assert_eq!(
            near(&all, Some("1.9.0")),
            ["2.0.0", "1.10.0", "1.9.1", "v1.2.0", "1.0.0"]
        );
        assert_eq!(near(&all, Some("9.0.0"))[0], "3.0.0");
        assert_eq!(near(&all, None)[0], "3.0.0");
        assert!(near(&[], Some("1.0.0")).is_empty());
    }

    #[test]
    fn addresses_are_joined_and_kept_safe() {
        let from = "https://x.org/charts/index.yaml";
        assert_eq!(joined(from, "a.tgz").unwrap(), "https://x.org/charts/a.tgz");
        assert_eq!(joined(from, "/a.tgz").unwrap(), "https://x.org/a.tgz");
        assert!(safe("http://x.org/").is_err());
        assert!(safe("http://127.0.0.1:8080/").is_ok());
        assert!(safe("file:///etc/passwd").is_err());
        assert!(safe("http://127.0.0.1.evil.org/").is_err());
    }
}
