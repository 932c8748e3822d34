//! `mito client` and its subcommands (command line §4), a file per noun.

pub(crate) mod admin;
pub(crate) mod artifacts;
pub(crate) mod attachments;
pub(super) mod filter;
pub(crate) mod groups;
pub(crate) mod tasks;
pub(crate) mod tokens;
pub(crate) mod transfer;
pub(crate) mod users;
pub(crate) mod workers;

use clap::{Args, Parser, Subcommand};

use crate::cli::connection::ConnectionArgs;
use crate::config::{Options, keys};
use crate::show::OutputArgs;

/// Options of `mito client`; they come before the subcommand.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// The user's password; prefer the config file or MITO_PASSWORD
    #[arg(short, long)]
    password: Option<String>,
    /// Keep the user's other sessions when logging in (default)
    #[arg(long, overrides_with = "no_retain")]
    retain: bool,
    /// End the user's other sessions when logging in
    #[arg(long, overrides_with = "retain")]
    no_retain: bool,
    /// Read commands interactively
    #[arg(short, long)]
    pub(crate) interactive: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: Option<ClientCommand>,
}

/// A line of the interactive mode.
#[derive(Debug, Parser)]
#[command(name = "", no_binary_name = true, about = "Commands of the interactive mode", long_about = None)]
pub(crate) struct Line {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: ClientCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Administration (administrators only)
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Show the logged-in user
    Auth,
    /// Log in and store the token
    Login(users::LoginArgs),
    /// Log out: remove the stored token, or end all sessions
    Logout(users::LogoutArgs),
    /// Manage your account
    #[command(subcommand)]
    Users(users::UsersCommand),
    /// Manage personal tokens for scripts
    #[command(subcommand)]
    Tokens(tokens::TokensCommand),
    /// Manage groups, members and files
    #[command(subcommand)]
    Groups(groups::GroupsCommand),
    /// Submit, query and manage tasks and their artifacts
    #[command(subcommand)]
    Tasks(tasks::TasksCommand),

    /// Query and manage workers
    #[command(subcommand)]
    Workers(workers::WorkersCommand),
    /// Run a command in the local shell
    Cmd(CmdArgs),
    /// Exit the interactive mode
    #[command(alias = "exit")]
    Quit,
}

#[derive(Debug, Args)]
pub(crate) struct CmdArgs {
    /// Pass each word to the shell as a separate argument
    #[arg(short, long)]
    pub(crate) split: bool,
    /// The command
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

impl ClientCommand {
    /// Whether the arguments contain a secret, so that the line is not kept in the history.
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
    /// The arguments of a command that is a short form of `mito client …`.
    pub(crate) const fn short(
        connection: ConnectionArgs,
        output: OutputArgs,
        command: ClientCommand,
    ) -> Self {
        Self {
            connection,
            password: None,
            retain: false,
            no_retain: false,
            interactive: false,
            output,
            command: Some(command),
        }
    }

