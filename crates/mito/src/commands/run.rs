//! `mito run`: a command as a task, as if it ran here.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use mitosis_client::UserClient;
use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use mitosis_domain::wait_status::WaitStatus;
use mitosis_protocol::task::{SubmitOutcome, SubmitTaskRequest, SubmitTasksRequest};
use mitosis_protocol::{TaskResult, TaskResultMessage, Uuid};

use crate::cli::run::RunArgs;
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Role};
use crate::embedded::{self, Embedded, USER};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::lifecycle::StopRequests;
use crate::{follow, logging};

pub(super) async fn run(args: &RunArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND, None)?;
    match args.local {
        true => run_here(args, environment).await,
        false => run_there(args, environment).await,
    }
}

/// On a coordinator that is already there.
async fn run_there(args: &RunArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let layers = Layers::load(Role::Client, args.config.as_deref(), args.options(), environment)?;
    let identity = Identity::establish(&ClientConfig::new(&layers, environment)).await?;
    let group = args.group.clone().unwrap_or_else(|| identity.name.clone());
    let mut requests = stop_requests()?;
    let uuid = submit(&identity.client, args.task(group)).await?;
    let scratch = std::env::temp_dir().join(format!("mito-run-{uuid}"));
    let outcome = tokio::select! {
        result = follow::follow(&identity.client, uuid, &scratch) => result.map(exit_code),
        _ = requests.next() => interrupted(&identity.client, uuid).await,
    };
    tidy(&scratch);
    outcome
}

/// On a system that lives as long as the command.
async fn run_here(args: &RunArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let home = embedded::temporary_home(&environment.cache_folder());
    let mut requests = stop_requests()?;
    let system = Embedded::start(&home, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1).await;
    let outcome = match system {
        Ok(system) => {
            let outcome = tokio::select! {
                outcome = submit_and_follow(system.user(), args, &home) => outcome,
                _ = requests.next() => Ok(Exit::Interrupted.into()),
            };
            // Stopping kills what runs. Its failure must not hide the task's own outcome.
            if let Err(failure) = system.stop().await {
                eprintln!("{failure}");
            }
            outcome
        }
        Err(failure) => Err(failure),
    };
    tidy(&home);
    outcome
}

async fn submit_and_follow(user: &UserClient, args: &RunArgs, home: &Path) -> Result<ExitCode, Failure> {
    let uuid = submit(user, args.task(USER.to_owned())).await?;
    follow::follow(user, uuid, &home.join("download")).await.map(exit_code)
}

fn stop_requests() -> Result<StopRequests, Failure> {
    StopRequests::listen().map_err(|error| Failure::io("can't listen to signals", error))
}

/// With an idempotency key, so that a broken connection does not run the command twice.
async fn submit(user: &UserClient, task: SubmitTaskRequest) -> Result<Uuid, Failure> {
    let request =
        SubmitTasksRequest { tasks: vec![task], idempotency_key: Some(OsEntropy.uuid().to_string()) };
    let reply = user.submit_many(&request).await?;
    match reply.results.into_iter().next() {
        Some(SubmitOutcome::Ok(submitted)) => Ok(submitted.uuid),
        Some(SubmitOutcome::Err(refusal)) => Err(refused(refusal)),
        None => Err(Failure::new(Exit::Fault, "the coordinator answered nothing about the task")),
    }
}

fn refused(refusal: mitosis_protocol::ErrorBody) -> Failure {
    use mitosis_protocol::ErrorCode as Code;
    let exit = match refusal.code {
        Some(Code::Forbidden | Code::AccountNotActive) => Exit::Auth,
        Some(Code::NotFound) => Exit::NotFound,
        _ => Exit::Failure,
    };
    let failure = Failure::new(exit, refusal.msg);
    match refusal.hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// A task that waits is cancelled; one that runs can't be, and is named.
async fn interrupted(user: &UserClient, task: Uuid) -> Result<ExitCode, Failure> {
    match user.cancel(task).await {
        Ok(()) => eprintln!("mito: cancelled before it started"),
        Err(_) => eprintln!("mito: the task may run on; see it with `mito client tasks get {task}`"),
    }
    Ok(Exit::Interrupted.into())
}

/// The code of this process for the end of the task.
fn exit_code(result: TaskResult) -> ExitCode {
    use TaskResultMessage as M;
    let (code, word) = match result.msg {
        None => return WaitStatus::from_raw(result.exit_status).shell_code().into(),
        Some(M::SubmitNewTaskFailed) => {
            (WaitStatus::from_raw(result.exit_status).shell_code().into(), "its follow-up task was not taken")
        }
        Some(M::UploadResultTimeout) => (incomplete(result), "not everything it left could be stored"),
        Some(M::ExecTimeout) => (Exit::TimedOut.into(), "stopped at its timeout"),
        Some(M::FetchResourceTimeout) => (Exit::Unknown.into(), "not started: a resource took too long"),
        Some(M::ResourceNotFound) => (Exit::Unknown.into(), "not started: a resource does not exist"),
        Some(M::ResourceForbidden) => (Exit::Unknown.into(), "not started: a resource can't be read"),
        Some(M::WatchTimeout) => (Exit::Unknown.into(), "not started: the watched task did not get there"),
        Some(M::UserCancellation) => (Exit::Unknown.into(), "cancelled before it started"),
    };
    eprintln!("mito: {word}");
    code
}

/// Never success when something is missing.
fn incomplete(result: TaskResult) -> ExitCode {
    match WaitStatus::from_raw(result.exit_status).shell_code() {
        0 => Exit::Unknown.into(),
        code => code.into(),
    }
}

fn tidy(folder: &Path) {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            eprintln!("mito: can't remove {}: {error}", folder.display());
        }
        _ => {}
    }
}
