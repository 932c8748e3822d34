//! `mito client groups remove-user`.

use mitosis_protocol::group::RemoveUsersRequest;

use crate::commands::client::remainder::something_given;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show::Output;

pub(super) async fn remove_user(
    group: &str,
    users: &[String],
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    something_given(users, "USER")?;
    identity.client.remove_members(group, &RemoveUsersRequest { users: users.to_vec() }).await?;
    out.say(format_args!("changed the members of group {group}"));
    Ok(())
}
