//! `mito client groups create`.

use crate::failure::Failure;
use crate::identity::Identity;

pub(super) async fn create(group: &str, identity: &Identity) -> Result<(), Failure> {
    identity.client.create_group(group).await?;
    eprintln!("created group {group}");
    Ok(())
}
