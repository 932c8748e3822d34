//! Routes for native agents: workers with many slots, which report and claim many tasks in one request.

mod poll;
mod report;

use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use mitosis_domain::older_worker::for_older_worker;
use mitosis_domain::task::LeaseKey;
use mitosis_protocol::agent::{AssignedTask, MAX_BATCH, MAX_DATA_BYTES};
use mitosis_protocol::worker::FetchedTask;
use mitosis_protocol::{ExecState, ResultWarning, Uuid};
use mitosis_store::ops::dispatch::Work;

use crate::api::routes::Routes;
use crate::app::App;
use crate::auth::agent::Agent;
use crate::error::{ApiError, Rejection};
use crate::secrets::{self, SealedSecrets};

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

/// Converts assigned tasks to their form in a reply, with the values of their secrets, and announces them. A task whose
/// secrets are not available ends here.
async fn assigned(app: &App, agent: Agent, work: Vec<Work>) -> Result<Vec<AssignedTask>, ApiError> {
    let sealed = SealedSecrets::load(app, work.iter().map(|work| (work.group, &work.spec))).await?;
    let announces = app.announcer.is_on();
    let features = app.agents.features(agent.uuid);
    let reports_states = announces && features.reports_states;
    let mut tasks = Vec::with_capacity(work.len());
    for work in work {
        let Work { lease, uuid, group, priority, timeout, upstream, mut spec, job: _ } = work;
        let mut values = match sealed.values(app, group, &spec) {
            Ok(values) => values,
            Err(why) => {
                end_without_secrets(app, agent, lease, uuid, why).await?;
                continue;
            }
        };
        let limit = Duration::from(timeout);
        match reports_states {
            true => {
                app.agents.add_watched(agent.uuid, uuid, timeout);
                app.announcer.announce(uuid, ExecState::FetchResource, limit);
            }
            false if announces => app.announcer.assigned(uuid, limit, !spec.resources.is_empty()),
            false => {}
        }
        if !features.knows_secrets {
            secrets::as_variables(&mut spec, std::mem::take(&mut values));
        }
        let spec = if features.knows_surroundings { spec } else { for_older_worker(spec) };
        let id = lease.task.0;
        let task =
            FetchedTask { id, uuid, timeout: limit, upstream_task_uuid: upstream, spec, secrets: values };
        tasks.push(AssignedTask { task, epoch: lease.epoch, token: lease.token, group: group.0, priority });
    }
    Ok(tasks)
}

/// Ends an attempt before the agent gets it.
async fn end_without_secrets(
    app: &App,
    agent: Agent,
    lease: LeaseKey,
    uuid: Uuid,
    why: ResultWarning,
) -> Result<(), ApiError> {
    if secrets::end_attempt(app, agent.id, lease, why).await? {
        report::committed(app, agent, uuid, secrets::UNAVAILABLE);
    }
    Ok(())
}

/// The rejection of a list that is longer than the protocol allows.
fn too_many(most: usize, what: &str) -> Rejection {
    Rejection::invalid(format!("a request can list at most {most} {what}"))
        .hint("split it into several requests")
}
