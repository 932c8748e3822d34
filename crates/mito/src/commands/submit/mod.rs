//! `mito submit`: submits a command as a job, or the tasks of a job file as one job each, in one request.

mod preview;
pub(super) mod request;
mod resume;
mod upload;
mod upload_cache;

use std::process::ExitCode;

use mitosis_blueprint::Blueprint;
use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_domain::selector::JobName;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::job::SubmitJobsReply;
use mitosis_sweep::{Extras, Job, Step, retry_transient};

use crate::cli::submit::SubmitArgs;
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Options, Role};
use crate::login::identity::Identity;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::process::signals::StopRequests;
use crate::show;
use crate::show::{Output, SubmittedShown};

pub(super) async fn run(args: &SubmitArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let out = Output::new(&args.output, environment);
    if let Some(id) = &args.resume {
        return resume::resume(id, args, environment, &out).await;
    }
    let job = job(args)?;
    if args.dry_run {
        return preview(&job).await;
    }
    let options = args.job_options.options(SystemClock.now())?;
    let retry = args.job_options.retry()?;
    for step in &job.steps {
        mitosis_sweep::check(&step.blueprint.expand()?)?;
    }
    let identity = identity(args.connection.options(), args, environment).await?;
    let job = job.with_default_group(&identity.name)?;
    let needs = request::needs(&args.job_options, &identity).await?;
    upload::upload(&identity.client, &job.uploads, environment, &out).await?;
    let request = request::request(args.name.as_ref(), job.steps, &needs, options, retry.as_ref());
    let mut interrupts = StopRequests::listen()?;
    let sent = tokio::select! {
        sent = retry_transient(|| identity.client.submit_jobs(&request)) => sent,
        _ = interrupts.next() => return Err(interrupted()),
    };
    let reply = sent.map_err(|error| match (error.code(), &args.name) {
        (Some(ErrorCode::KeyReused), Some(name)) => name_taken(name, args),
        _ => error.into(),
    })?;
    report(reply, &out)
}

/// Prints a line for each job, and what to do next.
fn report(reply: SubmitJobsReply, out: &Output) -> Result<ExitCode, Failure> {
    let SubmitJobsReply { jobs, replayed } = reply;
    let numbers: Vec<String> = jobs.iter().map(|job| job.job.to_string()).collect();
    let mut rows = out.sentences();
    jobs.into_iter().try_for_each(|job| rows.push(&SubmittedShown::new(job, replayed)))?;
    rows.finish()?;
    if let Some(last) = numbers.last() {
        out.hint(format_args!(
            "`mito wait {}` waits for the end, `mito ls {last}` lists the tasks",
            numbers.join(" ")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "interrupted; the job may be submitted")
        .with_hint("`mito ls` lists your jobs; with `--name`, a repeated command submits nothing twice")
}

/// The failure for another submission with the same name.
fn name_taken(name: &JobName, args: &SubmitArgs) -> Failure {
    let hint = match args.job_options.has_relative_time() {
        true => "use another name, or write --start-after and --expires as times: durations differ each time",
        false => "use another name; a name belongs to one set of tasks",
    };
    Failure::new(Exit::Usage, format!("the name `{name}` is taken by a submission of other tasks"))
        .with_hint(hint)
}

/// Reads the job file, or makes a job of the command line. Without a group, the user's own is set after the login.
/// A name of the submission is also a label.
fn job(args: &SubmitArgs) -> Result<Job, Failure> {
    let group = args.task.group.as_deref().unwrap_or_default();
    if let Some(path) = &args.job {
        let name = args.name.as_ref().map(ToString::to_string);
        let labels: Vec<String> = args.task.labels.iter().cloned().chain(name).collect();
        return Ok(Job::read(path, Extras { group, labels: &labels })?);
    }
    if args.command.is_empty() {
        return Err(Failure::new(Exit::Usage, "expected a command after `--`, a job file, or --resume").with_hint(
            "see `mito submit --help`\n  usage: mito submit [OPTIONS] -- <CMD>...\n  usage: mito submit [OPTIONS] <JOB>",
        ));
    }
    let mut task = args.task.task(group.to_owned(), &args.command, !args.no_output);
    task.labels.extend(args.name.as_ref().map(ToString::to_string));
    let blueprint = Blueprint { task, plan: args.sweep.plan()? };
    let step =
        Step { name: None, blueprint, needs: Vec::new(), max_running: None, max_failures: None, retry: None };
    Ok(Job { steps: vec![step], uploads: Vec::new() })
}

async fn preview(job: &Job) -> Result<ExitCode, Failure> {
    let expansions = job.steps.iter().map(|step| step.blueprint.expand()).collect::<Result<Vec<_>, _>>()?;
    expansions.iter().try_for_each(mitosis_sweep::check)?;
    for upload in &job.uploads {
        let length = upload::length(upload).await?;
        show::line(format_args!("uploads {} as {} ({length} bytes)", upload.file.display(), upload.key))?;
    }
    preview::preview(&job.steps, &expansions)?;
    Ok(ExitCode::SUCCESS)
}

async fn identity(
    options: Options,
    args: &SubmitArgs,
    environment: &Environment,
) -> Result<Identity, Failure> {
    let layers = Layers::load(Role::Client, args.connection.config.as_deref(), options, environment)?;
    let identity = Identity::establish(&ClientConfig::new(&layers, environment)).await?;
    // Before files are uploaded.
    identity.client.require("`mito submit`").await?;
    Ok(identity)
}
