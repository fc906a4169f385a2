//! [`Tls`]: what rustls needs to accept a connection, made of certificates and a key in PEM.

use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};

use super::kept::{Reading, SettingFile};
use crate::AccessConfig;
use crate::error::Result;
use crate::server::Protocol;

/// What a client may ask a listener to speak (ALPN); one that does not ask is served all the same.
const GRPC_SPEAKS: &[&[u8]] = &[b"h2"];
const HTTP_SPEAKS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// The files.
#[derive(Debug)]
pub(super) struct TlsFiles {
    chain: SettingFile,
    key: SettingFile,
    authorities: Option<SettingFile>,
}

impl TlsFiles {
    /// As the configuration names them; `None` when it wants no TLS.
    pub(super) fn of(config: &AccessConfig) -> Option<Self> {
        let (chain, key) = (config.tls_cert_file.as_deref()?, config.tls_key_file.as_deref()?);
        let authorities = config.tls_client_ca_file.as_deref();
        Some(Self {
            chain: SettingFile::new("collector.tls_cert_file", chain),
            key: SettingFile::new("collector.tls_key_file", key),
            authorities: authorities.map(|path| SettingFile::new("collector.tls_client_ca_file", path)),
        })
    }

    /// Reads them. Of a key that cannot be read nothing is repeated, not even in an error.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub(super) fn make(&self, reading: &mut Reading<'_>) -> Result<Tls> {
        let chain = certificates(&self.chain, reading)?;
        let key = PrivateKeyDer::from_pem_slice(&reading.bytes(&self.key)?)
            .map_err(|_| self.key.unfit("holds no private key in PEM, or one that needs a password"))?;
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let authorities = self.authorities.as_ref().map(|file| verifier(file, &provider, reading)).transpose()?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| self.chain.unfit(format_args!("cannot be served: {error}")))?;
        let asks = authorities.is_some();
        let config = match authorities {
            None => config.with_no_client_auth(),
            Some(verifier) => config.with_client_cert_verifier(verifier),
        };
        let fits = config.with_single_cert(chain, key);
        let config = fits.map_err(|error| self.key.unfit(format_args!("does not go with {}: {error}", self.chain)))?;
        Ok(Tls { grpc: speaking(&config, GRPC_SPEAKS), http: speaking(&config, HTTP_SPEAKS), asks })
    }
}

fn certificates(file: &SettingFile, reading: &mut Reading<'_>) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = reading.bytes(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(file.unfit("holds no certificate in PEM")),
        Err(_) => Err(file.unfit("is no valid PEM")),
    }
}

/// Lets in whoever shows a certificate of one of the authorities, and nobody else.
fn verifier(
    file: &SettingFile,
    provider: &Arc<crypto::CryptoProvider>,
    reading: &mut Reading<'_>,
) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, reading)? {
        let added = roots.add(certificate);
        added.map_err(|error| file.unfit(format_args!("holds a certificate that is none: {error}")))?;
    }
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    built.map_err(|error| file.unfit(format_args!("cannot be used: {error}")))
}

fn speaking(config: &ServerConfig, protocols: &[&[u8]]) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// How connections are accepted.
#[derive(Debug)]
pub(super) struct Tls {
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    asks: bool,
}

impl Tls {
    /// For a listener.
    pub(super) fn of(&self, protocol: Protocol) -> Arc<ServerConfig> {
        Arc::clone(match protocol {
            Protocol::Grpc => &self.grpc,
            Protocol::Http => &self.http,
        })
    }

    /// Whether clients must show a certificate.
    pub(super) fn asks_for_certificates(&self) -> bool {
        self.asks
    }
}
