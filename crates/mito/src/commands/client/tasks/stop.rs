//! `mito client tasks stop`.

use mitosis_protocol::Uuid;

use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

/// Stops a task, which ends as Cancelled once its processes are gone.
pub(super) async fn stop(uuid: Uuid, identity: &Identity, out: &Output) -> Result<(), Failure> {
    identity.client.stop_task(uuid).await?;
    out.say(format_args!("asked the worker to stop {uuid}"));
    Ok(())
}
