//! The tasks of an agent and the decisions about them: pure bookkeeping, with the time as an argument.
//!
//! A task is assigned, waits for a slot, runs, ends, and is reported. A task that waits too long is returned,
//! so that another worker can run it. Duplicate messages have no effect.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use mitosis_domain::resources::{Holding, Inventory, Ledger};
use mitosis_protocol::agent::{
    AssignedTask, AttemptKey, AttemptRef, EndedTask, LiveState, MAX_BATCH, ReportBatch,
};
use mitosis_protocol::{Granted, TaskResult, TaskResultMessage, WaitStatus};
use tokio::time::Instant;

use super::prefetch::{self, PrefetchQueue};
use super::watch_state::WatchState;
use crate::run::Directive;

/// Tasks are prefetched for about this time. Tasks of other groups wait no longer than that behind them.
const PREFETCH_TIME: Duration = Duration::from_millis(25);
/// The maximum number of tasks that are prefetched for one slot.
const MAX_PREFETCH_PER_SLOT: usize = 64;
/// The maximum size of the archives in one report, in bytes, unless a single attempt has more.
const MAX_ARCHIVE_BYTES: usize = 2 * 1024 * 1024;
/// How many ended attempts are remembered, so that late messages about them have no effect.
const MAX_REMEMBERED: usize = 8_192;

/// The state of an agent: every task that it holds.
#[derive(Debug)]
pub(super) struct AgentState {
    free: Vec<usize>,
    /// What the tasks in slots hold.
    ledger: Ledger,
    /// What is kept for slots that can't start tasks for a while.
    resting: HashMap<usize, Holding>,
    waiting: PrefetchQueue,
    watching: WatchState,
    running: HashMap<AttemptRef, Running>,
    ended: Vec<EndedTask>,
    returned: Vec<AttemptKey>,
    /// The report in flight.
    in_flight: Option<ReportBatch>,
    remembered: VecDeque<AttemptRef>,
    /// The same attempts, for lookups.
    done: HashSet<AttemptRef>,
    pace: Pace,
    draining: bool,
}

#[derive(Debug)]
struct Running {
    slot: usize,
    since: Instant,
    /// What it requests, in thousandths of a processor.
    cpus: u64,
    holding: Holding,
}

/// The mean run time of tasks on this worker, if it is known.
#[derive(Debug, Clone, Copy, Default)]
struct Pace(Option<Duration>);

impl Pace {
    /// Adds a sample; the latest one has a weight of one eighth.
    fn note(&mut self, length: Duration) {
        self.0 = Some(self.0.map_or(length, |mean| (mean * 7 + length) / 8));
    }

    /// How many tasks one slot runs in [`PREFETCH_TIME`].
    fn ahead(self) -> usize {
        let Some(mean) = self.0 else { return 0 };
        let ahead = PREFETCH_TIME.as_micros() / mean.as_micros().max(1);
        usize::try_from(ahead).unwrap_or(MAX_PREFETCH_PER_SLOT).min(MAX_PREFETCH_PER_SLOT)
    }
}

/// The attempt of an assigned task.
pub(super) fn attempt_ref(task: &AssignedTask) -> AttemptRef {
    AttemptRef { id: task.task.id, epoch: task.epoch }
}

/// The attempt that a key belongs to.
pub(super) fn attempt(key: &AttemptKey) -> AttemptRef {
    AttemptRef { id: key.id, epoch: key.epoch }
}

/// The key that proves that an attempt is held.
pub(super) fn key(task: &AssignedTask) -> AttemptKey {
    AttemptKey { id: task.task.id, epoch: task.epoch, token: task.token }
}

/// How many tasks of the default request use these thousandths of a processor, rounded down.
fn whole(cpus: u64) -> usize {
    usize::try_from(cpus / 1_000).unwrap_or(usize::MAX)
}

