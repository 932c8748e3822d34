//! `mito client groups attachments`.

mod delete;
mod download;
mod get;
pub(in crate::commands::client) mod place;
mod query;
mod upload;

use crate::cli::client::attachments::AttachmentsCommand;
use crate::failure::Failure;
use crate::identity::Identity;

pub(super) async fn run(command: &AttachmentsCommand, identity: &Identity) -> Result<(), Failure> {
    match command {
        AttachmentsCommand::Upload(args) => upload::upload(args, identity).await,
        AttachmentsCommand::Download(args) => download::one(args, identity).await,
        AttachmentsCommand::Get(args) => get::get(args, identity).await,
        AttachmentsCommand::Delete(args) => delete::one(args, identity).await,
        AttachmentsCommand::Query(args) => query::query(args, identity).await,
        AttachmentsCommand::DownloadMany(args) => download::many(args, identity).await,
        AttachmentsCommand::DownloadList(args) => download::list(args, identity).await,
        AttachmentsCommand::DeleteMany(args) => delete::many(args, identity).await,
        AttachmentsCommand::DeleteList(args) => delete::list(args, identity).await,
    }
}
