//! `mito workers drain` and `mito workers resume`.

use mitosis_protocol::Uuid;
use mitosis_protocol::worker::QueryWorkersRequest;

use crate::cli::client::workers::NodeArgs;
use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::{Output, pluralized};

pub(super) async fn drain(
    node: &NodeArgs,
    reason: &str,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    let workers = workers_of(node, identity).await?;
    for worker in &workers {
        identity.client.drain_worker(*worker, reason).await?;
    }
    let count = pluralized(workers.len() as u64, "worker");
    out.say(format_args!("draining {count} of {}", node.node));
    Ok(())
}

pub(super) async fn resume(node: &NodeArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let workers = workers_of(node, identity).await?;
    for worker in &workers {
        identity.client.resume_worker(*worker).await?;
    }
    let count = pluralized(workers.len() as u64, "worker");
    out.say(format_args!("resumed {count} of {}", node.node));
    Ok(())
}

/// The worker with this UUID, or those of the group on the host with this name.
async fn workers_of(node: &NodeArgs, identity: &Identity) -> Result<Vec<Uuid>, Failure> {
    if let Ok(uuid) = node.node.parse() {
        return Ok(vec![uuid]);
    }
    let query = QueryWorkersRequest { filter: node.filter(), ..QueryWorkersRequest::default() };
    let found = identity.client.query_workers(&query).await?;
    let on_host = found.workers.iter().filter(|worker| worker.host.as_deref() == Some(&node.node));
    let workers: Vec<Uuid> = on_host.map(|worker| worker.worker_id).collect();
    match workers.is_empty() {
        false => Ok(workers),
        true => Err(Failure::new(
            Exit::NotFound,
            format!("group {} has no worker on a host `{}`", found.group_name, node.node),
        )
        .with_hint("`mito workers` lists hosts and UUIDs; --group selects another group")),
    }
}
