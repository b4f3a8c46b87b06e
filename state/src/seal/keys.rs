//! The keys that a state is sealed for and opened with.
//!
//! A passphrase protects the file of the private key and nothing else: it costs about a second to try one,
//! once for each run. As a recipient of every object it would cost that for every object, and age lets no other
//! recipient stand beside it.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use age::secrecy::{ExposeSecret, SecretString};
use age::{scrypt, x25519};
use zeroize::Zeroizing;
use zonewright_engine::canon::{self, Digest};

/// The costliest passphrase that is tried, as the power of two that age writes into a file: some seconds and a
/// gigabyte, and no file can make a run wait for ever.
const COSTLIEST: u8 = 20;

/// Where a recipient begins.
const PUBLIC: &str = "age1";

/// Where an identity begins.
const PRIVATE: &str = "AGE-SECRET-KEY-";

/// How an identity file that is protected by a passphrase begins.
const ARMOR: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

/// Why keys cannot be used. Never holds one that is private.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No recipient is one like this.
    #[error("`{0}` is no recipient")]
    Recipient(String),
    /// A private key stands where a public one should.
    #[error("it is a private key, and a public one belongs there")]
    PrivateRecipient,
    /// The identity is none.
    #[error("it holds no age identity (a line that begins with `{PRIVATE}`)")]
    NoIdentity,
    /// A public key stands where a private one should.
    #[error("it is a recipient, which is public; the identity begins with `{PRIVATE}`")]
    PublicIdentity,
    /// The identity is protected and there is no passphrase.
    #[error("it is protected by a passphrase, and `passphrase` is not set")]
    Protected,
    /// The passphrase opens nothing.
    #[error("the passphrase is not the one that protects it")]
    Passphrase,
    /// The protected file is none.
    #[error("it is not whole, or is no file that a passphrase protects")]
    Unreadable,
    /// It would take too long.
    #[error("its passphrase costs more to try than is waited for (work factor above {COSTLIEST})")]
    Costly,
    /// What is written could not be read again.
    #[error(
        "it belongs to {0}, which is not among `recipients`: what this run writes it could not read again"
    )]
    NotARecipient(String),
    /// There is nobody to seal for.
    #[error("there is no recipient to seal for")]
    NoRecipient,
}

/// What the keys are made of.
#[derive(Clone, Copy, Default)]
pub struct Source<'a> {
    /// Public keys.
    pub recipients: &'a [String],
    /// The text of an identity file: private keys, or what a passphrase protects.
    pub identity: Option<&'a str>,
    /// Further private keys, to open with.
    pub also: Option<&'a str>,
    /// What protects it.
    pub passphrase: Option<&'a str>,
    /// Write in the clear, and only open what is sealed.
    pub plain: bool,
    /// Refuse what is in the clear.
    pub require: bool,
}

impl Source<'_> {
    /// Whether it takes a passphrase to read it.
    pub fn is_protected(&self) -> bool {
        self.identity.is_some_and(is_armored)
    }
}

fn is_armored(text: &str) -> bool {
    text.trim_start().starts_with(ARMOR)
}

/// Keys to seal for and to open with.
pub struct Keys {
    pub(super) public: Vec<x25519::Recipient>,
    pub(super) private: Vec<x25519::Identity>,
    plain: bool,
    pub(super) require: bool,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("recipients", &self.recipients())
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads keys. A passphrase is tried here, once.
    ///
    /// # Errors
    /// A key is none, the passphrase is wrong, or what would be sealed could not be opened again.
    pub fn read(source: &Source<'_>) -> Result<Keys, KeyError> {
        let public: Result<BTreeSet<String>, KeyError> = source
            .recipients
            .iter()
            .map(|text| recipient(text).map(|r| r.to_string()))
            .collect();
        let public: Result<Vec<x25519::Recipient>, KeyError> =
            public?.iter().map(|text| recipient(text)).collect();
        let mut private = match source.identity {
            Some(text) => identities(text, source.passphrase)?,
            None => Vec::new(),
        };
        if let Some(text) = source.also {
            private.extend(in_lines(text)?);
        }
        let keys = Keys {
            public: public?,
            private,
            plain: source.plain,
            require: source.require && !source.plain,
        };
        if keys.plain {
            return Ok(keys);
        }
        if keys.public.is_empty() {
            return Err(KeyError::NoRecipient);
        }
        let ours = keys.ours();
        let to = keys.recipients();
        match ours.first() {
            Some(first) if !ours.iter().any(|o| to.contains(o)) => {
                Err(KeyError::NotARecipient(first.clone()))
            }
            _ => Ok(keys),
        }
    }

    /// Whether what is written is sealed.
    pub(super) fn seals(&self) -> bool {
        !self.plain
    }

    /// Whether something can be opened.
    pub(super) fn opens(&self) -> bool {
        !self.private.is_empty()
    }

