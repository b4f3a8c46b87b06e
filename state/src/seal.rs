//! The envelope around what is kept: snapshots, batches of the log, headers of journals, saved plans.
//!
//! What is sealed is an age file, so that the stock `age` tool opens it, as text in one line of JSON:
//!
//! ```text
//! {"format":"zonewright.state","recipients":["age1…"],"sealed":"<base64 of an age file>","version":3}
//! ```
//!
//! In the age file is one line that says what it is ([`Binding`], and for whom), then the contents as they
//! would be kept in the clear. An object that was moved to another shard, number or lineage opens and is
//! found out. The text has no NUL and begins with `{`, so that the rules of [`crate::frame`] hold for it.
//!
//! Digests and the chain of the log are those of the inside, which begins with a random salt, and not of the
//! envelope: who cannot open a log cannot know the digest that its next batch has to name, and could not find it
//! out by guessing what is in the last one.
//!
//! age draws its keys from the operating system itself, and so does the salt; that is the one randomness which
//! is not from a port. Nothing depends on the bytes.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use age::x25519;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zonewright_engine::address::ZoneName;
use zonewright_engine::canon::{self, Digest};
use zonewright_engine::journal::Holder;

use crate::error::StateError;
use crate::rng::{OsRng, Rng};

pub mod keys;
pub mod own;

pub use keys::{KeyError, Keys};

/// The version of a form that is sealed, in all formats.
pub const VERSION: u64 = 3;

/// What is in an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A snapshot of a shard.
    Snapshot,
    /// A batch of a log.
    Batch,
    /// The header of a journal.
    Journal,
    /// What came of requests and is not in the log.
    Rescue,
    /// A saved plan.
    Plan,
}

impl Kind {
    /// Whether the next one of its kind names its digest.
    fn is_chained(self) -> bool {
        match self {
            Kind::Batch | Kind::Rescue => true,
            Kind::Snapshot | Kind::Journal | Kind::Plan => false,
        }
    }

    /// The format that the envelope names.
    fn format(self) -> &'static str {
        match self {
            Kind::Snapshot => crate::format::FORMAT,
            Kind::Batch => "zonewright.log",
            Kind::Journal => crate::record::JOURNAL_FORMAT,
            Kind::Rescue => "zonewright.rescue",
            Kind::Plan => "zonewright.plan",
        }
    }
}

/// What an envelope's contents belong to. It is inside, and compared when it is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// What it is.
    pub kind: Kind,
    /// The project.
    pub lineage: String,
    /// The shard; a plan has none.
    pub shard: Option<ZoneName>,
    /// The number of the batch, or of the last one that is in it; of a plan 0.
    pub seq: u64,
    /// The serial of a snapshot, else 0.
    pub serial: u64,
}

/// What an object must be, as far as its place tells.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected<'a> {
    /// The project.
    pub lineage: Option<&'a str>,
    /// The shard.
    pub shard: Option<&'a ZoneName>,
    /// The number of the batch, or of the last one that is in it.
    pub seq: Option<u64>,
    /// The serial of a snapshot.
    pub serial: Option<u64>,
}

impl Expected<'_> {
    fn fits(&self, found: &Binding) -> bool {
        self.lineage.is_none_or(|l| l == found.lineage)
            && self.shard.is_none_or(|s| Some(s) == found.shard.as_ref())
            && self.seq.is_none_or(|s| s == found.seq)
            && self.serial.is_none_or(|s| s == found.serial)
    }
}

const ELSEWHERE: SealError =
    SealError::Damaged("what is sealed in it belongs to another number, shard or lineage");

/// The outside.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    format: String,
    recipients: Vec<String>,
    sealed: String,
    version: u64,
}

/// The first line of the inside.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inside {
    binding: Binding,
    recipients: Vec<String>,
    salt: String,
}

/// Why something is not opened, or not taken as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is no key here.
    #[error(
        "is sealed for {}, and there is no key here to open it",
        listed(recipients)
    )]
    NoKey {
        /// Whom it is sealed for.
        recipients: Vec<String>,
    },
    /// The keys here are others.
    #[error(
        "is sealed for {}, and the key here is that of {}",
        listed(recipients),
        listed(ours)
    )]
    WrongKey {
        /// Whom it is sealed for.
        recipients: Vec<String>,
        /// Whose keys there are here.
        ours: Vec<String>,
    },
    /// It does not hold what was sealed.
    #[error("{0}")]
    Damaged(&'static str),
    /// It is in the clear where that is not allowed.
    #[error("{0}")]
    Plain(&'static str),
}

fn listed(keys: &[String]) -> String {
    match keys {
        [] => "nobody".to_owned(),
        keys => keys.join(", "),
    }
}

/// What was read, in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The contents.
    pub body: std::borrow::Cow<'a, [u8]>,
    /// What it says that it is, if it was sealed.
    pub binding: Option<Binding>,
    /// Of what is one of a log and was sealed, what the next one has to name.
    chained: Option<Digest>,
}

