//! Runs the command of a task (semantics §7.3, §7.4).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mitosis_domain::failpoints;
use mitosis_domain::resources::GpuVendor;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::stop::{DEFAULT_GRACE, MAX_GRACE};
use mitosis_protocol::usage::AttemptUsage;
use mitosis_protocol::worker::FetchedTask;
use mitosis_protocol::{
    ExecState, Granted, ResultWarning, TaskResult, TaskResultMessage, TaskSpec, WaitStatus,
};
use nix::sys::signal::Signal;

use super::archive::{self, Content, Packed, Target, Wanted};
use super::granted_env;
use super::masked_output::MaskedOutput;
use super::output_files::OutputFiles;
use super::prepare::Place;
use super::program::Program;
use super::safe_open;
use super::scratch::{Scratch, on_a_blocking_thread};
use super::{Attempt, AttemptError, Directive};
use crate::exec_state::StateReporter;
use crate::os::cgroup::AttemptGroup;
use crate::os::children;
use crate::os::process_group::{GroupExit, ProcessGroup};
use crate::os::processes::{MARK_VARIABLE, Mark};
use crate::settings::OutputLimitAction;

/// Time between two checks of the output size.
const SIZE_CHECK: Duration = Duration::from_secs(1);
/// Time between two checks of the memory.
const MEMORY_CHECK: Duration = Duration::from_secs(1);
/// How long a killed command may take to end before it is killed again.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);
/// The status of a shell for a command that exists and can't be executed.
const CANNOT_EXECUTE: WaitStatus = WaitStatus::exited(126);

/// An environment variable.
type Variable = (OsString, OsString);

/// How a command ended.
pub(super) struct CommandOutcome {
    pub(super) end: ExecEnd,
    pub(super) exit_status: WaitStatus,
    pub(super) msg: Option<TaskResultMessage>,
    /// Its output files, if output is kept.
    pub(super) output: Option<Arc<OutputFiles>>,
    /// The archive of a short output, if it is packed already.
    pub(super) log: Option<PackedLog>,
    /// Whether there is no other archive to store, and no follow-up to submit.
    pub(super) left_nothing: bool,
    /// What it used, if it ran.
    pub(super) usage: Option<AttemptUsage>,
}

impl CommandOutcome {
    pub(super) fn result(&self) -> TaskResult {
        TaskResult { exit_status: self.exit_status, msg: self.msg }
    }
}

/// The archive of a short output.
pub(super) struct PackedLog {
    pub(super) bytes: Bytes,
    /// Warnings about what is not in it.
    pub(super) warnings: Vec<ResultWarning>,
}

/// What the thread of a slot needs to start a command.
struct Launch {
    task: Arc<FetchedTask>,
    scratch: Scratch,
    inherited: Arc<Vec<Variable>>,
    /// The directory in which it starts; none for that of the worker.
    directory: Option<PathBuf>,
    output: Option<Arc<OutputFiles>>,
    /// Identifies the processes of the attempt.
    mark: Mark,
    /// What the command may use.
    granted: Granted,
    gpu_vendor: GpuVendor,
}

/// The end of a command as the slot's thread sees it.
struct Exit {
    group: io::Result<GroupExit>,
    output: Option<Arc<OutputFiles>>,
    log: Option<PackedLog>,
    left_nothing: bool,
    /// The most memory that was found in use while the command ran, in bytes.
    sampled_memory: u64,
}

/// Why a running command is stopped.
enum StopReason {
    Timeout,
    OutputLimit,
    Memory,
    User,
}

/// How long an attempt may run without a renewal, if its task has its own limit. An idempotent task runs to the
/// end of the lease.
pub(super) fn limit_without_renewal(spec: &TaskSpec) -> Option<Duration> {
    spec.lost_after.filter(|_| !spec.idempotent)
}

