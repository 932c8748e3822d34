//! Fairness between groups, between the members of a group, and between workers that request tasks at the same time.
//!
//! This is pure bookkeeping. It only determines an order; the store guarantees that a task goes to one worker
//! only.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use mitosis_protocol::Timestamp;

/// Most groups that are remembered; beyond that, idle ones are dropped.
const MAX_REMEMBERED: usize = 10_000;

/// How far a group that has used less slot time is behind at most: it makes up for this much, and no more.
const MOST_BEHIND: Duration = Duration::from_secs(60);

/// Shares slots among groups, or among the members of one, by the time that their tasks hold them. The one that has used the
/// least comes first, and a task counts for as long as it runs. One that was idle for long gets the next free slots, and
/// shares equally from then on. Slot time is divided by the weight.
#[derive(Debug, Clone)]
pub struct FairShare<G> {
    groups: HashMap<G, Usage>,
    /// Weights other than 1.
    weights: HashMap<G, u32>,
    /// The most that any group has used.
    lead: i64,
}

/// What a group has used. Times are in microseconds, divided by the weight of the group.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    /// Slot time until `since`.
    used: i64,
    /// Tasks that run.
    running: i64,
    since: i64,
}

impl Usage {
    /// The slot time used at a time.
    fn at(self, now: i64, weight: i64) -> i64 {
        self.used.saturating_add(self.running.saturating_mul((now - self.since).max(0)) / weight)
    }

    fn advance(&mut self, now: i64, weight: i64) {
        self.used = self.at(now, weight);
        self.since = self.since.max(now);
    }
}

/// A group in a queue, of which the one that has used the least comes first.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// What it has used, with a second for each of its tasks: groups that begin at the same time get as many slots.
    used: i64,
    index: usize,
    /// What a further task adds.
    in_advance: i64,
}

/// What a running task counts in advance.
const IN_ADVANCE: i64 = 1_000_000;

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap has the largest on top. Equal groups keep the given order.
        (other.used, other.index).cmp(&(self.used, self.index))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<G> Default for FairShare<G> {
    fn default() -> Self {
        Self { groups: HashMap::new(), weights: HashMap::new(), lead: 0 }
    }
}

impl<G: Copy + Eq + Hash> FairShare<G> {
    /// How many of the next `count` tasks each of the groups gets, if all of them have enough.
    pub fn shares(&self, groups: &[G], count: usize, now: Timestamp) -> Vec<usize> {
        let mut shares = vec![0; groups.len()];
        let mut line = self.line(groups, now);
        for _ in 0..count {
            let Some(mut first) = line.pop() else { break };
            shares[first.index] += 1;
            first.used = first.used.saturating_add(first.in_advance);
            line.push(first);
        }
        shares
    }

    /// The order in which groups with these numbers of tasks take them: positions in `groups`.
    pub fn order(&self, groups: &[(G, usize)], now: Timestamp) -> Vec<usize> {
        let names: Vec<G> = groups.iter().map(|(group, _)| *group).collect();
        let mut left: Vec<usize> = groups.iter().map(|(_, tasks)| *tasks).collect();
        let mut order = Vec::with_capacity(left.iter().sum());
        let mut line = self.line(&names, now);
        while let Some(mut first) = line.pop() {
            if left[first.index] > 0 {
                left[first.index] -= 1;
                order.push(first.index);
                first.used = first.used.saturating_add(first.in_advance);
                line.push(first);
            }
        }
        order
    }

    /// The groups, the one that comes first in front: positions in `groups`.
    pub fn ranked(&self, groups: &[G], now: Timestamp) -> Vec<usize> {
        let mut line = self.line(groups, now);
        std::iter::from_fn(|| line.pop()).map(|place| place.index).collect()
    }

    /// A task of a group has started.
    pub fn started(&mut self, group: G, now: Timestamp) {
        let (now, weight) = (now.unix_micros(), self.weight(&group));
        let usage = self.groups.entry(group).or_insert(Usage { since: now, ..Usage::default() });
        usage.advance(now, weight);
        usage.used = usage.used.max(at_least(self.lead));
        usage.running += 1;
        self.lead = self.lead.max(usage.used);
        if self.groups.len() > MAX_REMEMBERED {
            self.groups.retain(|_, usage| usage.running > 0);
        }
    }

    /// A task of a group has ended.
    pub fn ended(&mut self, group: G, now: Timestamp) {
        let weight = self.weight(&group);
        if let Some(usage) = self.groups.get_mut(&group) {
            usage.advance(now.unix_micros(), weight);
            usage.running = (usage.running - 1).max(0);
            self.lead = self.lead.max(usage.used);
        }
    }

