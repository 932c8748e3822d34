//! `mito run`: runs a command as a task, as if it were local.

mod ended_outputs;
mod sweep;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use mitosis_blueprint::Blueprint;
use mitosis_client::UserClient;
use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use mitosis_protocol::Uuid;
use mitosis_protocol::job::{NewJob, SubmitJobsRequest, TaskSelection};
use mitosis_protocol::notify::Notify;
use mitosis_protocol::task::{SubmitOutcome, SubmitTaskRequest, SubmitTasksRequest};
use mitosis_sweep::Upload;

use crate::cli::connection::ConnectionArgs;
use crate::cli::run::RunArgs;
use crate::cli::task::StoredFolder;
use crate::commands::notify_command::{self, EndSummary};
use crate::commands::select_jobs;
use crate::commands::submit::upload;
use crate::commands::worker::inherited_env;
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Role};
use crate::embedded::{self, Embedded, USER};
use crate::login::identity::Identity;
use crate::new_task::{self, Program, folders, standard_input};
use crate::process::available_cpus;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::process::signals::StopRequests;
use crate::show::{Output, OutputArgs};
use crate::task_io::follow::{self, LogPart};
use crate::task_io::terminal_output::TerminalOutput;

pub(super) async fn run(args: &RunArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    standard_input::check_read_once(None, args.task.place.stdin.as_deref(), &args.sweep)?;
    let plan = args.sweep.plan()?;
    let program = Program::Command(&args.command);
    args.task.check_independent()?;
    let (task, uploads) = new_task::task(&args.task, program, plan.is_plain(), environment)?;
    let folders = args.task.folders().into_iter().cloned().collect();
    if !plan.is_plain() && !args.notify.notify().is_empty() {
        return Err(notifies_of_a_sweep());
    }
    standard_input::refuse_ignored()?;
    let work = Work { blueprint: Blueprint { task, plan }, uploads, folders };
    match args.local {
        true => run_embedded(args, work, environment).await,
        false => run_on_coordinator(args, work, environment).await,
    }
}

fn notifies_of_a_sweep() -> Failure {
    Failure::new(Exit::Usage, "`mito run` can't send notifications for a command with parameters")
        .with_hint("use `mito submit` with --notify, and `mito wait`; or --notify-command")
}

/// What the command line asks for.
struct Work {
    blueprint: Blueprint,
    /// Files that are not part of the task.
    uploads: Vec<Upload>,
    /// Attachments that are fetched as directories.
    folders: Vec<StoredFolder>,
}

impl Work {
    /// Sets the group, and uploads the files to it.
    async fn prepare(
        self,
        user: &UserClient,
        group: &str,
        environment: &Environment,
    ) -> Result<Blueprint, Failure> {
        let Self { mut blueprint, mut uploads, folders } = self;
        group.clone_into(&mut blueprint.task.group_name);
        let is_plain = blueprint.plan.is_plain();
        folders::add(&folders.iter().collect::<Vec<_>>(), user, &mut blueprint.task, is_plain).await?;
        if !uploads.is_empty() {
            let out = Output::new(&OutputArgs { quiet: true, ..OutputArgs::default() }, environment);
            for upload in &mut uploads {
                group.clone_into(&mut upload.group);
            }
            upload::upload(user, &uploads, environment, &out).await?;
        }
        Ok(blueprint)
    }
}

/// Runs the command on an existing coordinator.
async fn run_on_coordinator(
    args: &RunArgs,
    work: Work,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let ConnectionArgs { config, .. } = &args.connection;
    let layers = Layers::load(Role::Client, config.as_deref(), args.connection.options(), environment)?;
    let client = ClientConfig::new(&layers, environment);
    let identity = Identity::establish(&client).await?;
    identity.client.require("`mito run`").await?;
    let group = args.task.group.as_ref().unwrap_or(&identity.group);
    let blueprint = work.prepare(&identity.client, group, environment).await?;
    // A slow program may have written by now.
    standard_input::refuse_ignored()?;
    let mut requests = StopRequests::listen_on_terminal()?;
    let notify = args.notify.notify();
    if !blueprint.plan.is_plain() {
        let mut tasks = Vec::new();
        let scratch = std::env::temp_dir();
        let out = Output::new(&args.output(), environment);
        let outcome = tokio::select! {
            outcome = sweep::run(&identity, blueprint, (&args.notify_command, &out), environment, &mut tasks, &scratch) => unless_reader_left(outcome),
            request = requests.next() => Err(Exit::of_request(request)),
        };
        return match outcome {
            Ok(outcome) => outcome,
            Err(exit) => sweep::interrupted(&identity.client, &tasks, &client.client_command(), exit).await,
        };
    }
    let uuid = match notify.is_empty() {
        true => submit(&identity.client, blueprint.task).await?,
        false => submit_job(&identity.client, blueprint.task, notify).await?,
    };
    let scratch = std::env::temp_dir().join(format!("mito-run-{uuid}"));
    let mut streams = TerminalOutput::plain().quiet(args.quiet);
    let outcome = tokio::select! {
        outcome = follow_one(&identity.client, uuid, args, &scratch, &mut streams) => unless_reader_left(outcome),
        request = requests.next() => Err(Exit::of_request(request)),
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(exit) => interrupted(&identity.client, uuid, &client.client_command(), exit).await,
    };
    remove_folder(&scratch);
    outcome
}

