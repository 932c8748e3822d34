//! Results, on standard output.

use std::fmt::{self, Display};
use std::io::{self, Write as _};

use mitosis_domain::wait_status::WaitStatus;
use mitosis_protocol::{TaskInfo, TaskResult};

use crate::failure::Failure;

/// Writes a line. That nobody reads any more ends the command quietly.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{text}")
        .map_err(|error| Failure::io("can't write to standard output", error))
}

/// Everything about a task, a line per fact.
pub(crate) fn task(task: &TaskInfo) -> impl Display {
    fmt::from_fn(|f| {
        writeln!(f, "uuid        {}", task.uuid)?;
        writeln!(f, "state       {:?}", task.state)?;
        writeln!(
            f,
            "task        {} of group {}, by {}",
            task.task_id, task.group_name, task.creator_username
        )?;
        writeln!(f, "tags        {}", task.tags.join(" "))?;
        writeln!(f, "labels      {}", task.labels.join(" "))?;
        writeln!(f, "timeout     {} s, priority {}", task.timeout, task.priority)?;
        writeln!(f, "created     {}", task.created_at)?;
        writeln!(f, "updated     {}", task.updated_at)?;
        writeln!(f, "command     {}", task.spec.args.join(" "))?;
        for (name, uuid) in [
            ("upstream", task.upstream_task_uuid),
            ("downstream", task.downstream_task_uuid),
            ("reporter", task.reporter_uuid),
        ] {
            if let Some(uuid) = uuid {
                writeln!(f, "{name:<11} {uuid}")?;
            }
        }
        match &task.result {
            Some(result) => write!(f, "result      {}", outcome(result)),
            None => write!(f, "result      none yet"),
        }
    })
}

fn outcome(result: &TaskResult) -> impl Display {
    let TaskResult { exit_status, msg } = *result;
    fmt::from_fn(move |f| {
        match WaitStatus::from_raw(exit_status) {
            WaitStatus::Exited(code) => write!(f, "exit code {code}")?,
            WaitStatus::Signalled(signal) => write!(f, "killed by signal {signal}")?,
        }
        match msg {
            Some(msg) => write!(f, ", {msg:?}"),
            None => Ok(()),
        }
    })
}
