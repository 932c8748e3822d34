//! The settings of a worker (command line §3.2).

use std::time::Duration;

use mitosis_domain::resources::Inventory;
use mitosis_protocol::worker::RegisterWorkerRequest;
use mitosis_worker::{Isolation, OutputLimit, OutputLimitAction};

use super::{ConfigError, Layers, Size, inventory, keys};
use crate::config::environment::Environment;

/// The settings of a worker in addition to those of a client.
#[derive(Debug, Clone)]
pub(crate) struct WorkerConfig {
    pub(crate) registration: RegisterWorkerRequest,
    pub(crate) inventory: Inventory,
    pub(crate) polling_interval: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) skip_redis: bool,
    /// Additional variables that commands inherit; without a list, all but secrets.
    pub(crate) pass_env: Option<Vec<String>>,
    pub(crate) output_limit: OutputLimit,
    pub(crate) input_cache: u64,
    pub(crate) fresh_directories_only: bool,
    pub(crate) isolation: Isolation,
    pub(crate) on_term: OnTerm,
}

/// What a worker does when it is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnTerm {
    /// Stop the tasks, which run elsewhere.
    Requeue,
    /// Let the tasks end, for this time if there is a limit.
    Finish(Option<Duration>),
}

/// The least limit of output: file systems remove parts of files in blocks.
const MIN_OUTPUT_LIMIT: u64 = 64 * 1024;

impl WorkerConfig {
    pub(crate) fn new(layers: &Layers, environment: &Environment) -> Result<Self, ConfigError> {
        let inventory = inventory::of_worker(layers, inventory::detect(environment))?;
        let lost_after = layers.get(keys::LOST_AFTER);
        if lost_after == Some(Duration::ZERO) {
            return Err(layers.invalid(keys::LOST_AFTER, "must be longer than 0"));
        }
        let Size(bytes) = layers.get_or_default(keys::OUTPUT_LIMIT);
        if bytes < MIN_OUTPUT_LIMIT {
            return Err(layers.invalid(keys::OUTPUT_LIMIT, "must be at least 64KiB"));
        }
        let action = match layers.get_or_default(keys::STOP_AT_OUTPUT_LIMIT) {
            true => OutputLimitAction::Stop,
            false => OutputLimitAction::Omit,
        };
        let isolation = match layers.get_or_default(keys::ISOLATION).as_str() {
            "auto" => Isolation::Auto,
            "none" => Isolation::None,
            "cgroup" => Isolation::Cgroup,
            _ => return Err(layers.invalid(keys::ISOLATION, "must be \"auto\", \"none\" or \"cgroup\"")),
        };
        let on_term = match layers.get_or_default(keys::ON_TERM).as_str() {
            "requeue" => OnTerm::Requeue,
            "finish" => OnTerm::Finish(layers.get(keys::ON_TERM_LIMIT)),
            _ => return Err(layers.invalid(keys::ON_TERM, "must be \"requeue\" or \"finish\"")),
        };
        Ok(Self {
            registration: RegisterWorkerRequest {
                tags: layers.get_or_default(keys::TAGS),
                labels: layers.get_or_default(keys::LABELS),
                groups: layers.get_or_default(keys::GROUPS),
                lifetime: layers.get(keys::LIFETIME),
                lost_after,
                ..RegisterWorkerRequest::default()
            },
            inventory,
            polling_interval: layers.get_or_default(keys::POLLING_INTERVAL),
            heartbeat_interval: layers.get_or_default(keys::HEARTBEAT_INTERVAL),
            skip_redis: layers.get_or_default(keys::SKIP_REDIS),
            pass_env: layers.get(keys::PASS_ENV),
            output_limit: OutputLimit { bytes, action },
            input_cache: layers.get_or_default(keys::INPUT_CACHE).0,
            fresh_directories_only: layers.get_or_default(keys::FRESH_DIRECTORIES_ONLY),
            isolation,
            on_term,
        })
    }
}
