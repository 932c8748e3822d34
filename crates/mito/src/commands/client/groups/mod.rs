//! `mito client groups`.

pub(super) mod attachments;
mod create;
mod delete;
mod get;
mod notify_key;
mod remove_user;
mod update_user;
mod write_priority;

use crate::cli::client::groups::GroupsCommand;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn run(command: &GroupsCommand, identity: &Identity, out: &Output) -> Result<(), Failure> {
    match command {
        GroupsCommand::Create { group } => create::create(group, identity, out).await,
        GroupsCommand::Get { group } => get::get(group, identity, out).await,
        GroupsCommand::UpdateUser { group, roles } => {
            update_user::update_user(group, roles, identity, out).await
        }
        GroupsCommand::RemoveUser { group, users } => {
            remove_user::remove_user(group, users, identity, out).await
        }
        GroupsCommand::WritePriority { group, most } => {
            write_priority::write_priority(group, *most, identity, out).await
        }
        GroupsCommand::Delete { group } => delete::delete(group, identity, out).await,
        GroupsCommand::NotifyKey { group, replace } => {
            notify_key::notify_key(group, *replace, identity, out).await
        }
        GroupsCommand::Attachments(command) => attachments::run(command, identity, out).await,
    }
}