    /// The recipients, in order.
    pub fn recipients(&self) -> Vec<String> {
        self.public.iter().map(ToString::to_string).collect()
    }

    /// The recipients whose keys there are.
    pub fn ours(&self) -> Vec<String> {
        let public = self.private.iter().map(|i| i.to_public().to_string());
        public.collect()
    }
}

/// Reads a recipient.
///
/// # Errors
/// It is none, or a private key.
pub fn recipient(text: &str) -> Result<x25519::Recipient, KeyError> {
    if is_private(text) {
        return Err(KeyError::PrivateRecipient);
    }
    text.parse()
        .map_err(|_| KeyError::Recipient(text.to_owned()))
}

/// Whether a text is a private key, or begins like one.
pub fn is_private(text: &str) -> bool {
    let begin: String = text.trim_start().chars().take(PRIVATE.len()).collect();
    begin.eq_ignore_ascii_case(PRIVATE)
}

fn identities(text: &str, passphrase: Option<&str>) -> Result<Vec<x25519::Identity>, KeyError> {
    if is_armored(text) {
        let passphrase = passphrase.ok_or(KeyError::Protected)?;
        return in_lines(&tried(text.trim(), passphrase)?);
    }
    in_lines(text)
}

/// What a passphrase opened in this process, by the digest of both: to try one takes a second.
static OPENED: Mutex<Vec<(Digest, Zeroizing<String>)>> = Mutex::new(Vec::new());

fn tried(text: &str, passphrase: &str) -> Result<Zeroizing<String>, KeyError> {
    let both = canon::digest(&(text, passphrase));
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, inside)) = opened.iter().find(|(of, _)| *of == both) {
        return Ok(inside.clone());
    }
    let inside = unprotected(text, passphrase)?;
    opened.push((both, inside.clone()));
    Ok(inside)
}

/// The keys of an identity file: one a line, between comments.
fn in_lines(text: &str) -> Result<Vec<x25519::Identity>, KeyError> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut out = Vec::new();
    for line in lines {
        let identity = line.parse().map_err(|_| match line.starts_with(PUBLIC) {
            true => KeyError::PublicIdentity,
            false => KeyError::NoIdentity,
        })?;
        out.push(identity);
    }
    match out.is_empty() {
        true => Err(KeyError::NoIdentity),
        false => Ok(out),
    }
}

fn unprotected(text: &str, passphrase: &str) -> Result<Zeroizing<String>, KeyError> {
    let unreadable = |_| KeyError::Unreadable;
    let armored = age::armor::ArmoredReader::new(text.as_bytes());
    let decryptor = age::Decryptor::new_buffered(armored).map_err(unreadable)?;
    if !decryptor.is_scrypt() {
        return Err(KeyError::Unreadable);
    }
    let mut identity = scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
    identity.set_max_work_factor(COSTLIEST);
    let identity: &dyn age::Identity = &identity;
    let mut stream = decryptor
        .decrypt(std::iter::once(identity))
        .map_err(|error| match error {
            age::DecryptError::ExcessiveWork { .. } => KeyError::Costly,
            age::DecryptError::DecryptionFailed
            | age::DecryptError::KeyDecryptionFailed
            | age::DecryptError::NoMatchingKeys => KeyError::Passphrase,
            _ => KeyError::Unreadable,
        })?;
    let mut out = Zeroizing::new(String::new());
    stream
        .read_to_string(&mut out)
        .map_err(|_| KeyError::Unreadable)?;
    Ok(out)
}

/// A new key: what it seals for, and the text of its identity file.
pub struct NewKey {
    /// The public key.
    pub recipient: String,
    /// The text of the identity file.
    pub identity: Zeroizing<String>,
}

impl NewKey {
    /// Makes one from the operating system's randomness.
    pub fn generate() -> NewKey {
        let identity = x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let text = format!(
            "# public key: {recipient}\n{}\n",
            identity.to_string().expose_secret()
        );
        NewKey {
            recipient,
            identity: Zeroizing::new(text),
        }
    }

    /// The same identity file behind a passphrase. `work_factor` is the power of two of what trying one costs;
    /// 18 is about a second.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn protected(&self, passphrase: &str, work_factor: u8) -> std::io::Result<String> {
        use std::io::Write;
        let mut recipient = scrypt::Recipient::new(SecretString::from(passphrase.to_owned()));
        recipient.set_work_factor(work_factor);
        let recipient: &dyn age::Recipient = &recipient;
        let encryptor = age::Encryptor::with_recipients(std::iter::once(recipient))
            .map_err(std::io::Error::other)?;
        let mut out = Vec::new();
        let armor =
            age::armor::ArmoredWriter::wrap_output(&mut out, age::armor::Format::AsciiArmor)?;
        let mut stream = encryptor.wrap_output(armor)?;
        stream.write_all(self.identity.as_bytes())?;
        stream.finish()?.finish()?;
        String::from_utf8(out).map_err(std::io::Error::other)
    }
}