impl Attempt<'_> {
    /// Runs the command until it ends or is stopped. When the lease expires, the whole group is killed at once,
    /// because another worker may start the task at any moment.
    pub(super) async fn execute(&self, place: Place) -> Result<CommandOutcome, AttemptError> {
        let Place { directory, output } = place;
        let limit = limit_without_renewal(&self.task.spec);
        self.wait_for_lease(limit).await?;
        let mark = children::new_mark(&*self.context.settings.entropy);
        let group = ProcessGroup::registered(self.thread.entry.clone(), limit, mark);
        let group = group.confined(self.control_group(mark));
        let output =
            output.map(|output| Arc::new(output.with_limit(self.context.settings.output_limit.bytes)));
        tokio::select! {
            ran = self.supervise(&group, directory, output.as_ref()) => ran,
            () = self.context.lease.expired(limit) => {
                let error = self.expiry_error();
                match error {
                    AttemptError::RenewalOverdue => tracing::warn!("no renewal within the task's `lost_after`; killing the command"),
                    _ => tracing::warn!("the lease has expired; killing the command"),
                }
                Err(error)
            }
            never = self.stream_output(output.as_ref()) => match never {},
        }
    }

    /// The control group of the command, if there are any. Without one, the command runs nevertheless.
    fn control_group(&self, mark: Mark) -> Option<AttemptGroup> {
        let groups = self.thread.confinement.groups.as_ref()?;
        groups
            .create(mark, self.memory_limit())
            .inspect_err(|error| tracing::warn!(%error, "failed to create a control group for a command"))
            .ok()
    }

    /// The error for an expired lease or limit.
    pub(super) fn expiry_error(&self) -> AttemptError {
        match self.context.lease.is_valid() {
            true => AttemptError::RenewalOverdue,
            false => AttemptError::LeaseExpired,
        }
    }

    /// Waits for a valid lease before the start. A machine that was suspended may receive a task before the
    /// renewal of its lease. An attempt whose own limit has passed may already run elsewhere.
    async fn wait_for_lease(&self, limit: Option<Duration>) -> Result<(), AttemptError> {
        tokio::select! {
            () = self.context.lease.valid() => {}
            () = self.revoked() => return Err(AttemptError::Revoked),
        }
        match self.context.lease.is_valid_for(limit) {
            true => Ok(()),
            false => Err(AttemptError::RenewalOverdue),
        }
    }

    /// Runs the command on the thread of this slot, and stops it when it exceeds a limit.
    async fn supervise(
        &self,
        group: &ProcessGroup,
        directory: Option<PathBuf>,
        output: Option<&Arc<OutputFiles>>,
    ) -> Result<CommandOutcome, AttemptError> {
        let _kill_on_drop = group.kill_on_drop();
        let launch = Launch {
            task: self.task.clone(),
            scratch: self.scratch.clone(),
            inherited: self.context.settings.environment.clone(),
            directory,
            output: output.cloned(),
            mark: group.mark(),
            granted: self.granted.clone(),
            gpu_vendor: self.context.settings.gpu_vendor(),
        };
        let (group_of_thread, reporter) = (group.clone(), self.reporter.clone());
        let inline_limit = self.inline_limit();
        let mut exit = pin!(self.thread.run(move || {
            let exit = run(&group_of_thread, &launch, &reporter);
            let sampled = group_of_thread.peak_memory();
            Exit { sampled_memory: sampled, ..inspect(exit, &launch.scratch, launch.output, inline_limit) }
        }));
        let reason = tokio::select! {
            biased;
            exit = &mut exit => {
                return match group.was_killed_by_guard() {
                    true => Err(self.expiry_error()),
                    false => ended(exit, None),
                };
            }
            reason = self.limit_exceeded(group, output) => reason,
            directive = self.directive() => match directive {
                Directive::Stop => StopReason::User,
                // Another worker may start the task at any moment, so the group is killed at once.
                Directive::Revoke => return Err(AttemptError::Revoked),
            },
        };
        if group.has_ended() {
            return ended(exit.await, None);
        }
        tracing::info!("stopping the command: {}", reason.description());
        let spec = &self.task.spec;
        // A command without memory can't use a grace period, and its neighbours need the memory.
        let (signal, grace) = match reason {
            StopReason::Memory => (Signal::SIGKILL, KILL_TIMEOUT),
            _ => (stop_signal(spec), spec.stop_grace.unwrap_or(DEFAULT_GRACE).min(MAX_GRACE)),
        };
        group.signal(signal);
        let mut exit = match tokio::time::timeout(grace, &mut exit).await {
            Ok(exit) => exit,
            Err(_) => {
                group.signal(Signal::SIGKILL);
                exit.await
            }
        };
        if matches!(reason, StopReason::OutputLimit | StopReason::Memory) {
            exit.note(reason.description());
        }
        ended(exit, Some(&reason))
    }

    /// Waits until the command exceeds a limit.
    async fn limit_exceeded(&self, group: &ProcessGroup, output: Option<&Arc<OutputFiles>>) -> StopReason {
        tokio::select! {
            () = tokio::time::sleep(self.task.timeout) => StopReason::Timeout,
            () = self.output_limit_exceeded(output) => StopReason::OutputLimit,
            () = self.memory_exceeded(group) => StopReason::Memory,
        }
    }

    /// The memory of all processes of the command together, in bytes. Only what a task requests is measured: without a request,
    /// it may have all that its worker offers.
    fn memory_limit(&self) -> Option<u64> {
        self.granted.memory.filter(|_| self.task.spec.request.memory > 0)
    }

    /// Watches the memory of the command, if it has a limit that the kernel does not enforce.
    async fn memory_exceeded(&self, group: &ProcessGroup) {
        let Some(limit) = self.memory_limit().filter(|_| !group.is_confined()) else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(MEMORY_CHECK).await;
            let group = group.clone();
            if on_a_blocking_thread(move || group.memory(limit)).await > limit {
                return;
            }
        }
    }

    /// Watches the output grow. Returns when the command has to be stopped for it.
    async fn output_limit_exceeded(&self, output: Option<&Arc<OutputFiles>>) {
        let Some(output) = output else { return std::future::pending().await };
        let settings = &self.context.settings;
        loop {
            tokio::time::sleep(SIZE_CHECK).await;
            output.sample(settings.clock.now());
            if !output.exceeds_limit() {
                continue;
            }
            match settings.output_limit.action {
                OutputLimitAction::Stop => return,
                OutputLimitAction::Omit => {
                    let output = output.clone();
                    if let Err(error) = on_a_blocking_thread(move || output.remove_omitted()).await {
                        tracing::warn!(%error, "the file system can't remove a part of a file; stopping the command");
                        return;
                    }
                }
            }
        }
    }
}

