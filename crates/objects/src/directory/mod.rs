//! Objects as files below one folder, for an embedded coordinator.
//!
//! ```text
//! root/
//! ├── artifacts/…      one file per object, named by `layout`
//! ├── attachments/…
//! ├── temporary/…      bodies on their way in
//! └── link-secret      signs links; readable by the coordinator only
//! ```
//!
//! A file appears under its final name only when it is complete and on the disk. All work on files
//! happens on the runtime's blocking threads.

mod folders;
mod layout;
mod list;
mod put;
mod remove;
mod secret;
mod temporary;

use std::fs::Metadata;
use std::io::{self, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use mitosis_domain::entropy::Entropy;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use self::folders::Folders;
use self::layout::Layout;
use self::temporary::Temporary;
use crate::link::LinkSigner;
use crate::object::exactly;
use crate::{
    ByteRange, ByteStream, FileOperation, Link, LinkError, ObjectBody, ObjectError, ObjectMeta, ObjectStore,
    Right, SignedAccess, Span,
};

/// How much is read from a file at a time.
const READ_SIZE: usize = 256 * 1024;

/// Keeps objects in files below one folder.
#[derive(Debug)]
pub struct DirectoryStore {
    layout: Layout,
    folders: Folders,
    entropy: Arc<dyn Entropy>,
    signer: LinkSigner,
}

impl DirectoryStore {
    /// Opens the store below `root`. Creates the folders, and the secret that signs links, when they
    /// are missing.
    pub async fn open(root: impl Into<PathBuf>, entropy: Arc<dyn Entropy>) -> Result<Self, ObjectError> {
        let root = root.into();
        let (layout, folders) = (Layout::new(root.clone()), Folders::new(root));
        let (at, bits) = (layout.clone(), entropy.clone());
        let secret = blocking(move || {
            create_folders(&at)?;
            secret::load_or_create(&at, &*bits)
        })
        .await?;
        Ok(Self { layout, folders, entropy, signer: LinkSigner::new(&secret) })
    }

    /// Checks that the store is writable: writes a file and removes it again.
    async fn prove_writable(&self) -> Result<(), ObjectError> {
        let (folder, name) = (self.layout.temporary(), self.entropy.uuid());
        blocking(move || Temporary::create(&folder, name)?.prove_writable()).await
    }
}

/// The version of an object: a replacement is another file, so it has another number or time.
fn version(metadata: &Metadata) -> String {
    let (inode, length) = (metadata.ino(), metadata.len());
    format!("\"{inode:x}-{:x}-{:x}-{length:x}\"", metadata.mtime(), metadata.mtime_nsec())
}

#[async_trait]
impl ObjectStore for DirectoryStore {
    async fn prepare(&self) -> Result<(), ObjectError> {
        let layout = self.layout.clone();
        let removed = blocking(move || {
            create_folders(&layout)?;
            temporary::remove_abandoned(&layout.temporary())
        })
        .await?;
        if removed > 0 {
            tracing::info!(removed, "removed unfinished uploads of an earlier run");
        }
        self.prove_writable().await
    }

    async fn check(&self) -> Result<(), ObjectError> {
        self.prove_writable().await
    }

    async fn put(&self, key: &ObjectKey, body: ByteStream, length: u64) -> Result<(), ObjectError> {
        let folders = self.folders.clone();
        put::put(&self.layout, folders, self.entropy.uuid(), key, exactly(body, length)).await
    }

    async fn get(&self, key: &ObjectKey, range: Option<ByteRange>) -> Result<ObjectBody, ObjectError> {
        let path = self.layout.file(key);
        let failed = |operation| ObjectError::directory(operation, path.clone());
        let mut file = match tokio::fs::File::open(&path).await {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Err(ObjectError::NotFound(key.clone())),
            Err(error) => return Err(failed(FileOperation::Open)(error)),
        };
        let metadata = file.metadata().await.map_err(failed(FileOperation::ReadMetadata))?;
        let (total, version) = (metadata.len(), Some(version(&metadata)));
        let Span { offset, length } = match range {
            Some(range) => range.resolve(total).ok_or(ObjectError::RangeOutside { total })?,
            None => Span { offset: 0, length: total },
        };
        file.seek(SeekFrom::Start(offset)).await.map_err(failed(FileOperation::Read))?;
        let stream = ReaderStream::with_capacity(file.take(length), READ_SIZE).boxed();
        Ok(ObjectBody { length, offset, total, version, stream })
    }

    async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectMeta>, ObjectError> {
        let path = self.layout.file(key);
        match tokio::fs::metadata(&path).await {
            Ok(metadata) => layout::describe(key.clone(), &path, &metadata).map(Some),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(ObjectError::directory(FileOperation::ReadMetadata, path)(error)),
        }
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let (path, class) = (self.layout.file(key), self.layout.class(key.class()));
        let folders = self.folders.clone();
        blocking(move || remove::remove(&folders, &path, &class)).await
    }

    async fn list(
        &self,
        class: ObjectClass,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, ObjectError> {
        let folder = self.layout.class(class);
        let page = list::Page::new(class, prefix, after, limit);
        blocking(move || page.fill(&folder)).await
    }

    fn upload_link(
        &self,
        key: &ObjectKey,
        length: u64,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError> {
        Ok(self.signer.sign(key, Right::Upload { length }, None, valid, now))
    }

    fn create_link(
        &self,
        _: &ObjectKey,
        _: u64,
        _: Duration,
        _: Timestamp,
    ) -> Result<Option<Link>, ObjectError> {
        Ok(None)
    }

    fn guarded_link(
        &self,
        key: &ObjectKey,
        right: Right,
        holder: Option<&str>,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError> {
        Ok(self.signer.sign(key, right, holder, valid, now))
    }

    fn download_link(
        &self,
        key: &ObjectKey,
        holder: Option<&str>,
        valid: Duration,
        now: Timestamp,
    ) -> Result<Link, ObjectError> {
        Ok(self.signer.sign(key, Right::Download, holder, valid, now))
    }

    fn verify_link(
        &self,
        method: &str,
        path_and_query: &str,
        now: Timestamp,
    ) -> Result<SignedAccess, LinkError> {
        self.signer.verify(method, path_and_query, now)
    }
}

/// Creates the store's own folders, inaccessible to other users.
fn create_folders(layout: &Layout) -> Result<(), ObjectError> {
    let folders =
        [layout.class(ObjectClass::Artifacts), layout.class(ObjectClass::Attachments), layout.temporary()];
    for folder in folders {
        folders::create(&folder).map_err(ObjectError::directory(FileOperation::Create, folder))?;
    }
    Ok(())
}

/// Whether an error means that the object does not exist. A name that is too long for the file system was never
/// stored.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename)
}

/// Runs file operations on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ObjectError> + Send + 'static,
) -> Result<T, ObjectError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(ObjectError::ShuttingDown),
    }
}
