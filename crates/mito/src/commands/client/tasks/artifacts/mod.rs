//! `mito client tasks artifacts`.

mod delete;
mod download;
mod upload;

use crate::cli::client::artifacts::ArtifactsCommand;
use crate::failure::Failure;
use crate::identity::Identity;

pub(super) async fn run(command: &ArtifactsCommand, identity: &Identity) -> Result<(), Failure> {
    match command {
        ArtifactsCommand::Upload(args) => upload::upload(args, identity).await,
        ArtifactsCommand::Download(args) => download::one(args, identity).await,
        ArtifactsCommand::Delete { uuid, kind } => delete::one(*uuid, *kind, identity).await,
        ArtifactsCommand::DownloadMany(args) => download::many(args, identity).await,
        ArtifactsCommand::DownloadList(args) => download::list(args, identity).await,
        ArtifactsCommand::DeleteMany(args) => delete::many(args, identity).await,
        ArtifactsCommand::DeleteList(args) => delete::list(args, identity).await,
    }
}
