//! The outputs of ended tasks, read for many tasks at once.

use std::collections::HashMap;
use std::time::Duration;

use mitosis_client::UserClient;
use mitosis_protocol::Uuid;
use mitosis_protocol::output::{EndedOutput, MAX_OUTPUTS, OutputsRequest};

use crate::login::reconnect::Reconnect;
use crate::process::failure::Failure;
use crate::task_io::follow::check_later_hint;

/// How long to wait for the end of a task before its output is followed while it runs.
const WAIT: Duration = Duration::from_millis(500);

/// Outputs that were read before it is their turn to be shown: at most one request full.
#[derive(Debug, Default)]
pub(super) struct EndedOutputs {
    read: HashMap<Uuid, EndedOutput>,
}

impl EndedOutputs {
    /// The output of the last task of the list, which is the next to be shown. `None` if it has not ended.
    pub(super) async fn next(
        &mut self,
        user: &UserClient,
        tasks: &[Uuid],
    ) -> Result<Option<EndedOutput>, Failure> {
        let Some(next) = tasks.last() else { return Ok(None) };
        if !self.read.contains_key(next) {
            self.read_more(user, tasks, *next).await?;
        }
        Ok(self.read.remove(next))
    }

    /// Reads the outputs of the next tasks that have ended.
    async fn read_more(&mut self, user: &UserClient, tasks: &[Uuid], next: Uuid) -> Result<(), Failure> {
        let unknown = tasks.iter().rev().filter(|task| !self.read.contains_key(task));
        let tasks = unknown.take(MAX_OUTPUTS.saturating_sub(self.read.len()).max(1)).copied().collect();
        let request = OutputsRequest { tasks, wait: Some(WAIT) };
        let mut reconnect = Reconnect::new();
        let reply = reconnect.retry(async || user.outputs(&request).await, &check_later_hint(next)).await?;
        self.read.extend(reply.outputs.into_iter().map(|output| (output.uuid, output)));
        Ok(())
    }
}
