//! `mito run`: runs a command as a task, as if it were local.

mod ended_outputs;
mod sweep;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use mitosis_blueprint::{Blueprint, Plan};
use mitosis_client::UserClient;
use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use mitosis_protocol::Uuid;
use mitosis_protocol::task::{SubmitOutcome, SubmitTaskRequest, SubmitTasksRequest};

use crate::cli::connection::ConnectionArgs;
use crate::cli::run::RunArgs;
use crate::commands::worker::inherited_env;
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Role};
use crate::embedded::{self, Embedded, USER};
use crate::login::identity::Identity;
use crate::process::available_cpus;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::process::signals::StopRequests;
use crate::show::Output;
use crate::task_io::follow::{self, LogPart};
use crate::task_io::terminal_output::TerminalOutput;

pub(super) async fn run(args: &RunArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let plan = args.sweep.plan()?;
    match args.local {
        true => run_embedded(args, plan, environment).await,
        false => run_on_coordinator(args, plan, environment).await,
    }
}

/// Runs the command on an existing coordinator.
async fn run_on_coordinator(
    args: &RunArgs,
    plan: Plan,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let ConnectionArgs { config, .. } = &args.connection;
    let layers = Layers::load(Role::Client, config.as_deref(), args.connection.options(), environment)?;
    let client = ClientConfig::new(&layers, environment);
    let identity = Identity::establish(&client).await?;
    identity.client.require("`mito run`").await?;
    let group = args.group().unwrap_or(&identity.name).clone();
    let mut requests = StopRequests::listen_on_terminal()?;
    if !plan.is_plain() {
        let blueprint = Blueprint { task: args.task(group), plan };
        let mut tasks = Vec::new();
        let scratch = std::env::temp_dir();
        let out = Output::new(&args.output(), environment);
        let outcome = tokio::select! {
            outcome = sweep::run(&identity, blueprint, &out, environment, &mut tasks, &scratch) => unless_reader_left(outcome),
            request = requests.next() => Err(Exit::of_request(request)),
        };
        return match outcome {
            Ok(outcome) => outcome,
            Err(exit) => sweep::interrupted(&identity.client, &tasks, &client.client_command(), exit).await,
        };
    }
    let uuid = submit(&identity.client, args.task(group)).await?;
    let scratch = std::env::temp_dir().join(format!("mito-run-{uuid}"));
    let mut streams = TerminalOutput::plain().quiet(args.quiet);
    let outcome = tokio::select! {
        outcome = follow_one(&identity.client, uuid, &scratch, &mut streams) => unless_reader_left(outcome),
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
async fn run_embedded(args: &RunArgs, plan: Plan, environment: &Environment) -> Result<ExitCode, Failure> {
    let mut requests = StopRequests::listen_on_terminal()?;
    let (home, _hold) = embedded::temporary_home(&environment.cache_folder())?;
    let slots = if plan.is_plain() { 1 } else { available_cpus() };
    // The command inherits everything, as in a shell.
    let inherited = inherited_env(environment, Some(&["*".to_owned()]));
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let system = Embedded::start(&home, bind, slots, inherited).await;
    let outcome = match system {
        Ok(system) => {
            let outcome = tokio::select! {
                outcome = submit_and_follow(system.user(), args, plan, environment, &home) => outcome,
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
    plan: Plan,
    environment: &Environment,
    home: &Path,
) -> Result<ExitCode, Failure> {
    if !plan.is_plain() {
        let identity = Identity { client: user.clone(), name: USER.to_owned() };
        let blueprint = Blueprint { task: args.task(USER.to_owned()), plan };
        let out = Output::new(&args.output(), environment);
        return sweep::run(&identity, blueprint, &out, environment, &mut Vec::new(), home).await;
    }
    let uuid = submit(user, args.task(USER.to_owned())).await?;
    let mut streams = TerminalOutput::plain().quiet(args.quiet);
    follow_one(user, uuid, &home.join("download"), &mut streams).await
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
    scratch: &Path,
    streams: &mut TerminalOutput,
) -> Result<ExitCode, Failure> {
    let outcome = follow::follow(user, task, LogPart::default(), scratch, streams).await?;
    let (code, word) = outcome.describe(user, task).await;
    if let Some(word) = word {
        note!("mito: {word}");
    }
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
