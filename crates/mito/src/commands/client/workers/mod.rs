//! `mito client workers`.

mod cancel;
mod get;
mod query;
mod roles;
mod update;

use crate::cli::client::workers::WorkersCommand;
use crate::failure::Failure;
use crate::identity::Identity;

pub(super) async fn run(command: &WorkersCommand, identity: &Identity) -> Result<(), Failure> {
    match command {
        WorkersCommand::Get { uuid } => get::get(*uuid, identity).await,
        WorkersCommand::Query(args) => query::query(args, identity).await,
        WorkersCommand::Cancel { uuid, how } => cancel::one(*uuid, *how, identity).await,
        WorkersCommand::CancelMany(args) => cancel::many(args, identity).await,
        WorkersCommand::CancelList { uuids, how } => cancel::list(uuids, *how, identity).await,
        WorkersCommand::UpdateTags { uuid, tags } => update::tags(*uuid, tags, identity).await,
        WorkersCommand::UpdateLabels { uuid, labels } => update::labels(*uuid, labels, identity).await,
        WorkersCommand::UpdateRoles { uuid, roles } => roles::update(*uuid, roles, identity).await,
        WorkersCommand::RemoveRoles { uuid, groups } => roles::remove(*uuid, groups, identity).await,
    }
}
