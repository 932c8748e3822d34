//! `mito client users`.

mod change_password;
mod groups;

use super::session::Session;
use crate::cli::client::users::UsersCommand;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn run(
    command: &UsersCommand,
    session: &mut Session<'_>,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        UsersCommand::Groups => groups::groups(&session.identity().await?, out).await,
        UsersCommand::ChangePassword(args) => change_password::change_password(args, session, out).await,
    }
}
