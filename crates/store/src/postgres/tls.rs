//! TLS to PostgreSQL, with the words of libpq.

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

/// What of the server's certificate is verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Verify {
    /// Nothing: it keeps listeners out, not impostors (`prefer`, `require`).
    #[default]
    Nothing,
    /// That a trusted authority signed it (`verify-ca`).
    Chain,
    /// That it is of this host, too (`verify-full`).
    ChainAndHost,
}

/// How TLS is spoken, where it is.
#[derive(Clone)]
pub(super) struct Tls {
    verify: Verify,
    connector: MakeRustlsConnect,
}

/// A file that `db_url` names.
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
        Self::new(Verify::Nothing, None, None, None).expect("nothing to read, so nothing to go wrong")
    }
}

impl Tls {
    /// Reads the files. Without a root certificate, those of the system are trusted.
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
                if is_of_a_stranger(key)? {
                    return Err(refused("it belongs to another user".into()));
                }
                let private = PrivateKeyDer::from_pem_file(key).map_err(|error| refused(error.into()))?;
                builder
                    .with_client_auth_cert(certificates("sslcert", certificate)?, private)
                    .map_err(|error| refused(error.into()))?
            }
            _ => return Err("sslcert and sslkey belong together; one of them is missing".into()),
        };
        Ok(Self { verify, connector: MakeRustlsConnect::new(config) })
    }

    /// For the driver.
    pub(super) fn connector(&self) -> MakeRustlsConnect {
        self.connector.clone()
    }

    #[cfg(test)]
    pub(super) fn verify(&self) -> Verify {
        self.verify
    }
}

/// As libpq has it, a key is root's or the own one. One that is not there is told apart when it is read.
fn is_of_a_stranger(key: &Path) -> Result<bool, BoxError> {
    let own = std::fs::metadata("/proc/self")?.uid();
    Ok(key.metadata().is_ok_and(|key| key.uid() != 0 && key.uid() != own))
}

fn unusable(parameter: &'static str, path: &Path, source: BoxError) -> BoxError {
    UnusableFile { parameter, path: path.to_owned(), source }.into()
}

fn certificates(parameter: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, BoxError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(unusable(parameter, path, "it holds no certificate".into())),
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

/// `sslrootcert=system`, and none at all, mean those of the system.
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
                return Err("the system trusts no certificate authority; name a file with sslrootcert".into());
            }
        }
    }
    Ok(roots)
}

/// Looks at as much of a certificate as `sslmode` asks for. That the server has the key of the certificate
/// is verified always.
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
            // The chain is looked at before the name.
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
