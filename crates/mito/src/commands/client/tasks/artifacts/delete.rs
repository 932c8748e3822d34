//! `mito client tasks artifacts delete`, `delete-many` and `delete-list`.

use mitosis_protocol::{ArtifactKind, Uuid};

use super::super::legacy_filter;
use crate::cli::client::artifacts::{ListArgs, ManyArgs};
use crate::commands::client::partial_failure::{fail_if_any, require_any};
use crate::commands::select;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{BatchOutcome, Output, pluralized};

pub(super) async fn one(
    uuid: Uuid,
    kind: ArtifactKind,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    identity.client.delete_artifact(uuid, kind).await?;
    out.say(format_args!("deleted the {kind} of {uuid}"));
    Ok(())
}

pub(super) async fn many(args: &ManyArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    args.filter.refuse_empty()?;
    let mut request = args.request();
    request.filter = legacy_filter::fitting(request.filter, &identity.client).await?;
    let deleted = identity.client.delete_artifacts(&request).await?;
    let count = deleted.deleted_count;
    out.outcome(
        format_args!("deleted {}", pluralized(count, "artifact")),
        &BatchOutcome::of_list::<Uuid>(count, &[]),
    )?;
    if count == 0 {
        out.hint(format_args!(
            "no matching task has a {} that is older than an hour; younger ones are kept",
            args.content_type()
        ));
    }
    Ok(())
}

pub(super) async fn list(args: &ListArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    require_any(&args.tasks, "TASK")?;
    let request = args.request(select::each(&args.tasks, &identity.client).await?);
    let deleted = identity.client.delete_listed_artifacts(&request).await?;
    let count = deleted.deleted_count;
    out.outcome(
        format_args!("deleted {}", pluralized(count, "artifact")),
        &BatchOutcome::of_list(count, &deleted.failed_uuids),
    )?;
    fail_if_any(
        &deleted.failed_uuids,
        "the artifacts of these tasks were not deleted",
        "they may not exist, not be yours to delete, or have been uploaded less than an hour ago",
    )
}
