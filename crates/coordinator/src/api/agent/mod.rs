//! Routes for native agents: one worker with many slots, many tasks in one request.

mod poll;
mod report;

use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use mitosis_protocol::ExecState;
use mitosis_protocol::agent::{AssignedTask, MAX_BATCH, MAX_DATA_BYTES};
use mitosis_protocol::worker::FetchedTask;
use mitosis_store::StoreError;
use mitosis_store::ops::dispatch::Work;

use crate::api::routes::Routes;
use crate::app::App;
use crate::auth::agent::Agent;
use crate::error::{ApiError, Refusal};

/// Bytes in the body of a report: results of as many tasks as it may name.
const MAX_REPORT_BYTES: usize = MAX_BATCH * (MAX_DATA_BYTES + 512);

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(poll::routes())
        .merge(report::routes())
        .tag("worker's side")
        .limit(DefaultBodyLimit::max(MAX_REPORT_BYTES))
}

/// How many tasks an agent is given at once.
fn wanted(want: u32) -> usize {
    (want as usize).min(MAX_BATCH)
}

/// What an agent is told of its work, and those who watch are told of it.
fn assigned(app: &App, agent: Agent, work: Vec<Work>) -> Result<Vec<AssignedTask>, ApiError> {
    if !work.is_empty() {
        app.changed.notify();
    }
    let announces = app.announcer.is_on();
    let tells_more = announces && app.agents.does_tell_states(agent.uuid);
    let told = work.into_iter().map(|work| {
        let Work { lease, uuid, group, priority, timeout_seconds, upstream, spec } = work;
        let seconds = u64::try_from(timeout_seconds).map_err(|error| StoreError::Unexpected(error.into()))?;
        let timeout = Duration::from_secs(seconds);
        match tells_more {
            true => {
                app.agents.vouch(agent.uuid, uuid, timeout);
                app.announcer.announce(uuid, ExecState::FetchResource, timeout);
            }
            false if announces => app.announcer.assigned(uuid, timeout, !spec.resources.is_empty()),
            false => {}
        }
        let task = FetchedTask { id: lease.task.0, uuid, timeout, upstream_task_uuid: upstream, spec };
        Ok(AssignedTask { task, epoch: lease.epoch, token: lease.token, group: group.0, priority })
    });
    told.collect()
}

/// A list that is longer than the protocol allows.
fn too_many(most: usize, what: &str) -> Refusal {
    Refusal::invalid(format!("a request names at most {most} {what}")).hint("send them in several")
}
