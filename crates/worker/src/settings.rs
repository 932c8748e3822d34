//! The settings of a worker. The binary reads them from files and arguments.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mitosis_client::{ClientError, UserClient};
use mitosis_domain::clock::{Clock, SystemClock};
use mitosis_domain::entropy::Entropy;
use mitosis_domain::limits::MAX_OUTPUT_BYTES;
use mitosis_domain::resources::{GpuVendor, Inventory};
use mitosis_protocol::Uuid;
use mitosis_protocol::worker::RegisterWorkerRequest;
use tokio_util::sync::CancellationToken;

/// How many bytes of inputs are kept by default.
const DEFAULT_INPUT_CACHE: u64 = 10 << 30;

/// Logs in the user of a worker: at the start, and again before each new registration.
#[async_trait]
pub trait Login: Send + Sync {
    /// Returns a connection whose token has just been accepted.
    async fn log_in(&self) -> Result<UserClient, ClientError>;
}

/// How much of each output stream of a task is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// The largest number of bytes.
    pub bytes: u64,
    /// What happens to a command that writes more.
    pub action: OutputLimitAction,
}

/// What happens to a command that writes more output than its worker keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputLimitAction {
    /// It runs on; the beginning and the end of the stream are kept.
    #[default]
    Omit,
    /// It is stopped.
    Stop,
}

/// How commands are kept apart from each other and from the worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Commands may gain privileges, for example with `sudo`. Their processes still end with them.
    #[default]
    None,
    /// As [`Self::Cgroup`] if this machine delegates control groups to the worker, otherwise without them.
    Auto,
    /// Commands gain no privileges, and each has a control group. The worker fails at its start if that is impossible.
    Cgroup,
}

/// The settings of a worker. The defaults are those of the contract (command line §3.2).
#[derive(Clone)]
pub struct Settings {
    /// How to log in.
    pub login: Arc<dyn Login>,
    /// The registration request: tags, labels, groups, lifetime.
    pub registration: RegisterWorkerRequest,
    /// How many tasks of the default request to run at once.
    pub slots: usize,
    /// What the worker offers to its tasks; only its slots if absent.
    pub inventory: Option<Inventory>,
    /// How long the worker runs tasks from its start: it gets only tasks that end before.
    pub ends_at: Option<std::time::Instant>,
    /// How long to wait after a coordinator that does not hold requests had no task.
    pub polling_interval: Duration,
    /// The maximum time between two heartbeats; the coordinator may require a shorter one.
    pub heartbeat_interval: Duration,
    /// The directory below which each registration has its own directory.
    pub scratch: PathBuf,
    /// How much of each output stream is kept.
    pub output_limit: OutputLimit,
    /// How many bytes of inputs are kept, so that tasks which share an input download it once.
    pub input_cache: u64,
    /// Whether a task that names a directory never starts in it: a task that prefers one starts in a fresh directory,
    /// a task that requires one is cancelled.
    pub fresh_directories_only: bool,
    /// The environment that commands inherit, besides the variables of their task; see
    /// [`inherited_env`](crate::inherited_env).
    pub environment: Arc<Vec<(OsString, OsString)>>,
    /// The program and the arguments of a process that calls [`run_guard`](crate::run_guard). Without a guard,
    /// the commands of a killed worker continue.
    pub guard: Option<Vec<OsString>>,
    /// How commands are isolated.
    pub isolation: Isolation,
    /// Called with the UUID of each new registration.
    pub registered: Arc<dyn Fn(Uuid) + Send + Sync>,
    /// Whether to ignore the coordinator's Redis address.
    pub skip_redis: bool,
    /// The source of jitter.
    pub entropy: Arc<dyn Entropy>,
    /// The source of the times of output.
    pub clock: Arc<dyn Clock>,
    /// When cancelled, the worker accepts no more tasks, and ends after its running tasks.
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
    /// The maker of the GPUs of the worker.
    pub(crate) fn gpu_vendor(&self) -> GpuVendor {
        self.inventory.as_ref().map(|inventory| inventory.gpu_vendor).unwrap_or_default()
    }

    /// What the worker offers to its tasks.
    pub(crate) fn inventory(&self) -> Inventory {
        self.inventory.clone().unwrap_or_else(|| Inventory::of_slots(self.slots.max(1)))
    }

    /// Creates settings with the documented defaults: one slot, no tags, the user's own group.
    pub fn new(login: Arc<dyn Login>, scratch: PathBuf, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            login,
            registration: RegisterWorkerRequest::default(),
            slots: 1,
            inventory: None,
            ends_at: None,
            polling_interval: Duration::from_secs(180),
            heartbeat_interval: Duration::from_secs(300),
            scratch,
            output_limit: OutputLimit { bytes: MAX_OUTPUT_BYTES, action: OutputLimitAction::default() },
            input_cache: DEFAULT_INPUT_CACHE,
            fresh_directories_only: false,
            environment: Arc::new(crate::inherited_env(std::env::vars_os(), None)),
            guard: None,
            isolation: Isolation::default(),
            registered: Arc::new(|_| {}),
            skip_redis: false,
            entropy,
            clock: Arc::new(SystemClock),
            drain: CancellationToken::new(),
        }
    }
}
