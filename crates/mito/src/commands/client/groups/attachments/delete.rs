//! `mito client groups attachments delete`, `delete-many` and `delete-list`.

use mitosis_protocol::attachment::AttachmentsByListRequest;

use super::path::AttachmentPath;
use crate::cli::client::attachments::{DeleteListArgs, DeleteManyArgs, PathArgs};
use crate::commands::client::partial_failure::{fail_if_any, require_any};
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{BatchOutcome, Output, pluralized};

pub(super) async fn one(args: &PathArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let place = AttachmentPath::of_existing(args, &identity.name)?;
    identity.client.delete_attachment(&place.group, &place.key).await?;
    out.say(format_args!("deleted {place}"));
    Ok(())
}

pub(super) async fn many(args: &DeleteManyArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let group = args.filter.group.as_ref().unwrap_or(&identity.name);
    let deleted = identity.client.delete_attachments(group, &args.filter.request()).await?;
    let (count, group) = (deleted.deleted_count, &deleted.group_name);
    out.outcome(
        format_args!("deleted {} of group {group}", pluralized(count, "attachment")),
        &BatchOutcome::of_group(count, group),
    )
}

pub(super) async fn list(args: &DeleteListArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    require_any(&args.keys, "KEY")?;
    let group = args.group.as_ref().unwrap_or(&identity.name);
    let request = AttachmentsByListRequest { keys: args.keys.clone() };
    let deleted = identity.client.delete_listed_attachments(group, &request).await?;
    let (count, group) = (deleted.deleted_count, &deleted.group_name);
    let outcome = BatchOutcome {
        group_name: Some(group.clone()),
        ..BatchOutcome::of_list(count, &deleted.failed_keys)
    };
    out.outcome(format_args!("deleted {} of group {group}", pluralized(count, "attachment")), &outcome)?;
    fail_if_any(
        &deleted.failed_keys,
        "these were not deleted",
        "they may not exist, or have been uploaded less than an hour ago",
    )
}
