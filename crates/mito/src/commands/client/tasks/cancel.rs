//! `mito client tasks cancel`, `cancel-many` and `cancel-list`.

use mitosis_protocol::Uuid;
use mitosis_protocol::task::CancelTasksListRequest;

use crate::cli::client::tasks::FilterArgs;
use crate::commands::client::remainder::{nothing_left, something_given};
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn one(uuid: Uuid, identity: &Identity) -> Result<(), Failure> {
    identity.client.cancel(uuid).await?;
    eprintln!("cancelled {uuid}");
    Ok(())
}

pub(super) async fn many(args: &FilterArgs, identity: &Identity) -> Result<(), Failure> {
    let cancelled = identity.client.cancel_many(&args.filter()).await?;
    show::line(format_args!(
        "cancelled {} tasks of group {}",
        cancelled.cancelled_count, cancelled.group_name
    ))
}

pub(super) async fn list(uuids: &[Uuid], identity: &Identity) -> Result<(), Failure> {
    something_given(uuids, "UUID")?;
    let request = CancelTasksListRequest { uuids: uuids.to_vec() };
    let cancelled = identity.client.cancel_listed(&request).await?;
    show::line(format_args!("cancelled {} tasks", cancelled.cancelled_count))?;
    nothing_left(
        &cancelled.failed_uuids,
        "these were not cancelled",
        "only tasks that wait can be cancelled, by members of their group with role Write",
    )
}
