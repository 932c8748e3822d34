//! `mito client groups update-user`.

use mitosis_protocol::Role;
use mitosis_protocol::group::RelationsRequest;

use crate::commands::client::remainder::something_given;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show::Output;

pub(super) async fn update_user(
    group: &str,
    roles: &[(String, Role)],
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    something_given(roles, "USER:ROLE")?;
    let request = RelationsRequest { relations: roles.iter().cloned().collect() };
    identity.client.set_members(group, &request).await?;
    out.say(format_args!("changed the members of group {group}"));
    Ok(())
}
