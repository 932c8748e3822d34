//! The model of exchanges: ends first, then returned attempts, then new tasks, with the most restricted agents
//! first.

use std::collections::BTreeMap;

use mitosis_domain::fairness::distribute;
use mitosis_store::ops::dispatch::Completed;
use mitosis_store::ops::workers::Fate;

use super::moves::Part;
use super::world::{Outcome, Presence, World};

impl World {
    pub(super) fn exchange(&mut self, parts: &[Part]) -> Outcome {
        let before: Vec<Presence> = parts.iter().map(|part| self.workers[part.worker].state).collect();
        let verdicts: Vec<Vec<Completed>> = parts.iter().map(|part| self.verdicts(part)).collect();
        for part in parts {
            for attempt in &part.returned {
                if self.holds(*attempt) && self.attempts[*attempt].worker == part.worker {
                    self.lose(*attempt, Fate::Returned);
                }
            }
        }
        let mut given = self.assign_all(parts);
        for (part, verdicts) in parts.iter().zip(&verdicts) {
            if verdicts.contains(&Completed::Committed) || !part.returned.is_empty() {
                self.may_go(part.worker);
            }
        }
        let answers = before.into_iter().zip(verdicts).enumerate().map(|(place, (before, verdicts))| {
            let given = match before {
                Presence::Gone => Outcome::WorkerGone,
                Presence::Stopping => Outcome::Stopping,
                Presence::Here => Outcome::Assigned(given.remove(&place).unwrap_or_default()),
            };
            (verdicts, given)
        });
        Outcome::Exchanged(answers.collect())
    }

    fn verdicts(&mut self, part: &Part) -> Vec<Completed> {
        let verdict = |(attempt, end, exit_status): &(usize, _, _)| {
            let is_own = self.attempts[*attempt].worker == part.worker;
            match self.holds(*attempt) && !is_own {
                true => Completed::Stale,
                false => self.end(*attempt, Some(*end), *exit_status),
            }
        };
        part.ended.iter().map(verdict).collect()
    }

    /// Tasks with their attempts, by the position of the agent in the batch.
    fn assign_all(&mut self, parts: &[Part]) -> BTreeMap<usize, Vec<(usize, usize)>> {
        let mut tasks: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut assigned = Vec::new();
        for gpu in [false, true] {
            let eligible: Vec<usize> = (0..parts.len())
                .filter(|place| {
                    let worker = &self.workers[parts[*place].worker];
                    worker.gpu == gpu && worker.state == Presence::Here
                })
                .collect();
            let wants: Vec<usize> = eligible.iter().map(|place| parts[*place].want).collect();
            let mut ready = self.ready_tasks(gpu);
            ready.retain(|task| !assigned.contains(task));
            ready.truncate(wants.iter().sum());
            for (task, who) in ready.iter().zip(distribute(&wants, ready.len())) {
                tasks.entry(eligible[who]).or_default().push(*task);
            }
            assigned.extend(ready);
        }
        tasks
            .into_iter()
            .map(|(place, tasks)| {
                let begun = tasks.into_iter().map(|task| self.begin(task, parts[place].worker));
                (place, begun.collect())
            })
            .collect()
    }
}
