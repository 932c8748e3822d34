//! `mito schedule add`: creates a schedule.

use std::path::Path;

use mitosis_blueprint::Blueprint;
use mitosis_protocol::job::{JobOptions, NewJob};
use mitosis_protocol::schedule::NewSchedule;
use mitosis_sweep::{Extras, Job, Step};

use super::{check_times, identity};
use crate::cli::schedule::AddArgs;
use crate::commands::submit::request::{check_limits, joined, plan_as_json};
use crate::commands::submit::upload;
use crate::config::Environment;
use crate::new_task::{self, Program, folders, standard_input};
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::{Output, ScheduleShown};

pub(super) async fn run(args: &AddArgs, environment: &Environment) -> Result<(), Failure> {
    let out = Output::new(&args.output, environment);
    check_times(&args.cron, &args.timezone)?;
    let job = match &args.file {
        Some(file) => of_file(file, args, environment)?,
        None => of_command(args, environment)?,
    };
    for step in &job.steps {
        mitosis_sweep::check(&step.blueprint.expand()?)?;
    }
    let retry = args.limits.retry()?;
    standard_input::refuse_ignored()?;
    let identity = identity(&args.connection, environment).await?;
    let Job { steps, uploads } = job.with_default_group(&identity.group)?;
    upload::upload(&identity.client, &uploads, environment, &out).await?;
    let Some(mut step) = steps.into_iter().next() else { return Ok(()) };
    let is_plain = step.blueprint.plan.is_plain();
    folders::add(&args.task.folders(), &identity.client, &mut step.blueprint.task, is_plain).await?;
    let options = args.limits.options();
    let job = NewJob {
        name: None,
        plan: plan_as_json(&step.blueprint.plan),
        task: step.blueprint.task,
        needs: Vec::new(),
        resources: Vec::new(),
        options: JobOptions {
            max_running: step.max_running.or(options.max_running),
            max_failures: step.max_failures.or(options.max_failures),
            ..options
        },
        retry: step.retry.or(retry),
        limits: joined(step.limits, &args.limits.limits),
        notify: if step.notify.is_empty() { args.notify.notify() } else { step.notify },
    };
    check_limits(std::slice::from_ref(&job), &identity).await?;
    let schedule = NewSchedule {
        name: args.name.to_string(),
        cron: args.cron.clone(),
        timezone: args.timezone.clone(),
        overlap: args.overlap.into(),
        catch_up: args.catch_up.into(),
        paused: args.paused,
        job,
    };
    // A repetition after a lost reply would report the name as taken.
    let created = identity.client.create_schedule(&schedule).await?;
    out.one_line(&ScheduleShown::from(created))
}

/// The job of the command line.
fn of_command(args: &AddArgs, environment: &Environment) -> Result<Job, Failure> {
    standard_input::check_read_once(None, args.task.place.stdin.as_deref(), &args.sweep)?;
    let plan = args.sweep.plan()?;
    let program = Program::Command(&args.command);
    args.task.check_independent()?;
    let (mut task, uploads) = new_task::task(&args.task, program, plan.is_plain(), environment)?;
    task.task_spec.terminal_output = !args.no_output;
    task.labels.push(args.name.to_string());
    Ok(Job { steps: vec![Step::single(Blueprint { task, plan })], uploads })
}

/// The job of a file. A schedule submits one job at a time, so the file has one task.
fn of_file(file: &Path, args: &AddArgs, environment: &Environment) -> Result<Job, Failure> {
    let labels: Vec<String> = args.task.labels.iter().cloned().chain([args.name.to_string()]).collect();
    let group = args.task.group.as_deref().unwrap_or_default();
    let current = new_task::directory::current(environment);
    let job = Job::read(file, Extras { group, labels: &labels, directory: current.as_deref() })?;
    match job.steps.len() {
        1 => Ok(job),
        count => Err(Failure::new(
            Exit::Usage,
            format!("{} has {count} tasks, and a schedule submits one job", file.display()),
        )
        .with_hint("add a schedule for each task, or a script that runs `mito submit`")),
    }
}
