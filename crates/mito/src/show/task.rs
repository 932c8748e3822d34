//! A task.

use std::fmt::{self, Display};

use mitosis_domain::wait_status::WaitStatus;
use mitosis_protocol::task::RemoteFile;
use mitosis_protocol::{TaskInfo, TaskResult, TaskSpec};

use super::words;

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
        writeln!(f, "tags        {}", words(&task.tags))?;
        writeln!(f, "labels      {}", words(&task.labels))?;
        writeln!(f, "timeout     {} s, priority {}", task.timeout, task.priority)?;
        writeln!(f, "created     {}", task.created_at)?;
        writeln!(f, "updated     {}", task.updated_at)?;
        spec(&task.spec, f)?;
        for (name, uuid) in [
            ("upstream", task.upstream_task_uuid),
            ("downstream", task.downstream_task_uuid),
            ("reporter", task.reporter_uuid),
            ("repeats", task.repeats_task_uuid),
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

fn spec(spec: &TaskSpec, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "command     {}", words(&spec.args))?;
    for (name, value) in &spec.envs {
        writeln!(f, "variable    {name}={value}")?;
    }
    for (name, value) in &spec.params {
        writeln!(f, "parameter   {name}={value}")?;
    }
    for resource in &spec.resources {
        let local = &resource.local_path;
        match &resource.remote_file {
            RemoteFile::Artifact { uuid, content_type } => {
                writeln!(f, "resource    artifact {content_type} of {uuid} as {local}")?;
            }
            RemoteFile::Attachment { key } => writeln!(f, "resource    attachment {key} as {local}")?,
        }
    }
    if spec.terminal_output {
        writeln!(f, "terminal    kept")?;
    }
    match spec.watch {
        Some((uuid, state)) => writeln!(f, "watches     {uuid} until {state:?}"),
        None => Ok(()),
    }
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
