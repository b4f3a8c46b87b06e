//! What makes one world different from another: its id, its key and the port it is served on.
//!
//! Tokens and generated secrets are derived from the key, so they stay the same for as long as the
//! directory exists. The file is readable by its owner only, and nothing here prints the key.

use std::fmt;
use std::io;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const FILE: &str = "identity.json";
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The identity of a world.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// Random, stable for the life of the directory.
    pub id: String,
    /// The port that the world was last served on.
    pub port: Option<u16>,
    /// The port that its databases were last served on.
    #[serde(default)]
    pub mysql_port: Option<u16>,
    /// The port that its zones were last served on.
    #[serde(default)]
    pub dns_port: Option<u16>,
    /// The port that the second name server of its zones was last served on.
    #[serde(default)]
    pub secondary_port: Option<u16>,
    /// The port that its clusters were last served on.
    #[serde(default)]
    pub clusters_port: Option<u16>,
    key: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("id", &self.id)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// The identity that a number stands for: a world that can be made again. It protects nothing.
    pub fn of_seed(seed: u64) -> Identity {
        let digest = Sha256::digest(seed.to_le_bytes());
        Identity {
            id: hex(&digest[..6]),
            port: None,
            mysql_port: None,
            dns_port: None,
            secondary_port: None,
            clusters_port: None,
            key: hex(&digest),
        }
    }

    /// Reads the identity of a directory, or makes one.
    ///
    /// # Errors
    /// The file cannot be read, written or understood, or there is no randomness.
    pub fn load_or_create(dir: &Path) -> io::Result<Identity> {
        if let Some(found) = Identity::load(dir)? {
            return Ok(found);
        }
        let mut seed = [0u8; 38];
        getrandom::fill(&mut seed).map_err(|e| io::Error::other(e.to_string()))?;
        let (id, key) = seed.split_at(6);
        let made = Identity {
            id: hex(id),
            port: None,
            mysql_port: None,
            dns_port: None,
            secondary_port: None,
            clusters_port: None,
            key: hex(key),
        };
        made.save(dir)?;
        Ok(made)
    }

    /// Reads the identity of a directory, if it has one.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub fn load(dir: &Path) -> io::Result<Option<Identity>> {
        match std::fs::read(dir.join(FILE)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Writes the identity to its directory.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        write_private(&dir.join(FILE), &serde_json::to_vec_pretty(self)?)
    }

    /// The bearer token that the DigitalOcean emulator takes.
    pub fn digitalocean_token(&self) -> String {
        format!("dop_v1_{}", hex(&self.digest("digitalocean token")))
    }

    /// The bearer token that the Cloudflare emulator takes.
    pub fn cloudflare_token(&self) -> String {
        self.derive("cloudflare token", 40)
    }

    /// The bearer token of one cluster.
    pub fn cluster_token(&self, cluster_id: &str) -> String {
        let digest = hex(&self.digest(&format!("cluster token {cluster_id}")));
        format!("dop_v1_{digest}")
    }

    /// The access key of the object storage.
    pub fn spaces_key(&self) -> String {
        format!("DO00{}", self.derive("spaces key", 16).to_uppercase())
    }

    /// The secret that goes with the access key.
    pub fn spaces_secret(&self) -> String {
        self.derive("spaces secret", 43)
    }

    /// The sandbox's value for a secret that the user has not set.
    pub fn secret(&self, name: &str) -> String {
        self.derive(&format!("secret {name}"), 32)
    }

    /// The id of the account's default project, a UUID.
    pub(crate) fn project_id(&self) -> String {
        uuid(self.digest("default project"))
    }

    /// `length` letters and digits that depend on the key and the purpose only.
    pub(crate) fn derive(&self, purpose: &str, length: usize) -> String {
        let mut out = String::new();
        for block in 0u32.. {
            for byte in self.digest(&format!("{purpose}#{block}")) {
                if out.len() == length {
                    return out;
                }
                // 248 is the largest multiple of 62 in a byte: anything above would be biased.
                if byte < 248 {
                    out.push(char::from(ALPHABET[usize::from(byte % 62)]));
                }
            }
        }
        out
    }

    /// 32 bytes that depend on the key and the purpose only.
    pub(crate) fn digest(&self, purpose: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes())
            .expect("invariant: HMAC takes keys of any length");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The first half of a digest in the form of a random UUID.
pub(crate) fn uuid(mut digest: [u8; 32]) -> String {
    digest[6] = (digest[6] & 0x0f) | 0x40;
    digest[8] = (digest[8] & 0x3f) | 0x80;
    let text = hex(&digest[..16]);
    let (a, b, c) = (&text[..8], &text[8..12], &text[12..16]);
    format!("{a}-{b}-{c}-{}-{}", &text[16..20], &text[20..])
}

/// Replaces a file by one that only its owner can read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let tmp = path.with_extension("tmp");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(&tmp)?.write_all(bytes)?;
    std::fs::rename(tmp, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_stable_private_and_does_not_print_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let one = Identity::load_or_create(dir.path()).unwrap();
        let two = Identity::load_or_create(dir.path()).unwrap();
        assert_eq!(one.id, two.id);
        assert_eq!(one.secret("a"), two.secret("a"));
        assert_ne!(one.secret("a"), one.secret("b"));
        assert_eq!(one.cloudflare_token().len(), 40);
        assert!(!format!("{one:?}").contains(&one.key));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(dir.path().join(FILE))
                .unwrap()
                .permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
        }
        let other = tempfile::tempdir().unwrap();
        let three = Identity::load_or_create(other.path()).unwrap();
        assert_ne!(one.secret("a"), three.secret("a"));
    }
}
