//! What an agent has in hand, and what follows from it: pure bookkeeping, with the time as an argument.
//!
//! A task is assigned, waits for a slot, runs, ends, is reported. What waits too long goes back, so that
//! somebody else can have it. Whatever is said twice counts once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use mitosis_protocol::agent::{
    AssignedTask, AttemptKey, AttemptRef, EndedTask, LiveState, MAX_BATCH, ReportBatch,
};
use mitosis_protocol::{TaskResult, TaskResultMessage};
use tokio::time::Instant;

use super::line::Line;
use super::watching::Watching;

/// Tasks are fetched ahead for about so long. Those of other groups wait no longer than that
/// behind them.
const AHEAD: Duration = Duration::from_millis(25);
/// Most tasks that are fetched ahead for one slot.
const MOST_AHEAD: usize = 64;
/// Attempts that are remembered after their end, so that a late word about them changes nothing.
const REMEMBERED: usize = 8_192;

/// What the coordinator said about an attempt that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// It is not this agent's any more.
    Dropped,
    /// A user wants it to be stopped.
    Stop,
}

/// Everything an agent has in hand.
#[derive(Debug)]
pub(super) struct Hand {
    free: Vec<usize>,
    waiting: Line,
    watching: Watching,
    running: HashMap<AttemptRef, Running>,
    ended: Vec<EndedTask>,
    returned: Vec<AttemptKey>,
    /// What the report under way says.
    under_way: Option<ReportBatch>,
    remembered: VecDeque<AttemptRef>,
    over: HashSet<AttemptRef>,
    pace: Pace,
    draining: bool,
}

#[derive(Debug, Clone, Copy)]
struct Running {
    slot: usize,
    since: Instant,
}

/// How long tasks take here, as far as that is known.
#[derive(Debug, Clone, Copy, Default)]
struct Pace(Option<Duration>);

impl Pace {
    /// The latest counts for an eighth.
    fn note(&mut self, length: Duration) {
        self.0 = Some(self.0.map_or(length, |mean| (mean * 7 + length) / 8));
    }

    /// How many tasks a slot goes through in the time for which tasks are fetched ahead.
    fn ahead(self) -> usize {
        let Some(mean) = self.0 else { return 0 };
        let ahead = AHEAD.as_micros() / mean.as_micros().max(1);
        usize::try_from(ahead).unwrap_or(MOST_AHEAD).min(MOST_AHEAD)
    }
}

/// The name of an attempt.
pub(super) fn named(task: &AssignedTask) -> AttemptRef {
    AttemptRef { id: task.task.id, epoch: task.epoch }
}

/// The attempt that a key is for.
pub(super) fn attempt(key: &AttemptKey) -> AttemptRef {
    AttemptRef { id: key.id, epoch: key.epoch }
}

/// The proof that an attempt is held.
pub(super) fn key(task: &AssignedTask) -> AttemptKey {
    AttemptKey { id: task.task.id, epoch: task.epoch, token: task.token }
}

