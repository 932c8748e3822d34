//! `mito client users`.

mod change_password;
mod groups;

use super::session::Session;
use crate::cli::client::users::UsersCommand;
use crate::failure::Failure;

pub(super) async fn run(command: &UsersCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    match command {
        UsersCommand::Groups => groups::groups(&session.identity().await?).await,
        UsersCommand::ChangePassword(args) => change_password::change_password(args, session).await,
    }
}
