//! `mito client groups attachments query`.

use crate::cli::client::attachments::QueryArgs;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn query(args: &QueryArgs, identity: &Identity) -> Result<(), Failure> {
    let group = args.filter.group.as_ref().unwrap_or(&identity.name);
    let found = identity.client.query_attachments(group, &args.query()).await?;
    show::line(format_args!("Found {} attachments", found.count))?;
    for attachment in &found.attachments {
        let info = &attachment.info;
        show::line(format_args!("{}\t{} bytes\t{}", info.updated_at, info.size, attachment.key))?;
    }
    Ok(())
}
