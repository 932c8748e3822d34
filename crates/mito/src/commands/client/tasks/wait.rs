//! `mito client tasks wait`: waits until tasks have ended.
//!
//! A stream of events reports the ends of a few tasks. When it breaks it is resumed where it stopped; if that is not
//! possible, the tasks are queried again. The ends of many tasks are read in batches.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use mitosis_client::{EventScope, TaskEvents, UserClient};
use mitosis_protocol::events::TaskEvent;
use mitosis_protocol::task::SubmitTaskReply;
use mitosis_protocol::{ShellCode, TaskState, Timestamp, Uuid};

use crate::cli::client::tasks::WaitArgs;
use crate::commands::client::Next;
use crate::commands::client::session::Session;
use crate::commands::select::TaskSelection;
use crate::login::identity::Identity;
use crate::login::reconnect::Reconnect;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::rows::Rows;
use crate::show::{Output, Progress, TaskChange};
use crate::task_io::exit::TaskExit;
use crate::task_io::progress::TaskProgress;
use crate::task_io::states::{FEW, StatePoll};

/// The shortest pause between two reads of the states of many tasks.
const MIN_PAUSE: Duration = Duration::from_millis(50);
const LATER: &str = "the tasks continue; wait again later";
/// The most tasks for which a timed-out wait explains why they have not ended.
const MAX_EXPLAINED: usize = 3;

pub(super) async fn wait(args: &WaitArgs, session: &mut Session<'_>, out: &Output) -> Result<Next, Failure> {
    let selection = TaskSelection::read(&args.selectors)?;
    let mut waiting = WaitSet::default();
    let until = if args.fail_fast { WaitUntil::FirstFailure } else { WaitUntil::AllEnded };
    let mut known = None;
    let done = async {
        let mut reconnect = Reconnect::within(args.timeout);
        let identity = known.insert(session.identity_and_reconnect(&mut reconnect).await?);
        wait_until(&selection, identity, &mut waiting, until, reconnect, out).await
    };
    let outcome = match args.timeout {
        Some(limit) => tokio::time::timeout(limit, done).await.ok(),
        None => Some(done.await),
    };
    let limit = args.timeout.unwrap_or_default();
    match (outcome, known) {
        (Some(outcome), _) => outcome?,
        (None, Some(identity)) => return Err(timed_out(&waiting, &identity.client, limit).await),
        (None, None) => return Err(no_answer(&session.config.address, limit)),
    }
    waiting.verdict()
}

/// What some awaited tasks came to.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands) struct WaitSummary {
    pub(in crate::commands) total: u64,
    pub(in crate::commands) failed: u64,
    pub(in crate::commands) left: u64,
    /// The exit code of a single task.
    pub(in crate::commands) code: ShellCode,
}

/// Waits for tasks, and shows the end of each.
pub(in crate::commands) async fn wait_for(
    tasks: &[Uuid],
    identity: &Identity,
    fail_fast: bool,
    reconnect: Reconnect,
    out: &Output,
) -> Result<WaitSummary, Failure> {
    let until = if fail_fast { WaitUntil::FirstFailure } else { WaitUntil::AllEnded };
    let selection = TaskSelection::each(tasks);
    let mut waiting = WaitSet::default();
    wait_until(&selection, identity, &mut waiting, until, reconnect, out).await?;
    let WaitSet { left, total, failed, code } = waiting;
    Ok(WaitSummary { total: total as u64, failed: failed as u64, left: left.len() as u64, code })
}

/// The awaited tasks.
#[derive(Debug, Default)]
pub(super) struct WaitSet {
    /// The tasks that have not ended.
    left: BTreeMap<Uuid, TaskEvent>,
    /// The number of all tasks.
    total: usize,
    failed: usize,
    /// The exit code of a single task.
    code: ShellCode,
}

impl WaitSet {
    /// Whether it is a single task.
    pub(super) fn for_one(task: TaskEvent) -> Self {
        Self { left: BTreeMap::from([(task.uuid, task)]), total: 1, ..Self::default() }
    }

    /// Starts with these tasks.
    fn start(&mut self, tasks: &[TaskEvent]) -> Result<(), Failure> {
        if tasks.is_empty() {
            return Err(Failure::new(Exit::NotFound, "nothing to wait for: no task matches")
                .with_hint("`mito client tasks query` lists the tasks"));
        }
        self.left = tasks.iter().map(|task| (task.uuid, task.clone())).collect();
        self.total = self.left.len();
        Ok(())
    }

    /// Records the end of a task.
    pub(super) fn ended(&mut self, uuid: Uuid, outcome: TaskExit) {
        if let Some(task) = self.left.get(&uuid) {
            let TaskExit { result, warnings } = outcome;
            let event = TaskEvent { result: Some(result), warnings, ..task.clone() };
            self.update(&event);
        }
    }

