//! `mito client groups attachments upload`.

use mitosis_protocol::attachment::UploadAttachmentRequest;

use super::path::AttachmentPath;
use crate::cli::client::attachments::UploadArgs;
use crate::commands::client::transfer;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;
use crate::task_io::upload_source::Source;

pub(super) async fn upload(args: &UploadArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let Identity { name, client, .. } = identity;
    let file = &args.local_file;
    let place = AttachmentPath::of_new(file, args.key.as_deref(), args.group.as_deref(), args.smart, name)?;
    let source = Source::open(file).await?;
    let request = UploadAttachmentRequest { key: place.key.clone(), content_length: source.length };
    let target = client.announce_attachment(&place.group, &request).await?;
    transfer::send(client, &target, source, out).await?;
    match target.exist {
        true => out.say(format_args!("replaced {place}")),
        false => out.say(format_args!("uploaded {place}")),
    }
    Ok(())
}
