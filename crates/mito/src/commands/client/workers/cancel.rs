//! `mito client workers cancel`, `cancel-many` and `cancel-list`.

use mitosis_protocol::Uuid;
use mitosis_protocol::worker::ShutdownWorkersListRequest;

use crate::cli::client::workers::{CancelManyArgs, StopArgs};
use crate::commands::client::partial_failure::{fail_if_any, require_any};
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{BatchOutcome, Output, pluralized};

pub(super) async fn one(uuid: Uuid, how: StopArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    identity.client.shut_down_worker(uuid, how.op()).await?;
    out.say(format_args!("stopped worker {uuid}"));
    Ok(())
}

pub(super) async fn many(args: &CancelManyArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    args.refuse_empty()?;
    let stopped = identity.client.shut_down_workers(&args.request()).await?;
    let (count, group) = (stopped.shutdown_count, &stopped.group_name);
    out.outcome(
        format_args!("stopped {} of group {group}", pluralized(count, "worker")),
        &BatchOutcome::of_group(count, group),
    )
}

pub(super) async fn list(
    uuids: &[Uuid],
    how: StopArgs,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    require_any(uuids, "UUID")?;
    let request = ShutdownWorkersListRequest { uuids: uuids.to_vec(), op: how.op() };
    let stopped = identity.client.shut_down_listed_workers(&request).await?;
    let count = stopped.shutdown_count;
    out.outcome(
        format_args!("stopped {}", pluralized(count, "worker")),
        &BatchOutcome::of_list(count, &stopped.failed_uuids),
    )?;
    fail_if_any(
        &stopped.failed_uuids,
        "these were not stopped",
        "they may be gone; only admins of a group that is Admin on a worker may stop it",
    )
}
