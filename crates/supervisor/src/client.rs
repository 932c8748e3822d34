//! Sends a request to the supervisor, and starts one if none is running.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::time::Instant;

use super::error::SupervisorError;
use super::log;
use super::protocol::{Reply, Request, read_message, write_message};
use super::state_dir::StateDir;

/// The line that a new supervisor prints when it accepts requests.
pub const READY: &str = "ready";
/// The line that a new supervisor prints when another one is running.
pub const ALREADY_RUNNING: &str = "taken";
/// How long to wait for a supervisor that is shutting down; it may have to kill its workers.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// How to start a supervisor in the background.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// Sends a request to the supervisor. `None` if none is running.
pub async fn ask(dir: &StateDir, request: &Request) -> Result<Option<Reply>, SupervisorError> {
    match exchange(dir, request).await {
        Ok(Some(Reply::Leaving) | None) => Ok(None),
        Ok(Some(Reply::Refused(why))) => Err(SupervisorError::NotUnderstood(why)),
        Ok(reply) => Ok(reply),
        Err(error) if is_not_running(&error) => Ok(None),
        Err(error) => {
            Err(SupervisorError::io(format!("cannot reach the manager at {}", dir.socket().display()), error))
        }
    }
}

/// Sends a request to the supervisor, after starting one if none is running.
pub async fn ask_or_start(
    dir: &StateDir,
    request: &Request,
    launch: &Launch,
) -> Result<Reply, SupervisorError> {
    dir.prepare()?;
    let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
    loop {
        if let Some(reply) = ask(dir, request).await? {
            return Ok(reply);
        }
        if Instant::now() > deadline {
            return Err(SupervisorError::Unresponsive { log: dir.supervisor_log() });
        }
        if !start(dir, launch).await? {
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }
}

async fn exchange(dir: &StateDir, request: &Request) -> io::Result<Option<Reply>> {
    let mut stream = UnixStream::connect(dir.socket()).await?;
    if stream.peer_cred()?.uid() != geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    write_message(&mut stream, request).await?;
    read_message(&mut stream).await
}

/// Whether there is no socket, a stale one, or one whose owner exited during the request. In the last case the request
/// had no effect: workers exit with their supervisor.
fn is_not_running(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(error.kind(), E::NotFound | E::ConnectionRefused | E::ConnectionReset | E::BrokenPipe)
}

/// Starts a supervisor that outlives this process and its terminal. False if another one was faster.
async fn start(dir: &StateDir, launch: &Launch) -> Result<bool, SupervisorError> {
    let failed = |error| SupervisorError::io("cannot start the manager", error);
    let log = log::open(&dir.supervisor_log()).map_err(failed)?;
    let mut supervisor = Command::new(&launch.program)
        .args(&launch.args)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(failed)?;
    let mut line = String::new();
    if let Some(stdout) = supervisor.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).await.map_err(failed)?;
    }
    match line.trim() {
        READY => Ok(true),
        ALREADY_RUNNING => Ok(false),
        _ => Err(SupervisorError::ExitedEarly { log: dir.supervisor_log() }),
    }
}
