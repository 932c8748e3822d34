//! The settings of a worker (command line §3.2).

use std::time::Duration;

use mitosis_protocol::worker::RegisterWorkerRequest;
use mitosis_worker::{OutputLimit, OutputLimitAction};

use super::{ConfigError, Layers, Size, Slots, keys};
use crate::process::available_cpus;

/// The settings of a worker in addition to those of a client.
#[derive(Debug, Clone)]
pub(crate) struct WorkerConfig {
    pub(crate) registration: RegisterWorkerRequest,
    pub(crate) slots: usize,
    pub(crate) polling_interval: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) skip_redis: bool,
    /// Additional variables that commands inherit; without a list, all but secrets.
    pub(crate) pass_env: Option<Vec<String>>,
    pub(crate) output_limit: OutputLimit,
    pub(crate) input_cache: u64,
    pub(crate) fresh_directories_only: bool,
}

/// The least limit of output: file systems remove parts of files in blocks.
const MIN_OUTPUT_LIMIT: u64 = 64 * 1024;

impl WorkerConfig {
    pub(crate) fn new(layers: &Layers) -> Result<Self, ConfigError> {
        let slots = match layers.get_or_default(keys::SLOTS) {
            Slots::Count(0) => return Err(layers.invalid(keys::SLOTS, "must be at least 1")),
            Slots::Count(slots) => {
                usize::try_from(slots).map_err(|_| layers.invalid(keys::SLOTS, "too large"))?
            }
            Slots::Auto => available_cpus(),
        };
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
        Ok(Self {
            registration: RegisterWorkerRequest {
                tags: layers.get_or_default(keys::TAGS),
                labels: layers.get_or_default(keys::LABELS),
                groups: layers.get_or_default(keys::GROUPS),
                lifetime: layers.get(keys::LIFETIME),
                slots: None,
                lost_after,
                host: None,
                machine: None,
            },
            slots,
            polling_interval: layers.get_or_default(keys::POLLING_INTERVAL),
            heartbeat_interval: layers.get_or_default(keys::HEARTBEAT_INTERVAL),
            skip_redis: layers.get_or_default(keys::SKIP_REDIS),
            pass_env: layers.get(keys::PASS_ENV),
            output_limit: OutputLimit { bytes, action },
            input_cache: layers.get_or_default(keys::INPUT_CACHE).0,
            fresh_directories_only: layers.get_or_default(keys::FRESH_DIRECTORIES_ONLY),
        })
    }
}
