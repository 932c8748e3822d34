//! Jobs: what a coordinator does for them without a request.
//!
//! [`planner`] writes the tasks of jobs when they can run soon, and stops and ends jobs. [`progress`] reads the jobs that
//! streams and held requests wait for, once for all of them. [`blueprints`] keeps parsed blueprints for a while. [`activity`]
//! counts what ended in the last hour.

pub(crate) mod activity;
mod agenda;
pub(crate) mod blueprints;
pub(crate) mod planner;
pub(crate) mod progress;
pub(crate) mod view;

use mitosis_domain::ids::JobId;

use crate::app::App;
use crate::notify;
use crate::publish::MayWake;
use blueprints::Blueprints;
use planner::PlanQueue;
use progress::Progress;

/// What a coordinator knows of jobs; cheap to clone. It can be lost at any time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Jobs {
    /// Jobs whose next step is planned soon.
    pub(crate) plan_queue: PlanQueue,
    /// The progress of jobs that are followed.
    pub(crate) progress: Progress,
    /// Parsed blueprints.
    pub(crate) blueprints: Blueprints,
}

impl Jobs {
    /// Plans the next step of jobs that a commit has changed, and reads those that are followed.
    pub(crate) fn changed(&self, jobs: &[JobId], may_wake: MayWake) {
        self.plan_queue.changed(jobs, may_wake);
        self.progress.changed(jobs, may_wake);
    }
}

/// Starts the background tasks of jobs.
pub(crate) fn start(app: &App) {
    let background = app.background.clone();
    let (planned, read, notified) = (app.clone(), app.clone(), app.clone());
    background.spawn_restarting("job-planner", move || planner::serve(planned.clone()));
    background.spawn_restarting("job-progress", move || progress::serve(read.clone()));
    background.spawn_restarting("notifications", move || notify::serve(notified.clone()));
}
