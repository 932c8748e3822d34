//! From layers to a worker's settings (command line §3.2).

use std::time::Duration;

use mitosis_protocol::worker::RegisterWorkerRequest;

use super::{ConfigError, Layers, Slots};
use crate::process::available_cpus;

/// What is special to a worker; whom it talks to is as for a client.
#[derive(Debug, Clone)]
pub(crate) struct WorkerConfig {
    pub(crate) registration: RegisterWorkerRequest,
    pub(crate) slots: usize,
    pub(crate) polling_interval: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) skip_redis: bool,
    /// Which variables commands inherit besides the basic ones; all that are no secrets if there is no list.
    pub(crate) pass_env: Option<Vec<String>>,
}

impl WorkerConfig {
    pub(crate) fn new(layers: &Layers) -> Result<Self, ConfigError> {
        let slots = match layers.slots("slots") {
            Some(Slots::Count(0)) => return Err(layers.invalid("slots", "a worker needs at least one")),
            Some(Slots::Count(slots)) => {
                usize::try_from(slots).map_err(|_| layers.invalid("slots", "it is too large"))?
            }
            Some(Slots::Auto) => available_cpus(),
            // An experiment has the machine to itself unless its owner says otherwise.
            None => 1,
        };
        let lost_after = layers.duration("lost_after");
        if lost_after == Some(Duration::ZERO) {
            return Err(layers.invalid("lost_after", "it has to be longer than 0"));
        }
        Ok(Self {
            registration: RegisterWorkerRequest {
                tags: layers.words("tags"),
                labels: layers.words("labels"),
                groups: layers.words("groups"),
                lifetime: layers.duration("lifetime"),
                slots: None,
                lost_after,
                machine: None,
            },
            slots,
            polling_interval: layers.duration("polling_interval").unwrap_or(Duration::from_secs(180)),
            heartbeat_interval: layers.duration("heartbeat_interval").unwrap_or(Duration::from_secs(300)),
            skip_redis: layers.flag("skip_redis"),
            pass_env: layers.lookup("pass_env").map(|_| layers.words("pass_env")),
        })
    }
}
