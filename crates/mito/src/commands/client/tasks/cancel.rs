//! `mito client tasks cancel`, `cancel-many` and `cancel-list`.

use mitosis_protocol::Uuid;
use mitosis_protocol::task::CancelTasksListRequest;

use super::legacy_filter;
use crate::cli::client::tasks::FilterArgs;
use crate::commands::client::partial_failure::{fail_if_any, require_any};
use crate::commands::select;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{BatchOutcome, Output, pluralized};

pub(super) async fn one(uuid: Uuid, identity: &Identity, out: &Output) -> Result<(), Failure> {
    identity.client.cancel(uuid).await?;
    out.say(format_args!("cancelled {uuid}"));
    Ok(())
}

pub(super) async fn many(args: &FilterArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    args.refuse_empty()?;
    let filter = legacy_filter::fitting(args.filter(), &identity.client).await?;
    let cancelled = identity.client.cancel_many(&filter).await?;
    let (count, group) = (cancelled.cancelled_count, &cancelled.group_name);
    out.outcome(
        format_args!("cancelled {} of group {group}", pluralized(count, "task")),
        &BatchOutcome::of_group(count, group),
    )
}

pub(super) async fn list(tasks: &[String], identity: &Identity, out: &Output) -> Result<(), Failure> {
    require_any(tasks, "TASK")?;
    let request = CancelTasksListRequest { uuids: select::each(tasks, &identity.client).await? };
    let cancelled = identity.client.cancel_listed(&request).await?;
    let count = cancelled.cancelled_count;
    let outcome = BatchOutcome::of_list(count, &cancelled.failed_uuids);
    out.outcome(format_args!("cancelled {}", pluralized(count, "task")), &outcome)?;
    fail_if_any(
        &cancelled.failed_uuids,
        "these were not cancelled",
        "only waiting tasks can be cancelled, by members of their group with the role Write; `mito client tasks stop` \
         stops a running one",
    )
}