/// The signal that asks the command of a task to end.
fn stop_signal(spec: &TaskSpec) -> Signal {
    let wanted = spec.stop_signal.and_then(|signal| Signal::try_from(i32::from(signal.number())).ok());
    wanted.unwrap_or(Signal::SIGTERM)
}

impl StopReason {
    fn description(&self) -> &'static str {
        match self {
            Self::Timeout => "stopped at its timeout",
            Self::Memory => "stopped for using more memory than it may",
            Self::OutputLimit => "stopped for writing more output than this worker keeps",
            Self::User => "stopped by a user",
        }
    }
}

impl Exit {
    /// What the command used, if it ran.
    fn usage(&self) -> Option<AttemptUsage> {
        let exit = self.group.as_ref().ok()?;
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Some(AttemptUsage {
            wall_micros: micros(exit.wall),
            cpu_micros: micros(exit.cpu),
            peak_memory: exit.peak_memory.max(self.sampled_memory),
            output_bytes: self.output.as_ref().map_or(0, |output| output.length()),
        })
    }

    /// Discards the packed output, which is incomplete; it is packed again.
    fn unpack(&mut self) {
        self.left_nothing &= self.log.take().is_none();
    }

    /// Appends a line to the error output, if it is kept.
    fn note(&mut self, line: &str) {
        self.unpack();
        if let Some(output) = &self.output
            && let Err(error) = output.stderr.append(&format!("mito: {line}"))
        {
            tracing::warn!(%error, "failed to append to the error output");
        }
    }
}