    /// The exit code of the command: that of a single task, or one for failures among several.
    pub(super) fn verdict(&self) -> Result<Next, Failure> {
        match (self.total, self.failed) {
            (1, _) if !self.code.is_success() => Ok(Next::Exit(self.code)),
            (_, 0) => Ok(Next::Continue),
            (total, failed) => {
                let left = self.left.len();
                let rest = match left {
                    0 => String::new(),
                    1 => "; 1 has not ended".to_owned(),
                    _ => format!("; {left} have not ended"),
                };
                Err(Failure::new(Exit::SomeFailed, format!("{failed} of {total} tasks failed{rest}"))
                    .with_hint("see one with `mito client tasks get`; run them again with `mito retry`"))
            }
        }
    }

    /// Records a state. Returns the end of an awaited task.
    fn update(&mut self, event: &TaskEvent) -> Option<TaskExit> {
        let outcome = TaskExit::from_event(event)?;
        self.left.remove(&event.uuid)?;
        let code = outcome.code();
        self.failed += usize::from(!code.is_success());
        self.code = code;
        Some(outcome)
    }
}

/// The condition that ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitUntil {
    AllEnded,
    FirstFailure,
}

/// Waits for tasks, and shows the end of each.
pub(super) async fn wait_until(
    selection: &TaskSelection,
    identity: &Identity,
    waiting: &mut WaitSet,
    until: WaitUntil,
    mut reconnect: Reconnect,
    out: &Output,
) -> Result<(), Failure> {
    let client = &identity.client;
    reconnect.retry(async || client.require("waiting for tasks").await, LATER).await?;
    let found = selection.find(client, &mut reconnect).await?;
    waiting.start(&found)?;
    match waiting.total {
        1 => out.say("waiting for a task"),
        many => out.say(format_args!("waiting for {many} tasks")),
    }
    let mut report = Report::new(client, waiting.total, out);
    let reconnect = reconnect.with_progress(Some(&report.progress));
    let newest_first: Vec<Uuid> = found.iter().map(|task| task.uuid).collect();
    let outcome = if report.apply(found, waiting, until).await? {
        Ok(())
    } else if waiting.left.len() > FEW {
        poll_states(newest_first, client, waiting, until, reconnect, &mut report).await
    } else {
        follow_events(scope(selection, identity), client, waiting, until, reconnect, &mut report).await
    };
    report.finish()?;
    outcome
}

