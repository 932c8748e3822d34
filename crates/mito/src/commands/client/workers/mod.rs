//! `mito client workers`.

mod cancel;
mod drain;
mod get;
mod query;
mod roles;
mod update;

use crate::cli::client::workers::WorkersCommand;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn run(command: &WorkersCommand, identity: &Identity, out: &Output) -> Result<(), Failure> {
    match command {
        WorkersCommand::Get { uuid } => get::get(*uuid, identity, out).await,
        WorkersCommand::Query(args) => query::query(args, identity, out).await,
        WorkersCommand::Cancel { uuid, how } => cancel::one(*uuid, *how, identity, out).await,
        WorkersCommand::CancelMany(args) => cancel::many(args, identity, out).await,
        WorkersCommand::CancelList { uuids, how } => cancel::list(uuids, *how, identity, out).await,
        WorkersCommand::Drain { node, reason } => drain::drain(node, reason, identity, out).await,
        WorkersCommand::Resume { node } => drain::resume(node, identity, out).await,
        WorkersCommand::UpdateTags { uuid, tags } => update::tags(*uuid, tags, identity, out).await,
        WorkersCommand::UpdateLabels { uuid, labels } => update::labels(*uuid, labels, identity, out).await,
        WorkersCommand::UpdateRoles { uuid, roles } => roles::update(*uuid, roles, identity, out).await,
        WorkersCommand::RemoveRoles { uuid, groups } => roles::remove(*uuid, groups, identity, out).await,
    }
}