/// Runs the command on a temporary system in this process.
async fn run_embedded(args: &RunArgs, work: Work, environment: &Environment) -> Result<ExitCode, Failure> {
    let mut requests = StopRequests::listen_on_terminal()?;
    let (home, _hold) = embedded::temporary_home(&environment.cache_folder())?;
    let slots = if work.blueprint.plan.is_plain() { 1 } else { available_cpus() };
    // The command inherits everything, as in a shell.
    let inherited = inherited_env(environment, Some(&["*".to_owned()]));
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let system = Embedded::start(&home, bind, slots, inherited, environment).await;
    let outcome = match system {
        Ok(system) => {
            let outcome = tokio::select! {
                outcome = submit_and_follow(system.user(), args, work, environment, &home) => outcome,
                request = requests.next() => Ok(Exit::of_request(request).into()),
            };
            // Stopping kills what runs. Its failure must not hide the task's own outcome.
            if let Err(failure) = system.stop().await {
                note!("{failure}");
            }
            outcome
        }
        Err(failure) => Err(failure),
    };
    remove_folder(&home);
    outcome
}

async fn submit_and_follow(
    user: &UserClient,
    args: &RunArgs,
    work: Work,
    environment: &Environment,
    home: &Path,
) -> Result<ExitCode, Failure> {
    let blueprint = work.prepare(user, USER, environment).await?;
    if !blueprint.plan.is_plain() {
        let identity = Identity::new(USER.to_owned(), user.clone());
        let out = Output::new(&args.output(), environment);
        let options = (&args.notify_command, &out);
        return sweep::run(&identity, blueprint, options, environment, &mut Vec::new(), home).await;
    }
    let uuid = submit(user, blueprint.task).await?;
    let mut streams = TerminalOutput::plain().quiet(args.quiet);
    follow_one(user, uuid, args, &home.join("download"), &mut streams).await
}

/// The outcome after the reader of the output has gone: the tasks continue.
fn unless_reader_left(outcome: Result<ExitCode, Failure>) -> Result<Result<ExitCode, Failure>, Exit> {
    match outcome {
        Err(failure) if failure.is_quiet() => Err(failure.exit()),
        outcome => Ok(outcome),
    }
}

/// Submits the task with an idempotency key, so that a broken connection does not run the command twice.
async fn submit(user: &UserClient, task: SubmitTaskRequest) -> Result<Uuid, Failure> {
    let request =
        SubmitTasksRequest { tasks: vec![task], idempotency_key: Some(OsEntropy.uuid().to_string()) };
    let reply = user.submit_many(&request).await?;
    match reply.results.into_iter().next() {
        Some(SubmitOutcome::Ok(submitted)) => Ok(submitted.uuid),
        Some(SubmitOutcome::Err(refusal)) => Err(Failure::refused(refusal)),
        None => Err(Failure::new(Exit::Fault, "the coordinator's reply does not include the task")),
    }
}

/// Submits the task as a job, which has notifications; returns its only task.
async fn submit_job(
    user: &UserClient,
    task: SubmitTaskRequest,
    notify: Vec<Notify>,
) -> Result<Uuid, Failure> {
    let job = NewJob { notify, ..NewJob::single(task) };
    let request = SubmitJobsRequest { jobs: vec![job], idempotency_key: Some(OsEntropy.uuid().to_string()) };
    let missing = || Failure::new(Exit::Fault, "the coordinator's reply does not include the task");
    let reply = user.submit_jobs(&request).await?;
    for warning in &reply.warnings {
        note!("mito: warning: {warning}");
    }
    let job = reply.jobs.first().ok_or_else(missing)?.job;
    let tasks = select_jobs::tasks(user, job, &TaskSelection::default(), 1).await?;
    tasks.into_iter().next().and_then(|task| task.task).map(|task| task.uuid).ok_or_else(missing)
}

/// Cancels a task that is waiting. A running one continues; the message says how to stop it.
async fn interrupted(user: &UserClient, task: Uuid, command: &str, exit: Exit) -> Result<ExitCode, Failure> {
    match user.cancel(task).await {
        Ok(()) => note!("mito: cancelled before it started"),
        Err(_) => note!(
            "mito: the task may continue; `{command} tasks stop {task}` stops it, and `{command} tasks logs -f {task}` \
             follows its output"
        ),
    }
    Ok(exit.into())
}

/// Follows one task. Returns the exit code of this process.
async fn follow_one(
    user: &UserClient,
    task: Uuid,
    args: &RunArgs,
    scratch: &Path,
    streams: &mut TerminalOutput,
) -> Result<ExitCode, Failure> {
    let outcome = follow::follow(user, task, LogPart::default(), scratch, streams).await?;
    let (code, word) = outcome.describe(user, task).await;
    if let Some(word) = word {
        note!("mito: {word}");
    }
    let succeeded = u64::from(code.is_success());
    let summary =
        EndSummary { task: Some(task), tasks: 1, succeeded, failed: 1 - succeeded, ..EndSummary::default() };
    notify_command::run(&args.notify_command, &summary).await;
    Ok(code.into())
}

fn remove_folder(folder: &Path) {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            note!("mito: cannot remove {}: {error}", folder.display());
        }
        _ => {}
    }
}
