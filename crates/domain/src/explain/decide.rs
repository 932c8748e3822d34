//! Decides which reason applies. The order matters: the first obstacle is the one to report.

use mitosis_protocol::worker::WorkerState;
use mitosis_protocol::{TaskState, Timestamp};
use uuid::Uuid;

use super::facts::{Ahead, EligibleWorkers, Facts, Hold, Holder, Moment, Placed, Standing, Watched};
use super::placement::Placement;
use super::reason::Reason;
use crate::task::{Attempt, ExecEnd};
use crate::watch;

impl Reason {
    /// The reason why the task is in its state.
    pub fn of(facts: &Facts, moment: &Moment) -> Self {
        match &facts.standing {
            Standing::Pending { upstream, state } => {
                Self::WaitsForUpstream { upstream: *upstream, state: *state }
            }
            Standing::Blocked { job, index } => Self::WaitsForTask { job: *job, index: *index },
            Standing::OnHold { job, hold: Hold::Paused } => Self::JobPaused { job: *job },
            Standing::OnHold { job, hold: Hold::Limit(most) } => Self::JobAtLimit { job: *job, most: *most },
            Standing::OnHold { job, hold: Hold::Retry(due) } => Self::RetryNotDue { job: *job, due: *due },
            Standing::AtLimit(at_limit) => Self::LimitReached(at_limit.clone()),
            Standing::Ready { workers, ahead, placement } => {
                let reason = waiting(facts, workers, *ahead, moment);
                match placement {
                    Some(placed) if reason.is_about_turns() => by_resources(facts, placed).unwrap_or(reason),
                    Some(_) | None => reason,
                }
            }
            Standing::Held { attempt, reported, holder, watched } => {
                held(attempt, *reported, holder, watched.as_ref(), moment)
            }
            Standing::Ended(ending) => Self::Ended(ending.clone()),
        }
    }
}

impl Reason {
    /// Whether workers could run the task, apart from their resources.
    const fn is_about_turns(&self) -> bool {
        matches!(self, Self::AllBusy { .. } | Self::NextInTurn { .. } | Self::WorkersSilent { .. })
    }
}

/// The reason if no worker has enough of what the task requests.
fn by_resources(facts: &Facts, Placed { request, placement }: &Placed) -> Option<Reason> {
    let (group, request) = (facts.group.clone(), request.clone());
    match placement {
        Placement::Nowhere { workers, nearest } => {
            Some(Reason::ResourcesMissing { group, request, workers: *workers, nearest: nearest.clone() })
        }
        Placement::Later(next) => Some(Reason::ResourcesBusy { request, next: next.clone() }),
        Placement::Now => None,
    }
}

fn waiting(facts: &Facts, workers: &EligibleWorkers, ahead: Ahead, moment: &Moment) -> Reason {
    let group = facts.group.clone();
    let able = workers.fitting.saturating_sub(workers.draining);
    match workers {
        EligibleWorkers { listed: 0, .. } => Reason::NoWorker { group },
        EligibleWorkers { serving: 0, listed, .. } => Reason::RoleMissing { group, workers: *listed },
        EligibleWorkers { fitting: 0, serving, nearest, .. } => Reason::TagsMissing {
            group,
            tags: facts.tags.clone(),
            workers: *serving,
            nearest: nearest.clone(),
        },
        EligibleWorkers { draining, .. } if able == 0 => Reason::WorkersDraining { workers: *draining },
        EligibleWorkers { heard_at, .. } if moment.is_waiting_for(*heard_at) => {
            moment.just_started(None, able)
        }
        EligibleWorkers { free: 0, .. } => Reason::AllBusy { workers: able, group, ahead },
        EligibleWorkers { free, free_heard_at, free_until, free_silent_at, .. }
            if moment.is_silent(*free_heard_at, *free_silent_at) =>
        {
            match (able - free, *free_until) {
                (0, Some(until)) => Reason::WorkersSilent { workers: *free, heard_at: *free_heard_at, until },
                (busy, _) => Reason::AllBusy { workers: busy, group, ahead },
            }
        }
        EligibleWorkers { free, .. } => Reason::NextInTurn { free: *free, group, ahead },
    }
}

fn held(
    attempt: &Attempt,
    reported: Option<ExecEnd>,
    holder: &Holder,
    watched: Option<&Watched>,
    moment: &Moment,
) -> Reason {
    let worker = attempt.worker;
    if moment.is_waiting_for(Some(holder.heard_at)) {
        return moment.just_started(Some(worker), 1);
    }
    if moment.now > holder.silent_at {
        return Reason::WorkerLost { worker, heard_at: holder.heard_at, until: holder.lease_until };
    }
    if let Some(end) = reported {
        return Reason::Storing { attempt: *attempt, end };
    }
    match watched {
        Some(watched) if !reached(watched) => Reason::WaitsForWatched {
            worker,
            watched: watched.uuid,
            target: watched.target,
            state: moment.shows(watched),
        },
        _ => Reason::Running {
            attempt: *attempt,
            heard_at: holder.heard_at,
            draining: holder.state == WorkerState::GracefulShutdown,
        },
    }
}

fn reached(watched: &Watched) -> bool {
    watched.found.as_ref().is_some_and(|found| watch::reached(found.state, found.result, watched.target))
}

impl Moment {
    /// Until when workers may reconnect after the start; none is declared lost before.
    fn all_back_by(&self) -> Timestamp {
        self.started_at + self.lease
    }

    /// Whether the coordinator has just started and no worker has been heard from since.
    fn is_waiting_for(&self, heard_at: Option<Timestamp>) -> bool {
        self.now < self.all_back_by() && heard_at.is_some_and(|heard_at| heard_at < self.started_at)
    }

    /// Whether the workers are known to be silent.
    fn is_silent(&self, heard_at: Option<Timestamp>, silent_at: Option<Timestamp>) -> bool {
        self.is_waiting_for(heard_at) || silent_at.is_some_and(|silent_at| self.now > silent_at)
    }

    /// The state of a watched task, if the caller may see it.
    fn shows(&self, watched: &Watched) -> Option<TaskState> {
        watched.found.as_ref().filter(|found| self.own_groups.contains(&found.group)).map(|found| found.state)
    }

    fn just_started(&self, holder: Option<Uuid>, workers: u64) -> Reason {
        Reason::CoordinatorJustStarted {
            started_at: self.started_at,
            until: self.all_back_by(),
            holder,
            workers,
        }
    }
}
