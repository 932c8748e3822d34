//! One task, from its assignment to its result (semantics §7, §8; HTTP contract §12.3).

mod archive;
mod collect;
mod courier;
mod data;
mod follow_up;
mod left;
mod prepare;
mod process;
mod program;
mod regular;
pub(crate) mod removal;
mod report;
mod resources;
pub(crate) mod scratch;
mod watch;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mitosis_domain::announcement::of_failure;
use mitosis_domain::task::ExecEnd;
use mitosis_protocol::agent::AttemptKey;
use mitosis_protocol::worker::FetchedTask;
use mitosis_protocol::{ExecState, ResultWarning, TaskResult, TaskResultMessage};
use serde_json::value::RawValue;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, timeout};

use crate::live::Herald;
use crate::os::thread::Thread;
use crate::session::Session;
use left::Left;
use prepare::Prepared;
use process::Ran;
use scratch::Scratch;
pub(crate) use watch::watch;

/// Limit on reading a file that the command left.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// Where the tasks of a slot run.
pub(crate) struct Place {
    pub(crate) scratch: Scratch,
    pub(crate) thread: Thread,
    pub(crate) herald: Herald,
}

/// This worker's hold on a task.
pub(crate) struct Attempt<'a> {
    session: &'a Session,
    scratch: &'a Scratch,
    thread: &'a Thread,
    herald: &'a Herald,
    task: Arc<FetchedTask>,
    /// What a coordinator of ours wants to see with every report.
    key: Option<AttemptKey>,
    orders: Option<Receiver<Orders>>,
    /// Downloads and watching are measured from here.
    fetched_at: Instant,
}

/// What the coordinator says about a task while it runs (native protocol).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    /// It is not this worker's any more.
    pub(crate) dropped: bool,
    /// A user wants it to be stopped.
    pub(crate) stop: bool,
    /// Somebody waits for its output.
    pub(crate) followed: bool,
}

/// Why an attempt brought no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The coordinator gave the task to somebody else, or ended it.
    TakenBack,
    /// The coordinator does not know this worker any more.
    Unknown,
    /// The lease of the registration is over.
    GivenUp,
    /// The coordinator does not take what this attempt has to report; another one is wanted.
    Refused,
    /// The coordinator was not heard of for as long as the task allows; another attempt is wanted.
    Overdue,
    /// The command could not be started here: the directories can't be made ready, or the system gives no
    /// process. Another attempt is wanted, not in this slot for a while.
    NotStarted,
}

/// A task that is over. A coordinator of ours has yet to be told; an old one knows.
pub(crate) struct Done {
    /// Whether the command was killed at its timeout or by a user, or never started.
    pub(crate) cancelled: bool,
    pub(crate) result: TaskResult,
    /// Whether archives were announced.
    pub(crate) left_archives: bool,
    /// The small result that the task left.
    pub(crate) data: Option<Box<RawValue>>,
    /// What of its output was not kept.
    pub(crate) warnings: Vec<ResultWarning>,
}

/// Runs one task.
#[tracing::instrument(name = "task", skip_all, fields(task = %task.uuid))]
pub(crate) async fn run(
    session: &Session,
    Place { scratch, thread, herald }: &Place,
    task: FetchedTask,
    native: Option<(AttemptKey, Receiver<Orders>)>,
) -> Result<Done, Lost> {
    let (key, orders) = native.unzip();
    let task = Arc::new(task);
    let attempt = Attempt { session, scratch, thread, herald, task, key, orders, fetched_at: Instant::now() };
    let hold = herald.holds(attempt.task.uuid);
    let outcome = attempt.run().await;
    if matches!(outcome, Ok(_) | Err(Lost::TakenBack)) {
        hold.end();
    }
    match &outcome {
        Ok(done) => {
            let TaskResult { exit_status, msg } = done.result;
            tracing::debug!(exit_status, ?msg, "ended");
        }
        Err(lost) => tracing::warn!(?lost, "the attempt brought no result"),
    }
    outcome
}

