//! A private certificate authority, and what servers show that it vouches for.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

/// A certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    #[error("a certificate of the sandbox cannot be made")]
    Certificate(#[from] rcgen::Error),
    #[error("a certificate of the sandbox cannot be used")]
    Tls(#[from] rustls::Error),
}

/// An authority: its certificate and its key, both PEM.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Authority {
    /// What clients trust.
    pub(crate) certificate: String,
    key: String,
}

impl Authority {
    /// A new one of this name.
    pub(crate) fn new(name: &str) -> Result<Authority, AuthorityError> {
        let key = KeyPair::generate()?;
        Ok(Authority {
            certificate: params(name).self_signed(&key)?.pem(),
            key: key.serialize_pem(),
        })
    }

    /// What a server shows that is called `common` and has these names and addresses; `name` is the
    /// authority's.
    pub(crate) fn server(
        &self,
        name: &str,
        common: &str,
        names: Vec<String>,
    ) -> Result<Arc<ServerConfig>, AuthorityError> {
        let issuer = Issuer::new(params(name), KeyPair::from_pem(&self.key)?);
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name.push(DnType::CommonName, common);
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = leaf.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(Arc::new(config))
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
