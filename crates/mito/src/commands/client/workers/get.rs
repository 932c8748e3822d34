//! `mito client workers get`.

use mitosis_protocol::Uuid;

use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(super) async fn get(uuid: Uuid, identity: &Identity) -> Result<(), Failure> {
    let worker = identity.client.worker(uuid).await?;
    show::line(show::worker(&worker.info))?;
    for (group, role) in &worker.groups {
        show::line(format_args!("group       {group} {role:?}"))?;
    }
    Ok(())
}