impl Opened<'_> {
    /// Whether it was sealed.
    pub fn is_sealed(&self) -> bool {
        self.binding.is_some()
    }

    /// What the next one of a log has to name.
    pub fn digest(&self) -> Digest {
        self.chained.unwrap_or_else(|| Digest::of(&self.body))
    }

    /// Compares what it says that it is with what its contents are; what was in the clear says nothing.
    ///
    /// # Errors
    /// It is something else.
    pub fn is(&self, contents: &Binding) -> Result<(), SealError> {
        match &self.binding {
            Some(found) if found != contents => Err(ELSEWHERE),
            _ => Ok(()),
        }
    }
}

/// Seals and opens, with the keys of a project; without keys everything is in the clear.
#[derive(Clone, Default)]
pub struct Seal {
    keys: Option<Arc<Keys>>,
    lenient: bool,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.as_deref();
        f.debug_struct("Seal")
            .field("recipients", &keys.map(Keys::recipients))
            .finish_non_exhaustive()
    }
}

impl Seal {
    /// Uses keys.
    pub fn new(keys: Keys) -> Seal {
        Seal {
            keys: Some(Arc::new(keys)),
            lenient: false,
        }
    }

    /// The same keys for looking at everything there is, whether it may be in the clear or not.
    #[must_use]
    pub fn lenient(&self) -> Seal {
        Seal {
            lenient: true,
            ..self.clone()
        }
    }

    /// Whether what is written is sealed.
    pub fn seals(&self) -> bool {
        self.keys.as_deref().is_some_and(Keys::seals)
    }

    /// Whom it is sealed for; empty when it is not.
    pub fn recipients(&self) -> Vec<String> {
        match self.keys.as_deref() {
            Some(keys) if keys.seals() => keys.recipients(),
            _ => Vec::new(),
        }
    }

    /// The contents as they are kept.
    pub fn seal(&self, binding: &Binding, body: &[u8]) -> Vec<u8> {
        match self.enclosed(binding, body) {
            Some((sealed, _)) => sealed,
            None => body.to_vec(),
        }
    }

    /// The same, and the digest that a log goes on from.
    pub(crate) fn seal_chained(&self, binding: &Binding, body: Vec<u8>) -> (Vec<u8>, Digest) {
        match self.enclosed(binding, &body) {
            Some((sealed, inside)) => (sealed, Digest::of(&inside)),
            None => {
                let digest = Digest::of(&body);
                (body, digest)
            }
        }
    }

    /// The envelope and what is in it; none without somebody to seal for.
    fn enclosed(&self, binding: &Binding, body: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let keys = self.keys.as_deref().filter(|keys| keys.seals())?;
        let recipients = keys.recipients();
        let mut inside = canon::bytes(&Inside {
            binding: binding.clone(),
            recipients: recipients.clone(),
            salt: OsRng.hex128(),
        });
        inside.push(b'\n');
        inside.extend_from_slice(body);
        let sealed = canon::bytes(&Envelope {
            format: binding.kind.format().to_owned(),
            recipients,
            sealed: STANDARD.encode(encrypt(&keys.public, &inside)),
            version: VERSION,
        });
        Some((sealed, inside))
    }

