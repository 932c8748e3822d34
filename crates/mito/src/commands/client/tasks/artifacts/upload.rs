//! `mito client tasks artifacts upload`.

use mitosis_protocol::artifact::UploadArtifactRequest;

use crate::cli::client::artifacts::UploadArgs;
use crate::commands::client::transfer;
use crate::commands::select;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;
use crate::task_io::upload_source::Source;

pub(super) async fn upload(args: &UploadArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let UploadArgs { local_file, task, kind, .. } = args;
    let uuid = select::one(task, &identity.client).await?;
    let source = Source::open(local_file).await?;
    let request = UploadArtifactRequest { content_type: *kind, content_length: source.length };
    let target = identity.client.announce_artifact(uuid, &request).await?;
    transfer::send(&identity.client, &target, source, out).await?;
    match target.exist {
        true => out.say(format_args!("replaced the {kind} of {uuid}")),
        false => out.say(format_args!("uploaded the {kind} of {uuid}")),
    }
    Ok(())
}
