//! `mito client login` and `mito client users`.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito client -c http://coordinator:5000 login ann          prompts for the password
  mito client -c http://coordinator:5000 login ann --retain")]
pub(crate) struct LoginArgs {
    /// Username; prompted for if omitted
    pub(crate) username: Option<String>,
    /// Password; prompted for if omitted, which keeps it out of the process list
    pub(crate) password: Option<String>,
    /// Keep the user's other sessions
    #[arg(long)]
    pub(crate) retain: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Change your password
    ChangePassword(ChangePasswordArgs),
    /// List your groups
    #[command(alias = "my-groups")]
    Groups,
}

#[derive(Debug, Args)]
pub(crate) struct ChangePasswordArgs {
    /// Current password; prompted for if omitted
    pub(crate) orig_password: Option<String>,
    /// New password; prompted for if omitted
    pub(crate) new_password: Option<String>,
}

impl UsersCommand {
    pub(super) fn carries_a_secret(&self) -> bool {
        match self {
            Self::ChangePassword(args) => args.orig_password.is_some(),
            Self::Groups => false,
        }
    }
}
