//! `mito client groups create`.

use crate::failure::Failure;
use crate::identity::Identity;
use crate::show::Output;

pub(super) async fn create(group: &str, identity: &Identity, out: &Output) -> Result<(), Failure> {
    identity.client.create_group(group).await?;
    out.say(format_args!("created group {group}"));
    Ok(())
}
