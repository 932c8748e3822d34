//! What the model knows of agents that come together: ends first, then what was not started, then new
//! tasks, and who can run least is served first.

use std::collections::BTreeMap;

use mitosis_domain::fairness::distribute;
use mitosis_store::ops::dispatch::Completed;
use mitosis_store::ops::workers::Fate;

use super::moves::Part;
use super::world::{Answer, Presence, World};

impl World {
    pub(super) fn exchange(&mut self, parts: &[Part]) -> Answer {
        let before: Vec<Presence> = parts.iter().map(|part| self.workers[part.worker].state).collect();
        let verdicts: Vec<Vec<Completed>> = parts.iter().map(|part| self.verdicts(part)).collect();
        for part in parts {
            for attempt in &part.returned {
                if self.holds(*attempt) && self.attempts[*attempt].worker == part.worker {
                    self.lose(*attempt, Fate::Returned);
                }
            }
        }
        let mut given = self.feed(parts);
        for (part, verdicts) in parts.iter().zip(&verdicts) {
            if verdicts.contains(&Completed::Committed) || !part.returned.is_empty() {
                self.may_go(part.worker);
            }
        }
        let answers = before.into_iter().zip(verdicts).enumerate().map(|(place, (before, verdicts))| {
            let given = match before {
                Presence::Gone => Answer::WorkerGone,
                Presence::Stopping => Answer::Stopping,
                Presence::Here => Answer::Given(given.remove(&place).unwrap_or_default()),
            };
            (verdicts, given)
        });
        Answer::Exchanged(answers.collect())
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

    /// Tasks with their attempts, for each part by its place.
    fn feed(&mut self, parts: &[Part]) -> BTreeMap<usize, Vec<(usize, usize)>> {
        let mut tasks: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut dealt = Vec::new();
        for gpu in [false, true] {
            let crowd: Vec<usize> = (0..parts.len())
                .filter(|place| {
                    let worker = &self.workers[parts[*place].worker];
                    worker.gpu == gpu && worker.state == Presence::Here
                })
                .collect();
            let wants: Vec<usize> = crowd.iter().map(|place| parts[*place].want).collect();
            let mut line = self.line(gpu);
            line.retain(|task| !dealt.contains(task));
            line.truncate(wants.iter().sum());
            for (task, who) in line.iter().zip(distribute(&wants, line.len())) {
                tasks.entry(crowd[who]).or_default().push(*task);
            }
            dealt.extend(line);
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
