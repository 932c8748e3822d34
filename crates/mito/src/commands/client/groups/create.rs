//! `mito client groups create`.

use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn create(group: &str, identity: &Identity, out: &Output) -> Result<(), Failure> {
    identity.client.create_group(group).await?;
    out.say(format_args!("created group {group}"));
    Ok(())
}
