//! Live output: nothing is sent until somebody follows (ADR 4).

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use mitosis_client::ClientError;
use mitosis_protocol::output::{MAX_CHUNK_BYTES, OutputChunk, OutputDemand};

use super::Attempt;
use super::scratch::{OutputFiles, on_a_blocking_thread};
use crate::insist::Waits;

/// Shorter commands are over before anybody could read along.
const HEAD_START: Duration = Duration::from_millis(50);
/// How long the coordinator may hold the question.
const HOLD: Duration = Duration::from_secs(20);
/// Time between two looks for new bytes while somebody waits for them.
const LOOK_AGAIN: Duration = Duration::from_millis(30);

impl Attempt<'_> {
    /// Answers demands for output until it is dropped. Never ends by itself, and never fails a task.
    pub(super) async fn deliver_output(&self, output: Option<&Arc<OutputFiles>>) -> Infallible {
        let Some(output) = output else { return std::future::pending().await };
        tokio::time::sleep(HEAD_START).await;
        if let Some(mut orders) = self.orders.clone()
            && orders.wait_for(|orders| orders.followed).await.is_err()
        {
            return std::future::pending().await;
        }
        let mut waits = Waits::new(&*self.session.settings.entropy);
        let mut demand = OutputDemand::default();
        loop {
            match self.serve(output, demand).await {
                Ok(next) => {
                    waits.reset();
                    demand = next;
                }
                Err(error) if error.is_transient() => waits.pause().await,
                Err(error) => {
                    tracing::debug!(%error, "live output is not wanted");
                    return std::future::pending().await;
                }
            }
        }
    }

    /// One round: asks what is wanted, or sends what was.
    async fn serve(
        &self,
        output: &Arc<OutputFiles>,
        demand: OutputDemand,
    ) -> Result<OutputDemand, ClientError> {
        if demand == OutputDemand::default() {
            return self.session.client.output_demand(self.task.uuid, HOLD).await;
        }
        match chunk(output, demand).await {
            Some(chunk) => self.session.client.output_chunk(self.task.uuid, &chunk).await,
            None => {
                tokio::time::sleep(LOOK_AGAIN).await;
                Ok(demand)
            }
        }
    }
}

/// The bytes that a demand asks for, if there are any yet.
async fn chunk(output: &Arc<OutputFiles>, demand: OutputDemand) -> Option<OutputChunk> {
    let output = output.clone();
    match on_a_blocking_thread(move || read_both(&output, demand)).await {
        Ok(chunk) => (!chunk.stdout.is_empty() || !chunk.stderr.is_empty()).then_some(chunk),
        Err(error) => {
            tracing::debug!(%error, "the output can't be read along");
            None
        }
    }
}

fn read_both(output: &OutputFiles, demand: OutputDemand) -> io::Result<OutputChunk> {
    let read = |file, offset: Option<u64>| offset.map_or(Ok(Vec::new()), |offset| read_from(file, offset));
    Ok(OutputChunk {
        stdout_offset: demand.stdout.unwrap_or_default(),
        stdout: read(&output.stdout, demand.stdout)?,
        stderr_offset: demand.stderr.unwrap_or_default(),
        stderr: read(&output.stderr, demand.stderr)?,
    })
}

/// The command shares the file's own position, so it stays where it is.
fn read_from(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let left = usize::try_from(file.metadata()?.len().saturating_sub(offset)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; left.min(MAX_CHUNK_BYTES)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
