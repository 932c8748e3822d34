//! Asking a supervisor, and starting one if nobody answers.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::time::Instant;

use super::log;
use super::place::Place;
use super::wire::{Reply, Request, hear, say};
use crate::config::Environment;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// What a supervisor says when it can be asked.
pub(crate) const READY: &str = "ready";
/// What it says when there is another one.
pub(crate) const TAKEN: &str = "taken";
/// How long to wait for a supervisor that is on its way out; it may have to kill its workers.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Asks the supervisor; none if there is none.
pub(crate) async fn ask(place: &Place, request: &Request) -> Result<Option<Reply>, Failure> {
    match converse(place, request).await {
        Ok(Some(Reply::Leaving) | None) => Ok(None),
        Ok(Some(Reply::Refused(why))) => {
            Err(Failure::new(Exit::Failure, format!("the manager does not understand the request: {why}"))
                .with_hint("it may be of another version; `mito manager kill` ends it with its workers"))
        }
        Ok(reply) => Ok(reply),
        Err(error) if nobody_is_there(&error) => Ok(None),
        Err(error) => {
            Err(Failure::io(format!("can't ask the manager at {}", place.socket().display()), error))
        }
    }
}

/// Asks the supervisor, and starts one if there is none.
pub(crate) async fn ask_or_start(
    place: &Place,
    request: &Request,
    environment: &Environment,
) -> Result<Reply, Failure> {
    place.prepare()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(reply) = ask(place, request).await? {
            return Ok(reply);
        }
        if Instant::now() > deadline {
            return Err(Failure::new(Exit::Failure, "another manager has the place, and does not answer")
                .with_hint(format!("its log is in {}", place.own_log().display())));
        }
        if !start(place, environment).await? {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

async fn converse(place: &Place, request: &Request) -> io::Result<Option<Reply>> {
    let mut stream = UnixStream::connect(place.socket()).await?;
    if stream.peer_cred()?.uid() != geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    say(&mut stream, request).await?;
    hear(&mut stream).await
}

/// No socket, one that was left behind, or one whose owner went away over the request. In the last case
/// nothing came of it: workers end with their supervisor.
fn nobody_is_there(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(error.kind(), E::NotFound | E::ConnectionRefused | E::ConnectionReset | E::BrokenPipe)
}

/// Starts a supervisor that stays when this process and its terminal are gone; says whether it can be
/// asked now. If not, another one was faster.
async fn start(place: &Place, environment: &Environment) -> Result<bool, Failure> {
    let failed = |error| Failure::io("can't start the manager", error);
    let log = log::open(&place.own_log()).map_err(failed)?;
    let mut supervisor = Command::new(std::env::current_exe().map_err(failed)?)
        .args(super::DETACHED)
        .env_clear()
        // What workers need to know comes with each order. Secrets are none of its business.
        .envs(environment.all().filter(|(name, _)| !name.as_encoded_bytes().starts_with(b"MITO_")))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(failed)?;
    let mut said = String::new();
    if let Some(stdout) = supervisor.stdout.take() {
        BufReader::new(stdout).read_line(&mut said).await.map_err(failed)?;
    }
    match said.trim() {
        READY => Ok(true),
        TAKEN => Ok(false),
        _ => Err(Failure::new(Exit::Failure, "the manager ended at once")
            .with_hint(format!("its log is in {}", place.own_log().display()))),
    }
}