/// The same, rounded up.
fn part(cpus: u64) -> usize {
    usize::try_from(cpus.div_ceil(1_000)).unwrap_or(usize::MAX)
}

impl AgentState {
    pub(super) fn new(inventory: Inventory) -> Self {
        Self {
            free: (0..inventory.tasks as usize).rev().collect(),
            waiting: PrefetchQueue::default(),
            watching: WatchState::new(inventory.default_tasks()),
            ledger: Ledger::new(inventory),
            resting: HashMap::new(),
            running: HashMap::new(),
            ended: Vec::new(),
            returned: Vec::new(),
            in_flight: None,
            remembered: VecDeque::new(),
            done: HashSet::new(),
            pace: Pace::default(),
            draining: false,
        }
    }

    /// Adds assigned tasks. Known tasks are duplicates and ignored.
    pub(super) fn assign(&mut self, tasks: Vec<AssignedTask>, now: Instant) {
        let (mut joined, mut too_many) = (0, 0);
        for task in tasks {
            if self.knows(attempt_ref(&task)) {
                continue;
            }
            if self.draining {
                self.return_task(&task);
            } else if task.task.spec.watch.is_none() {
                self.waiting.join(task, now);
                joined += 1;
            } else if self.watching.has_space() {
                self.watching.admit(task);
            } else {
                self.return_task(&task);
                too_many += 1;
            }
        }
        if too_many > 0 {
            self.watching.note_rejected(too_many, joined == 0, now);
        }
    }

    fn knows(&self, attempt_ref: AttemptRef) -> bool {
        self.waiting.contains(attempt_ref)
            || self.watching.contains(attempt_ref)
            || self.running.contains_key(&attempt_ref)
            || self.done.contains(&attempt_ref)
    }

    /// Takes the tasks that have to start watching another task.
    pub(super) fn take_watching(&mut self) -> Vec<AssignedTask> {
        self.watching.take_new()
    }

    /// Queues a task whose watched task has reached the target state.
    pub(super) fn watch_completed(&mut self, task: AssignedTask, now: Instant) {
        if self.watching.remove(attempt_ref(&task)).is_some() {
            self.waiting.join(task, now);
        }
    }

    /// Ends a task that is not started, with the reason.
    pub(super) fn end_unstarted(&mut self, key: AttemptKey, why: TaskResultMessage) {
        self.watching.remove(attempt(&key));
        self.remember(attempt(&key));
        let result = TaskResult { exit_status: WaitStatus::SUCCESS, msg: Some(why) };
        self.ended.push(EndedTask {
            key,
            cancelled: true,
            result,
            left_archives: false,
            data: None,
            warnings: Vec::new(),
            archives: Vec::new(),
            usage: None,
        });
    }

    /// The next task to start, its slot, and what it may use there. A task that does not fit yet lets others pass.
    pub(super) fn start(&mut self, now: Instant) -> Option<(usize, AssignedTask, Granted)> {
        let slot = *self.free.last()?;
        let task = self.waiting.pop_first(|task| self.ledger.fits(&task.task.spec.request))?;
        let (holding, granted) = self.ledger.grant(&task.task.spec.request)?;
        self.free.pop();
        let running = Running { slot, since: now, cpus: prefetch::cpus(&task), holding };
        self.running.insert(attempt_ref(&task), running);
        Some((slot, task, granted))
    }

    /// Frees the slot of a task, and queues its result unless there is nothing to report.
    pub(super) fn task_left(&mut self, attempt_ref: AttemptRef, ended: Option<EndedTask>, now: Instant) {
        if let Some(Running { slot, since, holding, .. }) = self.running.remove(&attempt_ref) {
            self.free.push(slot);
            self.ledger.release(holding);
            self.pace.note(now - since);
        }
        self.remember(attempt_ref);
        self.ended.extend(ended);
    }