    /// Corrects the numbers of running tasks; groups that are left out have none.
    pub fn set_running(&mut self, running: &HashMap<G, u64>, now: Timestamp) {
        let now_micros = now.unix_micros();
        for group in running.keys() {
            self.groups.entry(*group).or_insert(Usage { since: now_micros, ..Usage::default() });
        }
        self.advance_all(now);
        for (group, usage) in &mut self.groups {
            usage.running = running.get(group).map_or(0, |count| i64::try_from(*count).unwrap_or(i64::MAX));
        }
    }

    /// Sets the weights, which count from then on. Groups that are left out have the weight 1, as 0 does.
    pub fn set_weights(&mut self, weights: HashMap<G, u32>, now: Timestamp) {
        if self.weights != weights {
            self.advance_all(now);
            self.weights = weights;
        }
    }

    /// Whether no task runs.
    pub fn is_idle(&self) -> bool {
        self.groups.values().all(|usage| usage.running == 0)
    }

    fn advance_all(&mut self, now: Timestamp) {
        for (group, usage) in &mut self.groups {
            usage.advance(now.unix_micros(), weight_in(&self.weights, group));
            self.lead = self.lead.max(usage.used);
        }
    }

    fn weight(&self, group: &G) -> i64 {
        weight_in(&self.weights, group)
    }

    fn line(&self, groups: &[G], now: Timestamp) -> BinaryHeap<Place> {
        let now = now.unix_micros();
        let place = |(index, group): (usize, &G)| {
            let (usage, weight) = (self.groups.get(group).copied().unwrap_or_default(), self.weight(group));
            let ahead = usage.running.saturating_mul(IN_ADVANCE) / weight;
            let used = usage.at(now, weight).max(at_least(self.lead)).saturating_add(ahead);
            Place { used, index, in_advance: IN_ADVANCE / weight }
        };
        groups.iter().enumerate().map(place).collect()
    }
}

fn weight_in<G: Eq + Hash>(weights: &HashMap<G, u32>, group: &G) -> i64 {
    weights.get(group).map_or(1, |weight| i64::from((*weight).max(1)))
}

/// The least that a group counts as used.
fn at_least(lead: i64) -> i64 {
    lead - i64::try_from(MOST_BEHIND.as_micros()).unwrap_or(i64::MAX)
}

