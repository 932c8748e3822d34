//! What a worker needs to be told. Reading files and arguments is the binary's business.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mitosis_client::{ClientError, UserClient};
use mitosis_domain::entropy::Entropy;
use mitosis_domain::limits::MAX_OUTPUT_BYTES;
use mitosis_protocol::Uuid;
use mitosis_protocol::worker::RegisterWorkerRequest;
use tokio_util::sync::CancellationToken;

/// How a worker becomes somebody: asked at the start, and again when its registration is gone.
#[async_trait]
pub trait Login: Send + Sync {
    /// A connection whose token was accepted a moment ago.
    async fn log_in(&self) -> Result<UserClient, ClientError>;
}

/// Everything a worker needs to be told. The defaults are those of the contract (command line §3.2).
#[derive(Clone)]
pub struct Settings {
    /// How to become somebody.
    pub login: Arc<dyn Login>,
    /// What to register as: tags, labels, groups, lifetime.
    pub registration: RegisterWorkerRequest,
    /// How many tasks to run at once.
    pub slots: usize,
    /// How long to wait after a coordinator that does not hold requests had no task.
    pub polling_interval: Duration,
    /// Longest time between two signs of life; the coordinator may ask for more.
    pub heartbeat_interval: Duration,
    /// Directory under which each registration gets a directory of its own.
    pub scratch: PathBuf,
    /// Most bytes of one output stream before the command is stopped.
    pub output_limit: u64,
    /// What commands inherit, besides what their tasks say; see [`inherited`](crate::inherited).
    pub environment: Arc<Vec<(OsString, OsString)>>,
    /// The program and the arguments of a process that calls [`keep_guard`](crate::keep_guard). Without
    /// one, the commands of a worker that is killed run on.
    pub guard: Option<Vec<OsString>>,
    /// Hears of each registration.
    pub registered: Arc<dyn Fn(Uuid) + Send + Sync>,
    /// Whether to leave Redis alone, whatever the coordinator says.
    pub skip_redis: bool,
    /// Where jitter comes from.
    pub entropy: Arc<dyn Entropy>,
    /// When cancelled, the worker takes no more tasks, and ends with what it runs.
    pub drain: CancellationToken,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("slots", &self.slots)
            .field("scratch", &self.scratch)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// The documented defaults: one slot, no tags, the user's own group.
    pub fn new(login: Arc<dyn Login>, scratch: PathBuf, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            login,
            registration: RegisterWorkerRequest::default(),
            slots: 1,
            polling_interval: Duration::from_secs(180),
            heartbeat_interval: Duration::from_secs(300),
            scratch,
            output_limit: MAX_OUTPUT_BYTES,
            environment: Arc::new(crate::inherited(std::env::vars_os(), None)),
            guard: None,
            registered: Arc::new(|_| {}),
            skip_redis: false,
            entropy,
            drain: CancellationToken::new(),
        }
    }
}
