//! TLS of the coordinator itself, for deployments without a proxy.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::settings::TlsFiles;

/// How long a handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// The protocols, in order of preference: a connection of HTTP/2 takes about twice the memory.
const PROTOCOLS: [&[u8]; 2] = [b"http/1.1", b"h2"];

/// Why TLS can't be configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read or is invalid.
    #[error("{key}: can't use the file {path}")]
    File {
        /// `tls_cert` or `tls_key`.
        key: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Certificate and key are not a pair, or of an unsupported type.
    #[error("the certificate in {certificate} and the key in {key} can't be used together")]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
}

/// The certificate and its key, which can be reloaded while the service runs.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads both files.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = RwLock::new(read(&files)?);
        Ok(Self { files, config })
    }

    /// Reads both files again, for new connections. If they can't be used, the current ones are kept.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let config = read(&self.files)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Performs the handshake. Returns the stream, and whether the client speaks HTTP/2.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, bool)> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        let handshake = TlsAcceptor::from(config).accept(stream);
        let stream = tokio::time::timeout(HANDSHAKE_LIMIT, handshake).await??;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(PROTOCOLS[1]);
        Ok((stream, is_http2))
    }
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable("tls_key", &files.key, error))?;
    let pair =
        |source| TlsError::Pair { certificate: files.certificate.clone(), key: files.key.clone(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(pair)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(unusable("tls_cert", path, "the file contains no certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable("tls_cert", path, error)),
    }
}

fn unusable(
    key: &'static str,
    path: &Path,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> TlsError {
    TlsError::File { key, path: path.to_owned(), source: source.into() }
}

#[cfg(test)]
mod tests {
    use mitosis_testkit::certificates::Certificates;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn handshake_has_a_timeout() {
        let certificates = Certificates::new().unwrap();
        let (certificate, key) = certificates.server("server", &["localhost"]).unwrap();
        let tls = Tls::load(TlsFiles { certificate, key }).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let outcome = tokio::time::timeout(HANDSHAKE_LIMIT * 2, tls.accept(stream)).await;
        let error = outcome.expect("it has a limit").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
