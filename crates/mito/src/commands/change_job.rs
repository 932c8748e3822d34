//! `mito pause`, `mito resume` and `mito priority`.

use std::process::ExitCode;

use mitosis_domain::selector::Selector;
use mitosis_protocol::job::JobChange;
use mitosis_sweep::retry_transient;

use super::select_jobs;
use crate::cli::change_jobs::{JobsArgs, PriorityArgs};
use crate::cli::connection::ConnectionArgs;
use crate::config::Environment;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show::{ChangeOutcome, Output, OutputArgs};

pub(super) async fn pause(args: &JobsArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let change = JobChange { paused: Some(true), ..JobChange::default() };
    let jobs = Jobs { selectors: &args.selectors, command: "mito pause", change };
    jobs.change(&args.connection, &args.output, environment).await
}

pub(super) async fn resume(args: &JobsArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let change = JobChange { paused: Some(false), ..JobChange::default() };
    let jobs = Jobs { selectors: &args.selectors, command: "mito resume", change };
    jobs.change(&args.connection, &args.output, environment).await
}

pub(super) async fn priority(args: &PriorityArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let change = JobChange { priority: Some(args.priority), ..JobChange::default() };
    let selectors = std::slice::from_ref(&args.selector);
    let jobs = Jobs { selectors, command: "mito priority", change };
    jobs.change(&args.connection, &args.output, environment).await
}

/// Jobs to change.
struct Jobs<'a> {
    selectors: &'a [Selector],
    command: &'static str,
    change: JobChange,
}

impl Jobs<'_> {
    /// Changes the jobs, and prints what has changed.
    async fn change(
        &self,
        connection: &ConnectionArgs,
        output: &OutputArgs,
        environment: &Environment,
    ) -> Result<ExitCode, Failure> {
        let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
        let out = Output::new(output, environment);
        let identity = Identity::from_options(connection, environment).await?;
        identity.client.require("changing jobs").await?;
        let jobs = select_jobs::whole_jobs(self.selectors, self.command, &identity).await?;
        for job in &jobs {
            retry_transient(|| identity.client.change_job(*job, &self.change)).await?;
        }
        let mut rows = out.sentences();
        for info in select_jobs::infos(&identity.client, &jobs).await? {
            rows.push(&ChangeOutcome::new(info, &self.change))?;
        }
        rows.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}
