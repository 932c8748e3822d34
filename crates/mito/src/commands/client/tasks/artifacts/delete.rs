//! `mito client tasks artifacts delete`, `delete-many` and `delete-list`.

use mitosis_protocol::{ArtifactKind, Uuid};

use crate::cli::client::artifacts::{ListArgs, ManyArgs};
use crate::commands::client::remainder::{nothing_left, something_given};
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn one(uuid: Uuid, kind: ArtifactKind, identity: &Identity) -> Result<(), Failure> {
    identity.client.delete_artifact(uuid, kind).await?;
    eprintln!("deleted the {kind} of {uuid}");
    Ok(())
}

pub(super) async fn many(args: &ManyArgs, identity: &Identity) -> Result<(), Failure> {
    let deleted = identity.client.delete_artifacts(&args.request()).await?;
    show::line(format_args!("deleted {} artifacts", deleted.deleted_count))
}

pub(super) async fn list(args: &ListArgs, identity: &Identity) -> Result<(), Failure> {
    let request = args.request();
    something_given(&request.uuids, "UUID")?;
    let deleted = identity.client.delete_listed_artifacts(&request).await?;
    show::line(format_args!("deleted {} artifacts", deleted.deleted_count))?;
    nothing_left(
        &deleted.failed_uuids,
        "those of these tasks were not deleted",
        "they may not exist, not be yours to delete, or have been uploaded less than an hour ago",
    )
}
