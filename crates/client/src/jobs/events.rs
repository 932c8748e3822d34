//! Streams the progress of a job.

use mitosis_protocol::job::JobInfo;

use super::FEATURE;
use crate::event_stream::{Block, EventStream};
use crate::{ClientError, UserClient};

/// An open stream of the progress of a job.
#[derive(Debug)]
pub struct JobEvents(EventStream);

impl UserClient {
    /// `GET /v1/jobs/{job}/events`: the job now, and whenever it has changed, until it ends.
    pub async fn job_events(&self, job: i64) -> Result<JobEvents, ClientError> {
        self.require(FEATURE).await?;
        Ok(JobEvents(self.event_stream(&format!("/v1/jobs/{job}/events"), None).await?))
    }
}

impl JobEvents {
    /// The next state of the job; none once the stream has ended, because the job has ended, the coordinator is
    /// stopping, or nothing has been received for too long.
    pub async fn next(&mut self) -> Result<Option<JobInfo>, ClientError> {
        self.0.next(read).await
    }
}

/// Parses a block as an event of a job; returns none for anything else.
fn read(block: &Block) -> Option<JobInfo> {
    match block.field("event")? {
        "job" => serde_json::from_str(block.field("data")?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_parsed_and_other_blocks_skipped() {
        let data = r#"{"job":12,"group":"lab","creator":"ann","labels":[],"priority":0,"state":"running","tasks":3,"counts":{"waiting":1,"blocked":0,"running":2,"succeeded":0,"failed":0,"timed_out":0,"cancelled":0},"paused":false,"created_at":"2031-02-09 17:04:05.25 +00:00:00"}"#;
        let event = format!("event: job\ndata: {data}\n\n");
        let info = read(&Block::new(event.as_bytes())).unwrap();
        assert_eq!((info.job, info.counts.running, info.counts.total()), (12, 2, 3));
        for other in [":\n\n", "event: task\ndata: {}\n\n", "event: job\ndata: {\n\n", "\n\n"] {
            assert!(read(&Block::new(other.as_bytes())).is_none(), "{other}");
        }
    }
}