impl Attempt<'_> {
    async fn run(&self) -> Result<Done, Lost> {
        // A coordinator of ours has announced it itself.
        if self.key.is_none() {
            self.is_at(ExecState::FetchResource);
        }
        let prepared = tokio::select! {
            prepared = self.prepare() => prepared?,
            called_off = self.called_off() => called_off?,
        };
        match prepared {
            Prepared::Impossible(why) => {
                if let Some(state) = of_failure(why) {
                    self.is_at(state);
                }
                let result = TaskResult { exit_status: 0, msg: Some(why) };
                self.conclude(ExecEnd::Cancelled, result, false).await
            }
            Prepared::Ready(output) => {
                self.is_at(ExecState::ExecPending);
                let ran = self.execute(output).await?;
                self.has_run(&ran);
                match ran.left_nothing {
                    true => {
                        let result = TaskResult { exit_status: ran.exit_status, msg: ran.msg };
                        self.conclude(ran.end, result, true).await
                    }
                    false => self.wind_up(&ran).await,
                }
            }
        }
    }

    /// Ends while the task is being prepared: with its result if a user stopped it.
    async fn called_off(&self) -> Result<Prepared, Lost> {
        match self.ordered_to_end().await {
            Order::Drop => Err(Lost::TakenBack),
            Order::Stop => Ok(Prepared::Impossible(TaskResultMessage::UserCancellation)),
        }
    }

    /// Ends when the task is given to another worker.
    async fn taken_back(&self) {
        let Some(mut orders) = self.orders.clone() else { return std::future::pending().await };
        if orders.wait_for(|orders| orders.dropped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends when a user wants the task to be stopped.
    async fn asked_to_stop(&self) {
        let Some(mut orders) = self.orders.clone() else { return std::future::pending().await };
        if orders.wait_for(|orders| orders.stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends when the coordinator wants this attempt to end.
    async fn ordered_to_end(&self) -> Order {
        let Some(mut orders) = self.orders.clone() else { return std::future::pending().await };
        let ordered = orders.wait_for(|orders| orders.dropped || orders.stop).await.map(|orders| *orders);
        match ordered {
            Ok(Orders { dropped: true, .. }) => Order::Drop,
            Ok(_) => Order::Stop,
            Err(_) => std::future::pending().await,
        }
    }

    /// Tells those who watch how far this is.
    fn is_at(&self, state: ExecState) {
        self.herald.tell(self.task.uuid, state, self.task.timeout);
    }

    /// The command is over, and what it left is about to be brought away.
    fn has_run(&self, ran: &Ran) {
        match (ran.end, ran.msg) {
            (ExecEnd::Finished, _) => self.is_at(ExecState::ExecFinished),
            (ExecEnd::Cancelled, Some(TaskResultMessage::ExecTimeout)) => self.is_at(ExecState::ExecTimeout),
            (ExecEnd::Cancelled, _) => {}
        }
        self.is_at(ExecState::UploadResult);
    }

    fn uploads(&self, end: ExecEnd) {
        self.is_at(match end {
            ExecEnd::Finished => ExecState::UploadFinishedResult,
            ExecEnd::Cancelled => ExecState::UploadCancelledResult,
        });
    }

    /// Ends when this worker has nothing more to do with the task.
    async fn not_ours_any_more(&self) -> Lost {
        tokio::select! {
            () = self.taken_back() => Lost::TakenBack,
            () = self.session.lease.over(None) => {
                tracing::warn!("the lease is over; leaving what the command left");
                self.expired()
            }
        }
    }

    /// For a report beside an old coordinator: it is repeated for as long as the task is this worker's.
    async fn while_ours(&self, report: impl Future<Output = Result<(), Lost>>) -> Result<(), Lost> {
        tokio::select! {
            reported = report => reported,
            lost = self.not_ours_any_more() => Err(lost),
        }
    }

    /// Ends a task that left nothing to be stored, whether or not its command has run.
    async fn conclude(&self, end: ExecEnd, result: TaskResult, has_run: bool) -> Result<Done, Lost> {
        if self.key.is_none() {
            self.while_ours(self.end(end)).await?;
        }
        if has_run {
            self.uploads(end);
            self.is_at(ExecState::UploadResultFinished);
        }
        if self.key.is_none() {
            self.while_ours(self.commit(result)).await?;
        }
        let cancelled = end == ExecEnd::Cancelled;
        Ok(Done { cancelled, result, left_archives: false, data: None, warnings: Vec::new() })
    }

    /// What follows the end of the command, for as long as the task is this worker's. Stopping the task a second
    /// time changes nothing: what a stopped command wrote is kept.
    async fn wind_up(&self, ran: &Ran) -> Result<Done, Lost> {
        let mut left = Left::default();
        let was_stopped = ran.msg == Some(TaskResultMessage::UserCancellation);
        tokio::select! {
            taken_care_of = self.take_care(ran, &mut left) => taken_care_of?,
            lost = self.not_ours_any_more() => return Err(lost),
            () = self.asked_to_stop(), if !was_stopped => {
                tracing::info!("stopped by a user while its output was stored");
                left.stop("a user stopped the task");
            }
        }
        let result = TaskResult { exit_status: ran.exit_status, msg: ran.msg };
        let result = left.complete(result, self.key.is_some());
        if self.key.is_none() {
            self.while_ours(self.commit(result)).await?;
        }
        let Left { data, has_announced, warnings, .. } = left;
        let cancelled = ran.end == ExecEnd::Cancelled;
        Ok(Done { cancelled, result, left_archives: has_announced, data, warnings })
    }

    /// The small result, the archives, the follow-up (HTTP contract §12.3). A coordinator of ours hears of the end
    /// with the result, unless something has to come before.
    async fn take_care(&self, ran: &Ran, left: &mut Left) -> Result<(), Lost> {
        let is_with_ours = self.key.is_some();
        if is_with_ours {
            match timeout(LOOK_LIMIT, self.read_data()).await {
                Ok(Ok(data)) => left.data = data,
                Ok(Err(warning)) => left.warnings.push(warning),
                Err(_) => tracing::warn!("result.json can't be read in time"),
            }
        }
        let request = timeout(LOOK_LIMIT, self.read_follow_up()).await;
        let request = request.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        left.asks_for_a_task = !matches!(request, Ok(None));
        if !is_with_ours || left.asks_for_a_task {
            self.end(ran.end).await?;
        }
        self.uploads(ran.end);
        self.collect(ran, left).await?;
        self.is_at(match left.is_incomplete {
            true => ExecState::UploadResultTimeout,
            false => ExecState::UploadResultFinished,
        });
        left.warnings.extend(self.follow_up(request).await?);
        left.asks_for_a_task = false;
        Ok(())
    }
}

/// How the coordinator wants an attempt to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Drop,
    Stop,
}
