//! The command itself (semantics §7.3, §7.4).

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::pin::pin;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mitosis_domain::crash;
use mitosis_domain::task::ExecEnd;
use mitosis_domain::wait_status::WaitStatus;
use mitosis_protocol::worker::FetchedTask;
use mitosis_protocol::{ExecState, TaskResultMessage, TaskSpec};
use nix::sys::signal::Signal;

use super::scratch::{OutputFiles, Scratch};
use super::{Attempt, Lost, Order, program};
use crate::live::Herald;
use crate::os::group::Group;

/// Between the request to end and the insistence.
const GRACE: Duration = Duration::from_secs(10);
/// Time between two looks at how much a command has written.
const SIZE_CHECK: Duration = Duration::from_secs(1);
/// What a shell answers for a command that exists and can't be run.
const CANNOT_EXECUTE: WaitStatus = WaitStatus::Exited(126);

/// A variable of the environment.
type Variable = (OsString, OsString);

/// How a command ended.
pub(super) struct Ran {
    pub(super) end: ExecEnd,
    /// Raw wait status.
    pub(super) exit_status: i32,
    pub(super) msg: Option<TaskResultMessage>,
    /// What it wrote, if that is kept.
    pub(super) output: Option<Arc<OutputFiles>>,
    /// Whether there is neither an archive to be made nor a follow-up to be read.
    pub(super) left_nothing: bool,
}

/// What the thread of the slot saw.
struct Exit {
    status: io::Result<ExitStatus>,
    output: Option<Arc<OutputFiles>>,
    left_nothing: bool,
}

/// Why a command that runs is stopped.
enum Overstep {
    Time,
    Output,
    User,
}

/// How long an attempt may go on without a renewal, if its task has a limit of its own. A task that may run twice goes on
/// to the end of the lease.
pub(super) fn limit_without_renewal(spec: &TaskSpec) -> Option<Duration> {
    spec.lost_after.filter(|_| !spec.idempotent)
}

