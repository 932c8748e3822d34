//! A group.

use std::fmt::{self, Display};

use mitosis_protocol::group::GroupInfo;

use super::bytes;

/// Everything about a group, a line per fact.
pub(crate) fn group(group: &GroupInfo) -> impl Display {
    fmt::from_fn(|f| {
        writeln!(f, "group       {}", group.group_name)?;
        writeln!(f, "creator     {}", group.creator_username)?;
        writeln!(f, "created     {}", group.created_at)?;
        writeln!(f, "updated     {}", group.updated_at)?;
        writeln!(f, "state       {:?}", group.state)?;
        writeln!(f, "tasks       {}", group.task_count)?;
        writeln!(f, "storage     {} of {}", bytes(group.storage_used), bytes(group.storage_quota))?;
        write!(f, "workers     {}", group.worker_count)?;
        for (name, role) in group.users_in_group.iter().flatten() {
            write!(f, "\nmember      {name} {role:?}")?;
        }
        Ok(())
    })
}
