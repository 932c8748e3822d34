//! A private S3 service in this process, on a free port of the loopback interface.
//!
//! It checks signatures, their expiry and the headers they cover, as a real service does. It differs from one
//! in three points: it does not check the region; it stores objects as plain files, so a part of a key has at
//! most 255 bytes and `a` and `a/b` can't both exist; and it fails with status 500 for a range of more bytes at
//! the end than an object has, where others return the whole object.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A running service. It stops and loses its data when this is dropped.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    root: TempDir,
    serving: JoinHandle<Infallible>,
}

impl S3Server {
    /// The access key.
    pub const ACCESS_KEY: &str = "mitosis_access";
    /// The secret key.
    pub const SECRET_KEY: &str = "mitosis_secret";

    /// Starts an empty service without buckets.
    pub async fn start() -> io::Result<Self> {
        let root = TempDir::new()?;
        let files = FileSystem::new(root.path()).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(Self::ACCESS_KEY, Self::SECRET_KEY));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let serving = crate::spawn(serve(listener, service.build()));
        Ok(Self { address, root, serving })
    }

    /// The address, as in `s3_url`: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The directory with a subdirectory for each bucket, and with files for uploads in progress.
    pub fn root(&self) -> &Path {
        self.root.path()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Accepts and owns the connections, so that they end with it.
async fn serve(listener: TcpListener, service: S3Service) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { continue };
                let service = service.clone();
                connections.spawn(async move {
                    let http = Builder::new(TokioExecutor::new());
                    // Some tests need clients that disconnect in the middle of a request.
                    http.serve_connection(TokioIo::new(socket), service).await.ok();
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
