//! A worker.

use std::fmt::{self, Display};

use mitosis_protocol::worker::WorkerInfo;

use super::words;

/// Everything about a worker, a line per fact.
pub(crate) fn worker(worker: &WorkerInfo) -> impl Display {
    fmt::from_fn(|f| {
        writeln!(f, "uuid        {}", worker.worker_id)?;
        writeln!(f, "tags        {}", words(&worker.tags))?;
        writeln!(f, "labels      {}", words(&worker.labels))?;
        writeln!(f, "state       {:?}", worker.state)?;
        writeln!(f, "creator     {}", worker.creator_username)?;
        writeln!(f, "created     {}", worker.created_at)?;
        writeln!(f, "updated     {}", worker.updated_at)?;
        writeln!(f, "heartbeat   {}", worker.last_heartbeat)?;
        match worker.assigned_task_id {
            Some(task) => write!(f, "task        {task}"),
            None => write!(f, "task        none"),
        }
    })
}
