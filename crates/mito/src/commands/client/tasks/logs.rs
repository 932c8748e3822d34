//! `mito client tasks logs`: shows the output of tasks on the same streams.

use std::path::Path;

use futures_util::future::try_join_all;
use mitosis_client::UserClient;
use mitosis_protocol::output::OutputStream;
use mitosis_protocol::{TaskInfo, TaskState};

use crate::cli::client::tasks::LogsArgs;
use crate::cli::logs::LogPartArgs;
use crate::commands::client::session::Session;
use crate::commands::select;
use crate::login::reconnect::Reconnect;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::Output;
use crate::task_io::follow::{self, LogPart};
use crate::task_io::stored_log::{self, Start, cant_write};
use crate::task_io::terminal_output::TerminalOutput;

/// The output is the result, so formats are refused, and the exit code is not that of the task.
pub(super) async fn logs(args: &LogsArgs, session: &mut Session<'_>, out: &Output) -> Result<(), Failure> {
    out.require_no_format("`mito client tasks logs`", "it writes the output of tasks unchanged")?;
    let scratch = session.environment.cache_folder().join("follow");
    let (client, tasks) = find(args, session).await?;
    let tasks: Vec<(TaskInfo, String)> =
        tasks.into_iter().map(|task| (task.clone(), prefix(&task))).collect();
    show_all(&args.part, &client, &tasks, &scratch, || terminal(&args.part).quiet(out.is_quiet())).await
}

/// Shows the output of tasks; with several, each line starts with the text beside the task.
pub(in crate::commands) async fn show_all(
    args: &LogPartArgs,
    client: &UserClient,
    tasks: &[(TaskInfo, String)],
    scratch: &Path,
    terminal: impl Fn() -> TerminalOutput,
) -> Result<(), Failure> {
    match tasks {
        [(task, _)] => show(args, client, task, scratch, terminal()).await,
        tasks if args.follow => {
            // Why each of many tasks waits would drown their output.
            let shows = tasks.iter().map(|(task, prefix)| {
                show(args, client, task, scratch, terminal().with_prefix(prefix).quiet(true))
            });
            try_join_all(shows).await.map(drop)
        }
        tasks => {
            for (task, prefix) in tasks {
                show(args, client, task, scratch, terminal().with_prefix(prefix)).await?;
            }
            Ok(())
        }
    }
}

/// Whether a task has started, so that it may have output.
pub(in crate::commands) fn has_started(task: &TaskInfo) -> bool {
    task.result.is_some() || task.state == TaskState::Running
}

/// Requests the tasks. With `-f`, waits for an unreachable coordinator.
async fn find(args: &LogsArgs, session: &mut Session<'_>) -> Result<(UserClient, Vec<TaskInfo>), Failure> {
    let mut tasks = Vec::new();
    if !args.part.follow {
        let client = session.identity().await?.client;
        for uuid in select::each(&args.tasks, &client).await? {
            tasks.push(client.task(uuid).await?.info);
        }
        return Ok((client, tasks));
    }
    let mut reconnect = Reconnect::new();
    let client = session.identity_and_reconnect(&mut reconnect).await?.client;
    for name in &args.tasks {
        let look = async || client.task(select::resolve(name, &client).await?).await;
        tasks.push(reconnect.retry(look, "try again later").await?.info);
    }
    Ok((client, tasks))
}

/// Where the output goes.
pub(in crate::commands) fn terminal(args: &LogPartArgs) -> TerminalOutput {
    let only = match (args.stdout, args.stderr) {
        (true, _) => Some(OutputStream::Stdout),
        (_, true) => Some(OutputStream::Stderr),
        _ => None,
    };
    let output = TerminalOutput::plain().select(only);
    if args.raw { output } else { output.without_control_sequences() }
}

/// The text before each line of a task without a job.
pub(in crate::commands) fn prefix(task: &TaskInfo) -> String {
    format!("{}-{} | ", task.group_name, task.task_id)
}

async fn show(
    args: &LogPartArgs,
    client: &UserClient,
    task: &TaskInfo,
    scratch: &Path,
    mut streams: TerminalOutput,
) -> Result<(), Failure> {
    let (uuid, streams) = (task.uuid, &mut streams);
    let part = LogPart { tail: args.tail, since: args.since.clone() };
    match (task.result, args.follow) {
        (Some(_), _) => match stored_log::show(client, uuid, &Start::new(part), scratch, streams).await? {
            true => streams.end().map_err(cant_write),
            false => Err(nothing_kept(task)),
        },
        (None, _) if !task.spec.terminal_output => Err(nothing_kept(task)),
        (None, true) => follow::follow(client, uuid, part, scratch, streams).await.map(drop),
        (None, false) if task.state == TaskState::Running => {
            stored_log::show_so_far(client, uuid, &Start::new(part), streams).await
        }
        (None, false) => {
            Err(Failure::new(Exit::Failure, format!("task {uuid} has not started: it is {:?}", task.state))
                .with_hint(
                    "follow its output with `-f`, or see why it waits with `mito client tasks explain`",
                ))
        }
    }
}

fn nothing_kept(task: &TaskInfo) -> Failure {
    let uuid = task.uuid;
    match task.spec.terminal_output {
        true => Failure::new(Exit::NotFound, format!("no output of task {uuid} was kept")).with_hint(
            format!("it did not start, or its output was deleted; see `mito client tasks get {uuid}`"),
        ),
        false => Failure::new(Exit::NotFound, format!("the output of task {uuid} is not kept"))
            .with_hint("`mito submit` keeps the output of a task unless it gets `--no-output`; `mito client tasks submit` keeps it with `--terminal`"),
    }
}
