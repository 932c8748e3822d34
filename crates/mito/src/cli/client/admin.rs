//! `mito client admin`.

use clap::{Args, Subcommand};
use mitosis_protocol::{ArtifactKind, Role, Uuid};

use super::attachments::PathArgs;
use super::workers::StopArgs;
use crate::cli::text;

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Accounts
    #[command(subcommand)]
    Users(AdminUsersCommand),
    /// Groups of others
    #[command(subcommand)]
    Groups(AdminGroupsCommand),
    /// Tasks of others
    #[command(subcommand)]
    Tasks(AdminTasksCommand),
    /// Workers of others
    #[command(subcommand)]
    Workers(AdminWorkersCommand),
    /// Show who logged in, and what administrators did, newest first
    Audit(AuditArgs),
    /// Stop the coordinator
    Shutdown {
        /// The secret that the coordinator wrote to its log; asked for when not given
        secret: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminUsersCommand {
    /// Make an account and the group of the same name
    Create(CreateUserArgs),
    /// Shut an account out; its name stays taken
    Delete {
        /// The account
        username: String,
    },
    /// Shut an account out until it is unlocked
    Lock {
        /// The account
        username: String,
    },
    /// Let a locked or deleted account in again
    Unlock {
        /// The account
        username: String,
    },
    /// Set an account's password, which ends its sessions
    ChangePassword(ResetPasswordArgs),
    /// Change how many groups a user may make
    GroupQuota {
        /// The account
        username: String,
        /// `12` or `=12` sets, `+2` adds, `-2` takes away
        #[arg(allow_hyphen_values = true)]
        quota: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateUserArgs {
    /// Asked for when not given
    pub(crate) username: Option<String>,
    /// Asked for when not given, which keeps it out of the list of processes
    pub(crate) password: Option<String>,
    /// The account may manage the site
    #[arg(long)]
    pub(crate) admin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ResetPasswordArgs {
    /// Asked for when not given
    pub(crate) username: Option<String>,
    /// Asked for when not given, which keeps it out of the list of processes
    pub(crate) new_password: Option<String>,
    /// Also revoke the user's personal tokens
    #[arg(long)]
    pub(crate) revoke_tokens: bool,
}

/// Options of `mito client admin audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// At most this many
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u64,
    /// Only what is older than the entry with this number
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<i64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminGroupsCommand {
    /// Give users roles in any group; one that was deleted comes back
    Restore {
        /// The group
        group: String,
        /// `read`, `write` or `admin` for each user
        #[arg(value_name = "USER:ROLE", value_parser = text::relation)]
        roles: Vec<(String, Role)>,
    },
    /// Change how much a group may store
    StorageQuota {
        /// The group
        group: String,
        /// `16GB` or `=16GB` sets, `+512MiB` adds, `-1.5GB` takes away
        #[arg(allow_hyphen_values = true)]
        quota: String,
    },
    /// Files of any group
    #[command(subcommand)]
    Attachments(AdminAttachmentsCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminAttachmentsCommand {
    /// Delete a file, however young it is
    Delete(PathArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminTasksCommand {
    /// What tasks leave behind
    #[command(subcommand)]
    Artifacts(AdminArtifactsCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminArtifactsCommand {
    /// Delete an archive, however young it is
    Delete {
        /// The task
        uuid: Uuid,
        /// result, exec-log or std-log
        #[arg(value_name = "TYPE")]
        kind: ArtifactKind,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminWorkersCommand {
    /// Stop any worker
    Cancel {
        /// The worker
        #[arg(value_parser = text::worker)]
        uuid: Uuid,
        #[command(flatten)]
        how: StopArgs,
    },
}

impl AdminCommand {
    pub(super) fn carries_a_secret(&self) -> bool {
        match self {
            Self::Users(AdminUsersCommand::Create(args)) => args.password.is_some(),
            Self::Users(AdminUsersCommand::ChangePassword(args)) => args.new_password.is_some(),
            Self::Shutdown { secret } => secret.is_some(),
            _ => false,
        }
    }
}
