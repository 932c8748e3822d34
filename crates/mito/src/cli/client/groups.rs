//! `mito client groups`.

use clap::Subcommand;
use mitosis_protocol::Role;

use super::attachments::AttachmentsCommand;
use crate::cli::value_parsers::{self, PriorityBound};

#[derive(Debug, Subcommand)]
pub(crate) enum GroupsCommand {
    /// Create a group and become its admin
    Create {
        /// Name of 1 to 255 letters, digits, `-` and `_`
        group: String,
    },
    /// Show a group
    Get {
        /// The group
        group: String,
    },
    /// Set the roles of users in a group
    UpdateUser {
        /// The group
        group: String,
        /// `read`, `write` or `admin` for each user
        #[arg(value_name = "USER:ROLE", value_parser = value_parsers::relation)]
        roles: Vec<(String, Role)>,
    },
    /// Remove users from a group
    RemoveUser {
        /// The group
        group: String,
        /// Users to remove
        #[arg(value_name = "USER")]
        users: Vec<String>,
    },
    /// Set the largest priority that members with the role Write may use
    WritePriority {
        /// The group
        group: String,
        /// The largest priority, at least 0, or `none`
        #[arg(value_name = "N", value_parser = value_parsers::priority_bound)]
        most: PriorityBound,
    },
    /// Delete a group: cancel waiting tasks and remove all members
    Delete {
        /// The group
        group: String,
    },
    /// Show the key that signs the notifications of a group (Admins only)
    NotifyKey {
        /// The group
        group: String,
        /// Create a new key; the current one stays valid for a day
        #[arg(long)]
        replace: bool,
    },
    /// Manage the files of a group, which its tasks can use
    #[command(subcommand)]
    Attachments(AttachmentsCommand),
}
