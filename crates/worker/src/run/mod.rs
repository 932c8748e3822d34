//! Runs one task, from its assignment to its result (semantics §7, §8; HTTP contract §12.3).

mod archive;
mod collect;
mod destination;
mod directory;
mod follow_up;
mod granted_env;
pub(crate) mod inputs;
mod mask;
mod masked_output;
mod output_files;
mod output_stream;
mod outputs;
mod prepare;
mod process;
mod program;
mod reports;
mod resources;
mod result_json;
mod safe_open;
pub(crate) mod scratch;
mod watch;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mitosis_client::WorkerClient;
use mitosis_domain::announcement::of_failure;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::agent::{AttemptKey, InlineArchive};
use mitosis_protocol::usage::AttemptUsage;
use mitosis_protocol::worker::FetchedTask;
use mitosis_protocol::{
    ArtifactKind, ExecState, Granted, ResultWarning, TaskResult, TaskResultMessage, WaitStatus,
};
use serde_json::value::RawValue;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, timeout};

use crate::exec_state::StateReporter;
use crate::exec_state::redis::Announcer;
use crate::lease::Lease;
use crate::os::thread::Thread;
use crate::settings::Settings;
use inputs::Inputs;
use outputs::Outputs;
use prepare::Prepared;
use process::{CommandOutcome, PackedLog};
use scratch::Scratch;
pub(crate) use watch::watch;

/// Time limit for reading a file that the command left behind.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The protocol that a coordinator supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// An agent claims and reports many tasks in one request.
    Native,
    /// Each task has its own requests.
    Legacy,
}

/// What all tasks of a registration share.
pub(crate) struct RunContext {
    pub(crate) client: WorkerClient,
    pub(crate) lease: Lease,
    pub(crate) settings: Settings,
    pub(crate) protocol: Protocol,
    /// Inputs that tasks share.
    pub(crate) inputs: Inputs,
    /// The maximum total size of archives that travel with the report of an attempt, in bytes; 0 if the coordinator
    /// does not support that.
    pub(crate) inline_limit: AtomicUsize,
    /// Announces states with a legacy coordinator. A native one does it itself.
    pub(crate) redis: Option<Arc<Announcer>>,
}

/// What the tasks of one slot share.
pub(crate) struct SlotContext {
    pub(crate) scratch: Scratch,
    pub(crate) thread: Thread,
    pub(crate) reporter: StateReporter,
}

/// One execution of a task by this worker.
pub(crate) struct Attempt<'a> {
    context: &'a RunContext,
    scratch: &'a Scratch,
    thread: &'a Thread,
    reporter: &'a StateReporter,
    task: Arc<FetchedTask>,
    /// What it may use; nothing in particular with a legacy coordinator.
    granted: Granted,
    /// The key that a native coordinator requires in every report.
    key: Option<AttemptKey>,
    control: Option<Receiver<TaskControl>>,
    /// When the task was fetched; the limits of downloads and watching count from here.
    fetched_at: Instant,
}

/// The state of a running task that the coordinator controls (native protocol).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TaskControl {
    /// How the task has to end, if the coordinator ends it.
    pub(crate) directive: Option<Directive>,
    /// Whether a client follows the output of the task.
    pub(crate) is_followed: bool,
}

/// How the coordinator ends an attempt. The greater directive overrides the other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Directive {
    /// Stop the task for a user, and report its result.
    Stop,
    /// Abandon the task: this worker does not hold it any more.
    Revoke,
}

/// Why an attempt ended without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptError {
    /// The coordinator revoked the task or ended it.
    Revoked,
    /// The coordinator does not know this worker any more.
    WorkerUnknown,
    /// The lease of the registration has expired.
    LeaseExpired,
    /// The coordinator rejects the report of this attempt; the task needs another attempt.
    Rejected,
    /// The lease was not renewed for as long as the task allows; the task needs another attempt.
    RenewalOverdue,
    /// The command could not be started: the directories are unusable, or the system creates no process. The
    /// task needs another attempt, and this slot has to recover first.
    NotStarted,
}

/// The outcome of an attempt. A native coordinator still has to receive it; a legacy one knows it.
pub(crate) struct AttemptOutcome {
    pub(crate) end: ExecEnd,
    pub(crate) result: TaskResult,
    /// Whether archives were announced.
    pub(crate) left_archives: bool,
    /// The small result of the task.
    pub(crate) data: Option<Box<RawValue>>,
    /// Warnings about outputs that were not stored.
    pub(crate) warnings: Vec<ResultWarning>,
    /// Small archives.
    pub(crate) archives: Vec<InlineArchive>,
    /// What the command used, if it ran.
    pub(crate) usage: Option<AttemptUsage>,
}

