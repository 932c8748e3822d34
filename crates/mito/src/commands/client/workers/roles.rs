//! `mito client workers update-roles` and `remove-roles`.

use mitosis_protocol::worker::RemoveGroupsRequest;
use mitosis_protocol::{Role, Uuid};

use crate::commands::client::partial_failure::require_any;
use crate::commands::client::roles::relations;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn update(
    uuid: Uuid,
    roles: &[(String, Role)],
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    let request = relations(roles, "GROUP:ROLE")?;
    identity.client.set_worker_roles(uuid, &request).await?;
    out.say(format_args!("changed the groups of worker {uuid}"));
    Ok(())
}

pub(super) async fn remove(
    uuid: Uuid,
    groups: &[String],
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    require_any(groups, "GROUP")?;
    let request = RemoveGroupsRequest { groups: groups.to_vec() };
    identity.client.remove_worker_groups(uuid, &request).await?;
    out.say(format_args!("changed the groups of worker {uuid}"));
    Ok(())
}
