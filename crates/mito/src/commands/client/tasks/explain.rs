//! `mito client tasks explain`.

use mitosis_protocol::Uuid;
use mitosis_protocol::explain::ReasonCode;

use super::get::say_missing_resources;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;
use crate::task_io::exit::TaskExit;

/// Prints the explanation of the coordinator, which is the same for all clients.
pub(super) async fn explain(uuid: Uuid, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let explanation = identity.client.explain_task(uuid).await?;
    out.one_line(&explanation)?;
    if explanation.code == ReasonCode::Ended {
        let outcome = TaskExit::from_info(&identity.client.task(uuid).await?.info);
        say_missing_resources(uuid, outcome, identity, out).await;
    }
    Ok(())
}
