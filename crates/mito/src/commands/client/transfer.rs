//! Transfers files between this machine and the object store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use mitosis_client::{OnBytes, UserClient};
use mitosis_protocol::storage::UploadReply;

use super::extract;
use super::partial_failure::fail_if_any;
use crate::cli::client::transfer::{BatchOptions, DownloadOptions};
use crate::process::failure::Failure;
use crate::show::{Fetched, Link, Output, Progress};
use crate::task_io::upload_source::Source;

/// An object to download.
pub(super) struct Item {
    /// The name that the user knows: a key or a task.
    pub(super) label: String,
    pub(super) url: String,
    /// The recorded size in bytes, an upper bound.
    pub(super) size: i64,
    /// The name of the local file or folder.
    pub(super) name: PathBuf,
    pub(super) form: Form,
}

/// What is made of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    File,
    /// The files of the archive, in a new folder.
    Extracted,
}

impl Item {
    fn link(&self) -> Link {
        Link { of: self.label.clone(), url: self.url.clone(), size: self.size }
    }
}

/// Downloads one object, or prints its link.
pub(super) async fn fetch(
    client: &UserClient,
    item: Item,
    options: &DownloadOptions,
    out: &Output,
) -> Result<(), Failure> {
    if options.no_download {
        return out.outcome(&item.url, &item.link());
    }
    let target = target(options.output.as_deref(), &item.name);
    let progress = progress(out, item.size);
    let size = fetch_to(client, &item, &target, on_bytes(&progress)).await;
    progress.clear();
    let size = size?;
    out.say(format_args!("{size} bytes"));
    out.one_line(&fetched(item.label, &target, size))
}

/// Downloads many objects, or prints their links. A failed download does not stop the others.
pub(super) async fn fetch_many(
    client: &UserClient,
    items: Vec<Item>,
    options: &BatchOptions,
    out: &Output,
) -> Result<(), Failure> {
    if options.no_download {
        return out.all(&items.iter().map(Item::link).collect::<Vec<_>>());
    }
    if items.is_empty() {
        out.say("nothing to download");
    }
    let progress = progress(out, items.iter().map(|item| item.size).fold(0, i64::saturating_add));
    let on_bytes = on_bytes(&progress);
    let mut rows = out.rows();
    let mut coming = stream::iter(items)
        .map(|item| {
            let (target, on_bytes) = (options.output.join(&item.name), on_bytes.clone());
            async move {
                let outcome = match item.form {
                    Form::File => fetch_to(client, &item, &target, on_bytes).await,
                    Form::Extracted => extract::fetch(client, &item.url, &target, on_bytes).await,
                };
                (item.label, target, outcome)
            }
        })
        .buffer_unordered(options.concurrent.get());
    let mut failed = Vec::new();
    while let Some((label, target, outcome)) = coming.next().await {
        match outcome {
            Ok(size) => {
                let file = fetched(label, &target, size);
                progress.suspend(|| rows.push(&file).and_then(|()| rows.flush()))?;
            }
            Err(failure) => {
                progress.suspend(|| note!("{failure}"));
                failed.push(label);
            }
        }
    }
    progress.clear();
    rows.finish()?;
    fail_if_any(&failed, "these were not downloaded", "download them with `download-list`")
}

async fn fetch_to(
    client: &UserClient,
    item: &Item,
    target: &Path,
    on_bytes: OnBytes,
) -> Result<u64, Failure> {
    if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        tokio::fs::create_dir_all(folder).await.map_err(|error| {
            Failure::io(format!("cannot create the directory {}", folder.display()), error)
        })?;
    }
    Ok(client.client().download_with_progress(&item.url, target, on_bytes).await?)
}

/// The target file: in a directory, a file with the default name.
fn target(output: Option<&Path>, name: &Path) -> PathBuf {
    match output {
        Some(folder) if folder.is_dir() => folder.join(name),
        Some(file) => file.to_owned(),
        None => name.to_owned(),
    }
}

/// Uploads a file to its link.
pub(super) async fn send(
    client: &UserClient,
    place: &UploadReply,
    Source { file, length }: Source,
    out: &Output,
) -> Result<(), Failure> {
    let progress = out.bytes_progress(length);
    let sent = client.client().upload_open(&place.url, file, length, on_bytes(&progress)).await;
    progress.clear();
    Ok(sent?)
}

fn fetched(of: String, target: &Path, size: u64) -> Fetched {
    Fetched { of, path: target.display().to_string(), size }
}

/// Completes a progress bar. The expected size is an upper bound, so the bar may not be full.
fn progress(out: &Output, total: i64) -> Progress {
    out.bytes_progress(total.max(0).unsigned_abs())
}

fn on_bytes(progress: &Progress) -> OnBytes {
    let progress = progress.clone();
    Arc::new(move |bytes| progress.add(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_target_gets_the_default_name() {
        let folder = tempfile::tempdir().unwrap();
        let name = Path::new("in/a.bin");
        assert_eq!(target(Some(folder.path()), name), folder.path().join("in/a.bin"));
        assert_eq!(target(Some(Path::new("other.bin")), name), Path::new("other.bin"));
        assert_eq!(target(None, name), name);
    }
}
