//! Which agents of a batch get which tasks.
//!
//! As long as no task waits that requests anything but the default, agents of equal eligibility are served together, by the
//! number of tasks that they want. Otherwise, each agent that could run such a task is served by itself, with what is free on
//! its worker according to its leases. So a worker is never given more than it offers, whatever its requests cross.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mitosis_domain::ids::{LaneId, RequestId, WorkerId};
use mitosis_domain::resources::{Free, can_serve};
use mitosis_protocol::{ResourceOffer, Timestamp};

use super::agent_room::{AgentRoom, Requests, Reserved};
use super::ready::{Queues, Ready};
use super::reservations;
use crate::StoreError;
use crate::db::{Db, List, Sql, sql};
use crate::error::Corrupt;
use crate::exchange_plan::{Eligibility, EligibilityGroup, Participant, eligibility_groups};
use crate::fairness::SharedFairShare;
use crate::ops::dispatch::{Class, Exchange};

/// Agents that are served together, or one by itself.
struct Round {
    /// The position of their eligibility in the queues.
    which: usize,
    eligibility: Eligibility,
    who: Who,
}

enum Who {
    /// By the number of tasks that they want. If others are waiting that they can't run, these are left out.
    Together { group: EligibilityGroup, has_others: bool, offers: HashMap<usize, Option<String>> },
    /// By what is free on the worker.
    Alone { place: usize, worker: WorkerId, offer: Option<String>, room: Box<AgentRoom> },
}

/// The rounds of one transaction, in order.
pub(crate) struct Rounds {
    queues: Queues,
    left: VecDeque<Round>,
    classes: HashMap<usize, Class>,
}

impl Rounds {
    /// Reads what is waiting for the agents of a batch, and what is free on their workers if it matters.
    pub(crate) async fn plan(
        db: Db<'_>,
        batch: &[Arc<Exchange>],
        participants: &HashMap<WorkerId, Participant>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let known = |worker| {
            let participant = participants.get(&worker).filter(|participant| !participant.worker.is_drained);
            participant.map(|participant| (participant.worker.state, &participant.eligibility))
        };
        let groups = eligibility_groups(batch, known);
        let eligibilities: Vec<&Eligibility> = groups.iter().map(|(eligibility, _)| *eligibility).collect();
        let queues = Queues::read(db, &eligibilities).await?;
        let mut rounds = VecDeque::new();
        for (which, (eligibility, group)) in groups.into_iter().enumerate() {
            let eligibility = eligibility.clone();
            let requested = queues.requests(which);
            let has_end = |place: &usize| participants[&batch[*place].worker].ends_at.is_some();
            if requested.is_empty() && !group.places().iter().any(has_end) {
                let who = Who::Together { group, has_others: false, offers: HashMap::new() };
                rounds.push_back(Round { which, eligibility, who });
                continue;
            }
            let requests = read_requests(db, &requested).await?;
            let (mut together, mut offers, mut alone) =
                (EligibilityGroup::default(), HashMap::new(), Vec::new());
            for place in group.places() {
                let one = &batch[*place];
                let participant = &participants[&one.worker];
                let offer = parse(participant.offer.as_deref(), one.worker)?;
                let serves =
                    |offer: &ResourceOffer| requests.values().any(|request| can_serve(offer, request));
                match offer {
                    Some(offer) if participant.ends_at.is_some() || serves(&offer) => {
                        alone.push((*place, Arc::clone(one), offer));
                    }
                    Some(_) | None => {
                        together.add(*place, one.want);
                        offers.insert(*place, participant.offer.clone());
                    }
                }
            }
            if !together.places().is_empty() {
                let who = Who::Together { group: together, has_others: true, offers };
                rounds.push_back(Round { which, eligibility: eligibility.clone(), who });
            }
            let workers: Vec<i64> = alone.iter().map(|(_, one, _)| one.worker.0).collect();
            let state = HeldByWorkers::read(db, &workers, requests).await?;
            for (place, one, offer) in alone {
                let participant = &participants[&one.worker];
                let room = state.room(&one, &offer, participant.ends_at, now);
                let (worker, offer) = (one.worker, participant.offer.clone());
                let who = Who::Alone { place, worker, offer, room: Box::new(room) };
                rounds.push_back(Round { which, eligibility: eligibility.clone(), who });
            }
        }
        Ok(Self { queues, left: rounds, classes: HashMap::new() })
    }

