//! The values of declared secrets: read when a command needs them, kept in memory, never shown.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use zeroize::Zeroizing;
use zonewright_engine::address::InstanceId;
use zonewright_engine::config::{Config, SecretSource};
use zonewright_engine::expr::{Expr, Origin, Reference};
use zonewright_engine::plan::Options;
use zonewright_engine::secret::{DigestKey, LEAST_MASKED, Secret};
use zonewright_engine::snapshot::State;
use zonewright_sandbox::lifecycle::Ready;
use zonewright_zones::Credential;

use crate::report::Failure;
use crate::report::code::Code;

/// A secret that something selected uses.
#[derive(Debug, Clone, Default)]
struct Use {
    at: Option<Origin>,
    /// The provider whose configuration it is part of.
    provider: Option<String>,
}

/// Everything that is needed to read secrets.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    pub(crate) config: &'a Config,
    pub(crate) state: &'a State,
    pub(crate) options: &'a Options,
    pub(crate) root: &'a Path,
    /// The emulators, which have a value for whatever is not set.
    pub(crate) ready: Option<&'a Ready>,
    pub(crate) key: Option<Arc<DigestKey>>,
}

impl Sources<'_> {
    /// The secrets that the selection uses, by name.
    ///
    /// All that are missing are reported at once.
    pub(crate) fn resolve(&self) -> Result<BTreeMap<String, Secret>, Failure> {
        self.read_all(self.used())
    }

    /// The secrets in the configurations of these instances, and no others: checks need no more.
    pub(crate) fn of_instances(
        &self,
        ids: &[InstanceId],
    ) -> Result<BTreeMap<String, Secret>, Failure> {
        let mut used = BTreeMap::new();
        for id in ids {
            if let Some(instance) = self.config.instances.get(id) {
                note(&mut used, &instance.config, Some(&id.provider));
            }
        }
        self.read_all(used)
    }

    fn read_all(&self, used: BTreeMap<String, Use>) -> Result<BTreeMap<String, Secret>, Failure> {
        let mut out = BTreeMap::new();
        let mut missing = Vec::new();
        for (name, used) in used {
            let Some(source) = self.config.secrets.get(&name) else {
                continue;
            };
            let value = match (read(source, self.root), self.ready) {
                (Ok(value), _) => value,
                (Err(_), Some(ready)) => Zeroizing::new(emulated(ready, &name, source, &used)),
                (Err(why), None) => {
                    missing.push(unset(&name, source, &used, &why));
                    continue;
                }
            };
            if value.len() < LEAST_MASKED {
                missing.push(short(&name, source));
                continue;
            }
            let label = format!("secret.{name}");
            out.insert(name, Secret::new(label, value.as_str(), self.key.clone()));
        }
        match missing.len() {
            0 => Ok(out),
            1 => Err(missing.remove(0)),
            n => Err(Failure::many(
                format!("{n} secrets have no value that can be used"),
                missing,
            )),
        }
    }

    fn used(&self) -> BTreeMap<String, Use> {
        let mut out = BTreeMap::new();
        let mut instances: Vec<InstanceId> = Vec::new();
        for (address, resource) in &self.config.resources {
            if self.options.selects(&address.zone) {
                instances.push(resource.instance.clone());
                if !self.options.destroy {
                    note(&mut out, &resource.body, None);
                }
            }
        }
        let recorded = self.state.records().map(|r| (&r.address, &r.instance));
        let open = self.state.opens().map(|(a, o)| (a, &o.record.instance));
        for (address, instance) in recorded.chain(open) {
            if self.options.selects(&address.zone) {
                instances.push(instance.clone());
            }
        }
        let mut done = std::collections::BTreeSet::new();
        while let Some(id) = instances.pop() {
            if !done.insert(id.clone()) {
                continue;
            }
            let Some(instance) = self.config.instances.get(&id) else {
                continue;
            };
            note(&mut out, &instance.config, Some(&id.provider));
            let owner = instance.container.as_ref();
            instances.extend(
                owner
                    .and_then(|a| self.config.resources.get(a))
                    .map(|r| r.instance.clone()),
            );
        }
        out
    }
}

