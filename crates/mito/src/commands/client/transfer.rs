//! Moving files between this machine and the object store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt as _, stream};
use mitosis_client::{OnBytes, UserClient};
use mitosis_protocol::storage::UploadReply;

use super::remainder::nothing_left;
use crate::cli::client::transfer::{BatchOptions, DownloadOptions};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::show;

/// An object to fetch.
pub(super) struct Item {
    /// What the user calls it.
    pub(super) label: String,
    pub(super) url: String,
    /// Recorded size in bytes, an upper bound.
    pub(super) size: i64,
    /// Its name here.
    pub(super) name: PathBuf,
}

/// Fetches one object, or prints its link.
pub(super) async fn fetch(client: &UserClient, item: Item, options: &DownloadOptions) -> Result<(), Failure> {
    if options.no_download {
        return show::line(&item.url);
    }
    let target = target(options.output.as_deref(), &item.name);
    let size = fetch_to(client, &item, &target, progress(options.pb, item.size)).await?;
    eprintln!("{size} bytes");
    show::line(target.display())
}

/// Fetches many objects, or prints their links. One that fails does not keep the others from coming.
pub(super) async fn fetch_many(
    client: &UserClient,
    items: Vec<Item>,
    options: &BatchOptions,
) -> Result<(), Failure> {
    if options.no_download {
        return items.iter().try_for_each(|item| show::line(format_args!("{} {}", item.label, item.url)));
    }
    if items.is_empty() {
        eprintln!("there is nothing to download");
    }
    let on_bytes = progress(options.pb, items.iter().map(|item| item.size).fold(0, i64::saturating_add));
    let mut fetched = stream::iter(items)
        .map(|item| {
            let (target, on_bytes) = (options.output.join(&item.name), on_bytes.clone());
            async move {
                let outcome = fetch_to(client, &item, &target, on_bytes).await;
                (item.label, target, outcome)
            }
        })
        .buffer_unordered(options.concurrent.get());
    let mut failed = Vec::new();
    while let Some((label, target, outcome)) = fetched.next().await {
        match outcome {
            Ok(_) => show::line(target.display())?,
            Err(failure) => {
                eprintln!("{failure}");
                failed.push(label);
            }
        }
    }
    nothing_left(&failed, "these were not downloaded", "repeat the command with `download-list` for them")
}

async fn fetch_to(
    client: &UserClient,
    item: &Item,
    target: &Path,
    on_bytes: OnBytes,
) -> Result<u64, Failure> {
    if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        tokio::fs::create_dir_all(folder)
            .await
            .map_err(|error| Failure::io(format!("can't make the folder {}", folder.display()), error))?;
    }
    Ok(client.client().download_telling(&item.url, target, on_bytes).await?)
}

/// A folder gets a file of that name; anything else is the name.
fn target(output: Option<&Path>, name: &Path) -> PathBuf {
    match output {
        Some(folder) if folder.is_dir() => folder.join(name),
        Some(file) => file.to_owned(),
        None => name.to_owned(),
    }
}

/// The length of a file that is about to be sent.
pub(super) async fn length(file: &Path) -> Result<u64, Failure> {
    let metadata = tokio::fs::metadata(file)
        .await
        .map_err(|error| Failure::io(format!("can't read {}", file.display()), error))?;
    match metadata.is_dir() {
        true => Err(Failure::new(Exit::Usage, format!("{} is a folder", file.display()))
            .with_hint("pack it into an archive first, for instance with `tar -czf`")),
        false => Ok(metadata.len()),
    }
}

/// Sends a file where the coordinator said.
pub(super) async fn send(
    client: &UserClient,
    place: &UploadReply,
    file: &Path,
    length: u64,
    shown: bool,
) -> Result<(), Failure> {
    let on_bytes = progress(shown, i64::try_from(length).unwrap_or(i64::MAX));
    Ok(client.client().upload_telling(&place.url, file, on_bytes).await?)
}

/// How much of an expected number of bytes has got over, on standard error.
struct Meter {
    total: u64,
    done: AtomicU64,
}

fn progress(shown: bool, total: i64) -> OnBytes {
    if !shown {
        return Arc::new(|_| {});
    }
    let meter = Meter { total: total.max(1).unsigned_abs(), done: AtomicU64::new(0) };
    Arc::new(move |bytes| meter.add(bytes))
}

impl Meter {
    fn add(&self, bytes: u64) {
        let before = self.done.fetch_add(bytes, Ordering::Relaxed);
        let now = self.percent(before + bytes);
        if now > self.percent(before) {
            eprint!("\r{now:3} %");
        }
    }

    fn percent(&self, bytes: u64) -> u128 {
        (u128::from(bytes) * 100 / u128::from(self.total)).min(100)
    }
}

impl Drop for Meter {
    /// The expected size is an upper bound, so the end is not always at 100 %.
    fn drop(&mut self) {
        if self.done.load(Ordering::Relaxed) > 0 {
            eprintln!();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gets_a_file_of_the_usual_name() {
        let folder = tempfile::tempdir().unwrap();
        let name = Path::new("in/a.bin");
        assert_eq!(target(Some(folder.path()), name), folder.path().join("in/a.bin"));
        assert_eq!(target(Some(Path::new("other.bin")), name), Path::new("other.bin"));
        assert_eq!(target(None, name), name);
    }
}
