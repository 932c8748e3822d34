//! Permissions: who may do what (HTTP contract §4, semantics §1).

use mitosis_protocol::Role;

/// An action of a member in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// View the group and its tasks, workers and attachments; download.
    View,
    /// Submit tasks.
    Submit,
    /// Change, relabel or cancel tasks.
    ManageTasks,
    /// Upload or delete artifacts and attachments.
    ManageFiles,
    /// Register a worker that serves the group.
    Serve,
    /// Manage members.
    ManageMembers,
    /// Set named limits, and bounds of priorities.
    ManageLimits,
    /// Read and replace the key that signs notifications.
    ManageKeys,
    /// Set and remove secrets.
    ManageSecrets,
    /// Stop workers on which the group is Admin, and edit their group lists.
    ControlWorkers,
    /// Change tags and labels of workers on which the group has Write or Admin.
    LabelWorkers,
}

impl Action {
    /// The least role that allows the action.
    pub const fn least_role(self) -> Role {
        match self {
            Self::View => Role::Read,
            Self::Submit | Self::ManageTasks | Self::ManageFiles | Self::Serve | Self::LabelWorkers => {
                Role::Write
            }
            Self::ManageMembers
            | Self::ManageLimits
            | Self::ManageKeys
            | Self::ManageSecrets
            | Self::ControlWorkers => Role::Admin,
        }
    }

    /// Whether a member with this role may perform the action.
    pub fn allowed_to(self, role: Role) -> bool {
        role >= self.least_role()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_includes_the_ones_before_it() {
        for (action, reader, writer, admin) in [
            (Action::View, true, true, true),
            (Action::Submit, false, true, true),
            (Action::ManageTasks, false, true, true),
            (Action::ManageFiles, false, true, true),
            (Action::Serve, false, true, true),
            (Action::LabelWorkers, false, true, true),
            (Action::ManageMembers, false, false, true),
            (Action::ManageLimits, false, false, true),
            (Action::ManageKeys, false, false, true),
            (Action::ManageSecrets, false, false, true),
            (Action::ControlWorkers, false, false, true),
        ] {
            let allowed = [Role::Read, Role::Write, Role::Admin].map(|role| action.allowed_to(role));
            assert_eq!(allowed, [reader, writer, admin], "{action:?}");
        }
    }
}
