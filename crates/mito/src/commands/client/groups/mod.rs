//! `mito client groups`.

pub(super) mod attachments;
mod create;
mod get;
mod remove_user;
mod update_user;

use crate::cli::client::groups::GroupsCommand;
use crate::failure::Failure;
use crate::identity::Identity;

pub(super) async fn run(command: &GroupsCommand, identity: &Identity) -> Result<(), Failure> {
    match command {
        GroupsCommand::Create { group } => create::create(group, identity).await,
        GroupsCommand::Get { group } => get::get(group, identity).await,
        GroupsCommand::UpdateUser { group, roles } => update_user::update_user(group, roles, identity).await,
        GroupsCommand::RemoveUser { group, users } => remove_user::remove_user(group, users, identity).await,
        GroupsCommand::Attachments(command) => attachments::run(command, identity).await,
    }
}
