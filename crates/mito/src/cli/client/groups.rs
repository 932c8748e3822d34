//! `mito client groups`.

use clap::Subcommand;
use mitosis_protocol::Role;

use super::attachments::AttachmentsCommand;
use crate::cli::value_parsers;

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
    /// Delete a group: cancel waiting tasks and remove all members
    Delete {
        /// The group
        group: String,
    },
    /// Manage the files of a group, which its tasks can use
    #[command(subcommand)]
    Attachments(AttachmentsCommand),
}
