//! A process group: the command and everything it started.

use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Child;

/// What is left of a group after the command ended gets this long to end too.
const LEFTOVERS_GRACE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A running command that leads a process group. Dropping it kills the group.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Child,
    id: Pid,
    ended: bool,
}

impl Group {
    /// Takes charge of a child that was started as the leader of a group of its own.
    pub(crate) fn led_by(leader: Child) -> Option<Self> {
        let id = leader.id().and_then(|id| i32::try_from(id).ok())?;
        Some(Self { leader, id: Pid::from_raw(id), ended: false })
    }

    /// Ends when the command does. Can be given up and called again.
    pub(crate) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.leader.wait().await
    }

    /// Asks the group to end, waits for `grace`, then insists; answers how the command ended.
    pub(crate) async fn stop(&mut self, grace: Duration) -> std::io::Result<ExitStatus> {
        self.signal(Signal::SIGTERM);
        match tokio::time::timeout(grace, self.leader.wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.signal(Signal::SIGKILL);
                self.leader.wait().await
            }
        }
    }

    /// Ends what the command left running in its group.
    pub(crate) async fn clear(mut self) {
        let deadline = tokio::time::Instant::now() + LEFTOVERS_GRACE;
        let mut left = self.signal(Signal::SIGTERM);
        while left && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(LOOK_AGAIN).await;
            left = killpg(self.id, None).is_ok();
        }
        if left {
            self.signal(Signal::SIGKILL);
        }
        self.ended = true;
    }

    /// Whether there was anybody to signal.
    fn signal(&self, signal: Signal) -> bool {
        killpg(self.id, signal).is_ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            self.signal(Signal::SIGKILL);
        }
    }
}