/// A credential of the store that the state is in. It is needed before there is a digest key.
pub(crate) fn credential(credential: &Credential, root: &Path) -> Result<Secret, Failure> {
    let Credential { secret, source } = credential;
    let used = Use::default();
    let value = read(source, root).map_err(|why| unset(secret, source, &used, &why))?;
    Ok(Secret::new(
        format!("secret.{secret}"),
        value.as_str(),
        None,
    ))
}

fn note(out: &mut BTreeMap<String, Use>, expr: &Expr, provider: Option<&str>) {
    for (reference, at) in expr.references() {
        if let Reference::Secret(name) = reference {
            let entry = out.entry(name.clone()).or_default();
            entry.at = entry.at.take().or_else(|| at.cloned());
            if entry.provider.is_none() {
                entry.provider = provider.map(str::to_owned);
            }
        }
    }
}

/// Where a secret comes from, in words.
pub(crate) fn source_words(source: &SecretSource) -> String {
    match source {
        SecretSource::Env(name) => format!("environment variable {name}"),
        SecretSource::File(path) => format!("file {path}"),
        SecretSource::Cmd(words) => match words.first() {
            Some(program) => format!("command {program}"),
            None => "command".to_owned(),
        },
    }
}

/// Where the secrets in an instance's configuration come from: what to check when it is refused. An
/// instance that lives in a resource is opened with the credentials of that resource's provider.
pub(crate) fn sources_of(config: &Config, id: &InstanceId) -> Vec<String> {
    let Some(instance) = config.instances.get(id) else {
        return Vec::new();
    };
    let references = instance.config.references();
    let names = references.iter().filter_map(|(r, _)| match r {
        Reference::Secret(name) => Some(name),
        Reference::Resource { .. } => None,
    });
    let mut out: Vec<String> = names
        .filter_map(|name| {
            let source = config.secrets.get(name)?;
            Some(format!("secret.{name} ({})", source_words(source)))
        })
        .collect();
    let owner = instance.container.as_ref();
    if let Some(owner) = owner.and_then(|a| config.resources.get(a))
        && owner.instance != *id
    {
        out.extend(sources_of(config, &owner.instance));
    }
    out
}

fn unset(name: &str, source: &SecretSource, used: &Use, why: &Unset) -> Failure {
    let place = match &used.at {
        Some(at) => format!(", used at {at},"),
        None => String::new(),
    };
    let message = format!(
        "secret.{name}{place} has no value: {} {why}",
        source_words(source)
    );
    let help = match source {
        SecretSource::Env(variable) => format!("set {variable}, or rehearse with --sandbox"),
        SecretSource::File(path) => format!("write it to {path}, or rehearse with --sandbox"),
        SecretSource::Cmd(_) => "run the command by hand to see what it says".to_owned(),
    };
    Failure::error(message).code(Code::SecretUnset).help(help)
}

/// Says which secret, and nothing about its value but that it is short.
fn short(name: &str, source: &SecretSource) -> Failure {
    Failure::error(format!(
        "secret.{name} ({}) has fewer than {LEAST_MASKED} characters: too short to be kept out of sight",
        source_words(source)
    ))
    .code(Code::SecretShort)
    .help("use a longer value; what is no secret belongs into the spec as it is")
}

/// Why a source gives nothing. Never holds what it gave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unset {
    #[error("is not set")]
    NotSet,
    #[error("is empty")]
    Empty,
    #[error("is not text")]
    NotText,
    #[error("cannot be read ({0})")]
    Unreadable(std::io::ErrorKind),
    #[error("failed")]
    Failed,
}

/// The value of a source; a trailing newline of files and commands is dropped.
fn read(source: &SecretSource, root: &Path) -> Result<Zeroizing<String>, Unset> {
    let text = match source {
        SecretSource::Env(name) => std::env::var(name).map_err(|e| match e {
            std::env::VarError::NotPresent => Unset::NotSet,
            std::env::VarError::NotUnicode(_) => Unset::NotText,
        })?,
        SecretSource::File(path) => {
            let bytes = fs::read(root.join(path)).map_err(|e| Unset::Unreadable(e.kind()))?;
            without_newline(bytes)?
        }
        SecretSource::Cmd(words) => output(words, root)?,
    };
    if text.trim().is_empty() {
        return Err(Unset::Empty);
    }
    Ok(Zeroizing::new(text))
}

