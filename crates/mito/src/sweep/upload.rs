//! The files that a job needs, brought to where its tasks find them.

use mitosis_client::UserClient;
use mitosis_protocol::attachment::UploadAttachmentRequest;

use super::job::Upload;
use crate::exit::Exit;
use crate::failure::Failure;

/// How much there is to send; fails where there is no file.
pub(crate) async fn length(upload: &Upload) -> Result<u64, Failure> {
    let file = upload.file.display();
    match tokio::fs::metadata(&upload.file).await {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
        Ok(_) => Err(Failure::new(Exit::Usage, format!("{file} is no file"))
            .with_hint("pack a folder into an archive first, for instance with `tar -czf`")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::new(Exit::NotFound, format!("there is no file {file}")))
        }
        Err(error) => Err(Failure::io(format!("can't read {file}"), error)),
    }
}

/// Sends each file that its group does not have, or has in another size.
pub(crate) async fn upload(user: &UserClient, uploads: &[Upload]) -> Result<(), Failure> {
    for upload in uploads {
        let length = length(upload).await?;
        if !is_there(user, upload, length).await? {
            send(user, upload, length).await?;
            eprintln!("uploaded {} as {} of group {}", upload.file.display(), upload.key, upload.group);
        }
    }
    Ok(())
}

async fn is_there(user: &UserClient, upload: &Upload, length: u64) -> Result<bool, Failure> {
    match user.attachment(&upload.group, &upload.key).await {
        Ok(known) => Ok(u64::try_from(known.size) == Ok(length)),
        Err(error) if error.status() == Some(404) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn send(user: &UserClient, upload: &Upload, length: u64) -> Result<(), Failure> {
    let request = UploadAttachmentRequest { key: upload.key.clone(), content_length: length };
    let target = user.announce_attachment(&upload.group, &request).await?;
    Ok(user.client().upload(&target.url, &upload.file).await?)
}
