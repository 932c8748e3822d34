//! The request of `mito submit`.

use std::collections::BTreeSet;

use mitosis_blueprint::Plan;
use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use mitosis_domain::selector::{JobName, JobSelector};
use mitosis_protocol::job::{
    JobOptions, JobResource, NeedKind, NeededJob, NewJob, NewNeed, SubmitJobsRequest,
};
use mitosis_protocol::limit::LimitUse;
use mitosis_protocol::notify::Notify;
use mitosis_protocol::retry::RetryPolicy;
use mitosis_sweep::{Step, StepResource, retry_transient};
use serde_json::value::RawValue;

use crate::cli::job_options::JobOptionArgs;
use crate::cli::task::JobArtifact;
use crate::commands::select_jobs;
use crate::login::identity::Identity;
use crate::process::failure::Failure;

/// Resolves the jobs of `--after`, `--after-each` and `--after-any`. Of two conditions for the same job, the stricter one counts.
pub(super) async fn needs(args: &JobOptionArgs, identity: &Identity) -> Result<Vec<NewNeed>, Failure> {
    let mut needs: Vec<NewNeed> = Vec::new();
    let kinds = [
        (&args.after, NeedKind::Succeeded),
        (&args.after_any, NeedKind::Ended),
        (&args.after_each, NeedKind::Each),
    ];
    for (jobs, kind) in kinds {
        for job in each(jobs, identity).await? {
            let is_stricter = |need: &NewNeed| match kind {
                // The coordinator refuses it together with another condition.
                NeedKind::Each => need.kind == NeedKind::Each,
                NeedKind::Succeeded | NeedKind::Ended => true,
            };
            if !needs.iter().any(|need| need.on == NeededJob::Job(job) && is_stricter(need)) {
                needs.push(NewNeed { on: NeededJob::Job(job), kind });
            }
        }
    }
    Ok(needs)
}

/// Resolves the jobs of `--resources job=…`.
pub(super) async fn resources(
    artifacts: &[&JobArtifact],
    identity: &Identity,
) -> Result<Vec<JobResource>, Failure> {
    let mut resources = Vec::with_capacity(artifacts.len());
    for JobArtifact { job, content_type, local_path } in artifacts {
        let from = NeededJob::Job(select_jobs::existing(job, identity).await?);
        resources.push(JobResource { from, content_type: *content_type, local_path: local_path.clone() });
    }
    Ok(resources)
}

async fn each(jobs: &[JobSelector], identity: &Identity) -> Result<Vec<i64>, Failure> {
    let mut numbers = Vec::with_capacity(jobs.len());
    for job in jobs {
        numbers.push(select_jobs::existing(job, identity).await?);
    }
    Ok(numbers)
}

/// The plan of a request; none for a single task.
pub(in crate::commands) fn plan_as_json(plan: &Plan) -> Option<Box<RawValue>> {
    (!plan.is_plain()).then(|| serde_json::value::to_raw_value(plan).expect("a plan is plain data"))
}

/// What the command line sets for the job of every step.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Settings<'a> {
    pub(super) needs: &'a [NewNeed],
    pub(super) resources: &'a [JobResource],
    pub(super) options: JobOptions,
    pub(super) retry: Option<&'a RetryPolicy>,
    pub(super) limits: &'a [LimitUse],
    pub(super) notify: &'a [Notify],
}

