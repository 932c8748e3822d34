//! `mito client login` and `mito client users`.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito client -c http://coordinator:5000 login ann          asks for the password
  mito client -c http://coordinator:5000 login ann --retain")]
pub(crate) struct LoginArgs {
    /// Asked for when not given
    pub(crate) username: Option<String>,
    /// Asked for when not given, which keeps it out of the list of processes
    pub(crate) password: Option<String>,
    /// Leave the user's other sessions alone
    #[arg(long)]
    pub(crate) retain: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Set another password
    ChangePassword(ChangePasswordArgs),
    /// List the groups that one belongs to
    #[command(alias = "my-groups")]
    Groups,
}

#[derive(Debug, Args)]
pub(crate) struct ChangePasswordArgs {
    /// Asked for when not given
    pub(crate) orig_password: Option<String>,
    /// Asked for when not given
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
