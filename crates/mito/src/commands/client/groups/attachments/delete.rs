//! `mito client groups attachments delete`, `delete-many` and `delete-list`.

use mitosis_protocol::attachment::AttachmentsByListRequest;

use super::place::Place;
use crate::cli::client::attachments::{DeleteListArgs, DeleteManyArgs, PlaceArgs};
use crate::commands::client::remainder::{nothing_left, something_given};
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{Outcome, Output, counted};

pub(super) async fn one(args: &PlaceArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let place = Place::of_existing(args, &identity.name)?;
    identity.client.delete_attachment(&place.group, &place.key).await?;
    out.say(format_args!("deleted {place}"));
    Ok(())
}

pub(super) async fn many(args: &DeleteManyArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let group = args.filter.group.as_ref().unwrap_or(&identity.name);
    let deleted = identity.client.delete_attachments(group, &args.filter.request()).await?;
    let (count, group) = (deleted.deleted_count, &deleted.group_name);
    out.outcome(
        format_args!("deleted {} of group {group}", counted(count, "attachment")),
        &Outcome::of_group(count, group),
    )
}

pub(super) async fn list(args: &DeleteListArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    something_given(&args.keys, "KEY")?;
    let group = args.group.as_ref().unwrap_or(&identity.name);
    let request = AttachmentsByListRequest { keys: args.keys.clone() };
    let deleted = identity.client.delete_listed_attachments(group, &request).await?;
    let (count, group) = (deleted.deleted_count, &deleted.group_name);
    let outcome =
        Outcome { group_name: Some(group.clone()), ..Outcome::of_list(count, &deleted.failed_keys) };
    out.outcome(format_args!("deleted {} of group {group}", counted(count, "attachment")), &outcome)?;
    nothing_left(
        &deleted.failed_keys,
        "these were not deleted",
        "they may not exist, or have been uploaded less than an hour ago",
    )
}
