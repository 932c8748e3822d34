//! `mito client admin`.

mod groups;
mod shutdown;
mod site;
mod users;

use super::Next;
use crate::cli::client::admin::{
    AdminArtifactsCommand, AdminCommand, AdminTasksCommand, AdminWorkersCommand, Listed,
};
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn run(command: &AdminCommand, identity: &Identity, out: &Output) -> Result<Next, Failure> {
    match command {
        AdminCommand::Users(Listed { command: Some(command) }) => users::run(command, identity, out).await?,
        AdminCommand::Users(_) => site::users(identity, out).await?,
        AdminCommand::Groups(Listed { command: Some(command) }) => {
            groups::run(command, identity, out).await?;
        }
        AdminCommand::Groups(_) => site::groups(identity, out).await?,
        AdminCommand::Jobs(args) => site::jobs(args, identity, out).await?,
        AdminCommand::Usage(args) => site::usage(args, identity, out).await?,
        AdminCommand::Tasks(command) => delete_artifact(command, identity, out).await?,
        AdminCommand::Workers(Listed { command: Some(command) }) => {
            cancel_worker(command, identity, out).await?;
        }
        AdminCommand::Workers(_) => site::workers(identity, out).await?,
        AdminCommand::Audit(args) => {
            out.all(&identity.client.audit(args.limit, args.before).await?.entries)?;
        }
        AdminCommand::Shutdown { secret } => {
            shutdown::shutdown(secret.as_deref(), identity, out).await?;
            return Ok(Next::Quit);
        }
    }
    Ok(Next::Continue)
}

async fn delete_artifact(
    command: &AdminTasksCommand,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    let AdminTasksCommand::Artifacts(AdminArtifactsCommand::Delete { uuid, kind }) = command;
    identity.client.delete_artifact_as_admin(*uuid, *kind).await?;
    out.say(format_args!("deleted the {kind} of {uuid}"));
    Ok(())
}

async fn cancel_worker(
    command: &AdminWorkersCommand,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    let AdminWorkersCommand::Cancel { uuid, how } = command;
    identity.client.shut_down_worker_as_admin(*uuid, how.op()).await?;
    out.say(format_args!("stopped worker {uuid}"));
    Ok(())
}
