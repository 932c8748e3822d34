//! Fairness between groups, and between workers that request tasks at the same time.
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

/// Shares slots among groups by the time that their tasks hold them. The group that has used the least comes first, and a
/// task counts for as long as it runs. A group that was idle for long gets the next free slots, and shares equally from
/// then on.
#[derive(Debug, Clone)]
pub struct FairShare<G> {
    groups: HashMap<G, Usage>,
    /// The most that any group has used.
    lead: i64,
}

/// What a group has used. Times are in microseconds.
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
    fn at(self, now: i64) -> i64 {
        self.used.saturating_add(self.running.saturating_mul((now - self.since).max(0)))
    }

    fn advance(&mut self, now: i64) {
        self.used = self.at(now);
        self.since = self.since.max(now);
    }
}

/// A group in a queue, of which the one that has used the least comes first.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// What it has used, with a second for each of its tasks: groups that begin at the same time get as many slots.
    used: i64,
    index: usize,
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
        Self { groups: HashMap::new(), lead: 0 }
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
            first.used = first.used.saturating_add(IN_ADVANCE);
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
                first.used = first.used.saturating_add(IN_ADVANCE);
                line.push(first);
            }
        }
        order
    }

    /// A task of a group has started.
    pub fn started(&mut self, group: G, now: Timestamp) {
        let now = now.unix_micros();
        let usage = self.groups.entry(group).or_insert(Usage { since: now, ..Usage::default() });
        usage.advance(now);
        usage.used = usage.used.max(at_least(self.lead));
        usage.running += 1;
        self.lead = self.lead.max(usage.used);
        if self.groups.len() > MAX_REMEMBERED {
            self.groups.retain(|_, usage| usage.running > 0);
        }
    }

    /// A task of a group has ended.
    pub fn ended(&mut self, group: G, now: Timestamp) {
        if let Some(usage) = self.groups.get_mut(&group) {
            usage.advance(now.unix_micros());
            usage.running = (usage.running - 1).max(0);
            self.lead = self.lead.max(usage.used);
        }
    }

    /// Corrects the numbers of running tasks; groups that are left out have none.
    pub fn set_running(&mut self, running: &HashMap<G, u64>, now: Timestamp) {
        let now = now.unix_micros();
        for group in running.keys() {
            self.groups.entry(*group).or_insert(Usage { since: now, ..Usage::default() });
        }
        for (group, usage) in &mut self.groups {
            usage.advance(now);
            usage.running = running.get(group).map_or(0, |count| i64::try_from(*count).unwrap_or(i64::MAX));
            self.lead = self.lead.max(usage.used);
        }
    }

    fn line(&self, groups: &[G], now: Timestamp) -> BinaryHeap<Place> {
        let now = now.unix_micros();
        let place = |(index, group): (usize, &G)| {
            let usage = self.groups.get(group).copied().unwrap_or_default();
            let in_advance = usage.running.saturating_mul(IN_ADVANCE);
            Place { used: usage.at(now).max(at_least(self.lead)).saturating_add(in_advance), index }
        };
        groups.iter().enumerate().map(place).collect()
    }
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
    }

    /// Runs loads on slots for a time, second by second; returns the slot seconds of each load in the window, and when its
    /// first task started.
    fn simulate(loads: &[Load], slots: usize, window: std::ops::Range<u64>) -> Vec<(u64, Option<u64>)> {
        let mut shares = FairShare::default();
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
        let short = Load { name: "short", arrives: 0, tasks: 1_000_000, duration: 1 };
        let long = Load { name: "long", arrives: 0, tasks: 40, duration: 60 };
        let [short, long] = simulate(&[short, long], 4, 0..1_000)[..] else { panic!("two loads") };
        assert!(short.0.abs_diff(long.0) <= 4_000 / 20, "{short:?} {long:?}");
    }

    #[test]
    fn newcomer_starts_when_the_next_slot_is_free_and_then_shares_equally() {
        let old = Load { name: "old", arrives: 0, tasks: 1_000_000, duration: 7 };
        let new = Load { name: "new", arrives: 500, tasks: 1_000_000, duration: 3 };
        let [old, new] = simulate(&[old, new], 8, 500..2_000)[..] else { panic!("two loads") };
        assert!(new.1.unwrap() <= 507, "{new:?}");
        assert!(old.0.abs_diff(new.0) <= 1_500 * 8 / 20, "{old:?} {new:?}");
    }

    #[test]
    fn three_groups_have_a_third_each() {
        let load = |name, duration| Load { name, arrives: 0, tasks: 1_000_000, duration };
        let used = simulate(&[load("a", 1), load("b", 10), load("c", 30)], 6, 0..3_000);
        for (used, _) in used {
            assert!(used.abs_diff(6_000) <= 300, "{used}");
        }
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
