//! `mito client tasks artifacts`.

mod delete;
mod download;
mod upload;

use crate::cli::client::artifacts::ArtifactsCommand;
use crate::commands::select;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn run(
    command: &ArtifactsCommand,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        ArtifactsCommand::Upload(args) => upload::upload(args, identity, out).await,
        ArtifactsCommand::Download(args) => download::one(args, identity, out).await,
        ArtifactsCommand::Delete { task, kind } => {
            delete::one(select::one(task, &identity.client).await?, *kind, identity, out).await
        }
        ArtifactsCommand::DownloadMany(args) => download::many(args, identity, out).await,
        ArtifactsCommand::DownloadList(args) => download::list(args, identity, out).await,
        ArtifactsCommand::DeleteMany(args) => delete::many(args, identity, out).await,
        ArtifactsCommand::DeleteList(args) => delete::list(args, identity, out).await,
    }
}
