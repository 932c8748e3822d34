//! Streams live output. Nothing is sent until a client follows (ADR 4).

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mitosis_client::ClientError;
use mitosis_protocol::output::{Located, LogPosition, OutputChunk, OutputDemand, OutputStream};

use super::Attempt;
use super::output_files::{OutputFile, OutputFiles, Part};
use super::scratch::on_a_blocking_thread;
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

/// What a demand asks for, if there is any of it yet.
async fn chunk(output: &Arc<OutputFiles>, demand: OutputDemand) -> Option<OutputChunk> {
    let output = output.clone();
    match on_a_blocking_thread(move || read(&output, demand)).await {
        Ok(chunk) => {
            let has_content = !chunk.stdout.is_empty() || !chunk.stderr.is_empty() || chunk.located.is_some();
            has_content.then_some(chunk)
        }
        Err(error) => {
            tracing::debug!(%error, "failed to read live output");
            None
        }
    }
}

fn read(output: &OutputFiles, demand: OutputDemand) -> io::Result<OutputChunk> {
    let located = demand.locate.map(|position| locate(output, position)).transpose()?;
    let part = |file: &OutputFile, offset: Option<u64>| {
        offset.map_or(Ok(Part::default()), |offset| file.part(offset))
    };
    let omitted = |part: &Part, wanted: Option<u64>| wanted.map_or(0, |wanted| part.offset - wanted);
    let (stdout, stderr) = (part(&output.stdout, demand.stdout)?, part(&output.stderr, demand.stderr)?);
    Ok(OutputChunk {
        stdout_omitted: omitted(&stdout, demand.stdout),
        stdout_offset: stdout.offset,
        stdout: stdout.bytes,
        stderr_omitted: omitted(&stderr, demand.stderr),
        stderr_offset: stderr.offset,
        stderr: stderr.bytes,
        located,
    })
}

fn locate(output: &OutputFiles, position: LogPosition) -> io::Result<Located> {
    Ok(Located {
        position,
        stdout: output.locate(OutputStream::Stdout, position)?,
        stderr: output.locate(OutputStream::Stderr, position)?,
    })
}
