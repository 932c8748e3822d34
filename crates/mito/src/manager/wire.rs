//! What is said over the supervisor's socket: a line of JSON there, a line back.

use std::ffi::OsString;
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};

/// Most bytes of a line. An order carries a whole environment.
const LONGEST: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// How everybody is.
    Status,
    /// Start so many workers.
    Spawn { count: u16, order: Order },
    /// Have these workers end what they run and leave; all of them if there are no numbers.
    Drain { numbers: Vec<u32>, wait: bool },
    /// Stop these workers, or all of them and the supervisor.
    Kill { numbers: Vec<u32> },
}

/// How a worker is started. Not for logs: the environment can hold a password.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Order {
    pub(crate) program: OsString,
    pub(crate) words: Vec<OsString>,
    /// The whole environment, and nothing besides.
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) folder: OsString,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Workers(Vec<WorkerStatus>),
    /// How many were asked to drain, and which numbers nobody has.
    Draining {
        asked: usize,
        unknown: Vec<u32>,
    },
    /// How many ended, and which numbers nobody has.
    Stopped {
        ended: usize,
        unknown: Vec<u32>,
    },
    /// This supervisor is about to end; another one is to be asked.
    Leaving,
    /// The request was not understood.
    Refused(String),
}

/// How a worker is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WorkerStatus {
    pub(crate) number: u32,
    /// Only while there is a process.
    pub(crate) pid: Option<u32>,
    pub(crate) state: State,
    /// Seconds since it came into this state.
    pub(crate) since: u64,
    /// How often it was started again.
    pub(crate) restarts: u32,
    /// How the last process ended, if one did.
    pub(crate) last_end: Option<String>,
}

/// Where a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It runs.
    Running,
    /// It failed, and will be started again.
    Waiting,
    /// It ends what it runs, takes nothing new, and is not started again.
    Draining,
    /// It was asked to stop.
    Stopping,
    /// It was stopped, from here or from elsewhere, or the coordinator removed it.
    Ended,
    /// It failed in a way that another start would not change.
    Failed,
}

impl State {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
            Self::Failed => "failed",
        }
    }

    /// Whether there is, or will be, a process.
    pub(super) fn is_alive(self) -> bool {
        !matches!(self, Self::Ended | Self::Failed)
    }
}

pub(super) async fn say(stream: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.flush().await
}

/// None if the other side went away without a whole line.
pub(super) async fn hear<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    BufReader::new(stream.take(LONGEST)).read_until(b'\n', &mut line).await?;
    match line.ends_with(b"\n") {
        true => Ok(Some(serde_json::from_slice(&line)?)),
        false => Ok(None),
    }
}