/// Distributes `count` tasks among requests, one at a time in turn, until every request is satisfied. Returns
/// the index of the request that gets each task.
pub fn distribute(wants: &[usize], count: usize) -> Vec<usize> {
    let mut open: Vec<(usize, usize)> =
        wants.iter().copied().enumerate().filter(|(_, want)| *want > 0).collect();
    let mut recipients = Vec::with_capacity(count);
    while recipients.len() < count && !open.is_empty() {
        for (index, want) in &mut open {
            if recipients.len() == count {
                break;
            }
            *want -= 1;
            recipients.push(*index);
        }
        open.retain(|(_, want)| *want > 0);
    }
    recipients
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> Timestamp {
        Timestamp::parse("2031-02-09T17:04:05Z").unwrap()
    }

    /// A group whose tasks all take the same time.
    struct Load {
        name: &'static str,
        arrives: u64,
        tasks: usize,
        /// Seconds.
        duration: u64,
        weight: u32,
    }

    impl Load {
        fn new(name: &'static str, tasks: usize, duration: u64) -> Self {
            Self { name, arrives: 0, tasks, duration, weight: 1 }
        }
    }

    /// Runs loads on slots for a time, second by second; returns the slot seconds of each load in the window, and when its
    /// first task started.
    fn simulate(loads: &[Load], slots: usize, window: std::ops::Range<u64>) -> Vec<(u64, Option<u64>)> {
        let mut shares = FairShare::default();
        shares.set_weights(loads.iter().map(|load| (load.name, load.weight)).collect(), start());
        let mut left: Vec<usize> = loads.iter().map(|load| load.tasks).collect();
        let mut running: Vec<(usize, u64)> = Vec::new();
        let mut used = vec![(0, None); loads.len()];
        for second in 0..window.end {
            let now = start() + SECOND * u32::try_from(second).unwrap();
            running.retain(|(load, end)| {
                if *end == second {
                    shares.ended(loads[*load].name, now);
                }
                *end != second
            });
            let waiting = |at: &usize| left[*at] > 0 && loads[*at].arrives <= second;
            let waiting: Vec<usize> = (0..loads.len()).filter(waiting).collect();
            let queues: Vec<_> = waiting.iter().map(|at| (loads[*at].name, left[*at].min(slots))).collect();
            for place in shares.order(&queues, now).into_iter().take(slots - running.len()) {
                let load = waiting[place];
                left[load] -= 1;
                shares.started(loads[load].name, now);
                used[load].1.get_or_insert(second);
                running.push((load, second + loads[load].duration));
            }
            if window.contains(&second) {
                for (load, _) in &running {
                    used[*load].0 += 1;
                }
            }
        }
        used
    }

    #[test]
    fn groups_share_slot_time_and_not_numbers_of_tasks() {
        let (short, long) = (Load::new("short", 1_000_000, 1), Load::new("long", 40, 60));
        let [short, long] = simulate(&[short, long], 4, 0..1_000)[..] else { panic!("two loads") };
        assert!(short.0.abs_diff(long.0) <= 4_000 / 20, "{short:?} {long:?}");
    }

    #[test]
    fn newcomer_starts_when_the_next_slot_is_free_and_then_shares_equally() {
        let old = Load::new("old", 1_000_000, 7);
        let new = Load { arrives: 500, ..Load::new("new", 1_000_000, 3) };
        let [old, new] = simulate(&[old, new], 8, 500..2_000)[..] else { panic!("two loads") };
        assert!(new.1.unwrap() <= 507, "{new:?}");
        assert!(old.0.abs_diff(new.0) <= 1_500 * 8 / 20, "{old:?} {new:?}");
    }

    #[test]
    fn three_groups_have_a_third_each() {
        let load = |name, duration| Load::new(name, 1_000_000, duration);
        let used = simulate(&[load("a", 1), load("b", 10), load("c", 30)], 6, 0..3_000);
        for (used, _) in used {
            assert!(used.abs_diff(6_000) <= 300, "{used}");
        }
    }

    /// One group has a million tasks of a second, the other ten at a time of a minute.
    #[test]
    fn slot_time_follows_the_weights() {
        for (weight, slots) in [(1, 4), (2, 6), (3, 8), (1, 20)] {
            let short = Load::new("short", 1_000_000, 1);
            let long = Load { weight, ..Load::new("long", 10 * 60, 60) };
            let [short, long] = simulate(&[short, long], slots, 300..3_300)[..] else { panic!("two loads") };
            let expected = 3_000 * slots as u64 * u64::from(weight) / u64::from(weight + 1);
            assert!(long.0.abs_diff(expected) <= expected / 20, "{weight}: {short:?} {long:?} {expected}");
        }
    }

    #[test]
    fn light_newcomer_starts_within_one_task_length() {
        let old = Load { weight: 9, ..Load::new("old", 1_000_000, 7) };
        let new = Load { arrives: 500, ..Load::new("new", 1_000, 3) };
        let [_, new] = simulate(&[old, new], 8, 0..600)[..] else { panic!("two loads") };
        assert!(new.1.unwrap() <= 507, "{new:?}");
    }

    #[test]
    fn changed_weight_counts_from_then_on() {
        let mut shares = FairShare::default();
        for group in ["a", "b", "b"] {
            shares.started(group, start());
        }
        let later = start() + SECOND * 10;
        shares.set_weights(HashMap::from([("b", 2)]), later);
        assert_eq!(shares.ranked(&["a", "b"], later), [0, 1], "b has used twenty seconds");
        let later = later + SECOND * 10;
        assert_eq!(shares.shares(&["a", "b"], 13, later), [11, 2], "both have used ten seconds more");
        assert!(!shares.is_idle());
    }

    #[test]
    fn first_shares_are_equal() {
        let mut shares = FairShare::default();
        assert_eq!(shares.shares(&["a", "b"], 5, start()), [3, 2]);
        assert_eq!(shares.order(&[("a", 1), ("b", 9)], start()), [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert!(shares.shares(&[], 3, start()).is_empty());
        for _ in 0..3 {
            shares.started("a", start());
        }
        assert_eq!(shares.shares(&["a", "b", "c"], 6, start()), [0, 3, 3]);
    }

    #[test]
    fn corrected_numbers_count_from_then_on() {
        let mut shares = FairShare::default();
        shares.started("a", start());
        shares.set_running(&HashMap::from([("b", 2)]), start());
        let later = start() + SECOND * 10;
        // `a` runs nothing, `b` has used twenty seconds.
        assert_eq!(shares.shares(&["a", "b"], 20, later), [20, 0]);
        shares.ended("b", later);
        shares.ended("b", later);
        shares.ended("b", later);
        assert_eq!(shares.shares(&["a", "b"], 22, later + SECOND * 100), [21, 1]);
    }

    #[test]
    fn number_of_remembered_groups_is_bounded() {
        let mut shares = FairShare::default();
        for group in 0..MAX_REMEMBERED * 3 {
            shares.started(group, start());
            shares.ended(group, start());
        }
        assert!(shares.groups.len() <= MAX_REMEMBERED);
    }

    #[test]
    fn tasks_are_spread_without_exceeding_requests() {
        assert_eq!(distribute(&[64, 0, 2, 64], 4), [0, 2, 3, 0]);
        assert_eq!(distribute(&[1, 3], 9), [0, 1, 1, 1]);
        assert!(distribute(&[], 3).is_empty() && distribute(&[2], 0).is_empty());
    }
}