/// Runs one task.
#[tracing::instrument(name = "task", skip_all, fields(task = %task.uuid))]
pub(crate) async fn run(
    context: &RunContext,
    SlotContext { scratch, thread, reporter }: &SlotContext,
    task: FetchedTask,
    granted: Granted,
    native: Option<(AttemptKey, Receiver<TaskControl>)>,
) -> Result<AttemptOutcome, AttemptError> {
    let (key, control) = native.unzip();
    let task = Arc::new(task);
    let attempt = Attempt {
        context,
        scratch,
        thread,
        reporter,
        task,
        granted,
        key,
        control,
        fetched_at: Instant::now(),
    };
    let exit_notice = reporter.exit_notice(attempt.task.uuid);
    let outcome = attempt.run().await;
    if matches!(outcome, Ok(_) | Err(AttemptError::Revoked)) {
        exit_notice.end();
    }
    match &outcome {
        Ok(done) => {
            let TaskResult { exit_status, msg } = done.result;
            tracing::debug!(exit_status = exit_status.0, ?msg, "ended");
        }
        Err(error) => tracing::warn!(?error, "the attempt ended without a result"),
    }
    outcome
}

impl Attempt<'_> {
    async fn run(&self) -> Result<AttemptOutcome, AttemptError> {
        // A native coordinator has announced this state itself.
        if self.key.is_none() {
            self.report_state(ExecState::FetchResource);
        }
        let prepared = tokio::select! {
            prepared = self.prepare() => prepared?,
            ended = self.ended_while_preparing() => ended?,
        };
        match prepared {
            Prepared::Impossible(why, detail) => {
                if let Some(state) = of_failure(why) {
                    self.report_state(state);
                }
                self.finish_unstarted(why, detail).await
            }
            Prepared::Ready(place) => {
                self.report_state(ExecState::ExecPending);
                let ran = self.execute(place).await?;
                self.report_end(&ran);
                match ran.left_nothing {
                    true => self.finish_without_uploads(ran).await,
                    false => self.finish(&ran).await,
                }
            }
        }
    }

    /// Waits for a directive during the preparation. A task that a user stopped ends with a result.
    async fn ended_while_preparing(&self) -> Result<Prepared, AttemptError> {
        match self.directive().await {
            Directive::Revoke => Err(AttemptError::Revoked),
            Directive::Stop => Ok(Prepared::Impossible(TaskResultMessage::UserCancellation, None)),
        }
    }

    /// Waits until the task is revoked.
    async fn revoked(&self) {
        let Some(mut control) = self.control.clone() else { return std::future::pending().await };
        if control.wait_for(|control| control.directive == Some(Directive::Revoke)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until a user stops the task.
    async fn stop_requested(&self) {
        let Some(mut control) = self.control.clone() else { return std::future::pending().await };
        if control.wait_for(|control| control.directive == Some(Directive::Stop)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the coordinator ends this attempt.
    async fn directive(&self) -> Directive {
        let Some(mut control) = self.control.clone() else { return std::future::pending().await };
        let directive =
            control.wait_for(|control| control.directive.is_some()).await.map(|control| control.directive);
        match directive {
            Ok(Some(directive)) => directive,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// The maximum total size of archives that travel with the report of this attempt, in bytes.
    fn inline_limit(&self) -> usize {
        match self.key {
            Some(_) => self.context.inline_limit.load(Ordering::Relaxed),
            None => 0,
        }
    }

    /// Reports the state of the task to its watchers.
    fn report_state(&self, state: ExecState) {
        self.reporter.report(self.task.uuid, state, self.task.timeout);
    }

    /// Reports the end of the command, before its outputs are stored.
    fn report_end(&self, ran: &CommandOutcome) {
        match (ran.end, ran.msg) {
            (ExecEnd::Finished, _) => self.report_state(ExecState::ExecFinished),
            (ExecEnd::Cancelled, Some(TaskResultMessage::ExecTimeout)) => {
                self.report_state(ExecState::ExecTimeout);
            }
            (ExecEnd::Cancelled, _) => {}
        }
        self.report_state(ExecState::UploadResult);
    }

    fn report_upload(&self, end: ExecEnd) {
        self.report_state(match end {
            ExecEnd::Finished => ExecState::UploadFinishedResult,
            ExecEnd::Cancelled => ExecState::UploadCancelledResult,
        });
    }

    /// Waits until this worker does not hold the task any more.
    async fn released(&self) -> AttemptError {
        tokio::select! {
            () = self.revoked() => AttemptError::Revoked,
            () = self.context.lease.expired(None) => {
                tracing::warn!("the lease has expired; discarding the outputs of the command");
                self.expiry_error()
            }
        }
    }

    /// Repeats a report to a legacy coordinator while this worker holds the task.
    async fn while_held(
        &self,
        report: impl Future<Output = Result<(), AttemptError>>,
    ) -> Result<(), AttemptError> {
        tokio::select! {
            reported = report => reported,
            error = self.released() => Err(error),
        }
    }

    /// Ends a task whose command was not started.
    async fn finish_unstarted(
        &self,
        why: TaskResultMessage,
        detail: Option<ResultWarning>,
    ) -> Result<AttemptOutcome, AttemptError> {
        let (end, result) =
            (ExecEnd::Cancelled, TaskResult { exit_status: WaitStatus::SUCCESS, msg: Some(why) });
        if self.key.is_none() {
            self.while_held(self.end(end)).await?;
            self.while_held(self.commit(result)).await?;
        }
        let (warnings, archives) = (Vec::from_iter(detail), Vec::new());
        Ok(AttemptOutcome { end, result, left_archives: false, data: None, warnings, archives, usage: None })
    }

    /// Ends a task whose command has run and left nothing to upload.
    async fn finish_without_uploads(&self, ran: CommandOutcome) -> Result<AttemptOutcome, AttemptError> {
        let (end, result, usage) = (ran.end, ran.result(), ran.usage);
        if self.key.is_none() {
            self.while_held(self.end(end)).await?;
        }
        self.report_upload(end);
        self.report_state(ExecState::UploadResultFinished);
        if self.key.is_none() {
            self.while_held(self.commit(result)).await?;
        }
        let (archives, warnings) = match ran.log {
            Some(PackedLog { bytes, warnings }) => {
                (vec![InlineArchive { kind: ArtifactKind::StdLog, bytes }], warnings)
            }
            None => (Vec::new(), Vec::new()),
        };
        Ok(AttemptOutcome { end, result, left_archives: false, data: None, warnings, archives, usage })
    }

    /// Stores the outputs and ends the task, while this worker holds it. Stopping the task a second time
    /// changes nothing: the output of a stopped command is kept.
    async fn finish(&self, ran: &CommandOutcome) -> Result<AttemptOutcome, AttemptError> {
        let mut left = Outputs::default();
        let was_stopped = ran.msg == Some(TaskResultMessage::UserCancellation);
        tokio::select! {
            stored = self.store_outputs(ran, &mut left) => stored?,
            error = self.released() => return Err(error),
            () = self.stop_requested(), if !was_stopped => {
                tracing::info!("stopped by a user while its outputs were being stored");
                left.stop("a user stopped the task");
            }
        }
        let result = left.complete(ran.result(), self.context.protocol);
        if self.key.is_none() {
            self.while_held(self.commit(result)).await?;
        }
        let Outputs { data, has_announced, warnings, archives, .. } = left;
        Ok(AttemptOutcome {
            end: ran.end,
            result,
            left_archives: has_announced,
            data,
            warnings,
            archives,
            usage: ran.usage,
        })
    }

    /// Stores the small result, the archives and the follow-up (HTTP contract §12.3). A native coordinator
    /// receives the end together with the result, unless something has to be reported before.
    async fn store_outputs(&self, ran: &CommandOutcome, left: &mut Outputs) -> Result<(), AttemptError> {
        let is_native = self.key.is_some();
        if is_native {
            match timeout(READ_TIMEOUT, self.read_data()).await {
                Ok(Ok(data)) => left.data = data,
                Ok(Err(warning)) => left.warnings.push(warning),
                Err(_) => tracing::warn!("timed out reading result.json"),
            }
        }
        let request = timeout(READ_TIMEOUT, self.read_follow_up()).await;
        let request = request.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        left.asks_for_a_task = !matches!(request, Ok(None));
        if !is_native || left.asks_for_a_task {
            self.end(ran.end).await?;
        }
        self.report_upload(ran.end);
        self.collect(ran, left).await?;
        self.report_state(match left.is_incomplete {
            true => ExecState::UploadResultTimeout,
            false => ExecState::UploadResultFinished,
        });
        left.warnings.extend(self.follow_up(request).await?);
        left.asks_for_a_task = false;
        Ok(())
    }
}
