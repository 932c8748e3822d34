//! `mito client tasks get`.

use mitosis_protocol::Uuid;

use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn get(uuid: Uuid, identity: &Identity) -> Result<(), Failure> {
    let task = identity.client.task(uuid).await?;
    show::line(show::task(&task.info))?;
    if task.artifacts.is_empty() {
        return show::line("artifacts   none");
    }
    for artifact in &task.artifacts {
        show::line(format_args!(
            "artifact    {} ({} bytes, {})",
            artifact.content_type, artifact.size, artifact.updated_at
        ))?;
    }
    Ok(())
}
