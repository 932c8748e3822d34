//! `mito client tasks`.

mod artifacts;
mod cancel;
mod get;
mod query;
mod submit;

use crate::cli::client::{ArtifactsCommand, TasksCommand};
use crate::failure::Failure;
use crate::identity::Identity;

pub(super) async fn run(command: &TasksCommand, identity: &Identity) -> Result<(), Failure> {
    match command {
        TasksCommand::Submit(args) => submit::submit(args, identity).await,
        TasksCommand::Get { uuid } => get::get(*uuid, identity).await,
        TasksCommand::Query(args) => query::query(args, identity).await,
        TasksCommand::Cancel { uuid } => cancel::cancel(*uuid, identity).await,
        TasksCommand::Artifacts(ArtifactsCommand::Download(args)) => {
            artifacts::download::download(args, identity).await
        }
    }
}
