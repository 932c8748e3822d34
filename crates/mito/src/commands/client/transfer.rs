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
    let on_bytes = progress(options.pb, items.iter().map(|item| item.size).sum());
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

/// Says on standard error, once per percent, how much of `total` bytes has got over.
fn progress(shown: bool, total: i64) -> OnBytes {
    let total = total.max(1).unsigned_abs();
    let percent = move |bytes: u64| (u128::from(bytes) * 100 / u128::from(total)).min(100);
    let done = AtomicU64::new(0);
    Arc::new(move |bytes| {
        let before = done.fetch_add(bytes, Ordering::Relaxed);
        let now = percent(before + bytes);
        if shown && now > percent(before) {
            let end = if now == 100 { "\n" } else { "" };
            eprint!("\r{now:3} %{end}");
        }
    })
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
