//! Uploads the files of a job.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use mitosis_client::{Known, TransferError, UserClient};
use mitosis_domain::content_key::Digest;
use mitosis_protocol::Timestamp;
use mitosis_protocol::attachment::UploadAttachmentRequest;

use mitosis_sweep::Upload;

use super::upload_cache::{Stamp, UploadCache};
use crate::config::Environment;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::Output;

/// The size of a file; fails if it is missing.
pub(super) async fn length(upload: &Upload) -> Result<u64, Failure> {
    stat(upload).await.map(|metadata| metadata.len())
}

async fn stat(upload: &Upload) -> Result<std::fs::Metadata, Failure> {
    let file = upload.file.display();
    match tokio::fs::metadata(&upload.file).await {
        Ok(metadata) if metadata.is_file() && metadata.len() == 0 && has_content(&upload.file) => {
            Err(Failure::new(Exit::Usage, format!("the size of {file} is reported as 0, but it has content"))
                .with_hint("copy its content to a file first"))
        }
        Ok(metadata) if metadata.is_file() => Ok(metadata),
        Ok(_) => Err(Failure::new(Exit::Usage, format!("{file} is not a file"))
            .with_hint("pack a directory into an archive first, for example with `tar -czf`")),
        Err(error) => Err(Failure::unreadable(&upload.file, error)),
    }
}

fn has_content(file: &std::path::Path) -> bool {
    std::fs::File::open(file).is_ok_and(|file| file.read_at(&mut [0], 0).is_ok_and(|read| read > 0))
}

/// Uploads each file, unless the cache shows that it was uploaded and has changed neither here nor there. The
/// coordinator has no digests, so uncertain files are uploaded again.
pub(in crate::commands) async fn upload(
    user: &UserClient,
    uploads: &[Upload],
    environment: &Environment,
    out: &Output,
) -> Result<(), Failure> {
    let mut cache = UploadCache::read(user.client().address(), environment);
    for upload in uploads {
        let metadata = stat(upload).await?;
        let (file, key, group) = (upload.file.display(), &upload.key, &upload.group);
        if Digest::of_key(key).is_some() && is_stored(user, upload, metadata.len()).await? {
            out.say(format_args!("{file} is stored in group {group} already"));
            continue;
        }
        let stamp = Stamp::of(&metadata);
        let known = updated_at(user, upload).await?;
        if known.is_some_and(|updated_at| cache.is_current(upload, &stamp, updated_at)) {
            out.say(format_args!("{file} is up to date as {key} of group {group}"));
            continue;
        }
        let updated_at = send(user, upload, metadata.len(), out).await?;
        cache.record(upload, stamp, updated_at);
        out.say(format_args!("uploaded {file} as {key} of group {group}"));
    }
    Ok(())
}

/// Whether the group has a file under a key that names its content. An upload that was announced and not completed has a
/// record, and no object.
async fn is_stored(user: &UserClient, upload: &Upload, length: u64) -> Result<bool, Failure> {
    let link = match user.attachment_link(&upload.group, &upload.key).await {
        Ok(link) => link,
        Err(error) if error.status() == Some(404) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    match user.client().open_download(&link.url, Known::Nothing).await {
        Ok(download) => Ok(download.and_then(|download| download.length()) == Some(length)),
        Err(TransferError::Refused { status: 404, .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The upload time of the file with that key in the group, if it exists.
async fn updated_at(user: &UserClient, upload: &Upload) -> Result<Option<Timestamp>, Failure> {
    match user.attachment(&upload.group, &upload.key).await {
        Ok(known) => Ok(Some(known.updated_at)),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Uploads a file. Returns the upload time that the coordinator has recorded.
async fn send(
    user: &UserClient,
    upload: &Upload,
    length: u64,
    out: &Output,
) -> Result<Option<Timestamp>, Failure> {
    let request = UploadAttachmentRequest { key: upload.key.clone(), content_length: length };
    let target = user.announce_attachment(&upload.group, &request).await?;
    // Requested before the file is sent: a later upload by another client has another time.
    let updated_at = updated_at(user, upload).await?;
    let progress = out.bytes_progress(length);
    let on_bytes = {
        let progress = progress.clone();
        Arc::new(move |bytes: u64| progress.add(bytes))
    };
    let sent = user.client().upload_with_progress(&target.url, &upload.file, on_bytes).await;
    progress.clear();
    sent?;
    Ok(updated_at)
}