fn output(words: &[String], root: &Path) -> Result<String, Unset> {
    let (program, args) = words.split_first().ok_or(Unset::Empty)?;
    let output = Command::new(program)
        .args(args)
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|e| Unset::Unreadable(e.kind()))?;
    if !output.status.success() {
        return Err(Unset::Failed);
    }
    without_newline(output.stdout)
}

fn without_newline(bytes: Vec<u8>) -> Result<String, Unset> {
    let mut text = String::from_utf8(bytes).map_err(|_| Unset::NotText)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// What the emulators take for a secret that is not set: their own token, or a made-up value.
fn emulated(ready: &Ready, name: &str, source: &SecretSource, used: &Use) -> String {
    let by_provider = match used.provider.as_deref() {
        Some("digitalocean") => Some("DIGITALOCEAN_TOKEN"),
        Some("cloudflare") => Some("CLOUDFLARE_API_TOKEN"),
        _ => None,
    };
    let by_variable = match source {
        SecretSource::Env(variable) => Some(variable.as_str()),
        SecretSource::File(_) | SecretSource::Cmd(_) => None,
    };
    let pairs = ready.env();
    let find = |wanted: Option<&str>| {
        let wanted = wanted?;
        let found = pairs.iter().find(|(n, _)| *n == wanted);
        found.map(|(_, value)| value.clone())
    };
    find(by_provider)
        .or_else(|| find(by_variable))
        .unwrap_or_else(|| ready.secret(name))
}

/// The key of secret digests by reference: 64 hex digits, or any text, which is hashed.
pub(crate) fn digest_key(source: &SecretSource, root: &Path) -> Result<DigestKey, Failure> {
    let text = read(source, root).map_err(|why| {
        Failure::error(format!(
            "`[state] digest_key` has no value: {} {why}",
            source_words(source)
        ))
    })?;
    Ok(DigestKey::new(key_bytes(&text)))
}

fn key_bytes(text: &str) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut out = [0; 32];
    let hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !hex {
        return Sha256::digest(text.as_bytes()).into();
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |b: u8| (b as char).to_digit(16).unwrap_or(0) as u8;
        *byte = digit(pair[0]) << 4 | digit(pair[1]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lose_one_trailing_newline_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("t"), " a \n\n").unwrap();
        let read = read(&SecretSource::File("t".into()), dir.path()).unwrap();
        assert_eq!(read.as_str(), " a \n");
    }

    #[test]
    fn what_gives_nothing_says_why_without_a_value() {
        let root = Path::new("/");
        let variable = SecretSource::Env("ZONEWRIGHT_TEST_NEVER_SET".into());
        assert_eq!(read(&variable, root), Err(Unset::NotSet));
        let failing = SecretSource::Cmd(vec!["false".into()]);
        assert_eq!(read(&failing, root), Err(Unset::Failed));
        let silent = SecretSource::Cmd(vec!["true".into()]);
        assert_eq!(read(&silent, root), Err(Unset::Empty));
        let blank = SecretSource::Cmd(vec!["echo".into(), "          ".into()]);
        assert_eq!(read(&blank, root), Err(Unset::Empty));
        let text = unset("token", &variable, &Use::default(), &Unset::NotSet).to_string();
        assert!(
            text.contains("ZONEWRIGHT_TEST_NEVER_SET is not set"),
            "{text}"
        );
    }

    #[test]
    fn commands_give_their_output() {
        let echo = SecretSource::Cmd(vec!["echo".into(), "x".into()]);
        assert_eq!(read(&echo, Path::new("/")).unwrap().as_str(), "x");
    }

    #[test]
    fn a_key_in_hex_is_taken_as_it_is() {
        let hex = "0f".repeat(32);
        assert_eq!(key_bytes(&hex), [0x0f; 32]);
        assert_ne!(key_bytes("short"), [0; 32]);
    }
}