    pub(crate) fn options(&self) -> Options {
        self.connection
            .options()
            .set(keys::PASSWORD, self.password.clone().map(Into::into))
            .flag(keys::RETAIN, self.retain)
            .no_flag(keys::RETAIN, self.no_retain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::Format;

    #[test]
    fn commands_with_secrets_are_recognised() {
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

    /// `-o` is the output format, except for downloads, where the contract defines it as the target.
    #[test]
    fn every_command_accepts_an_output_format() {
        let uuid = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
        for (line, short) in [
            ("auth", true),
            ("users groups", true),
            ("groups get g", true),
            ("groups attachments query", true),
            ("groups attachments download k", false),
            ("groups attachments download-many", false),
            ("groups attachments download-list k", false),
            ("tasks submit", true),
            ("tasks query -v", true),
            ("tasks get UUID", true),
            ("tasks artifacts download UUID result", false),
            ("tasks artifacts download-many result", false),
            ("tasks artifacts download-list result UUID", false),
            ("workers query", true),
            ("admin users group-quota u 3", true),
        ] {
            let line = line.replace("UUID", uuid);
            let parsed = |line: String| Line::try_parse_from(line.split(' ')).map(|line| line.output.format);
            let [long, brief] = ["--format", "-o"].map(|option| parsed(format!("{line} {option} jsonl")));
            assert_eq!(long.unwrap(), Some(Format::Jsonl), "{line}");
            assert_eq!(brief.unwrap(), short.then_some(Format::Jsonl), "{line}");
            assert!(parsed(format!("{line} --format xml")).is_err(), "{line}");
        }
        assert!(Line::parse_from(["tasks", "query", "-q"]).output.quiet);
    }

    /// Command line §4, with every option in its long and in its short form.
    #[test]
    fn every_command_of_the_contract_is_accepted() {
        let uuid = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
        let filters = "-c a b -g g -t t,u -l l -s ready running -e =0 -p >=5";
        let long_filters =
            "--creators a --group g --tags t --labels l --state unknown --exit-status 0 --priority -1";
        for line in [
            "auth",
            "login",
            "login u p --retain",
            "login u p --no-retain",
            "logout --all",
            "users change-password o n",
            "users my-groups",
            "groups create g",
            "groups get g",
            "groups update-user g a:read b:ADMIN",
            "groups remove-user g a b",
            "groups attachments upload f k -g g -s --pb",
            "groups attachments upload f --group g --smart",
            "groups attachments download k -g g -o o --no-download --pb -s",
            "groups attachments download k --group g --output o --smart",
            "groups attachments get k -g g -s",
            "groups attachments delete k -g g -s",
            "groups attachments query -g g -k k --limit 1 --offset 2 --count",
            "groups attachments query --group g --key k",
            "groups attachments download-many -g g -k k --limit 1 --offset 2 -o o --no-download --pb --concurrent 3",
            "groups attachments download-list k l -g g -o o --no-download --pb --concurrent 3",
            "groups attachments delete-many -g g -k k --limit 1 --offset 2",
            "groups attachments delete-list k l -g g",
            "tasks submit -g g -t t u -l l --timeout 1h -p=-3 -e A=1,B=2 --terminal -r attachment=k:f --watch UUID,ExecFinished -- ls -l",
            "tasks submit --group g --tags t --labels l --priority 1 --envs A=1 B=2 --resources artifact=UUID:terminal:f",
            "tasks submit-many -f f.json",
            "tasks submit-many --file f.json",
            "tasks get UUID",
            "tasks explain UUID",
            "tasks query FILTERS --reporter-uuid UUID --limit 1 --offset 2 -v --count",
            "tasks query LONG_FILTERS --verbose",
            "tasks cancel UUID",
            "tasks cancel-many FILTERS",
            "tasks cancel-list UUID,UUID UUID",
            "tasks update-labels UUID",
            "tasks update-labels UUID a b",
            "tasks change UUID -t t u --timeout 1h -p 1 -e A=1 --terminal --watch UUID,TaskCommitted -- ls -l",
            "tasks artifacts upload f UUID result --pb",
            "tasks artifacts download UUID exec-log -o o --no-download --pb",
            "tasks artifacts delete UUID std-log",
            "tasks artifacts download-many result FILTERS --reporter-uuid UUID -o o --no-download --pb --concurrent 3",
            "tasks artifacts download-list result UUID UUID -o o --no-download --pb --concurrent 3",
            "tasks artifacts delete-many result FILTERS --reporter-uuid UUID",
            "tasks artifacts delete-list result UUID UUID",
            "workers get UUID",
            "workers query -g g -r read WRITE -t t u -l l --creator c -v --count",
            "workers query --group g --role Admin --tags t --labels l --verbose",
            "workers cancel UUID -f",
            "workers cancel-many -g g -r read -t t -l l --creator c -f",
            "workers cancel-list UUID UUID --force",
            "workers update-tags UUID a b",
            "workers update-labels UUID a b",
            "workers update-roles UUID g:write h:read",
            "workers remove-roles UUID g h",
            "admin users create u p --admin",
            "admin users delete u",
            "admin users change-password u p",
            "admin users group-quota u -2",
            "admin groups storage-quota g -1.5g",
            "admin groups attachments delete k -g g -s",
            "admin tasks artifacts delete UUID result",
            "admin workers cancel UUID -f",
            "admin shutdown s",
            "cmd -s -- ls -l",
            "cmd --split -- ls",
            "quit",
            "exit",
        ] {
            let words = line.replace("LONG_FILTERS", long_filters).replace("FILTERS", filters);
            let words = words.replace("UUID", uuid);
            if let Err(error) = Line::try_parse_from(words.split(' ')) {
                panic!("{line}: {error}");
            }
        }
    }
}
