//! `mito client tasks cancel`.

use mitosis_protocol::Uuid;

use crate::failure::Failure;
use crate::identity::Identity;

pub(super) async fn cancel(uuid: Uuid, identity: &Identity) -> Result<(), Failure> {
    identity.client.cancel(uuid).await?;
    eprintln!("cancelled {uuid}");
    Ok(())
}
