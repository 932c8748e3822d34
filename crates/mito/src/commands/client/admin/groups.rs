//! `mito client admin groups`.

use crate::cli::client::admin::{AdminAttachmentsCommand, AdminGroupsCommand};
use crate::cli::client::attachments::PlaceArgs;
use crate::commands::client::groups::attachments::place::Place;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn run(command: &AdminGroupsCommand, identity: &Identity) -> Result<(), Failure> {
    match command {
        AdminGroupsCommand::StorageQuota { group, quota } => storage_quota(group, quota, identity).await,
        AdminGroupsCommand::Attachments(AdminAttachmentsCommand::Delete(args)) => {
            delete_attachment(args, identity).await
        }
    }
}

async fn storage_quota(group: &str, quota: &str, identity: &Identity) -> Result<(), Failure> {
    let quota = identity.client.change_storage_quota(group, quota).await?;
    show::line(format_args!("group {group} may store {}", show::bytes(quota)))
}

async fn delete_attachment(args: &PlaceArgs, identity: &Identity) -> Result<(), Failure> {
    let place = Place::of_existing(args, &identity.name)?;
    identity.client.delete_attachment_as_admin(&place.group, &place.key).await?;
    eprintln!("deleted {place}");
    Ok(())
}
