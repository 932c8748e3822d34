//! `mito client tasks artifacts upload`.

use mitosis_protocol::artifact::UploadArtifactRequest;

use crate::cli::client::artifacts::UploadArgs;
use crate::commands::client::transfer;
use crate::failure::Failure;
use crate::identity::Identity;

pub(super) async fn upload(args: &UploadArgs, identity: &Identity) -> Result<(), Failure> {
    let UploadArgs { local_file, uuid, kind, pb } = args;
    let length = transfer::length(local_file).await?;
    let request = UploadArtifactRequest { content_type: *kind, content_length: length };
    let target = identity.client.announce_artifact(*uuid, &request).await?;
    transfer::send(&identity.client, &target, local_file, length, *pb).await?;
    match target.exist {
        true => eprintln!("replaced the {kind} of {uuid}"),
        false => eprintln!("uploaded the {kind} of {uuid}"),
    }
    Ok(())
}
