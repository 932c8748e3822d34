//! `mito client groups update-user`.

use mitosis_protocol::Role;

use crate::commands::client::roles::relations;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn update_user(
    group: &str,
    roles: &[(String, Role)],
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    let request = relations(roles, "USER:ROLE")?;
    identity.client.set_members(group, &request).await?;
    out.say(format_args!("changed the members of group {group}"));
    Ok(())
}
