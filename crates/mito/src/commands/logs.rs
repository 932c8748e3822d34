//! `mito logs`: shows the output of tasks on the same streams.

use std::process::ExitCode;

use mitosis_client::UserClient;
use mitosis_domain::selector::TaskSet;
use mitosis_protocol::TaskInfo;
use mitosis_protocol::auth::features;
use mitosis_sweep::retry_transient;

use super::client::tasks::logs as task_logs;
use super::select_jobs::{self, Target};
use crate::cli::logs::LogsArgs;
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Role};
use crate::login::identity::Identity;
use crate::login::reconnect::Reconnect;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::pluralized;
use crate::task_io::follow::LogPart;
use crate::task_io::stored_log::{self, Start, cant_write};

/// The most tasks whose output is shown at once.
const MAX_TASKS: usize = 128;

pub(super) async fn run(args: &LogsArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let config = args.connection.config.as_deref();
    let layers = Layers::load(Role::Client, config, args.connection.options(), environment)?;
    let config = ClientConfig::new(&layers, environment);
    let identity = match args.part.follow {
        true => Identity::establish_and_reconnect(&config, &mut Reconnect::new()).await?,
        false => Identity::establish(&config).await?,
    };
    identity.client.require("`mito logs`").await?;
    let targets = select_jobs::targets(&args.selectors, &identity).await?;
    let tasks = tasks(&targets, &identity.client, args.part.follow).await?;
    let scratch = environment.cache_folder().join("follow");
    let terminal = || task_logs::terminal(&args.part);
    if let Some(attempt) = args.attempt {
        show_attempt(attempt, args, &identity.client, &tasks).await?;
        return Ok(ExitCode::SUCCESS);
    }
    task_logs::show_all(&args.part, &identity.client, &tasks, &scratch, terminal).await?;
    Ok(ExitCode::SUCCESS)
}

/// Shows the output of an attempt of each task that has one.
async fn show_attempt(
    attempt: i64,
    args: &LogsArgs,
    client: &UserClient,
    tasks: &[(TaskInfo, String)],
) -> Result<(), Failure> {
    client.client().require_named("output of an attempt", features::ATTEMPT_OUTPUT).await?;
    let start = Start::new(LogPart { tail: args.part.tail, since: args.part.since.clone() });
    let mut is_any = false;
    for (task, prefix) in tasks {
        let mut streams = task_logs::terminal(&args.part);
        if tasks.len() > 1 {
            streams = streams.with_prefix(prefix);
        }
        is_any |= stored_log::show_attempt(client, task.uuid, attempt, &start, &mut streams).await?;
        streams.end().map_err(cant_write)?;
    }
    match is_any {
        true => Ok(()),
        false => Err(no_attempt(attempt, args)),
    }
}

fn no_attempt(attempt: i64, args: &LogsArgs) -> Failure {
    let names: Vec<String> = args.selectors.iter().map(ToString::to_string).collect();
    let names = names.join(" ");
    Failure::new(Exit::NotFound, format!("there is no output of attempt {attempt} of `{names}`")).with_hint(
        "`mito show` lists the attempts of a task; one that was lost with its worker has no output",
    )
}

/// The tasks, each with the text before its lines.
async fn tasks(
    targets: &[Target],
    client: &UserClient,
    follow: bool,
) -> Result<Vec<(TaskInfo, String)>, Failure> {
    let mut tasks = Vec::new();
    let mut unwritten = 0;
    for target in targets {
        match target {
            Target::Task(uuid) => {
                let task = retry_transient(|| client.task(*uuid)).await?.info;
                let prefix = task_logs::prefix(&task);
                tasks.push((task, prefix));
            }
            Target::Job(job, set) => {
                let selection = select_jobs::selection(set);
                let found = select_jobs::tasks(client, *job, &selection, MAX_TASKS as u64 + 1).await?;
                for task in found {
                    match task.task {
                        Some(info) => tasks.push((info, format!("{job}/{} | ", task.index))),
                        None => unwritten += 1,
                    }
                }
            }
        }
        if tasks.len() + unwritten > MAX_TASKS {
            return Err(too_many(target));
        }
    }
    let has_more = tasks.len() + unwritten > 1;
    if has_more && !follow {
        // They have no output yet.
        tasks.retain(|(task, _)| task_logs::has_started(task));
    }
    match tasks.is_empty() {
        true => Err(nothing_to_show(targets, unwritten)),
        false => Ok(tasks),
    }
}

fn too_many(target: &Target) -> Failure {
    let hint = match target {
        Target::Job(job, TaskSet::All) => {
            format!("select some, such as `{job}/failed` or `{job}/1-{MAX_TASKS}`")
        }
        Target::Job(job, _) => format!("select some, such as `{job}/1-{MAX_TASKS}`"),
        Target::Task(_) => "name fewer tasks".to_owned(),
    };
    Failure::new(Exit::Usage, format!("`mito logs` shows the output of at most {MAX_TASKS} tasks at once"))
        .with_hint(hint)
}

fn nothing_to_show(targets: &[Target], unwritten: usize) -> Failure {
    let names: Vec<String> = targets.iter().map(Target::selector).collect();
    let names = names.join(" ");
    match unwritten {
        0 => Failure::new(Exit::NotFound, format!("no task of `{names}` has started"))
            .with_hint(format!("`mito ls {names}` lists the tasks; `-f` waits for their output")),
        waiting => {
            let waiting = pluralized(waiting as u64, "task");
            Failure::new(
                Exit::Failure,
                format!("no task of `{names}` has started: {waiting} may not start yet"),
            )
            .with_hint("`mito show` gives the reason")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_selection_is_refused_with_a_smaller_one() {
        let message = |target| too_many(&target).to_string();
        let all = message(Target::Job(12, TaskSet::All));
        assert!(all.contains("at most 128 tasks") && all.contains("`12/failed` or `12/1-128`"), "{all}");
        assert!(message(Target::Job(12, "failed".parse().unwrap())).contains("`12/1-128`"));
    }
}
