//! Streams live output. Nothing is sent until a client follows (ADR 4).

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
use crate::retry::BackoffTimer;

/// Delay before streaming starts: shorter commands end before a client can follow.
const STREAM_DELAY: Duration = Duration::from_millis(50);
/// How long the coordinator may hold the request.
const LONG_POLL: Duration = Duration::from_secs(20);
/// Time between two checks for new output while a client waits for it.
const POLL_INTERVAL: Duration = Duration::from_millis(30);
/// Checks for new output until the demand is requested again.
const POLLS_PER_DEMAND: usize = 10;

impl Attempt<'_> {
    /// Answers demands for output until it is dropped. It never ends by itself, and never fails a task.
    pub(super) async fn stream_output(&self, output: Option<&Arc<OutputFiles>>) -> Infallible {
        let Some(output) = output else { return std::future::pending().await };
        tokio::time::sleep(STREAM_DELAY).await;
        if let Some(mut control) = self.control.clone()
            && control.wait_for(|control| control.is_followed).await.is_err()
        {
            return std::future::pending().await;
        }
        let mut backoff = BackoffTimer::new(&*self.context.settings.entropy);
        let mut demand = OutputDemand::default();
        loop {
            match self.serve(output, demand).await {
                Ok(next) => {
                    backoff.reset();
                    demand = next;
                }
                Err(error) if error.is_transient() => backoff.pause().await,
                Err(error) => {
                    tracing::debug!(%error, "the coordinator refused live output");
                    return std::future::pending().await;
                }
            }
        }
    }

    /// One round: requests the demand, or sends a chunk for it.
    async fn serve(
        &self,
        output: &Arc<OutputFiles>,
        demand: OutputDemand,
    ) -> Result<OutputDemand, ClientError> {
        if demand == OutputDemand::default() {
            return self.context.client.output_demand(self.task.uuid, LONG_POLL).await;
        }
        match chunk(output, demand).await {
            Some(chunk) => self.context.client.output_chunk(self.task.uuid, &chunk).await,
            None => self.next_demand(output, demand).await,
        }
    }

    /// Waits for a while for the bytes of the demand, and then requests the demand again: another follower may need
    /// bytes that exist already.
    async fn next_demand(
        &self,
        output: &Arc<OutputFiles>,
        demand: OutputDemand,
    ) -> Result<OutputDemand, ClientError> {
        for _ in 0..POLLS_PER_DEMAND {
            tokio::time::sleep(POLL_INTERVAL).await;
            if let Some(chunk) = chunk(output, demand).await {
                return self.context.client.output_chunk(self.task.uuid, &chunk).await;
            }
        }
        self.context.client.output_demand(self.task.uuid, Duration::ZERO).await
    }
}

/// The available bytes of a demand, if there are any.
async fn chunk(output: &Arc<OutputFiles>, demand: OutputDemand) -> Option<OutputChunk> {
    let output = output.clone();
    match on_a_blocking_thread(move || read_both(&output, demand)).await {
        Ok(chunk) => (!chunk.stdout.is_empty() || !chunk.stderr.is_empty()).then_some(chunk),
        Err(error) => {
            tracing::debug!(%error, "failed to read live output");
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

/// Reads at an offset, because the command shares the position of the file.
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
