//! `mito client tasks`.

mod artifacts;
mod cancel;
mod change;
mod explain;
mod get;
mod legacy_filter;
pub(in crate::commands) mod logs;
mod query;
mod stop;
mod submit;
mod submit_many;
mod update_labels;
pub(in crate::commands) mod wait;
mod watch;

use crate::cli::client::artifacts::ArtifactsCommand;
use crate::cli::client::tasks::{FilterArgs, TasksCommand};
use crate::commands::client::Next;
use crate::commands::client::session::Session;
use crate::commands::select;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn run(
    command: &TasksCommand,
    session: &mut Session<'_>,
    out: &Output,
) -> Result<Next, Failure> {
    match command {
        // Commands that wait also wait for an unreachable coordinator.
        TasksCommand::Wait(args) => return wait::wait(args, session, out).await,
        TasksCommand::Watch { selectors } => watch::watch(selectors, session, out).await?,
        TasksCommand::Logs(args) => logs::logs(args, session, out).await?,
        other => return at_once(other, &session.identity().await?, session.environment, out).await,
    }
    Ok(Next::Continue)
}

async fn at_once(
    command: &TasksCommand,
    identity: &Identity,
    environment: &Environment,
    out: &Output,
) -> Result<Next, Failure> {
    let named = async |task: &str| select::one(task, &identity.client).await;
    if let Some(note) = filter_of(command).and_then(FilterArgs::taken_for_words) {
        out.say(note);
    }
    match command {
        TasksCommand::Wait(_) | TasksCommand::Watch { .. } | TasksCommand::Logs(_) => {}
        TasksCommand::Submit(args) => return submit::submit(args, identity, environment, out).await,
        TasksCommand::SubmitMany { file } => submit_many::submit_many(file, identity, out).await?,
        TasksCommand::Get { task } => get::get(named(task).await?, identity, out).await?,
        TasksCommand::Explain { task } => explain::explain(named(task).await?, identity, out).await?,
        TasksCommand::Query(args) => query::query(args, identity, out).await?,
        TasksCommand::Cancel { task } => cancel::one(named(task).await?, identity, out).await?,
        TasksCommand::Stop { task } => stop::stop(named(task).await?, identity, out).await?,
        TasksCommand::CancelMany(args) => cancel::many(args, identity, out).await?,
        TasksCommand::CancelList { tasks } => cancel::list(tasks, identity, out).await?,
        TasksCommand::UpdateLabels { task, labels } => {
            update_labels::update_labels(named(task).await?, labels, identity, out).await?;
        }
        TasksCommand::Change(args) => change::change(named(&args.task).await?, args, identity, out).await?,
        TasksCommand::Artifacts(command) => artifacts::run(command, identity, out).await?,
    }
    Ok(Next::Continue)
}

fn filter_of(command: &TasksCommand) -> Option<&FilterArgs> {
    match command {
        TasksCommand::Query(args) => Some(&args.filter),
        TasksCommand::CancelMany(filter) => Some(filter),
        TasksCommand::Artifacts(ArtifactsCommand::DownloadMany(args)) => Some(&args.which.filter),
        TasksCommand::Artifacts(ArtifactsCommand::DeleteMany(args)) => Some(&args.filter),
        _ => None,
    }
}
