//! `mito client groups remove-user`.

use mitosis_protocol::group::RemoveUsersRequest;

use crate::commands::client::partial_failure::require_any;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{Output, words};

/// Removes users from a group, and reports those who are not members: the coordinator ignores them (HTTP contract §7).
pub(super) async fn remove_user(
    group: &str,
    users: &[String],
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    require_any(users, "USER")?;
    // Users who may remove members can list them; the next request refuses others.
    let members = identity.client.group(group).await.ok().and_then(|found| found.users_in_group);
    identity.client.remove_members(group, &RemoveUsersRequest { users: users.to_vec() }).await?;
    let outsiders: Vec<&String> = match &members {
        Some(members) => users.iter().filter(|user| !members.contains_key(*user)).collect(),
        None => Vec::new(),
    };
    if outsiders.len() < users.len() {
        out.say(format_args!("changed the members of group {group}"));
    }
    if !outsiders.is_empty() {
        out.say(format_args!("not a member of group {group}: {}", words(&outsiders)));
    }
    Ok(())
}