    /// Returns a task that could not be started. Its slot accepts no tasks until it is
    /// [ready](Self::slot_ready).
    pub(super) fn start_failed(&mut self, key: AttemptKey) {
        if let Some(Running { slot, holding, .. }) = self.running.remove(&attempt(&key)) {
            self.resting.insert(slot, holding);
        }
        self.return_attempt(key);
    }

    /// Marks a slot as free again.
    pub(super) fn slot_ready(&mut self, slot: usize) {
        if let Some(holding) = self.resting.remove(&slot) {
            self.ledger.release(holding);
        }
        self.free.push(slot);
    }

    /// Returns an attempt that left its slot without a result; the task needs another attempt.
    pub(super) fn return_attempt(&mut self, key: AttemptKey) {
        self.watching.remove(attempt(&key));
        self.remember(attempt(&key));
        self.returned.push(key);
    }

    /// Applies a directive of the coordinator. Returns the slot that has to carry it out, if the task is
    /// running.
    pub(super) fn apply_directive(&mut self, attempt_ref: AttemptRef, directive: Directive) -> Option<usize> {
        if let Some(running) = self.running.get(&attempt_ref) {
            return Some(running.slot);
        }
        let waiting = self.waiting.remove(attempt_ref).map(|task| key(&task));
        let key = waiting.or_else(|| self.watching.remove(attempt_ref))?;
        self.remember(attempt_ref);
        if directive == Directive::Stop {
            self.end_unstarted(key, TaskResultMessage::UserCancellation);
        }
        None
    }

    /// Returns all tasks that wait for a slot.
    pub(super) fn return_prefetched(&mut self) {
        for task in self.waiting.take_all() {
            self.return_task(&task);
        }
    }

    /// Stops accepting tasks, and returns those that wait.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        self.return_prefetched();
        for key in self.watching.take_all() {
            self.return_attempt(key);
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Returns the tasks that have waited too long for a slot.
    pub(super) fn expire_prefetched(&mut self, now: Instant) {
        if !self.free.is_empty() && self.waiting.has(|task| self.ledger.fits(&task.task.spec.request)) {
            return;
        }
        for task in self.waiting.take_overdue(now) {
            self.return_task(&task);
        }
    }

    /// When the next task may have waited too long for a slot.
    pub(super) fn prefetch_deadline(&self) -> Option<Instant> {
        self.waiting.prefetch_deadline()
    }

    /// How many more tasks of the default request the agent wants, beyond the `asked` that are requested already.
    pub(super) fn want(&self, asked: usize, now: Instant) -> usize {
        if self.draining {
            return 0;
        }
        let (mut cpus, mut slow_cpus) = (0, 0);
        for running in self.running.values() {
            cpus += running.cpus;
            if now - running.since > PREFETCH_TIME {
                slow_cpus += running.cpus;
            }
        }
        let all_cpus = u64::try_from(self.ledger.free_cpus()).unwrap_or(0) + cpus;
        let places = whole(all_cpus).min(self.free.len() + self.running.len());
        // Nothing is prefetched behind a slow task.
        let ahead = places.saturating_sub(part(slow_cpus)) * self.pace.ahead();
        let by_cpus = (places + ahead).saturating_sub(part(cpus) + part(self.waiting.cpus()) + asked);
        let by_slots = (self.free.len() + ahead).saturating_sub(self.waiting.len() + asked);
        self.watching.want(by_cpus.min(by_slots), now).min(MAX_BATCH)
    }

    /// Whether a task with another request than the default may be able to start.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let free_cpus = self.ledger.free_cpus() - i64::try_from(self.waiting.cpus()).unwrap_or(i64::MAX);
        let is_free = !self.draining && free_cpus > 0 && self.free.len() > self.waiting.len();
        is_free && self.watching.want(1, now) > 0
    }

    /// When tasks are requested again, after too many watching tasks arrived.
    pub(super) fn resume_at(&self) -> Option<Instant> {
        self.watching.resume_at()
    }

