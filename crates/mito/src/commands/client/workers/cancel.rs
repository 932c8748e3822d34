//! `mito client workers cancel`, `cancel-many` and `cancel-list`.

use mitosis_protocol::Uuid;
use mitosis_protocol::worker::ShutdownWorkersListRequest;

use crate::cli::client::workers::{CancelManyArgs, StopArgs};
use crate::commands::client::remainder::{nothing_left, something_given};
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn one(uuid: Uuid, how: StopArgs, identity: &Identity) -> Result<(), Failure> {
    identity.client.shut_down_worker(uuid, how.op()).await?;
    eprintln!("stopped worker {uuid}");
    Ok(())
}

pub(super) async fn many(args: &CancelManyArgs, identity: &Identity) -> Result<(), Failure> {
    let stopped = identity.client.shut_down_workers(&args.request()).await?;
    show::line(format_args!("stopped {} workers of group {}", stopped.shutdown_count, stopped.group_name))
}

pub(super) async fn list(uuids: &[Uuid], how: StopArgs, identity: &Identity) -> Result<(), Failure> {
    something_given(uuids, "UUID")?;
    let request = ShutdownWorkersListRequest { uuids: uuids.to_vec(), op: how.op() };
    let stopped = identity.client.shut_down_listed_workers(&request).await?;
    show::line(format_args!("stopped {} workers", stopped.shutdown_count))?;
    nothing_left(
        &stopped.failed_uuids,
        "these were not stopped",
        "they may be gone; only admins of a group that is Admin on a worker may stop it",
    )
}
