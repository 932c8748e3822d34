//! `mito client groups update-user`.

use mitosis_protocol::Role;
use mitosis_protocol::group::RelationsRequest;

use crate::commands::client::remainder::something_given;
use crate::failure::Failure;
use crate::identity::Identity;

pub(super) async fn update_user(
    group: &str,
    roles: &[(String, Role)],
    identity: &Identity,
) -> Result<(), Failure> {
    something_given(roles, "USER:ROLE")?;
    let request = RelationsRequest { relations: roles.iter().cloned().collect() };
    identity.client.set_members(group, &request).await?;
    eprintln!("changed the members of group {group}");
    Ok(())
}
