//! `mito client groups`.

use clap::Subcommand;
use mitosis_protocol::Role;

use super::attachments::AttachmentsCommand;
use crate::cli::text;

#[derive(Debug, Subcommand)]
pub(crate) enum GroupsCommand {
    /// Make a group and become its admin
    Create {
        /// 1 to 255 letters, digits, `-` and `_`
        group: String,
    },
    /// Show a group
    Get {
        /// The group
        group: String,
    },
    /// Give users a role in a group
    UpdateUser {
        /// The group
        group: String,
        /// `read`, `write` or `admin` for each user
        #[arg(value_name = "USER:ROLE", value_parser = text::relation)]
        roles: Vec<(String, Role)>,
    },
    /// Take users out of a group
    RemoveUser {
        /// The group
        group: String,
        /// Who shall leave
        #[arg(value_name = "USER")]
        users: Vec<String>,
    },
    /// Delete a group: its tasks that wait are cancelled, and nobody is in it any more
    Delete {
        /// The group
        group: String,
    },
    /// Files that a group shares with its tasks
    #[command(subcommand)]
    Attachments(AttachmentsCommand),
}
