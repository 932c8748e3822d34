//! `mito client admin`.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use mitosis_protocol::{ArtifactKind, Role, Uuid};

use super::attachments::PathArgs;
use super::workers::StopArgs;
use crate::cli::value_parsers;

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Manage accounts; list all
    Users(Listed<AdminUsersCommand>),
    /// Manage any group; list all
    Groups(Listed<AdminGroupsCommand>),
    /// List the jobs of all groups, newest first
    Jobs(AdminJobsArgs),
    /// Manage any task
    #[command(subcommand)]
    Tasks(AdminTasksCommand),
    /// Manage any worker; list all
    Workers(Listed<AdminWorkersCommand>),
    /// Show what users have used in groups: slot hours and ended attempts
    Usage(UsageArgs),
    /// Show the audit log (logins and administrator actions), newest first
    Audit(AuditArgs),
    /// Stop the coordinator
    Shutdown {
        /// Secret from the coordinator's log; prompted for if omitted
        secret: Option<String>,
    },
}

/// A noun whose commands are optional. Without one, all objects are listed.
#[derive(Debug, Args)]
pub(crate) struct Listed<C: Subcommand> {
    #[command(subcommand)]
    pub(crate) command: Option<C>,
}

/// Options of `mito admin jobs`.
#[derive(Debug, Args)]
pub(crate) struct AdminJobsArgs {
    /// Only jobs that have not ended
    #[arg(long)]
    pub(crate) active: bool,
    /// Only jobs of this user
    #[arg(long)]
    pub(crate) creator: Option<String>,
    /// Only jobs of this group
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// Maximum number of rows
    #[arg(short = 'n', long, value_name = "N", default_value = "100")]
    pub(crate) limit: NonZeroU64,
}

/// Options of `mito admin usage`.
#[derive(Debug, Args)]
pub(crate) struct UsageArgs {
    /// How far to look back
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = value_parsers::duration)]
    pub(crate) last: Duration,
    /// Add up the rows of each user, or of each group
    #[arg(long, value_enum)]
    pub(crate) by: Option<UsageBy>,
}

/// What a row of a report on use is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UsageBy {
    User,
    Group,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminUsersCommand {
    /// Create an account and the group of the same name
    Create(CreateUserArgs),
    /// Delete an account (its name stays reserved)
    Delete {
        /// The account
        username: String,
    },
    /// Lock an account until it is unlocked
    Lock {
        /// The account
        username: String,
    },
    /// Unlock a locked account, or restore a deleted one
    Unlock {
        /// The account
        username: String,
    },
    /// Set an account's password and end its sessions
    ChangePassword(ResetPasswordArgs),
    /// Change the maximum number of groups of a user
    GroupQuota {
        /// The account
        username: String,
        /// `12` or `=12` sets, `+2` adds, `-2` subtracts
        #[arg(allow_hyphen_values = true)]
        quota: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateUserArgs {
    /// Username; prompted for if omitted
    pub(crate) username: Option<String>,
    /// Password; prompted for if omitted, which keeps it out of the process list
    pub(crate) password: Option<String>,
    /// Create an administrator
    #[arg(long)]
    pub(crate) admin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ResetPasswordArgs {
    /// Username; prompted for if omitted
    pub(crate) username: Option<String>,
    /// New password; prompted for if omitted, which keeps it out of the process list
    pub(crate) new_password: Option<String>,
    /// Also revoke the user's personal tokens
    #[arg(long)]
    pub(crate) revoke_tokens: bool,
}

/// Options of `mito client admin audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Maximum number of results
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u64,
    /// Only entries older than the entry with this id
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<i64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminGroupsCommand {
    /// Set the roles of users in any group; restores a deleted group
    Restore {
        /// The group
        group: String,
        /// `read`, `write` or `admin` for each user
        #[arg(value_name = "USER:ROLE", value_parser = value_parsers::relation)]
        roles: Vec<(String, Role)>,
    },
    /// Change the storage quota of a group
    StorageQuota {
        /// The group
        group: String,
        /// `16GB` or `=16GB` sets, `+512MiB` adds, `-1.5GB` subtracts
        #[arg(allow_hyphen_values = true)]
        quota: String,
    },
    /// Set the share of slot time of a group, in relation to other groups
    Weight {
        /// The group
        group: String,
        /// The weight; groups have 1 unless it was changed
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
        weight: u32,
    },
    /// Manage files of any group
    #[command(subcommand)]
    Attachments(AdminAttachmentsCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminAttachmentsCommand {
    /// Delete a file, even within an hour of its upload
    Delete(PathArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminTasksCommand {
    /// Manage artifacts of tasks
    #[command(subcommand)]
    Artifacts(AdminArtifactsCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminArtifactsCommand {
    /// Delete an artifact, even within an hour of its upload
    Delete {
        /// The task
        #[arg(value_parser = value_parsers::uuid)]
        uuid: Uuid,
        /// Artifact type: `result` (files of $MITO_RESULT_DIR), `std-log` (stdout and stderr), or `exec-log` (files of
        /// $MITO_EXEC_DIR)
        #[arg(value_name = "TYPE")]
        kind: ArtifactKind,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminWorkersCommand {
    /// Stop any worker
    Cancel {
        /// The worker
        #[arg(value_parser = value_parsers::worker)]
        uuid: Uuid,
        #[command(flatten)]
        how: StopArgs,
    },
}

impl AdminCommand {
    pub(super) fn carries_a_secret(&self) -> bool {
        match self {
            Self::Users(Listed { command: Some(AdminUsersCommand::Create(args)) }) => args.password.is_some(),
            Self::Users(Listed { command: Some(AdminUsersCommand::ChangePassword(args)) }) => {
                args.new_password.is_some()
            }
            Self::Shutdown { secret } => secret.is_some(),
            _ => false,
        }
    }
}
