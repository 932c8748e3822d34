//! The command itself (semantics §7.3, §7.4).

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use mitosis_domain::task::ExecEnd;
use mitosis_domain::wait_status::WaitStatus;
use mitosis_protocol::TaskResultMessage;
use tokio::process::Command;

use super::scratch::OutputFiles;
use super::{Attempt, Lost, Order, program};
use crate::os::group::Group;

/// Between the request to end and the insistence.
const GRACE: Duration = Duration::from_secs(10);
/// Time between two looks at how much a command has written.
const SIZE_CHECK: Duration = Duration::from_secs(1);
/// What a shell answers for a command that exists and can't be run.
const CANNOT_EXECUTE: WaitStatus = WaitStatus::Exited(126);

/// How a command ended.
pub(super) struct Ran {
    pub(super) end: ExecEnd,
    /// Raw wait status.
    pub(super) exit_status: i32,
    pub(super) msg: Option<TaskResultMessage>,
}

/// Why a command that runs is stopped.
enum Overstep {
    Time,
    Output,
    User,
}

impl Attempt<'_> {
    /// Runs the command to its end, or to the end of its time. Given up at the end of the lease: then
    /// the whole group is killed at once, because another worker may start the task any moment.
    pub(super) async fn execute(&self, output: Option<OutputFiles>) -> Result<Ran, Lost> {
        if !self.session.lease.holds() {
            return Err(Lost::GivenUp);
        }
        let group = match self.spawn(output.as_ref()) {
            Ok(group) => group,
            Err(error) => return not_started(&error, output),
        };
        tokio::select! {
            ran = self.supervise(group, output) => ran,
            () = self.session.lease.over() => {
                tracing::warn!("the lease is over and can't be renewed; killing the command");
                Err(Lost::GivenUp)
            }
            never = self.deliver_output() => match never {},
        }
    }

    fn spawn(&self, output: Option<&OutputFiles>) -> std::io::Result<Group> {
        let spec = &self.task.spec;
        let inherited = std::env::var_os("PATH");
        let path = spec.envs.get("PATH").map(OsString::from).or(inherited);
        if let Some((program, rest)) = program::find(&spec.args, path.as_deref()).zip(spec.args.split_first())
        {
            let (name, args) = rest;
            let mut command = Command::new(program);
            command.arg0(name).args(args);
            // A file that can't be started as it is may still mean something to `env`.
            if let Ok(group) = self.start(command, output) {
                return Ok(group);
            }
        }
        let mut command = Command::new("/usr/bin/env");
        command.args(&spec.args);
        self.start(command, output)
    }

    fn start(&self, mut command: Command, output: Option<&OutputFiles>) -> std::io::Result<Group> {
        let scratch = self.scratch;
        let spec = &self.task.spec;
        for name in own_settings() {
            command.env_remove(name);
        }
        command
            .envs(&spec.envs)
            .env("MITO_TASK_UUID", self.task.uuid.to_string())
            .env("MITO_RESULT_DIR", scratch.result())
            .env("MITO_EXEC_DIR", scratch.exec())
            .env("MITO_RESOURCE_DIR", scratch.resource())
            .env("MITO_NEW_TASK", scratch.new_task())
            .stdin(Stdio::null())
            .process_group(0);
        if let Some(upstream) = self.task.upstream_task_uuid {
            command.env("MITO_UPSTREAM_TASK_UUID", upstream.to_string());
        }
        match output {
            Some(output) => command.stdout(output.stdout.try_clone()?).stderr(output.stderr.try_clone()?),
            None => command.stdout(Stdio::null()).stderr(Stdio::null()),
        };
        Group::led_by(command.spawn()?).ok_or_else(|| std::io::Error::other("the command has no process id"))
    }

    /// Waits for the command, and stops it when it takes more than it was given.
    async fn supervise(&self, mut group: Group, mut output: Option<OutputFiles>) -> Result<Ran, Lost> {
        let overstep = tokio::select! {
            status = group.wait() => return ended(group, status, None).await,
            overstep = self.overstep() => overstep,
            order = self.ordered_to_end() => match order {
                Order::Stop => Overstep::User,
                // Somebody else may start it any moment, so the group is killed at once.
                Order::Drop => return Err(Lost::TakenBack),
            },
        };
        tracing::info!("stopping the command: {}", overstep.sentence());
        let status = group.stop(GRACE).await;
        let ran = ended(group, status, Some(&overstep)).await?;
        // The result has a word for the others, and none for this.
        if matches!(overstep, Overstep::Output)
            && let Some(output) = &mut output
            && let Err(error) = writeln!(output.stderr, "mito: {}", overstep.sentence())
        {
            tracing::warn!(%error, "can't say so in its error output");
        }
        Ok(ran)
    }

    /// Ends when the command has taken more than it was given.
    async fn overstep(&self) -> Overstep {
        tokio::select! {
            () = tokio::time::sleep(self.task.timeout) => Overstep::Time,
            () = self.too_much_output() => Overstep::Output,
        }
    }

    async fn too_much_output(&self) {
        if !self.task.spec.terminal_output {
            return std::future::pending().await;
        }
        let scratch = self.scratch;
        let files = [scratch.stdout(), scratch.stderr()];
        loop {
            tokio::time::sleep(SIZE_CHECK).await;
            for file in &files {
                let length = tokio::fs::metadata(file).await.map_or(0, |found| found.len());
                if length > self.session.settings.output_limit {
                    return;
                }
            }
        }
    }
}

impl Overstep {
    fn sentence(&self) -> &'static str {
        match self {
            Self::Time => "stopped at its timeout",
            Self::Output => "stopped for writing more output than this worker keeps",
            Self::User => "stopped by a user",
        }
    }
}

/// A command that the operating system does not take is the task's failure, and its result says
/// so; a machine that can't start anything is not.
fn not_started(error: &std::io::Error, mut output: Option<OutputFiles>) -> Result<Ran, Lost> {
    tracing::warn!(%error, "the command can't be started");
    let fault_of_the_task =
        matches!(error.kind(), std::io::ErrorKind::ArgumentListTooLong | std::io::ErrorKind::InvalidInput);
    if !fault_of_the_task {
        return Err(Lost::GivenUp);
    }
    if let Some(output) = &mut output
        && let Err(error) = writeln!(output.stderr, "mito: the command can't be started: {error}")
    {
        tracing::warn!(%error, "can't say so in its error output");
    }
    Ok(Ran { end: ExecEnd::Finished, exit_status: CANNOT_EXECUTE.to_raw(), msg: None })
}

async fn ended(
    group: Group,
    status: std::io::Result<ExitStatus>,
    overstep: Option<&Overstep>,
) -> Result<Ran, Lost> {
    group.clear().await;
    let status = status.map_err(|error| {
        tracing::error!(%error, "the end of the command can't be observed");
        Lost::GivenUp
    })?;
    let msg = match overstep {
        Some(Overstep::Time) => Some(TaskResultMessage::ExecTimeout),
        Some(Overstep::User) => Some(TaskResultMessage::UserCancellation),
        Some(Overstep::Output) | None => None,
    };
    let end = if msg.is_some() { ExecEnd::Cancelled } else { ExecEnd::Finished };
    Ok(Ran { end, exit_status: status.into_raw(), msg })
}

/// Names of the worker's own settings in its environment. They can hold passwords, and are nobody
/// else's business.
fn own_settings() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(name, _)| name).filter(|name| name.as_encoded_bytes().starts_with(b"MITO_"))
}
