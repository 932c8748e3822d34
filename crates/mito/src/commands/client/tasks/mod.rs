//! `mito client tasks`.

mod artifacts;
mod cancel;
mod change;
mod explain;
mod get;
mod query;
mod stop;
mod submit;
mod submit_many;
mod update_labels;

use crate::cli::client::tasks::TasksCommand;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show::Output;

pub(super) async fn run(command: &TasksCommand, identity: &Identity, out: &Output) -> Result<(), Failure> {
    match command {
        TasksCommand::Submit(args) => submit::submit(args, identity, out).await,
        TasksCommand::SubmitMany { file } => submit_many::submit_many(file, identity, out).await,
        TasksCommand::Get { uuid } => get::get(*uuid, identity, out).await,
        TasksCommand::Explain { uuid } => explain::explain(*uuid, identity, out).await,
        TasksCommand::Query(args) => query::query(args, identity, out).await,
        TasksCommand::Cancel { uuid } => cancel::one(*uuid, identity, out).await,
        TasksCommand::Stop { uuid } => stop::stop(*uuid, identity, out).await,
        TasksCommand::CancelMany(args) => cancel::many(args, identity, out).await,
        TasksCommand::CancelList { uuids } => cancel::list(uuids, identity, out).await,
        TasksCommand::UpdateLabels { uuid, labels } => {
            update_labels::update_labels(*uuid, labels, identity, out).await
        }
        TasksCommand::Change(args) => change::change(args, identity, out).await,
        TasksCommand::Artifacts(command) => artifacts::run(command, identity, out).await,
    }
}
