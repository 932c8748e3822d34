//! Live output: nothing is sent until somebody follows (ADR 4).

use std::convert::Infallible;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use mitosis_client::ClientError;
use mitosis_protocol::output::{MAX_CHUNK_BYTES, OutputChunk, OutputDemand};

use super::Attempt;
use super::scratch::on_a_blocking_thread;
use crate::insist::Waits;

/// Shorter commands are over before anybody could read along.
const HEAD_START: Duration = Duration::from_millis(50);
/// How long the coordinator may hold the question.
const HOLD: Duration = Duration::from_secs(20);
/// Time between two looks for new bytes while somebody waits for them.
const LOOK_AGAIN: Duration = Duration::from_millis(30);

impl Attempt<'_> {
    /// Answers demands for output until it is dropped. Never ends by itself, and never fails a task.
    pub(super) async fn deliver_output(&self) -> Infallible {
        if !self.task.spec.terminal_output {
            return std::future::pending().await;
        }
        tokio::time::sleep(HEAD_START).await;
        if let Some(mut orders) = self.orders.clone()
            && orders.wait_for(|orders| orders.followed).await.is_err()
        {
            return std::future::pending().await;
        }
        let mut waits = Waits::new(&*self.session.settings.entropy);
        let mut demand = OutputDemand::default();
        loop {
            match self.serve(demand).await {
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
    async fn serve(&self, demand: OutputDemand) -> Result<OutputDemand, ClientError> {
        if demand == OutputDemand::default() {
            return self.session.client.output_demand(self.task.uuid, HOLD).await;
        }
        match self.chunk(demand).await {
            Some(chunk) => self.session.client.output_chunk(self.task.uuid, &chunk).await,
            None => {
                tokio::time::sleep(LOOK_AGAIN).await;
                Ok(demand)
            }
        }
    }

    /// The bytes that a demand asks for, if there are any yet.
    async fn chunk(&self, demand: OutputDemand) -> Option<OutputChunk> {
        let scratch = self.scratch;
        let (stdout, stderr) = (scratch.stdout(), scratch.stderr());
        let read = on_a_blocking_thread(move || read_both(&stdout, &stderr, demand)).await;
        match read {
            Ok(chunk) => (!chunk.stdout.is_empty() || !chunk.stderr.is_empty()).then_some(chunk),
            Err(error) => {
                tracing::warn!(%error, "the output can't be read along");
                None
            }
        }
    }
}

fn read_both(stdout: &Path, stderr: &Path, demand: OutputDemand) -> io::Result<OutputChunk> {
    Ok(OutputChunk {
        stdout_offset: demand.stdout.unwrap_or_default(),
        stdout: demand.stdout.map_or(Ok(Vec::new()), |offset| read_from(stdout, offset))?,
        stderr_offset: demand.stderr.unwrap_or_default(),
        stderr: demand.stderr.map_or(Ok(Vec::new()), |offset| read_from(stderr, offset))?,
    })
}

fn read_from(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(MAX_CHUNK_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
