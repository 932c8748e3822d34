//! Short forms of commands of `mito client`. Options for the connection come before the subcommand, as there.

use clap::{Args, Subcommand};

use super::client::admin::AdminCommand;
use super::client::attachments::{self, AttachmentsCommand};
use super::client::groups::GroupsCommand;
use super::client::users::{LoginArgs, LogoutArgs, UsersCommand};
use super::client::workers::{self, WorkersCommand};
use super::client::{ClientArgs, ClientCommand};
use super::connection::ConnectionArgs;
use crate::show::OutputArgs;

/// A command without a subcommand.
#[derive(Debug, Args)]
pub(crate) struct ShortArgs<A: Args> {
    #[command(flatten)]
    args: A,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// A command with subcommands. Without one, it lists.
#[derive(Debug, Args)]
pub(crate) struct ShortNoun<C: Subcommand> {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Option<C>,
}

/// A command without arguments of its own.
#[derive(Debug, Args)]
pub(crate) struct NoArgs;

/// `mito admin`.
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: AdminCommand,
}

impl From<AdminArgs> for ClientArgs {
    fn from(AdminArgs { connection, output, command }: AdminArgs) -> Self {
        Self::short(connection, output, ClientCommand::Admin(command))
    }
}

impl<A: Args> ShortArgs<A> {
    fn client(self, command: impl FnOnce(A) -> ClientCommand) -> ClientArgs {
        ClientArgs::short(self.connection, self.output, command(self.args))
    }
}

impl<C: Subcommand> ShortNoun<C> {
    fn client(self, command: impl FnOnce(Option<C>) -> ClientCommand) -> ClientArgs {
        ClientArgs::short(self.connection, self.output, command(self.command))
    }
}

impl From<ShortArgs<LoginArgs>> for ClientArgs {
    fn from(short: ShortArgs<LoginArgs>) -> Self {
        short.client(ClientCommand::Login)
    }
}

impl From<ShortArgs<LogoutArgs>> for ClientArgs {
    fn from(short: ShortArgs<LogoutArgs>) -> Self {
        short.client(ClientCommand::Logout)
    }
}

/// `mito whoami`.
impl From<ShortArgs<NoArgs>> for ClientArgs {
    fn from(short: ShortArgs<NoArgs>) -> Self {
        short.client(|NoArgs| ClientCommand::Auth)
    }
}

impl From<ShortNoun<WorkersCommand>> for ClientArgs {
    fn from(short: ShortNoun<WorkersCommand>) -> Self {
        let list = || WorkersCommand::Query(workers::QueryArgs::default());
        short.client(|command| ClientCommand::Workers(command.unwrap_or_else(list)))
    }
}

/// `mito groups` lists the user's own groups.
impl From<ShortNoun<GroupsCommand>> for ClientArgs {
    fn from(short: ShortNoun<GroupsCommand>) -> Self {
        let list = ClientCommand::Users(UsersCommand::Groups);
        short.client(|command| command.map_or(list, ClientCommand::Groups))
    }
}

/// `mito files`: the attachments of a group.
impl From<ShortNoun<AttachmentsCommand>> for ClientArgs {
    fn from(short: ShortNoun<AttachmentsCommand>) -> Self {
        let list = || AttachmentsCommand::Query(attachments::QueryArgs::default());
        short
            .client(|command| ClientCommand::Groups(GroupsCommand::Attachments(command.unwrap_or_else(list))))
    }
}
