//! `mito client tasks wait`: waits until tasks have ended.
//!
//! A stream of events reports each end. When it breaks it is resumed where it stopped; if that is not possible, the
//! tasks are queried again.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
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

/// The number of tasks that are requested at once.
const CONCURRENCY: usize = 16;
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
    // The stream is open before the tasks are looked up, so no change is missed.
    let mut scope = scope(selection, identity);
    let (mut events, mut heard) = (open_events(client, &scope, None, &mut reconnect).await?, None);
    let found = selection.find(client, &mut reconnect).await?;
    if let [only] = found.as_slice() {
        scope = EventScope::Task(only.uuid);
        events = open_events(client, &scope, None, &mut reconnect).await?;
    }
    waiting.start(&found)?;
    match waiting.total {
        1 => out.say("waiting for a task"),
        many => out.say(format_args!("waiting for {many} tasks")),
    }
    let mut report = Report::new(client, waiting.total, out);
    reconnect = reconnect.with_progress(Some(&report.progress));
    let mut pending = found;
    let outcome = loop {
        if report.apply(std::mem::take(&mut pending), waiting, until).await? {
            break Ok(());
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
                events = match open_events(client, &scope, heard.as_deref(), &mut reconnect).await {
                    Ok(events) => events,
                    Err(failure) => break Err(failure),
                };
                // Without an event there is no position to resume from.
                if heard.is_none() {
                    pending = refresh(client, waiting).await?;
                }
            }
        }
    };
    report.finish()?;
    outcome
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
        for event in events {
            if waiting.left.contains_key(&event.uuid) {
                self.tasks.update(&event);
                self.tasks.show(&self.progress);
            }
            let Some(exit) = waiting.update(&event) else { continue };
            let (code, reason) = exit.describe(self.client, event.uuid).await;
            let (out, rows) = (self.out, &mut self.rows);
            self.progress.suspend(|| {
                if let Some(reason) = reason {
                    out.say(format_args!("mito: {}: {reason}", event.uuid));
                }
                rows.push(&TaskChange::from(event)).and_then(|()| rows.flush())
            })?;
            if until == WaitUntil::FirstFailure && !code.is_success() {
                return Ok(true);
            }
        }
        Ok(waiting.left.is_empty())
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
    let later = "the tasks continue; wait again later";
    reconnect.retry(async || client.events(scope, after).await, later).await
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
async fn refresh(client: &UserClient, waiting: &WaitSet) -> Result<Vec<TaskEvent>, Failure> {
    let uuids: Vec<Uuid> = waiting.left.keys().copied().collect();
    let mut looks = stream::iter(uuids).map(|uuid| client.task(uuid)).buffer_unordered(CONCURRENCY);
    let mut events = Vec::new();
    while let Some(task) = looks.next().await {
        match task {
            Ok(task) => events.push(task.info.into()),
            // The stream will break again, and then all tasks are requested.
            Err(error) if error.is_transient() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(events)
}

/// Explains a timed-out wait with the coordinator's reasons for a few tasks.
pub(super) async fn timed_out(waiting: &WaitSet, client: &UserClient, limit: std::time::Duration) -> Failure {
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
fn no_answer(address: &str, limit: std::time::Duration) -> Failure {
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
        at: Timestamp::UNIX_EPOCH,
    }
}
