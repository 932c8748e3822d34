//! `mito client` and everything below (command line §4), a file per noun.

pub(crate) mod admin;
pub(crate) mod artifacts;
pub(crate) mod attachments;
mod filter;
pub(crate) mod groups;
pub(crate) mod tasks;
pub(crate) mod transfer;
pub(crate) mod users;
pub(crate) mod workers;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Options;

/// Options of `mito client`; they come before the subcommand.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// The address of the coordinator
    #[arg(short, long, value_name = "URL")]
    coordinator: Option<String>,
    /// The path of the config file
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Where tokens are kept
    #[arg(long)]
    credential_path: Option<PathBuf>,
    /// The user to log in as
    #[arg(short, long)]
    user: Option<String>,
    /// The user's password; better kept in the config file or in MITO_PASSWORD
    #[arg(short, long)]
    password: Option<String>,
    /// Leave the user's other sessions alone when logging in
    #[arg(long)]
    retain: bool,
    /// Ask for commands until there are no more
    #[arg(short, long)]
    pub(crate) interactive: bool,
    #[command(subcommand)]
    pub(crate) command: Option<ClientCommand>,
}

/// A line of the interactive mode.
#[derive(Debug, Parser)]
#[command(multicall = true)]
pub(crate) struct Line {
    #[command(subcommand)]
    pub(crate) command: ClientCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Manage the site; for administrators
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Say who is logged in
    Auth,
    /// Log in and keep the token
    Login(users::LoginArgs),
    /// The own account
    #[command(subcommand)]
    Users(users::UsersCommand),
    /// Groups, their members and their files
    #[command(subcommand)]
    Groups(groups::GroupsCommand),
    /// Tasks and what they leave behind
    #[command(subcommand)]
    Tasks(tasks::TasksCommand),
    /// Workers
    #[command(subcommand)]
    Workers(workers::WorkersCommand),
    /// Run a command of this machine's shell
    Cmd(CmdArgs),
    /// Leave the interactive mode
    #[command(alias = "exit")]
    Quit,
}

#[derive(Debug, Args)]
pub(crate) struct CmdArgs {
    /// Hand each word to the shell as an argument of its own
    #[arg(short, long)]
    pub(crate) split: bool,
    /// The command
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

impl ClientCommand {
    /// Whether its words are better forgotten.
    pub(crate) fn carries_a_secret(&self) -> bool {
        match self {
            Self::Login(args) => args.password.is_some(),
            Self::Users(command) => command.carries_a_secret(),
            Self::Admin(command) => command.carries_a_secret(),
            _ => false,
        }
    }
}

impl ClientArgs {
    pub(crate) fn options(&self) -> Options {
        Options::default()
            .text("coordinator_addr", self.coordinator.as_ref())
            .path("credential_path", self.credential_path.as_ref())
            .text("user", self.user.as_ref())
            .text("password", self.password.as_ref())
            .flag("retain", self.retain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_with_a_password_or_a_secret_in_them_are_known() {
        let carries = |line: &str| Line::parse_from(line.split(' ')).command.carries_a_secret();
        for line in [
            "login ann pw",
            "users change-password old",
            "admin users create ann pw",
            "admin users change-password ann pw",
            "admin shutdown secret",
        ] {
            assert!(carries(line), "{line}");
        }
        for line in ["auth", "login ann", "users groups", "admin users create ann", "admin shutdown"] {
            assert!(!carries(line), "{line}");
        }
    }
}