impl Hand {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            free: (0..slots).rev().collect(),
            waiting: Line::default(),
            watching: Watching::new(slots),
            running: HashMap::new(),
            ended: Vec::new(),
            returned: Vec::new(),
            under_way: None,
            remembered: VecDeque::new(),
            over: HashSet::new(),
            pace: Pace::default(),
            draining: false,
        }
    }

    /// Takes tasks that were handed out; those that are known already came twice.
    pub(super) fn assign(&mut self, tasks: Vec<AssignedTask>, now: Instant) {
        let (mut joined, mut too_many) = (0, 0);
        for task in tasks {
            if self.knows(named(&task)) {
                continue;
            }
            if self.draining {
                self.give_back(&task);
            } else if task.task.spec.watch.is_none() {
                self.waiting.join(task, now);
                joined += 1;
            } else if self.watching.has_room() {
                self.watching.admit(task);
            } else {
                self.give_back(&task);
                too_many += 1;
            }
        }
        if too_many > 0 {
            self.watching.were_too_many(too_many, joined == 0, now);
        }
    }

    fn knows(&self, named: AttemptRef) -> bool {
        self.waiting.contains(named)
            || self.watching.contains(named)
            || self.running.contains_key(&named)
            || self.over.contains(&named)
    }

    /// Tasks that have to begin to watch others.
    pub(super) fn take_watching(&mut self) -> Vec<AssignedTask> {
        self.watching.take_new()
    }

    /// A task has seen what it watches, and waits for a slot.
    pub(super) fn has_watched(&mut self, task: AssignedTask, now: Instant) {
        if self.watching.remove(named(&task)).is_some() {
            self.waiting.join(task, now);
        }
    }

    /// A task is not started, and this is why.
    pub(super) fn ends_unstarted(&mut self, key: AttemptKey, why: TaskResultMessage) {
        self.watching.remove(attempt(&key));
        self.remember(attempt(&key));
        let result = TaskResult { exit_status: 0, msg: Some(why) };
        self.ended.push(EndedTask {
            key,
            cancelled: true,
            result,
            left_archives: false,
            data: None,
            warnings: Vec::new(),
        });
    }

    /// The next task to be started, and in which slot.
    pub(super) fn start(&mut self, now: Instant) -> Option<(usize, AssignedTask)> {
        if self.waiting.is_empty() {
            return None;
        }
        let slot = self.free.pop()?;
        let task = self.waiting.pop().expect("one waits");
        self.running.insert(named(&task), Running { slot, since: now });
        Some((slot, task))
    }

    /// A task left its slot; with its end, unless there is nothing to report.
    pub(super) fn left(&mut self, named: AttemptRef, ended: Option<EndedTask>, now: Instant) {
        if let Some(Running { slot, since }) = self.running.remove(&named) {
            self.free.push(slot);
            self.pace.note(now - since);
        }
        self.remember(named);
        self.ended.extend(ended);
    }

    /// A task could not be started in its slot: somebody else may have it, and the slot takes no other one
    /// until it is said to be [ready](Self::slot_is_ready).
    pub(super) fn was_not_started(&mut self, key: AttemptKey) {
        self.running.remove(&attempt(&key));
        self.was_refused(key);
    }

    /// A slot takes tasks again.
    pub(super) fn slot_is_ready(&mut self, slot: usize) {
        self.free.push(slot);
    }

    /// An attempt that left its slot is of no use any more; another one is wanted.
    pub(super) fn was_refused(&mut self, key: AttemptKey) {
        self.watching.remove(attempt(&key));
        self.remember(attempt(&key));
        self.returned.push(key);
    }

    /// What the coordinator says about an attempt; answers the slot that has to be told.
    pub(super) fn hear(&mut self, named: AttemptRef, word: Word) -> Option<usize> {
        if let Some(running) = self.running.get(&named) {
            return Some(running.slot);
        }
        let waiting = self.waiting.remove(named).map(|task| key(&task));
        let key = waiting.or_else(|| self.watching.remove(named))?;
        self.remember(named);
        if word == Word::Stop {
            self.ends_unstarted(key, TaskResultMessage::UserCancellation);
        }
        None
    }

    /// Gives everything back that waits for a slot.
    pub(super) fn return_waiting(&mut self) {
        for task in self.waiting.take_all() {
            self.give_back(&task);
        }
    }

    /// Takes no more tasks; those that wait go back.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        self.return_waiting();
        for key in self.watching.take_all() {
            self.was_refused(key);
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Gives back what has waited for a slot for too long.
    pub(super) fn lose_patience(&mut self, now: Instant) {
        if !self.free.is_empty() {
            return;
        }
        for task in self.waiting.take_overdue(now) {
            self.give_back(&task);
        }
    }

    /// When to look again whether something has waited for too long.
    pub(super) fn patience_ends(&self) -> Option<Instant> {
        self.waiting.patience_ends()
    }

    /// How many tasks it would take, beside so many that it has asked for.
    pub(super) fn want(&self, asked: usize, now: Instant) -> usize {
        if self.draining {
            return 0;
        }
        // Behind a task that takes long, nothing is fetched ahead.
        let slow = self.running.values().filter(|running| now - running.since > AHEAD).count();
        let slots = self.free.len() + self.running.len();
        let quick = slots - slow;
        let goal = slots + quick * self.pace.ahead();
        let can_run = goal.saturating_sub(self.running.len() + self.waiting.len() + asked);
        self.watching.want(can_run, now).min(MAX_BATCH)
    }

    /// When tasks are asked for again, after too many came that watch others.
    pub(super) fn rest_ends(&self) -> Option<Instant> {
        self.watching.rest_ends()
    }

    /// Everything that the coordinator may believe it holds.
    pub(super) fn held(&self) -> Vec<AttemptRef> {
        let reporting = self.under_way.iter().flat_map(|report| &report.ended);
        let returning = self.under_way.iter().flat_map(|report| &report.returned);
        let returned = self.returned.iter().chain(returning);
        self.waiting
            .names()
            .chain(self.watching.names())
            .chain(self.running.keys().copied())
            .chain(self.ended.iter().chain(reporting).map(|ended| attempt(&ended.key)))
            .chain(returned.map(attempt))
            .collect()
    }

    /// Whether there is something to report, and no report is under way.
    pub(super) fn has_to_report(&self) -> bool {
        self.under_way.is_none() && !(self.ended.is_empty() && self.returned.is_empty())
    }

    /// Whether no report is under way.
    pub(super) fn can_report(&self) -> bool {
        self.under_way.is_none()
    }

    /// Whether nothing is left to be run or told.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty() && self.watching.is_empty() && self.has_told_all()
    }

    /// Whether everything that ended has been told.
    pub(super) fn has_told_all(&self) -> bool {
        self.under_way.is_none() && self.ended.is_empty() && self.returned.is_empty()
    }

    /// The next report. It is under way until it is answered; should it fail, it is said again.
    pub(super) fn report(&mut self, want: usize, states: Vec<LiveState>) -> ReportBatch {
        let ended = self.ended.drain(..self.ended.len().min(MAX_BATCH)).collect();
        let returned = self.returned.drain(..self.returned.len().min(MAX_BATCH)).collect();
        let want = u32::try_from(want).unwrap_or(u32::MAX);
        let report = ReportBatch { ended, returned, want, states };
        self.under_way = Some(report.clone());
        report
    }

    /// The report under way was answered.
    pub(super) fn answered(&mut self) -> Option<ReportBatch> {
        self.under_way.take()
    }

    /// The report under way has to be said again. What it asked for may have been given. Answers the states
    /// that it told.
    pub(super) fn unanswered(&mut self) -> Vec<LiveState> {
        let Some(report) = self.under_way.take() else { return Vec::new() };
        self.ended.splice(0..0, report.ended);
        self.returned.splice(0..0, report.returned);
        report.states
    }

    fn give_back(&mut self, task: &AssignedTask) {
        self.remember(named(task));
        self.returned.push(key(task));
    }

    fn remember(&mut self, named: AttemptRef) {
        if self.over.insert(named) {
            self.remembered.push_back(named);
        }
        if self.remembered.len() > REMEMBERED
            && let Some(oldest) = self.remembered.pop_front()
        {
            self.over.remove(&oldest);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use mitosis_protocol::worker::FetchedTask;
    use mitosis_protocol::{TaskSpec, Uuid};

    use super::super::line::PATIENCE;
    use super::*;

    pub(in super::super) fn task(id: i64) -> AssignedTask {
        let spec = TaskSpec::default();
        let timeout = Duration::from_secs(60);
        let task = FetchedTask { id, uuid: Uuid::nil(), timeout, upstream_task_uuid: None, spec };
        AssignedTask { task, epoch: 1, token: 7, group: 1, priority: 0 }
    }

    fn tasks(ids: std::ops::Range<i64>) -> Vec<AssignedTask> {
        ids.map(task).collect()
    }

    fn of(id: i64) -> AttemptRef {
        AttemptRef { id, epoch: 1 }
    }

    fn ended(id: i64) -> EndedTask {
        let result = TaskResult { exit_status: 0, msg: None };
        EndedTask {
            key: key(&task(id)),
            cancelled: false,
            result,
            left_archives: false,
            data: None,
            warnings: Vec::new(),
        }
    }

    /// A hand whose slots all run a task that began just now.
    fn busy(slots: i64, now: Instant) -> Hand {
        let mut hand = Hand::new(usize::try_from(slots).unwrap());
        hand.assign(tasks(0..slots), now);
        while hand.start(now).is_some() {}
        hand
    }

    #[test]
    fn an_idle_hand_wants_a_task_for_each_slot_that_it_has_not_asked_for_yet() {
        let now = Instant::now();
        let mut hand = Hand::new(4);
        assert_eq!((hand.want(0, now), hand.want(3, now), hand.want(9, now)), (4, 1, 0));
        hand.assign(tasks(0..3), now);
        assert_eq!(hand.want(0, now), 1);
    }

    #[test]
    fn short_tasks_are_fetched_ahead_and_nothing_behind_a_long_one() {
        let now = Instant::now();
        let mut hand = busy(2, now);
        assert_eq!(hand.want(0, now), 0, "nothing is known of how long they take");
        let later = now + Duration::from_millis(5);
        hand.left(of(0), Some(ended(0)), later);
        assert_eq!(hand.want(0, later), 1 + 2 * 5);
        // The other one turns out to be long; and when both are, nothing is fetched ahead.
        let much_later = now + AHEAD * 2;
        assert_eq!(hand.want(0, much_later), 1 + 5);
        hand.assign(tasks(5..6), much_later);
        hand.start(much_later);
        assert_eq!(hand.want(0, much_later + AHEAD * 2), 0);
    }

    #[test]
    fn what_waits_too_long_behind_others_goes_back_and_is_not_run_here_any_more() {
        let now = Instant::now();
        let mut hand = busy(1, now);
        hand.assign(tasks(1..3), now);
        hand.lose_patience(now + PATIENCE.saturating_sub(Duration::from_millis(1)));
        assert!(!hand.has_to_report());
        hand.lose_patience(now + PATIENCE);
        let report = hand.report(0, vec![]);
        assert_eq!(report.returned, [key(&task(1)), key(&task(2))]);
        assert_eq!(hand.held().len(), 3, "until the report is answered, it may be held");
        hand.answered();
        assert_eq!(hand.held(), [of(0)]);
        hand.left(of(0), None, now);
        hand.assign(tasks(1..2), now);
        assert!(hand.start(now).is_none(), "a late word about it changes nothing");
    }

    fn watching(id: i64) -> AssignedTask {
        let mut task = task(id);
        task.task.spec.watch = Some((Uuid::nil(), mitosis_protocol::ExecState::TaskCommitted));
        task
    }

    #[test]
    fn task_that_watches_leaves_the_slot_to_others_until_it_has_seen_enough() {
        let now = Instant::now();
        let mut hand = Hand::new(1);
        hand.assign(vec![watching(1)], now);
        assert!(hand.start(now).is_none());
        assert_eq!((hand.want(0, now), hand.held()), (1, vec![of(1)]));
        hand.assign(vec![watching(1), task(2)], now);
        assert_eq!(named(&hand.start(now).unwrap().1), of(2));
        let [begins] = &hand.take_watching()[..] else { panic!("it came twice and is one") };
        hand.has_watched(AssignedTask { task: task(1).task, ..begins.clone() }, now);
        assert!(hand.start(now).is_none(), "the slot is taken");
        hand.left(of(2), Some(ended(2)), now);
        assert_eq!(named(&hand.start(now).unwrap().1), of(1));
    }

    #[test]
    fn task_that_watches_can_be_stopped_dropped_and_given_back() {
        let now = Instant::now();
        let mut hand = Hand::new(1);
        hand.assign((1..=4).map(watching).collect(), now);
        assert_eq!(hand.hear(of(1), Word::Stop), None);
        assert_eq!(hand.hear(of(2), Word::Dropped), None);
        hand.ends_unstarted(key(&task(3)), TaskResultMessage::WatchTimeout);
        hand.drain();
        let report = hand.report(0, vec![]);
        let ends: Vec<_> =
            report.ended.iter().map(|end| (end.key.id, end.cancelled, end.result.msg)).collect();
        let [stopped, late] =
            [TaskResultMessage::UserCancellation, TaskResultMessage::WatchTimeout].map(Some);
        assert_eq!(ends, [(1, true, stopped), (3, true, late)]);
        assert_eq!(report.returned, [key(&task(4))]);
        assert!(hand.take_watching().is_empty());
    }

    #[test]
    fn tasks_that_watch_beyond_the_limit_go_back_and_more_is_asked_for() {
        let now = Instant::now();
        let mut hand = Hand::new(1);
        hand.assign((0..18).map(watching).collect(), now);
        assert_eq!(hand.report(0, vec![]).returned, [key(&task(16)), key(&task(17))]);
        assert_eq!(hand.want(0, now), 0, "nothing else came, so it rests");
        assert_eq!(hand.want(0, hand.rest_ends().unwrap()), 1 + 2 * 2);
    }

    #[test]
    fn what_is_handed_out_twice_is_run_once() {
        let now = Instant::now();
        let mut hand = Hand::new(1);
        hand.assign(vec![task(1), task(1), task(2)], now);
        let (_, first) = hand.start(now).unwrap();
        assert_eq!(named(&first), of(1));
        hand.assign(tasks(1..3), now);
        hand.left(of(1), Some(ended(1)), now);
        hand.assign(tasks(1..3), now);
        assert_eq!(named(&hand.start(now).unwrap().1), of(2));
        hand.left(of(2), Some(ended(2)), now);
        assert!(hand.start(now).is_none());
        // Another attempt of the same task is another matter.
        hand.assign(vec![AssignedTask { epoch: 2, ..task(1) }], now);
        assert!(hand.start(now).is_some());
    }

    #[test]
    fn a_report_without_an_answer_is_said_again_before_anything_newer() {
        let now = Instant::now();
        let mut hand = busy(2, now);
        hand.left(of(0), Some(ended(0)), now);
        assert_eq!(hand.report(1, vec![]).ended.len(), 1);
        hand.left(of(1), Some(ended(1)), now);
        assert!(!hand.has_to_report(), "one at a time");
        hand.unanswered();
        let again: Vec<i64> = hand.report(0, vec![]).ended.iter().map(|ended| ended.key.id).collect();
        assert_eq!(again, [0, 1]);
        assert!(!hand.has_told_all());
        hand.answered();
        assert!(hand.has_told_all());
    }

    #[test]
    fn a_word_about_a_task_that_waits_is_obeyed_here_and_about_one_that_runs_in_its_slot() {
        let now = Instant::now();
        let mut hand = busy(1, now);
        hand.assign(tasks(1..3), now);
        assert_eq!(hand.hear(of(0), Word::Stop), Some(0));
        assert_eq!(hand.hear(of(1), Word::Stop), None);
        assert_eq!(hand.hear(of(2), Word::Dropped), None);
        assert_eq!(hand.hear(of(9), Word::Dropped), None);
        let report = hand.report(0, vec![]);
        assert_eq!(report.ended.len(), 1, "what is dropped is not reported");
        assert_eq!(report.ended[0].result.msg, Some(TaskResultMessage::UserCancellation));
        assert!(hand.waiting.is_empty());
    }

    #[test]
    fn a_draining_hand_gives_back_what_waits_and_wants_nothing() {
        let now = Instant::now();
        let mut hand = busy(1, now);
        hand.assign(tasks(1..2), now);
        hand.drain();
        hand.assign(tasks(2..3), now);
        assert_eq!(hand.want(0, now), 0);
        assert_eq!(hand.report(0, vec![]).returned.len(), 2);
        assert_eq!(hand.running.len(), 1, "what runs goes on");
    }

    #[test]
    fn slot_that_cannot_start_a_task_returns_it_and_rests() {
        let now = Instant::now();
        let mut hand = busy(2, now);
        hand.was_not_started(key(&task(1)));
        assert_eq!(hand.want(0, now), 0, "the other slot is busy, and this one rests");
        assert_eq!(hand.report(0, vec![]).returned, [key(&task(1))]);
        hand.assign(tasks(1..3), now);
        assert!(hand.start(now).is_none());
        hand.slot_is_ready(0);
        assert_eq!(named(&hand.start(now).unwrap().1), of(2), "what was returned is not started here");
    }

    #[test]
    fn only_so_many_attempts_are_remembered() {
        let now = Instant::now();
        let mut hand = Hand::new(1);
        for id in 0..i64::try_from(REMEMBERED).unwrap() + 10 {
            hand.left(of(id), None, now);
        }
        assert_eq!((hand.over.len(), hand.remembered.len()), (REMEMBERED, REMEMBERED));
    }
}