    /// The contents of what was read, which may be in the clear.
    ///
    /// # Errors
    /// It cannot be opened, it is damaged or not what its place tells, or it must not be in the clear.
    pub fn open<'a>(
        &self,
        kind: Kind,
        expected: &Expected<'_>,
        bytes: &'a [u8],
    ) -> Result<Opened<'a>, SealError> {
        let Some(envelope) = envelope(bytes) else {
            let required = self.keys.as_deref().is_some_and(|keys| keys.require);
            return match required && !self.lenient {
                true => Err(SealError::Plain(
                    "it is in the clear, and `[state.encryption] require` is set",
                )),
                false => Ok(Opened {
                    body: bytes.into(),
                    binding: None,
                    chained: None,
                }),
            };
        };
        let Envelope { recipients, .. } = &envelope;
        let Some(keys) = self.keys.as_deref().filter(|keys| keys.opens()) else {
            return Err(SealError::NoKey {
                recipients: recipients.clone(),
            });
        };
        if envelope.format != kind.format() || envelope.version != VERSION {
            return Err(SealError::Damaged(
                "what is sealed in it is of another kind",
            ));
        }
        let inside = match decrypt(&keys.private, &envelope.sealed) {
            Ok(inside) => inside,
            Err(age::DecryptError::NoMatchingKeys) => {
                let ours = keys.ours();
                return Err(match recipients.iter().any(|r| ours.contains(r)) {
                    true => SealError::Damaged(
                        "it is sealed for a key that is here and cannot be opened",
                    ),
                    false => SealError::WrongKey {
                        recipients: recipients.clone(),
                        ours,
                    },
                });
            }
            Err(_) => return Err(SealError::Damaged("what is sealed in it was changed")),
        };
        let (binding, from) = told(&inside, &envelope, kind)?;
        if !expected.fits(&binding) {
            return Err(ELSEWHERE);
        }
        Ok(Opened {
            chained: kind.is_chained().then(|| Digest::of(&inside)),
            body: after(inside, from).into(),
            binding: Some(binding),
        })
    }

    /// A holder as others may see it who cannot open the state: without the addresses in its command.
    pub fn outside(&self, holder: &Holder) -> Holder {
        let mut out = holder.clone();
        if self.seals() {
            let words = holder.command.split(' ');
            let words = words.take_while(|word| !word.contains('/'));
            out.command = words.collect::<Vec<_>>().join(" ");
        }
        out
    }

    /// What may follow what was read before: once something is sealed, so is all that comes after it, unless
    /// it is written in the clear again on purpose.
    ///
    /// # Errors
    /// It is in the clear and comes after what is sealed.
    pub fn follows(&self, before: bool, now: bool) -> Result<(), SealError> {
        match before && !now && !self.lenient && self.seals() {
            true => Err(SealError::Plain(
                "it is in the clear, and what comes before it is sealed",
            )),
            false => Ok(()),
        }
    }
}

/// The contents of a file that stands by itself.
///
/// # Errors
/// It cannot be opened, or it does not hold what was sealed.
pub fn open_file(
    seal: &Seal,
    kind: Kind,
    file: &std::path::Path,
    bytes: &[u8],
) -> Result<Vec<u8>, StateError> {
    let opened = seal.lenient().open(kind, &Expected::default(), bytes);
    let opened = opened.map_err(|e| StateError::sealed(file, 0, &[], e))?;
    Ok(opened.body.into_owned())
}

/// Whom something is sealed for, as its outside says; `None` when it is in the clear.
pub fn sealed_for(bytes: &[u8]) -> Option<Vec<String>> {
    envelope(bytes).map(|envelope| envelope.recipients)
}

/// One of a later version is left to those who read what is in the clear, who say so.
fn envelope(bytes: &[u8]) -> Option<Envelope> {
    let envelope: Envelope = serde_json::from_slice(bytes).ok()?;
    (envelope.version <= VERSION).then_some(envelope)
}

/// The rest of bytes, without another copy of them.
fn after(mut bytes: Vec<u8>, from: usize) -> Vec<u8> {
    bytes.drain(..from);
    bytes
}

/// What the first line of the inside says, and where the contents begin.
fn told(inside: &[u8], envelope: &Envelope, kind: Kind) -> Result<(Binding, usize), SealError> {
    let end = inside.iter().position(|b| *b == b'\n');
    let told = end.and_then(|end| serde_json::from_slice::<Inside>(&inside[..end]).ok());
    let (Some(end), Some(told)) = (end, told) else {
        return Err(SealError::Damaged(
            "what is sealed in it says not what it is",
        ));
    };
    if told.binding.kind != kind {
        return Err(SealError::Damaged(
            "what is sealed in it is of another kind",
        ));
    }
    if told.recipients != envelope.recipients {
        return Err(SealError::Damaged(
            "it is not sealed for those that it names",
        ));
    }
    Ok((told.binding, end + 1))
}

/// An age file.
fn encrypt(recipients: &[x25519::Recipient], contents: &[u8]) -> Vec<u8> {
    let recipients = recipients.iter().map(|r| r as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients)
        .expect("invariant: keys that seal are recipients of one kind");
    let mut out = Vec::new();
    let mut written = encryptor.wrap_output(&mut out);
    if let Ok(stream) = &mut written {
        stream
            .write_all(contents)
            .expect("invariant: memory takes it");
    }
    let stream = written.expect("invariant: memory takes it");
    stream.finish().expect("invariant: memory takes it");
    out
}

fn decrypt(identities: &[x25519::Identity], sealed: &str) -> Result<Vec<u8>, age::DecryptError> {
    let file = STANDARD
        .decode(sealed)
        .map_err(|_| age::DecryptError::InvalidHeader)?;
    let identities = identities.iter().map(|i| i as &dyn age::Identity);
    let mut out = Vec::new();
    age::Decryptor::new_buffered(file.as_slice())?
        .decrypt(identities)?
        .read_to_end(&mut out)?;
    Ok(out)
}
