//! TLS to PostgreSQL, configured with the parameters of libpq.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::BoxError;

/// How much of the server's certificate is verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Verify {
    /// Nothing, which protects against eavesdroppers but not against impostors (`prefer`, `require`).
    #[default]
    Nothing,
    /// The signature of a trusted authority (`verify-ca`).
    Chain,
    /// The signature and the host name (`verify-full`).
    ChainAndHost,
}

/// The TLS configuration of connections that use TLS.
#[derive(Clone)]
pub(super) struct Tls {
    verify: Verify,
    connector: MakeRustlsConnect,
}

/// An unusable file in `db_url`.
#[derive(Debug, thiserror::Error)]
#[error("the file {path} of {parameter} can't be used")]
struct UnusableFile {
    parameter: &'static str,
    path: PathBuf,
    source: BoxError,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("verify", &self.verify).finish_non_exhaustive()
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::new(Verify::Nothing, None, None, None).expect("it reads no files")
    }
}

impl Tls {
    /// Reads the files. Without a root certificate, the authorities of the system are trusted.
    pub(super) fn new(
        verify: Verify,
        root: Option<&Path>,
        certificate: Option<&Path>,
        key: Option<&Path>,
    ) -> Result<Self, BoxError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(verifier(verify, root, &provider)?);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match (certificate, key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let refused = |source: BoxError| unusable("sslkey", key, source);
                if belongs_to_another_user(key)? {
                    return Err(refused("it belongs to another user".into()));
                }
                let private = PrivateKeyDer::from_pem_file(key).map_err(|error| refused(error.into()))?;
                builder
                    .with_client_auth_cert(certificates("sslcert", certificate)?, private)
                    .map_err(|error| refused(error.into()))?
            }
            _ => return Err("sslcert and sslkey are only valid together".into()),
        };
        Ok(Self { verify, connector: MakeRustlsConnect::new(config) })
    }

    /// The connector for the driver.
    pub(super) fn connector(&self) -> MakeRustlsConnect {
        self.connector.clone()
    }

    #[cfg(test)]
    pub(super) fn verify(&self) -> Verify {
        self.verify
    }
}

/// As in libpq, a key must belong to root or to the current user. A missing file is reported when it is read.
fn belongs_to_another_user(key: &Path) -> Result<bool, BoxError> {
    let own = std::fs::metadata("/proc/self")?.uid();
    Ok(key.metadata().is_ok_and(|key| key.uid() != 0 && key.uid() != own))
}

fn unusable(parameter: &'static str, path: &Path, source: BoxError) -> BoxError {
    UnusableFile { parameter, path: path.to_owned(), source }.into()
}

fn certificates(parameter: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, BoxError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(unusable(parameter, path, "it contains no certificate".into())),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(parameter, path, error.into())),
    }
}

fn verifier(
    verify: Verify,
    root: Option<&Path>,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, BoxError> {
    let chain = match verify {
        Verify::Nothing => None,
        Verify::Chain | Verify::ChainAndHost => {
            let roots = Arc::new(roots(root)?);
            Some(WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build()?)
        }
    };
    Ok(Verifier { verify, chain, provider: provider.clone() })
}

/// With `sslrootcert=system` or without `sslrootcert`, the authorities of the system are trusted.
fn roots(path: Option<&Path>) -> Result<RootCertStore, BoxError> {
    let mut roots = RootCertStore::empty();
    match path.filter(|path| *path != Path::new("system")) {
        Some(path) => {
            for certificate in certificates("sslrootcert", path)? {
                roots.add(certificate).map_err(|error| unusable("sslrootcert", path, error.into()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(
                    "the system has no trusted certificate authorities; set sslrootcert to a file".into()
                );
            }
        }
    }
    Ok(roots)
}

/// Verifies as much of a certificate as `sslmode` requires. The server always has to prove that it has the key
/// of the certificate.
#[derive(Debug)]
struct Verifier {
    verify: Verify,
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        let verified = chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The chain is verified before the name.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.verify == Verify::Chain => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