impl Attempt<'_> {
    /// Runs the command to its end, or to the end of its time. Given up at the end of the lease: then
    /// the whole group is killed at once, because another worker may start the task any moment.
    pub(super) async fn execute(&self, output: Option<OutputFiles>) -> Result<Ran, Lost> {
        let limit = limit_without_renewal(&self.task.spec);
        self.until_it_may_start(limit).await?;
        let group = Group::marked(self.thread.mark.clone(), limit);
        let output = output.map(Arc::new);
        tokio::select! {
            ran = self.supervise(&group, output.as_ref()) => ran,
            () = self.session.lease.over(limit) => {
                let lost = self.expired();
                match lost {
                    Lost::Overdue => tracing::warn!("no renewal for the task's `lost_after`; killing the command"),
                    _ => tracing::warn!("the lease is over and can't be renewed; killing the command"),
                }
                Err(lost)
            }
            never = self.deliver_output(output.as_ref()) => match never {},
        }
    }

    /// What it means that the time without a renewal is over.
    pub(super) fn expired(&self) -> Lost {
        match self.session.lease.holds() {
            true => Lost::Overdue,
            false => Lost::GivenUp,
        }
    }

    /// A machine that was asleep may get a task before it has heard that its lease was extended. Nothing
    /// runs yet, so it can wait for that. An attempt whose own limit has passed may run elsewhere, whatever follows.
    async fn until_it_may_start(&self, limit: Option<Duration>) -> Result<(), Lost> {
        tokio::select! {
            () = self.session.lease.in_force() => {}
            () = self.taken_back() => return Err(Lost::TakenBack),
        }
        match self.session.lease.holds_for(limit) {
            true => Ok(()),
            false => Err(Lost::Overdue),
        }
    }

    /// Has the command run on the thread of this slot, and stops it when it takes more than it was given.
    async fn supervise(&self, group: &Group, output: Option<&Arc<OutputFiles>>) -> Result<Ran, Lost> {
        let _grip = group.hold();
        let (inherited, herald) = (self.session.settings.environment.clone(), self.herald.clone());
        let of_thread = (group.clone(), self.task.clone(), self.scratch.clone(), output.cloned());
        let mut exit = pin!(self.thread.run(move || {
            let (group, task, scratch, output) = of_thread;
            run(&group, &task, &scratch, &herald, &inherited, output)
        }));
        let overstep = tokio::select! {
            biased;
            exit = &mut exit => {
                return match group.was_killed_by_guard() {
                    true => Err(self.expired()),
                    false => ended(exit, None),
                };
            }
            overstep = self.overstep(output) => overstep,
            order = self.ordered_to_end() => match order {
                Order::Stop => Overstep::User,
                // Somebody else may start it any moment, so the group is killed at once.
                Order::Drop => return Err(Lost::TakenBack),
            },
        };
        if group.has_ended() {
            return ended(exit.await, None);
        }
        tracing::info!("stopping the command: {}", overstep.sentence());
        group.signal(Signal::SIGTERM);
        let exit = match tokio::time::timeout(GRACE, &mut exit).await {
            Ok(exit) => exit,
            Err(_) => {
                group.signal(Signal::SIGKILL);
                exit.await
            }
        };
        // The result has a word for the others, and none for this.
        if matches!(overstep, Overstep::Output) {
            exit.note(overstep.sentence());
        }
        ended(exit, Some(&overstep))
    }

    /// Ends when the command has taken more than it was given.
    async fn overstep(&self, output: Option<&Arc<OutputFiles>>) -> Overstep {
        tokio::select! {
            () = tokio::time::sleep(self.task.timeout) => Overstep::Time,
            () = self.too_much_output(output) => Overstep::Output,
        }
    }

    async fn too_much_output(&self, output: Option<&Arc<OutputFiles>>) {
        let Some(output) = output else { return std::future::pending().await };
        loop {
            tokio::time::sleep(SIZE_CHECK).await;
            for file in [&output.stdout, &output.stderr] {
                if file.metadata().is_ok_and(|found| found.len() > self.session.settings.output_limit) {
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

impl Exit {
    /// Adds a line to the error output, if that is kept.
    fn note(&self, line: &str) {
        if let Some(output) = &self.output
            && let Err(error) = writeln!(&output.stderr, "mito: {line}")
        {
            tracing::warn!(%error, "can't say so in its error output");
        }
    }
}

/// On the thread of the slot: from the start of the command to a look at what it left.
fn run(
    group: &Group,
    task: &FetchedTask,
    scratch: &Scratch,
    herald: &Herald,
    inherited: &[Variable],
    output: Option<Arc<OutputFiles>>,
) -> Exit {
    let status = group.run(|| {
        crash::point("worker.task_spawned:before");
        let child = spawn(task, scratch, inherited, output.as_deref())?;
        crash::point("worker.task_spawned:after");
        herald.tell(task.uuid, ExecState::ExecSpawned, task.timeout);
        Ok(child)
    });
    let left_nothing = output.is_none() && scratch.is_untouched();
    Exit { status, output, left_nothing }
}

fn spawn(
    task: &FetchedTask,
    scratch: &Scratch,
    inherited: &[Variable],
    output: Option<&OutputFiles>,
) -> io::Result<Child> {
    let spec = &task.spec;
    let of_worker = || inherited.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.as_os_str());
    let path = spec.envs.get("PATH").map(OsStr::new).or_else(of_worker);
    if let Some((program, rest)) = program::find(&spec.args, path).zip(spec.args.split_first()) {
        let (name, args) = rest;
        let mut command = Command::new(program);
        command.arg0(name).args(args);
        // A file that can't be started as it is may still mean something to `env`.
        if let Ok(child) = start(command, task, scratch, inherited, output) {
            return Ok(child);
        }
    }
    let mut command = Command::new("/usr/bin/env");
    command.args(&spec.args);
    start(command, task, scratch, inherited, output)
}

/// Nothing is done between fork and exec, so that the standard library starts it the cheap way.
fn start(
    mut command: Command,
    task: &FetchedTask,
    scratch: &Scratch,
    inherited: &[Variable],
    output: Option<&OutputFiles>,
) -> io::Result<Child> {
    command
        .env_clear()
        .envs(inherited.iter().map(|(name, value)| (name, value)))
        .envs(&task.spec.envs)
        .env("MITO_TASK_UUID", task.uuid.to_string())
        .env("MITO_RESULT_DIR", scratch.result())
        .env("MITO_EXEC_DIR", scratch.exec())
        .env("MITO_RESOURCE_DIR", scratch.resource())
        .env("MITO_NEW_TASK", scratch.new_task())
        .stdin(Stdio::null())
        .process_group(0);
    if let Some(upstream) = task.upstream_task_uuid {
        command.env("MITO_UPSTREAM_TASK_UUID", upstream.to_string());
    }
    match output {
        Some(output) => command.stdout(output.stdout.try_clone()?).stderr(output.stderr.try_clone()?),
        None => command.stdout(Stdio::null()).stderr(Stdio::null()),
    };
    command.spawn()
}

/// The result of a command that ended or that could not be started.
fn ended(exit: Exit, overstep: Option<&Overstep>) -> Result<Ran, Lost> {
    let msg = match overstep {
        Some(Overstep::Time) => Some(TaskResultMessage::ExecTimeout),
        Some(Overstep::User) => Some(TaskResultMessage::UserCancellation),
        Some(Overstep::Output) | None => None,
    };
    let end = if overstep.is_some() { ExecEnd::Cancelled } else { ExecEnd::Finished };
    let exit_status = match &exit.status {
        // It obeyed, but it had not come to its end: without a word for that, it must not look like success.
        Ok(status) if status.success() && matches!(overstep, Some(Overstep::Output)) => {
            Signal::SIGTERM as i32
        }
        Ok(status) => status.into_raw(),
        Err(error) => {
            tracing::warn!(%error, "the command can't be started");
            // What the operating system does not take is the task's failure, and its result says so; a
            // machine that can't start anything is not.
            let fault_of_the_task =
                matches!(error.kind(), io::ErrorKind::ArgumentListTooLong | io::ErrorKind::InvalidInput);
            if !fault_of_the_task {
                return Err(Lost::NotStarted);
            }
            let line = format!("the command can't be started: {error}");
            exit.note(&line);
            CANNOT_EXECUTE.to_raw()
        }
    };
    Ok(Ran { end, exit_status, msg, output: exit.output, left_nothing: exit.left_nothing })
}