/// Runs on the thread of the slot: starts the command and waits for it.
fn run(group: &ProcessGroup, launch: &Launch, reporter: &StateReporter) -> io::Result<GroupExit> {
    let masked = MaskedOutput::start(&launch.task, launch.output.as_ref())?;
    let status = group.run(|| {
        failpoints::point("worker.task_spawned:before");
        let child = launch.spawn(masked.as_ref())?;
        failpoints::point("worker.task_spawned:after");
        reporter.report(launch.task.uuid, ExecState::ExecSpawned, launch.task.timeout);
        Ok(child)
    });
    if let Some(Err(error)) = masked.map(MaskedOutput::finish) {
        tracing::warn!(%error, "failed to write the masked output of a command");
    }
    status
}

/// Checks what a command left behind, and packs a short output at once: another thread would cost more than that.
fn inspect(
    exit: io::Result<GroupExit>,
    scratch: &Scratch,
    output: Option<Arc<OutputFiles>>,
    inline_limit: usize,
) -> Exit {
    let is_untouched = scratch.is_untouched();
    let log = output
        .as_ref()
        .filter(|output| is_untouched && inline_limit > 0 && output.is_short())
        .and_then(|output| pack_log(output, scratch, inline_limit));
    match (&output, &log) {
        (Some(_), Some(_)) => scratch.remove_output_files(),
        (Some(_), None) => scratch.mark_used(),
        (None, _) => {}
    }
    let left_nothing = is_untouched && output.is_some() == log.is_some();
    Exit { group: exit, output, log, left_nothing, sampled_memory: 0 }
}

/// Packs the output, if its archive may travel with the report.
fn pack_log(output: &OutputFiles, scratch: &Scratch, inline_limit: usize) -> Option<PackedLog> {
    let folder = scratch.folder();
    let target = Target { in_memory: inline_limit, folder: &folder };
    let wanted = Wanted::default();
    match archive::pack_streams(output, target, wanted.watch()) {
        Ok(Packed { content: Content::Memory(bytes), warnings, .. }) => Some(PackedLog { bytes, warnings }),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, "failed to pack the output; it is tried again");
            None
        }
    }
}