/// Reads the ends of many tasks in batches.
async fn poll_states(
    newest_first: Vec<Uuid>,
    client: &UserClient,
    waiting: &mut WaitSet,
    until: WaitUntil,
    mut reconnect: Reconnect,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let left = newest_first.into_iter().filter(|task| waiting.left.contains_key(task)).collect();
    let mut poll = StatePoll::new(left, MIN_PAUSE);
    loop {
        match poll.next(client).await {
            Ok(batch) => {
                reconnect.reset();
                report.tasks.apply(&batch);
                if report.apply(batch.ended, waiting, until).await? {
                    return Ok(());
                }
            }
            Err(error) if error.is_transient() => {
                reconnect.pause_after_error(error, || later(waiting)).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Receives an event for each change of a few tasks.
async fn follow_events(
    scope: EventScope,
    client: &UserClient,
    waiting: &mut WaitSet,
    until: WaitUntil,
    mut reconnect: Reconnect,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let scope = match waiting.left.first_key_value() {
        Some((only, _)) if waiting.left.len() == 1 => EventScope::Task(*only),
        _ => scope,
    };
    let (mut events, mut heard) = (open_events(client, &scope, None, &mut reconnect).await?, None);
    // The tasks may have changed before the stream was open.
    let mut pending = refresh(client, waiting, &mut reconnect).await?;
    loop {
        if report.apply(std::mem::take(&mut pending), waiting, until).await? {
            return Ok(());
        }
        match events.next().await {
            Ok(Some((id, event))) => {
                heard = Some(id);
                pending.push(event);
            }
            broken => {
                match broken {
                    Err(error) => reconnect.pause_after_error(error, || later(waiting)).await?,
                    Ok(_) => reconnect.pause().await,
                }
                events = open_events(client, &scope, heard.as_deref(), &mut reconnect).await?;
                // Without an event there is no position to resume from.
                if heard.is_none() {
                    pending = refresh(client, waiting, &mut reconnect).await?;
                }
            }
        }
    }
}

/// The output during a wait: a bar, and a row for each ended task.
struct Report<'a> {
    client: &'a UserClient,
    out: &'a Output,
    progress: Progress,
    tasks: TaskProgress,
    rows: Rows<'a, TaskChange>,
}

impl<'a> Report<'a> {
    fn new(client: &'a UserClient, total: usize, out: &'a Output) -> Self {
        let progress = out.count_progress(total as u64, "tasks ended");
        Self { client, out, progress, tasks: TaskProgress::default(), rows: out.rows() }
    }

    /// Shows changes. Returns whether the wait has ended.
    async fn apply(
        &mut self,
        events: Vec<TaskEvent>,
        waiting: &mut WaitSet,
        until: WaitUntil,
    ) -> Result<bool, Failure> {
        let (mut ended, mut is_failure) = (Vec::new(), false);
        for event in events {
            if waiting.left.contains_key(&event.uuid) {
                self.tasks.update(&event);
            }
            let Some(exit) = waiting.update(&event) else { continue };
            let (code, reason) = exit.describe(self.client, event.uuid).await;
            ended.push((event, reason));
            is_failure = until == WaitUntil::FirstFailure && !code.is_success();
            if is_failure {
                break;
            }
        }
        self.tasks.show(&self.progress);
        if !ended.is_empty() {
            let (out, rows) = (self.out, &mut self.rows);
            self.progress.suspend(|| {
                for (event, reason) in ended {
                    if let Some(reason) = reason {
                        out.say(format_args!("mito: {}: {reason}", event.uuid));
                    }
                    rows.push(&TaskChange::from(event))?;
                }
                rows.flush()
            })?;
        }
        Ok(is_failure || waiting.left.is_empty())
    }

    fn finish(self) -> Result<(), Failure> {
        self.progress.clear();
        self.rows.finish()
    }
}

fn scope(selection: &TaskSelection, identity: &Identity) -> EventScope {
    match (selection.names.is_empty(), &selection.group) {
        (true, Some(group)) => EventScope::Group(group.clone()),
        (true, None) => EventScope::Group(identity.name.clone()),
        (false, _) => EventScope::Own,
    }
}

/// Opens a stream; waits for an unreachable coordinator.
pub(super) async fn open_events(
    client: &UserClient,
    scope: &EventScope,
    after: Option<&str>,
    reconnect: &mut Reconnect,
) -> Result<TaskEvents, Failure> {
    reconnect.retry(async || client.events(scope, after).await, LATER).await
}

fn later(waiting: &WaitSet) -> String {
    format!(
        "{}; wait again later",
        match waiting.left.len() {
            1 => "the task continues".to_owned(),
            many => format!("{many} tasks continue"),
        }
    )
}

/// The states of the remaining tasks.
async fn refresh(
    client: &UserClient,
    waiting: &WaitSet,
    reconnect: &mut Reconnect,
) -> Result<Vec<TaskEvent>, Failure> {
    let read = async || try_join_all(waiting.left.keys().map(|uuid| client.task(*uuid))).await;
    let tasks = reconnect.retry(read, LATER).await?;
    Ok(tasks.into_iter().map(|task| task.info.into()).collect())
}

/// Explains a timed-out wait with the coordinator's reasons for a few tasks.
pub(super) async fn timed_out(waiting: &WaitSet, client: &UserClient, limit: Duration) -> Failure {
    let (left, total) = (waiting.left.len(), waiting.total);
    let limit = mitosis_protocol::duration::short(limit);
    let sentence = match (total, waiting.left.keys().next()) {
        (0, _) => format!("not found within {limit}"),
        (1, Some(uuid)) => format!("task {uuid} has not ended after {limit}"),
        _ => format!("{left} of {total} tasks have not ended after {limit}"),
    };
    for (uuid, task) in waiting.left.iter().take(MAX_EXPLAINED) {
        match client.explain_task(*uuid).await {
            Ok(why) => {
                note!("mito: {uuid} is {:?}: {}", why.state, why.text);
                if let Some(hint) = why.hint {
                    note!("  hint: {hint}");
                }
            }
            Err(_) => note!("mito: {uuid} is {:?}", task.state),
        }
    }
    Failure::new(Exit::TimedOut, sentence).with_hint("the tasks continue; wait again, or cancel them")
}

/// The time limit passed before the coordinator replied.
fn no_answer(address: &str, limit: Duration) -> Failure {
    let limit = mitosis_protocol::duration::short(limit);
    Failure::new(Exit::TimedOut, format!("the coordinator at {address} did not answer within {limit}"))
        .with_hint("check the address, and that it runs; submitted tasks continue")
}

/// Waits for a task that was just submitted.
pub(super) fn submitted_event(group: &str, SubmitTaskReply { task_id, uuid }: SubmitTaskReply) -> TaskEvent {
    TaskEvent {
        uuid,
        group_name: group.to_owned(),
        task_id,
        state: TaskState::Ready,
        result: None,
        warnings: Vec::new(),
        exit_code: None,
        at: Timestamp::UNIX_EPOCH,
    }
}