    /// Locks the tasks of the next round, each with the position of the agent that gets it; none after the last round.
    pub(crate) async fn next(
        &mut self,
        db: Db<'_>,
        shares: &SharedFairShare,
        now: Timestamp,
    ) -> Result<Option<Vec<(usize, Ready)>>, StoreError> {
        let Some(Round { which, eligibility, who }) = self.left.pop_front() else { return Ok(None) };
        let queues = &mut self.queues;
        Ok(Some(match who {
            Who::Together { group, has_others, offers } => {
                let selected = match has_others {
                    true => queues.select_default(db, shares, which, group.want(), now).await?,
                    false => queues.select(db, shares, which, group.want(), now).await?,
                };
                for place in group.places() {
                    let class = match offers.get(place) {
                        Some(offer) => eligibility.class_with(offer),
                        None => eligibility.class(),
                    };
                    self.classes.insert(*place, class);
                }
                group.distribute(selected.len()).into_iter().zip(selected).collect()
            }
            Who::Alone { place, worker, offer, room } => {
                let (selected, room) = queues.select_for(db, shares, which, *room, now).await?;
                if room.used_reservation() {
                    reservations::end(db, worker).await?;
                }
                self.classes.insert(place, eligibility.class_with(&room.class_of(offer.as_deref(), worker)));
                selected.into_iter().map(|ready| (place, ready)).collect()
            }
        }))
    }

    /// The classes of the agents, by their positions in the batch.
    pub(crate) fn classes(self) -> HashMap<usize, Class> {
        self.classes
    }
}

/// Parses what a worker offers.
pub(crate) fn parse(offer: Option<&str>, worker: WorkerId) -> Result<Option<ResourceOffer>, StoreError> {
    let parsed = offer.map(serde_json::from_str).transpose();
    parsed.map_err(|error| {
        tracing::error!(worker = worker.0, "the offer of a worker can't be read");
        Corrupt::from(error).into()
    })
}

const REQUESTS: Sql = sql!("SELECT id, request FROM resource_request WHERE id = ANY($1)");

/// Reads requests by their ids.
pub(crate) async fn read_requests(db: Db<'_>, ids: &BTreeSet<RequestId>) -> Result<Requests, StoreError> {
    if ids.is_empty() {
        return Ok(Requests::new());
    }
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    db.all(REQUESTS, &[&List(&ids)], |row| Ok((RequestId(row.value("id")?), Arc::new(row.json("request")?))))
        .await
}

/// What the leases of workers hold, by their requests.
const HELD: Sql = sql!(
    "
    SELECT l.worker_id, n.request_id, count(*) AS tasks
    FROM lease l INNER JOIN task t ON t.id = l.task_id INNER JOIN lane n ON n.id = t.lane_id
    WHERE l.worker_id = ANY($1)
    GROUP BY l.worker_id, n.request_id"
);

/// What workers hold and for which lanes they are reserved.
struct HeldByWorkers {
    requests: Arc<Requests>,
    held: Vec<(WorkerId, RequestId, i64)>,
    reserved: HashMap<WorkerId, (LaneId, RequestId)>,
}

impl HeldByWorkers {
    async fn read(db: Db<'_>, workers: &[i64], mut requests: Requests) -> Result<Self, StoreError> {
        if workers.is_empty() {
            return Ok(Self { requests: Arc::new(requests), held: Vec::new(), reserved: HashMap::new() });
        }
        let held: Vec<(WorkerId, RequestId, i64)> = db
            .all(HELD, &[&List(workers)], |row| {
                let request = RequestId(row.value("request_id")?);
                Ok((WorkerId(row.value("worker_id")?), request, row.value("tasks")?))
            })
            .await?;
        let reserved = reservations::of_workers(db, workers).await?;
        let others = held.iter().map(|(_, request, _)| *request);
        let others = others.chain(reserved.values().map(|(_, request)| *request));
        let others = others.filter(|id| id.0 != 0 && !requests.contains_key(id)).collect();
        requests.extend(read_requests(db, &others).await?);
        Ok(Self { requests: Arc::new(requests), held, reserved })
    }

    fn room(
        &self,
        one: &Exchange,
        offer: &ResourceOffer,
        ends_at: Option<Timestamp>,
        now: Timestamp,
    ) -> AgentRoom {
        let mut free = Free::of(offer);
        for (worker, request, tasks) in &self.held {
            if *worker == one.worker {
                free.take(&self.requests.get(request).cloned().unwrap_or_default(), *tasks);
            }
        }
        let reserved = self.reserved.get(&one.worker).and_then(|(lane, request)| {
            Some(Reserved { lane: *lane, request: self.requests.get(request)?.clone(), taken: 0 })
        });
        AgentRoom {
            requests: Arc::clone(&self.requests),
            free,
            reserved,
            want: one.want,
            has_room: one.has_room,
            time: ends_at.map(|end| left(now, end)),
        }
    }
}

/// The time from a moment to the end of a worker; zero after it.
fn left(now: Timestamp, end: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(end.unix_micros() - now.unix_micros()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::query_plan::assert_searches;

    #[test]
    fn sqlite_starts_at_the_leases_of_a_worker() {
        assert_searches(HELD, &["l", "t", "n"]);
        assert_searches(REQUESTS, &["resource_request"]);
    }
}
