//! `mito client admin groups`.

use mitosis_protocol::Role;

use crate::cli::client::admin::{AdminAttachmentsCommand, AdminGroupsCommand};
use crate::cli::client::attachments::PathArgs;
use crate::commands::client::groups::attachments::path::AttachmentPath;
use crate::commands::client::roles::relations;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{Output, StorageQuota, bytes};

pub(super) async fn run(
    command: &AdminGroupsCommand,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        AdminGroupsCommand::StorageQuota { group, quota } => storage_quota(group, quota, identity, out).await,
        AdminGroupsCommand::Weight { group, weight } => set_weight(group, *weight, identity, out).await,
        AdminGroupsCommand::Restore { group, roles } => restore(group, roles, identity, out).await,
        AdminGroupsCommand::Attachments(AdminAttachmentsCommand::Delete(args)) => {
            delete_attachment(args, identity, out).await
        }
    }
}

async fn restore(
    group: &str,
    roles: &[(String, Role)],
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    let request = relations(roles, "USER:ROLE")?;
    identity.client.restore_group(group, &request).await?;
    out.say(format_args!("group {group} is Active, with these members"));
    Ok(())
}

async fn set_weight(group: &str, weight: u32, identity: &Identity, out: &Output) -> Result<(), Failure> {
    identity.client.set_weight(group, weight).await?;
    out.say(format_args!("group {group} has the weight {weight}"));
    Ok(())
}

async fn storage_quota(group: &str, quota: &str, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let quota = identity.client.change_storage_quota(group, quota).await?;
    let sentence = format!("group {group} may store {}", bytes(quota));
    out.outcome(sentence, &StorageQuota { group_name: group.to_owned(), storage_quota: quota })
}

async fn delete_attachment(args: &PathArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let place = AttachmentPath::of_existing(args, &identity.name)?;
    identity.client.delete_attachment_as_admin(&place.group, &place.key).await?;
    out.say(format_args!("deleted {place}"));
    Ok(())
}