    /// Every attempt that the coordinator may count as held by this agent.
    pub(super) fn held(&self) -> Vec<AttemptRef> {
        let reporting = self.in_flight.iter().flat_map(|report| &report.ended);
        let returning = self.in_flight.iter().flat_map(|report| &report.returned);
        let returned = self.returned.iter().chain(returning);
        self.waiting
            .slot_tasks()
            .chain(self.watching.slot_tasks())
            .chain(self.running.keys().copied())
            .chain(self.ended.iter().chain(reporting).map(|ended| attempt(&ended.key)))
            .chain(returned.map(attempt))
            .collect()
    }

    /// Whether there is something to report and no report is in flight.
    pub(super) fn has_to_report(&self) -> bool {
        self.in_flight.is_none() && !(self.ended.is_empty() && self.returned.is_empty())
    }

    /// Whether no report is in flight.
    pub(super) fn can_report(&self) -> bool {
        self.in_flight.is_none()
    }

    /// Whether nothing is left to run or report.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
            && self.waiting.is_empty()
            && self.watching.is_empty()
            && self.has_reported_all()
    }

    /// Whether everything that ended has been reported.
    pub(super) fn has_reported_all(&self) -> bool {
        self.in_flight.is_none() && self.ended.is_empty() && self.returned.is_empty()
    }

    /// Builds the next report. It is in flight until it is delivered or failed; a failed one is repeated.
    pub(super) fn report(&mut self, want: usize, has_room: bool, states: Vec<LiveState>) -> ReportBatch {
        let ended = self.ended.drain(..self.reportable()).collect();
        let returned = self.returned.drain(..self.returned.len().min(MAX_BATCH)).collect();
        let want = u32::try_from(want).unwrap_or(u32::MAX);
        let report = ReportBatch { ended, returned, want, has_room, states };
        self.in_flight = Some(report.clone());
        report
    }

    /// How many ended attempts fit into the next report.
    fn reportable(&self) -> usize {
        let mut bytes = 0;
        let fits = |ended: &&EndedTask| {
            let before = bytes;
            bytes += ended.archives.iter().map(|archive| archive.bytes.len()).sum::<usize>();
            before == 0 || bytes <= MAX_ARCHIVE_BYTES
        };
        self.ended.iter().take(MAX_BATCH).take_while(fits).count()
    }

    /// Marks the report in flight as delivered.
    pub(super) fn report_delivered(&mut self) -> Option<ReportBatch> {
        self.in_flight.take()
    }

    /// Marks the report in flight as failed, so that it is repeated. The coordinator may have assigned the
    /// requested tasks. Returns the task states of the report.
    pub(super) fn report_failed(&mut self) -> Vec<LiveState> {
        let Some(report) = self.in_flight.take() else { return Vec::new() };
        self.ended.splice(0..0, report.ended);
        self.returned.splice(0..0, report.returned);
        report.states
    }

    fn return_task(&mut self, task: &AssignedTask) {
        self.remember(attempt_ref(task));
        self.returned.push(key(task));
    }

    fn remember(&mut self, attempt_ref: AttemptRef) {
        if self.done.insert(attempt_ref) {
            self.remembered.push_back(attempt_ref);
        }
        if self.remembered.len() > MAX_REMEMBERED
            && let Some(oldest) = self.remembered.pop_front()
        {
            self.done.remove(&oldest);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use mitosis_protocol::worker::FetchedTask;
    use mitosis_protocol::{Epoch, LeaseToken, TaskSpec, Uuid};

    use super::super::prefetch::PREFETCH_TIMEOUT;
    use super::*;

    pub(in super::super) fn task(id: i64) -> AssignedTask {
        let spec = TaskSpec::default();
        let timeout = Duration::from_secs(60);
        let secrets = std::collections::BTreeMap::new();
        let task = FetchedTask { id, uuid: Uuid::nil(), timeout, upstream_task_uuid: None, spec, secrets };
        AssignedTask { task, epoch: Epoch::FIRST, token: LeaseToken(7), group: 1, priority: 0 }
    }

    fn tasks(ids: std::ops::Range<i64>) -> Vec<AssignedTask> {
        ids.map(task).collect()
    }

    fn of(id: i64) -> AttemptRef {
        AttemptRef { id, epoch: Epoch::FIRST }
    }

    fn ended(id: i64) -> EndedTask {
        let result = TaskResult { exit_status: WaitStatus::SUCCESS, msg: None };
        EndedTask {
            key: key(&task(id)),
            cancelled: false,
            result,
            left_archives: false,
            data: None,
            warnings: Vec::new(),
            archives: Vec::new(),
            usage: None,
        }
    }

    fn agent(slots: usize) -> AgentState {
        AgentState::new(Inventory::of_slots(slots))
    }

    /// A state whose slots all run a task that has just started.
    fn busy(slots: i64, now: Instant) -> AgentState {
        let mut state = agent(usize::try_from(slots).unwrap());
        state.assign(tasks(0..slots), now);
        while state.start(now).is_some() {}
        state
    }

    #[test]
    fn idle_agent_wants_one_task_for_each_slot() {
        let now = Instant::now();
        let mut state = agent(4);
        assert_eq!((state.want(0, now), state.want(3, now), state.want(9, now)), (4, 1, 0));
        state.assign(tasks(0..3), now);
        assert_eq!(state.want(0, now), 1);
    }

    #[test]
    fn short_tasks_are_prefetched_but_not_behind_long_ones() {
        let now = Instant::now();
        let mut state = busy(2, now);
        assert_eq!(state.want(0, now), 0, "nothing is known of how long they take");
        let later = now + Duration::from_millis(5);
        state.task_left(of(0), Some(ended(0)), later);
        assert_eq!(state.want(0, later), 1 + 2 * 5);
        // The other task is slow, too. When both are slow, nothing is prefetched.
        let much_later = now + PREFETCH_TIME * 2;
        assert_eq!(state.want(0, much_later), 1 + 5);
        state.assign(tasks(5..6), much_later);
        state.start(much_later);
        assert_eq!(state.want(0, much_later + PREFETCH_TIME * 2), 0);
    }

    #[test]
    fn prefetched_task_is_returned_after_the_timeout() {
        let now = Instant::now();
        let mut state = busy(1, now);
        state.assign(tasks(1..3), now);
        state.expire_prefetched(now + PREFETCH_TIMEOUT.saturating_sub(Duration::from_millis(1)));
        assert!(!state.has_to_report());
        state.expire_prefetched(now + PREFETCH_TIMEOUT);
        let report = state.report(0, false, vec![]);
        assert_eq!(report.returned, [key(&task(1)), key(&task(2))]);
        assert_eq!(state.held().len(), 3, "until the report is answered, it may be held");
        state.report_delivered();
        assert_eq!(state.held(), [of(0)]);
        state.task_left(of(0), None, now);
        state.assign(tasks(1..2), now);
        assert!(state.start(now).is_none(), "a late word about it changes nothing");
    }

    fn watching(id: i64) -> AssignedTask {
        let mut task = task(id);
        task.task.spec.watch = Some((Uuid::nil(), mitosis_protocol::ExecState::TaskCommitted));
        task
    }

    #[test]
    fn watching_task_uses_no_slot_until_the_target_state() {
        let now = Instant::now();
        let mut state = agent(1);
        state.assign(vec![watching(1)], now);
        assert!(state.start(now).is_none());
        assert_eq!((state.want(0, now), state.held()), (1, vec![of(1)]));
        state.assign(vec![watching(1), task(2)], now);
        assert_eq!(attempt_ref(&state.start(now).unwrap().1), of(2));
        let [begins] = &state.take_watching()[..] else { panic!("it came twice and is one") };
        state.watch_completed(AssignedTask { task: task(1).task, ..begins.clone() }, now);
        assert!(state.start(now).is_none(), "the slot is taken");
        state.task_left(of(2), Some(ended(2)), now);
        assert_eq!(attempt_ref(&state.start(now).unwrap().1), of(1));
    }

    #[test]
    fn watching_task_can_be_stopped_revoked_and_returned() {
        let now = Instant::now();
        let mut state = agent(1);
        state.assign((1..=4).map(watching).collect(), now);
        assert_eq!(state.apply_directive(of(1), Directive::Stop), None);
        assert_eq!(state.apply_directive(of(2), Directive::Revoke), None);
        state.end_unstarted(key(&task(3)), TaskResultMessage::WatchTimeout);
        state.drain();
        let report = state.report(0, false, vec![]);
        let ends: Vec<_> =
            report.ended.iter().map(|end| (end.key.id, end.cancelled, end.result.msg)).collect();
        let [stopped, late] =
            [TaskResultMessage::UserCancellation, TaskResultMessage::WatchTimeout].map(Some);
        assert_eq!(ends, [(1, true, stopped), (3, true, late)]);
        assert_eq!(report.returned, [key(&task(4))]);
        assert!(state.take_watching().is_empty());
    }

    #[test]
    fn watching_tasks_beyond_the_limit_are_returned() {
        let now = Instant::now();
        let mut state = agent(1);
        state.assign((0..18).map(watching).collect(), now);
        assert_eq!(state.report(0, false, vec![]).returned, [key(&task(16)), key(&task(17))]);
        assert_eq!(state.want(0, now), 0, "nothing else came, so it rests");
        assert_eq!(state.want(0, state.resume_at().unwrap()), 1 + 2 * 2);
    }

    #[test]
    fn task_assigned_twice_runs_once() {
        let now = Instant::now();
        let mut state = agent(1);
        state.assign(vec![task(1), task(1), task(2)], now);
        let (_, first, _) = state.start(now).unwrap();
        assert_eq!(attempt_ref(&first), of(1));
        state.assign(tasks(1..3), now);
        state.task_left(of(1), Some(ended(1)), now);
        state.assign(tasks(1..3), now);
        assert_eq!(attempt_ref(&state.start(now).unwrap().1), of(2));
        state.task_left(of(2), Some(ended(2)), now);
        assert!(state.start(now).is_none());
        // Another attempt of the same task is accepted.
        state.assign(vec![AssignedTask { epoch: Epoch(2), ..task(1) }], now);
        assert!(state.start(now).is_some());
    }

    #[test]
    fn failed_report_is_repeated_before_newer_results() {
        let now = Instant::now();
        let mut state = busy(2, now);
        state.task_left(of(0), Some(ended(0)), now);
        assert_eq!(state.report(1, false, vec![]).ended.len(), 1);
        state.task_left(of(1), Some(ended(1)), now);
        assert!(!state.has_to_report(), "one at a time");
        state.report_failed();
        let again: Vec<i64> = state.report(0, false, vec![]).ended.iter().map(|ended| ended.key.id).collect();
        assert_eq!(again, [0, 1]);
        assert!(!state.has_reported_all());
        state.report_delivered();
        assert!(state.has_reported_all());
    }

    #[test]
    fn directive_applies_to_waiting_and_running_tasks() {
        let now = Instant::now();
        let mut state = busy(1, now);
        state.assign(tasks(1..3), now);
        assert_eq!(state.apply_directive(of(0), Directive::Stop), Some(0));
        assert_eq!(state.apply_directive(of(1), Directive::Stop), None);
        assert_eq!(state.apply_directive(of(2), Directive::Revoke), None);
        assert_eq!(state.apply_directive(of(9), Directive::Revoke), None);
        let report = state.report(0, false, vec![]);
        assert_eq!(report.ended.len(), 1, "what is dropped is not reported");
        assert_eq!(report.ended[0].result.msg, Some(TaskResultMessage::UserCancellation));
        assert!(state.waiting.is_empty());
    }

    #[test]
    fn draining_agent_returns_waiting_tasks_and_wants_none() {
        let now = Instant::now();
        let mut state = busy(1, now);
        state.assign(tasks(1..2), now);
        state.drain();
        state.assign(tasks(2..3), now);
        assert_eq!(state.want(0, now), 0);
        assert_eq!(state.report(0, false, vec![]).returned.len(), 2);
        assert_eq!(state.running.len(), 1, "running tasks continue");
    }

    #[test]
    fn slot_that_cannot_start_a_task_returns_it_and_pauses() {
        let now = Instant::now();
        let mut state = busy(2, now);
        let slot = state.running[&attempt_ref(&task(1))].slot;
        state.start_failed(key(&task(1)));
        assert_eq!(state.want(0, now), 0, "the other slot is busy, and this one rests");
        assert_eq!(state.report(0, false, vec![]).returned, [key(&task(1))]);
        state.assign(tasks(1..3), now);
        assert!(state.start(now).is_none());
        state.slot_ready(slot);
        assert_eq!(attempt_ref(&state.start(now).unwrap().1), of(2), "what was returned is not started here");
    }

    fn with_cpus(id: i64, cpus: &str) -> AssignedTask {
        let mut task = task(id);
        task.task.spec.request.cpus = cpus.parse().unwrap();
        task
    }

    #[test]
    fn task_starts_when_what_it_requests_is_free() {
        let now = Instant::now();
        let inventory = Inventory { tasks: 16, ..Inventory::of_slots(4) };
        let mut state = AgentState::new(inventory);
        assert_eq!((state.want(0, now), state.has_room(now)), (4, true));
        state.assign(vec![with_cpus(1, "2.5"), with_cpus(2, "2"), with_cpus(3, "0.5"), task(4)], now);
        assert_eq!((state.want(0, now), state.has_room(now)), (0, false), "more waits than fits");
        let started = |state: &mut AgentState| {
            let start = || {
                state.start(now).map(|(_, task, granted)| (task.task.id, granted.cpus.unwrap().to_string()))
            };
            std::iter::from_fn(start).collect::<Vec<_>>()
        };
        let of = |id, cpus: &str| (id, cpus.to_owned());
        assert_eq!(started(&mut state), [of(1, "2.5"), of(3, "0.5"), of(4, "1")]);
        let later = now + Duration::from_secs(1);
        state.task_left(super::tests::of(1), Some(ended(1)), later);
        assert_eq!(started(&mut state), [of(2, "2")]);
        assert_eq!((state.want(0, later), state.has_room(later)), (0, true), "half a processor is free");
        state.start_failed(key(&task(2)));
        assert_eq!(
            (state.want(0, later), state.has_room(later)),
            (0, true),
            "what the resting slot held is kept"
        );
    }

    #[test]
    fn task_that_does_not_fit_is_returned_after_the_timeout() {
        let now = Instant::now();
        let mut state = AgentState::new(Inventory { tasks: 16, ..Inventory::of_slots(4) });
        state.assign(vec![with_cpus(1, "3"), with_cpus(2, "2")], now);
        assert!(state.start(now).is_some() && state.start(now).is_none());
        state.expire_prefetched(now + PREFETCH_TIMEOUT);
        assert_eq!(state.report(0, false, vec![]).returned, [key(&task(2))]);
    }

    #[test]
    fn number_of_remembered_attempts_is_bounded() {
        let now = Instant::now();
        let mut state = agent(1);
        for id in 0..i64::try_from(MAX_REMEMBERED).unwrap() + 10 {
            state.task_left(of(id), None, now);
        }
        assert_eq!((state.done.len(), state.remembered.len()), (MAX_REMEMBERED, MAX_REMEMBERED));
    }
}
