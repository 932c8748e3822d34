//! The two backends, each with real storage and a real HTTP door for its links.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_domain::entropy::OsEntropy;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_objects::directory::DirectoryStore;
use mitosis_objects::s3::{LinkRoute, S3Config, S3Store};
use mitosis_objects::{ByteRange, ByteStream, Link, ObjectError, ObjectMeta, ObjectStore};
use mitosis_protocol::Timestamp;
use mitosis_testkit::s3::S3Server;
use reqwest::{Method, RequestBuilder};
use tempfile::TempDir;
use url::Url;

use crate::link_server::Doors;

/// More than this goes to the S3 service in parts. It takes no smaller ones.
pub(crate) const PART: usize = 5 * 1024 * 1024;

/// How long the links of the tests are valid.
pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// What keeps the bytes.
#[derive(Debug)]
pub(crate) enum Storage {
    Directory(TempDir),
    S3(S3Server),
}

/// A prepared store, and a server for its links.
pub(crate) struct Backend {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) storage: Storage,
    doors: Doors,
    http: reqwest::Client,
}

impl Backend {
    pub(crate) async fn directory() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(root.path().join("objects"), Arc::new(OsEntropy)).await.unwrap();
        Self::over(Arc::new(store), Storage::Directory(root)).await
    }

    pub(crate) async fn s3() -> Self {
        let server = S3Server::start().await.unwrap();
        let config = config(&server);
        Self::over(Arc::new(s3_store(&config)), Storage::S3(server)).await
    }

    /// An S3 service that clients can't reach: all links lead through the coordinator.
    pub(crate) async fn hidden_s3() -> Self {
        let server = S3Server::start().await.unwrap();
        let config = S3Config { links: LinkRoute::ViaCoordinator, ..config(&server) };
        Self::over(Arc::new(s3_store(&config)), Storage::S3(server)).await
    }

    async fn over(store: Arc<dyn ObjectStore>, storage: Storage) -> Self {
        store.prepare().await.unwrap();
        let doors = Doors::open(store.clone()).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { store, storage, doors, http }
    }

    /// The folder that holds all there is, whichever backend it is.
    pub(crate) fn root(&self) -> &Path {
        match &self.storage {
            Storage::Directory(root) => root.path(),
            Storage::S3(server) => server.root(),
        }
    }

    pub(crate) async fn put(&self, key: &ObjectKey, content: &[u8]) -> Result<(), ObjectError> {
        self.store.put(key, body(content), content.len() as u64).await
    }

    pub(crate) async fn get(&self, key: &ObjectKey) -> Result<Vec<u8>, ObjectError> {
        self.read(key, None).await.map(|(content, _)| content)
    }

    /// The bytes, and where the first of them lies.
    pub(crate) async fn read(
        &self,
        key: &ObjectKey,
        range: Option<ByteRange>,
    ) -> Result<(Vec<u8>, u64), ObjectError> {
        let body = self.store.get(key, range).await?;
        let (length, offset, total) = (body.length, body.offset, body.total);
        let content = body.stream.try_collect::<Vec<Bytes>>().await.unwrap().concat();
        assert_eq!(content.len() as u64, length, "the body has the announced length");
        assert!(offset + length <= total);
        Ok((content, offset))
    }

    pub(crate) async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        let page = self.store.list(ObjectClass::Attachments, prefix, after, limit).await.unwrap();
        page.into_iter().map(|meta: ObjectMeta| meta.key.path().to_owned()).collect()
    }

    /// A request to upload with a link that was made at `now`, as a client sends it.
    pub(crate) fn upload(
        &self,
        key: &ObjectKey,
        announced: usize,
        content: &[u8],
        now: Timestamp,
    ) -> RequestBuilder {
        let link = self.store.upload_link(key, announced as u64, HOUR, now).unwrap();
        self.send(Method::PUT, self.address(link))
            .header("content-length", content.len())
            .body(content.to_vec())
    }

    /// A request to download with a link that was made at `now`.
    pub(crate) fn download(&self, key: &ObjectKey, now: Timestamp) -> RequestBuilder {
        let link = self.store.download_link(key, None, HOUR, now).unwrap();
        self.send(Method::GET, self.address(link))
    }

    pub(crate) fn send(&self, method: Method, address: Url) -> RequestBuilder {
        self.http.request(method, address)
    }

    pub(crate) fn address(&self, link: Link) -> Url {
        match link {
            Link::Direct(address) => address,
            Link::ViaCoordinator(path) => format!("{}{path}", self.doors.url()).parse().unwrap(),
        }
    }
}

/// How the tests reach an S3 server: as the documentation's example does, with the smallest parts.
pub(crate) fn config(server: &S3Server) -> S3Config {
    let endpoint = server.url().parse().unwrap();
    let mut config = S3Config::new(endpoint, S3Server::ACCESS_KEY, S3Server::SECRET_KEY.into());
    config.part_size = PART as u64;
    config
}

pub(crate) fn s3_store(config: &S3Config) -> S3Store {
    S3Store::new(config, Arc::new(SystemClock), Arc::new(OsEntropy)).unwrap()
}

/// The present, because a real S3 service knows no other time.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// A key of an attachment.
pub(crate) fn key(path: &str) -> ObjectKey {
    ObjectKey::from_stored(ObjectClass::Attachments, path.to_owned())
}

/// A body in chunks that fit nothing.
pub(crate) fn body(content: &[u8]) -> ByteStream {
    let chunks: Vec<_> = content.chunks(10_007).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    stream::iter(chunks).boxed()
}

/// `length` bytes that do not repeat in step with any buffer, different for each `seed`.
pub(crate) fn content(seed: u8, length: usize) -> Vec<u8> {
    (0..251_u8).cycle().take(length).map(|byte| byte ^ seed).collect()
}

/// All files below a folder, for those who look behind the interface.
pub(crate) fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}
