//! `mito client groups delete`.

use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn delete(group: &str, identity: &Identity, out: &Output) -> Result<(), Failure> {
    identity.client.delete_group(group).await?;
    out.say(format_args!("deleted group {group}; an administrator can restore it"));
    Ok(())
}
