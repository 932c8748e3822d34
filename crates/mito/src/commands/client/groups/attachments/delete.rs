//! `mito client groups attachments delete`, `delete-many` and `delete-list`.

use mitosis_protocol::attachment::AttachmentsByListRequest;

use super::place::Place;
use crate::cli::client::attachments::{DeleteListArgs, DeleteManyArgs, PlaceArgs};
use crate::commands::client::remainder::{nothing_left, something_given};
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn one(args: &PlaceArgs, identity: &Identity) -> Result<(), Failure> {
    let place = Place::of_existing(args, &identity.name)?;
    identity.client.delete_attachment(&place.group, &place.key).await?;
    eprintln!("deleted {place}");
    Ok(())
}

pub(super) async fn many(args: &DeleteManyArgs, identity: &Identity) -> Result<(), Failure> {
    let group = args.filter.group.as_ref().unwrap_or(&identity.name);
    let deleted = identity.client.delete_attachments(group, &args.filter.request()).await?;
    show::line(format_args!("deleted {} attachments of group {}", deleted.deleted_count, deleted.group_name))
}

pub(super) async fn list(args: &DeleteListArgs, identity: &Identity) -> Result<(), Failure> {
    something_given(&args.keys, "KEY")?;
    let group = args.group.as_ref().unwrap_or(&identity.name);
    let request = AttachmentsByListRequest { keys: args.keys.clone() };
    let deleted = identity.client.delete_listed_attachments(group, &request).await?;
    show::line(format_args!(
        "deleted {} attachments of group {}",
        deleted.deleted_count, deleted.group_name
    ))?;
    nothing_left(
        &deleted.failed_keys,
        "these were not deleted",
        "they may not exist, or have been uploaded less than an hour ago",
    )
}
