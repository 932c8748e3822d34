//! Routes for native agents: workers with many slots, which report and claim many tasks in one request.

mod poll;
mod report;

use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use mitosis_domain::older_worker::for_older_worker;
use mitosis_protocol::ExecState;
use mitosis_protocol::agent::{AssignedTask, MAX_BATCH, MAX_DATA_BYTES};
use mitosis_protocol::worker::FetchedTask;
use mitosis_store::ops::dispatch::Work;

use crate::api::routes::Routes;
use crate::app::App;
use crate::auth::agent::Agent;
use crate::error::Rejection;

/// The largest body of a report: the results of a full batch.
const MAX_REPORT_BYTES: usize = MAX_BATCH * (MAX_DATA_BYTES + 512);

pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(poll::routes())
        .merge(report::routes())
        .tag("worker protocol")
        .limit(DefaultBodyLimit::max(MAX_REPORT_BYTES))
}

/// The number of tasks to assign to an agent at once.
fn wanted(want: u32) -> usize {
    (want as usize).min(MAX_BATCH)
}

/// Converts assigned tasks to their form in a reply, and announces them.
fn assigned(app: &App, agent: Agent, work: Vec<Work>) -> Vec<AssignedTask> {
    let announces = app.announcer.is_on();
    let features = app.agents.features(agent.uuid);
    let reports_states = announces && features.reports_states;
    let assigned = work.into_iter().map(|work| {
        let Work { lease, uuid, group, priority, timeout, upstream, spec, job: _ } = work;
        let limit = Duration::from(timeout);
        match reports_states {
            true => {
                app.agents.add_watched(agent.uuid, uuid, timeout);
                app.announcer.announce(uuid, ExecState::FetchResource, limit);
            }
            false if announces => app.announcer.assigned(uuid, limit, !spec.resources.is_empty()),
            false => {}
        }
        let spec = if features.knows_surroundings { spec } else { for_older_worker(spec) };
        let task = FetchedTask { id: lease.task.0, uuid, timeout: limit, upstream_task_uuid: upstream, spec };
        AssignedTask { task, epoch: lease.epoch, token: lease.token, group: group.0, priority }
    });
    assigned.collect()
}

/// The rejection of a list that is longer than the protocol allows.
fn too_many(most: usize, what: &str) -> Rejection {
    Rejection::invalid(format!("a request can list at most {most} {what}"))
        .hint("split it into several requests")
}