/// One job for each step. The name of the submission is that of a step without one. The limits, retries and notifications of
/// a step have precedence over the settings.
pub(super) fn request(name: Option<&JobName>, steps: Vec<Step>, all: &Settings<'_>) -> SubmitJobsRequest {
    let Settings { needs, resources, options, retry, limits, notify } = *all;
    let job = |step: Step| {
        let steps =
            step.needs.iter().map(|(step, kind)| NewNeed { on: NeededJob::Position(*step), kind: *kind });
        let fetched = step.resources.into_iter().map(|StepResource { from, content_type, local_path }| {
            JobResource { from: NeededJob::Position(from), content_type, local_path }
        });
        NewJob {
            name: step.name.as_ref().or(name).map(ToString::to_string),
            needs: needs.iter().copied().chain(steps).collect(),
            resources: resources.iter().cloned().chain(fetched).collect(),
            options: JobOptions {
                max_running: step.max_running.or(options.max_running),
                max_failures: step.max_failures.or(options.max_failures),
                ..options
            },
            plan: plan_as_json(&step.blueprint.plan),
            task: step.blueprint.task,
            retry: step.retry.or(retry.cloned()),
            limits: joined(step.limits, limits),
            notify: if step.notify.is_empty() { notify.to_vec() } else { step.notify },
        }
    };
    let id = name.map_or_else(|| OsEntropy.uuid().to_string(), ToString::to_string);
    SubmitJobsRequest {
        jobs: steps.into_iter().map(job).collect(),
        // Earlier versions used this key for the first tasks: a name still means one submission.
        idempotency_key: Some(format!("mito-submit:{id}:0")),
    }
}

/// The limits of a step, and those of the command line that it does not have.
pub(in crate::commands) fn joined(mut of_step: Vec<LimitUse>, others: &[LimitUse]) -> Vec<LimitUse> {
    for limit in others {
        if of_step.iter().all(|known| known.name != limit.name) {
            of_step.push(limit.clone());
        }
    }
    of_step
}

/// Checks that the coordinator knows the limits that jobs use: an older one would ignore them.
pub(in crate::commands) async fn check_limits(jobs: &[NewJob], identity: &Identity) -> Result<(), Failure> {
    let groups: BTreeSet<&str> =
        jobs.iter().filter(|job| !job.limits.is_empty()).map(|job| job.task.group_name.as_str()).collect();
    for group in groups {
        retry_transient(|| identity.client.limits(group)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mitosis_sweep::{Extras, Job};

    use super::*;

    fn steps(text: &str) -> Vec<Step> {
        let folder = tempfile::tempdir().unwrap();
        let path: &Path = &folder.path().join("job.toml");
        std::fs::write(path, text).unwrap();
        Job::read(path, Extras { group: "ann", labels: &[], directory: None }).unwrap().steps
    }

    #[test]
    fn steps_become_jobs_that_need_each_other() {
        let steps = steps(
            "[[tasks]]\nname = 'b'\ncommand = 'b {x}'\nmatrix = {x = '1..3'}\nneeds = ['a']\nmax_running = 2\n\
             limits = {licence = 2}\n\
             [[tasks]]\nname = 'a'\ncommand = 'a'\n[[tasks]]\ncommand = 'c'",
        );
        let needs = [NewNeed { on: NeededJob::Job(7), kind: NeedKind::Ended }];
        let options = JobOptions { max_running: Some(9), paused: true, ..JobOptions::default() };
        let limit = |name: &str, uses| LimitUse { name: name.to_owned(), uses };
        let limits = [limit("licence", 1), limit("disk", 1)];
        let settings = Settings { needs: &needs, options, limits: &limits, ..Settings::default() };
        let request = request(Some(&"night".parse().unwrap()), steps, &settings);
        assert_eq!(request.idempotency_key.as_deref(), Some("mito-submit:night:0"));
        let names: Vec<_> = request.jobs.iter().map(|job| job.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["a", "b", "night"]);
        let [a, b, _] = &request.jobs[..] else { panic!("three jobs") };
        assert_eq!(
            (&a.limits[..], &b.limits[..]),
            (&limits[..], &[limit("licence", 2), limit("disk", 1)][..])
        );
        assert_eq!(a.needs, needs);
        assert_eq!(b.needs[1], NewNeed { on: NeededJob::Position(0), kind: NeedKind::Succeeded });
        assert_eq!(
            (a.options.max_running, b.options.max_running, b.options.paused),
            (Some(9), Some(2), true)
        );
        assert!(a.plan.is_none() && b.plan.is_some());
    }

    #[test]
    fn submission_without_a_name_has_a_key_of_its_own() {
        let key = || request(None, Vec::new(), &Settings::default()).idempotency_key.unwrap();
        assert_ne!(key(), key());
    }
}
