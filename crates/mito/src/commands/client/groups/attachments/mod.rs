//! `mito client groups attachments`.

mod delete;
mod download;
mod get;
pub(in crate::commands::client) mod path;
mod query;
mod upload;

use crate::cli::client::attachments::AttachmentsCommand;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn run(
    command: &AttachmentsCommand,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        AttachmentsCommand::Upload(args) => upload::upload(args, identity, out).await,
        AttachmentsCommand::Download(args) => download::one(args, identity, out).await,
        AttachmentsCommand::Get(args) => get::get(args, identity, out).await,
        AttachmentsCommand::Delete(args) => delete::one(args, identity, out).await,
        AttachmentsCommand::Query(args) => query::query(args, identity, out).await,
        AttachmentsCommand::DownloadMany(args) => download::many(args, identity, out).await,
        AttachmentsCommand::DownloadList(args) => download::list(args, identity, out).await,
        AttachmentsCommand::DeleteMany(args) => delete::many(args, identity, out).await,
        AttachmentsCommand::DeleteList(args) => delete::list(args, identity, out).await,
    }
}
