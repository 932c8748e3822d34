//! `mito client tasks`.

mod artifacts;
mod cancel;
mod change;
mod explain;
mod get;
mod query;
mod submit;
mod submit_many;
mod update_labels;

use crate::cli::client::tasks::TasksCommand;
use crate::failure::Failure;
use crate::identity::Identity;

pub(super) async fn run(command: &TasksCommand, identity: &Identity) -> Result<(), Failure> {
    match command {
        TasksCommand::Submit(args) => submit::submit(args, identity).await,
        TasksCommand::SubmitMany { file } => submit_many::submit_many(file, identity).await,
        TasksCommand::Get { uuid } => get::get(*uuid, identity).await,
        TasksCommand::Explain { uuid } => explain::explain(*uuid, identity).await,
        TasksCommand::Query(args) => query::query(args, identity).await,
        TasksCommand::Cancel { uuid } => cancel::one(*uuid, identity).await,
        TasksCommand::CancelMany(args) => cancel::many(args, identity).await,
        TasksCommand::CancelList { uuids } => cancel::list(uuids, identity).await,
        TasksCommand::UpdateLabels { uuid, labels } => {
            update_labels::update_labels(*uuid, labels, identity).await
        }
        TasksCommand::Change(args) => change::change(args, identity).await,
        TasksCommand::Artifacts(command) => artifacts::run(command, identity).await,
    }
}
