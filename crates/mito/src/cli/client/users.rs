//! `mito client login` and `mito client users`.

use clap::{Args, Subcommand};
use mitosis_client::EarlierTokens;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mito client -c http://coordinator:5000 login ann          prompts for the password
  mito client -c http://coordinator:5000 login ann --no-retain")]
pub(crate) struct LoginArgs {
    /// Username; prompted for if omitted
    pub(crate) username: Option<String>,
    /// Password; prompted for if omitted, which keeps it out of the process list
    pub(crate) password: Option<String>,
    /// Keep the user's other sessions (default)
    #[arg(long, overrides_with = "no_retain")]
    retain: bool,
    /// End the user's other sessions
    #[arg(long, overrides_with = "retain")]
    no_retain: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// End all sessions of the user, on all machines; personal tokens and workers stay
    #[arg(long)]
    pub(crate) all: bool,
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

impl LoginArgs {
    /// What becomes of the user's other sessions, if an option says it.
    pub(crate) fn earlier_tokens(&self) -> Option<EarlierTokens> {
        match (self.retain, self.no_retain) {
            (true, _) => Some(EarlierTokens::Retain),
            (false, true) => Some(EarlierTokens::End),
            (false, false) => None,
        }
    }
}

impl UsersCommand {
    pub(super) fn carries_a_secret(&self) -> bool {
        match self {
            Self::ChangePassword(args) => args.orig_password.is_some(),
            Self::Groups => false,
        }
    }
}