impl Launch {
    fn spawn(&self, masked: Option<&MaskedOutput>) -> io::Result<Child> {
        let spec = &self.task.spec;
        let inherited_path =
            || self.inherited.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.as_os_str());
        let secret_path = || self.task.secrets.get("PATH").map(|path| OsStr::new(path.expose()));
        let path = secret_path().or_else(|| spec.envs.get("PATH").map(OsStr::new)).or_else(inherited_path);
        if let Some(program) = Program::find(&spec.args, path) {
            let mut command = Command::new(program.file);
            command.arg0(program.name).args(program.args);
            // A file that can't be executed directly may still work with `env`.
            if let Ok(child) = self.start(command, &program.variables, masked) {
                return Ok(child);
            }
        }
        let mut command = Command::new("/usr/bin/env");
        command.args(&spec.args);
        self.start(command, &[], masked)
    }

    /// The standard input of the command.
    fn stdin(&self) -> io::Result<Stdio> {
        let Some(path) = &self.task.spec.stdin else { return Ok(Stdio::null()) };
        match safe_open::open(&self.scratch.resource().join(path))? {
            Some(file) => Ok(file.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Starts the command. Nothing runs between fork and exec, so that the standard library can use the fast path. The
    /// variables override all others, like assignments before a command in a shell.
    fn start(
        &self,
        mut command: Command,
        variables: &[(&str, &str)],
        masked: Option<&MaskedOutput>,
    ) -> io::Result<Child> {
        let Self { task, scratch, inherited, directory, output, granted, gpu_vendor, mark: _ } = self;
        command
            .env_clear()
            .envs(inherited.iter().map(|(name, value)| (name, value)))
            .envs(granted_env::defaults(granted, inherited))
            .envs(&task.spec.envs)
            .envs(task.secrets.iter().map(|(name, value)| (name, value.expose())))
            .envs(granted_env::variables(granted, *gpu_vendor))
            .env("MITO_TASK_UUID", task.uuid.to_string())
            .env("MITO_RESULT_DIR", scratch.result())
            .env("MITO_EXEC_DIR", scratch.exec())
            .env("MITO_RESOURCE_DIR", scratch.resource())
            .env("MITO_NEW_TASK", scratch.new_task())
            .stdin(self.stdin()?)
            .process_group(0);
        if let Some(upstream) = task.upstream_task_uuid {
            command.env("MITO_UPSTREAM_TASK_UUID", upstream.to_string());
        }
        if let Some(directory) = directory {
            command.current_dir(directory).env("PWD", directory);
        }
        command.envs(variables.iter().copied()).env(MARK_VARIABLE, self.mark.to_string());
        match (masked.map(MaskedOutput::stdio).transpose()?, output) {
            (Some((stdout, stderr)), _) => command.stdout(stdout).stderr(stderr),
            (None, Some(output)) => command.stdout(output.stdout.stdio()?).stderr(output.stderr.stdio()?),
            (None, None) => command.stdout(Stdio::null()).stderr(Stdio::null()),
        };
        command.spawn()
    }
}

/// The outcome of a command that ended or could not be started.
fn ended(mut exit: Exit, reason: Option<&StopReason>) -> Result<CommandOutcome, AttemptError> {
    let is_out_of_memory = exit.group.as_ref().is_ok_and(|exit| exit.is_out_of_memory);
    let reason = if is_out_of_memory { Some(&StopReason::Memory) } else { reason };
    let mut msg = match reason {
        Some(StopReason::Timeout) => Some(TaskResultMessage::ExecTimeout),
        Some(StopReason::User) => Some(TaskResultMessage::UserCancellation),
        Some(StopReason::OutputLimit) => Some(TaskResultMessage::OutputLimit),
        Some(StopReason::Memory) => Some(TaskResultMessage::OutOfMemory),
        None => None,
    };
    let end = if reason.is_some() { ExecEnd::Cancelled } else { ExecEnd::Finished };
    let exit_status = match exit.group.as_ref().map(|exit| exit.status) {
        // The command was stopped early: without a message for that, it must not look like success.
        Ok(status) if status.success() && matches!(reason, Some(StopReason::OutputLimit)) => {
            WaitStatus::signalled(Signal::SIGTERM as u8)
        }
        Ok(status) => WaitStatus(status.into_raw()),
        Err(error) => {
            tracing::warn!(%error, "failed to start the command");
            // If the operating system rejects the command, the task fails and its result has the reason. A
            // machine that can't start any command is not the task's failure.
            let fault_of_the_task =
                matches!(error.kind(), io::ErrorKind::ArgumentListTooLong | io::ErrorKind::InvalidInput);
            if !fault_of_the_task {
                return Err(AttemptError::NotStarted);
            }
            let line = format!("the command can't be started: {error}");
            exit.note(&line);
            msg = msg.or(Some(TaskResultMessage::SpawnFailed));
            CANNOT_EXECUTE
        }
    };
    let usage = exit.usage();
    let Exit { output, log, left_nothing, .. } = exit;
    Ok(CommandOutcome { end, exit_status, msg, output, log, left_nothing, usage })
}
