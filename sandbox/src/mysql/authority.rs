//! The private certificate authority of a world's databases, and the certificates that it signs.
//!
//! As with the vendor, one authority signs for the databases of an account.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;

use crate::world::{Tables, Txn};

const TABLE: &str = "sandbox/database_authority";

/// A certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    #[error("a certificate of the sandbox's databases cannot be made")]
    Certificate(#[from] rcgen::Error),
    #[error("a certificate of the sandbox's databases cannot be used")]
    Tls(#[from] rustls::Error),
}

/// Which certificate a database shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// One that is right.
    Right,
    /// One for its names by an authority of the same name that is another one.
    OtherAuthority,
    /// One by the right authority for another name.
    OtherName,
}

impl Shown {
    pub(crate) fn parse(name: &str) -> Option<Shown> {
        match name {
            "right" => Some(Shown::Right),
            "other_authority" => Some(Shown::OtherAuthority),
            "other_name" => Some(Shown::OtherName),
            _ => None,
        }
    }
}

/// The authority's certificate, PEM; it is made when nobody has asked before.
pub(crate) fn certificate(txn: &mut Txn<'_>) -> Result<String, AuthorityError> {
    if let Some(known) = stored(txn.tables(), "certificate") {
        return Ok(known);
    }
    let key = KeyPair::generate()?;
    let certificate = params().self_signed(&key)?.pem();
    let doc = json!({"certificate": certificate, "key": key.serialize_pem()});
    txn.put(TABLE, "authority", doc);
    Ok(certificate)
}

/// What a server shows that has these names.
pub(super) fn server_config(
    txn: &mut Txn<'_>,
    names: &[String],
    shown: Shown,
) -> Result<Arc<ServerConfig>, AuthorityError> {
    certificate(txn)?;
    let known = stored(txn.tables(), "key").unwrap_or_default();
    let signer = match shown {
        Shown::OtherAuthority => KeyPair::generate()?,
        Shown::Right | Shown::OtherName => KeyPair::from_pem(&known)?,
    };
    let names = match shown {
        Shown::OtherName => vec!["another-do-user-1-0.db.ondigitalocean.com".to_owned()],
        Shown::Right | Shown::OtherAuthority => names.to_vec(),
    };
    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "mysql");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = leaf.signed_by(&key, &Issuer::new(params(), signer))?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok(Arc::new(config))
}

fn stored(tables: &Tables, field: &str) -> Option<String> {
    let doc = tables.get(TABLE, "authority")?;
    doc[field].as_str().map(str::to_owned)
}

fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Sandbox Project CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
