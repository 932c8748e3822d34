//! The protocol of the supervisor's socket: a line of JSON per request, and one per reply.

use std::ffi::OsString;
use std::fmt;
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};

/// The maximum length of a line in bytes. A command contains a whole environment.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// A request to the supervisor.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The status of all workers.
    Status,
    /// Start workers.
    Spawn {
        /// How many.
        count: u16,
        /// How each is started.
        #[serde(rename = "order")]
        command: WorkerCommand,
    },
    /// Drain workers: they finish their tasks, take no new ones, and exit.
    Drain {
        /// Their numbers; all workers if empty.
        numbers: Vec<u32>,
        /// Reply only when they have exited.
        wait: bool,
    },
    /// Stop workers.
    Kill {
        /// Their numbers; if empty, all workers and the supervisor.
        numbers: Vec<u32>,
    },
}

/// How a worker is started. Must not be logged: the environment can contain a password.
#[derive(Serialize, Deserialize, Clone)]
pub struct WorkerCommand {
    /// The program.
    pub program: OsString,
    /// Arguments after `worker`.
    #[serde(rename = "words")]
    pub args: Vec<OsString>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The working directory.
    #[serde(rename = "folder")]
    pub working_dir: OsString,
}

/// The answer to a [`Request`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// All workers.
    Workers(Vec<WorkerStatus>),
    /// Workers are draining, or have drained.
    Draining {
        /// How many.
        asked: usize,
        /// Numbers that no worker has.
        unknown: Vec<u32>,
    },
    /// Workers were stopped.
    Stopped {
        /// How many.
        ended: usize,
        /// Numbers that no worker has.
        unknown: Vec<u32>,
    },
    /// This supervisor is about to exit; send the request to the next one.
    Leaving,
    /// The request was not understood.
    Refused(String),
}

/// Status of a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its number.
    pub number: u32,
    /// The process id, while there is a process.
    pub pid: Option<u32>,
    /// Its state.
    pub state: State,
    /// Seconds since it entered this state.
    pub since: u64,
    /// How often it was restarted.
    pub restarts: u32,
    /// How the last process ended, if one did.
    pub last_end: Option<String>,
}

/// State of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has a process.
    Running,
    /// It failed, and will be restarted.
    Waiting,
    /// It finishes its tasks, takes no new ones, and is not restarted.
    Draining,
    /// It is about to exit.
    Stopping,
    /// It was stopped, or removed by the coordinator.
    Ended,
    /// It failed in a way that a restart would repeat.
    Failed,
}

impl State {
    /// Whether there is, or will be, a process.
    pub(super) fn is_alive(self) -> bool {
        !matches!(self, Self::Ended | Self::Failed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
            Self::Failed => "failed",
        })
    }
}

pub(super) async fn write_message(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.flush().await
}

/// `None` if the peer disconnected before the end of the line.
pub(super) async fn read_message<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    BufReader::new(stream.take(MAX_LINE_BYTES)).read_until(b'\n', &mut line).await?;
    match line.ends_with(b"\n") {
        true => Ok(Some(serde_json::from_slice(&line)?)),
        false => Ok(None),
    }
}
