//! How the commands of this worker are confined: control groups, and privileges.

use std::sync::Arc;

use super::cgroup::{Delegated, Unavailable};
use crate::settings::Isolation;

/// How commands are confined.
#[derive(Debug, Clone, Default)]
pub(crate) struct Confinement {
    /// Where each attempt gets a control group.
    pub(crate) groups: Option<Arc<Delegated>>,
    /// Whether commands can't gain privileges.
    pub(crate) no_new_privileges: bool,
    /// Why there are no control groups, if they are wanted.
    missing: Option<String>,
}

impl Confinement {
    /// Prepares this process for the wanted isolation.
    ///
    /// # Errors
    /// Fails if control groups are required and unavailable.
    pub(crate) fn prepare(wanted: Isolation) -> Result<Self, Unavailable> {
        match wanted {
            Isolation::None => Ok(Self::default()),
            Isolation::Auto => Ok(match Delegated::of_this_process() {
                Ok(groups) => Self { groups: Some(Arc::new(groups)), no_new_privileges: true, missing: None },
                Err(why) => Self { groups: None, no_new_privileges: true, missing: Some(why.to_string()) },
            }),
            Isolation::Cgroup => {
                let groups = Some(Arc::new(Delegated::of_this_process()?));
                Ok(Self { groups, no_new_privileges: true, missing: None })
            }
        }
    }

    /// The level in one word: `cgroup`, `process` or `none`.
    pub(crate) const fn level(&self) -> &'static str {
        match (&self.groups, self.no_new_privileges) {
            (Some(_), _) => "cgroup",
            (None, true) => "process",
            (None, false) => "none",
        }
    }

    /// Says at the start what holds.
    pub(crate) fn announce(&self) {
        match (&self.groups, &self.missing) {
            (Some(groups), _) => {
                tracing::info!(%groups, "isolation: each task has a control group and gains no privileges");
            }
            (None, Some(missing)) => tracing::info!(
                "isolation: tasks gain no privileges; without control groups, memory is checked once a second ({missing})"
            ),
            (None, None) => {
                tracing::debug!("isolation: none; memory is checked once a second");
            }
        }
    }
}
