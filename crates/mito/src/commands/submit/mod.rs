//! `mito submit`: submits a command as a job, or the tasks of a job file as one job each, in one request.

mod preview;
pub(super) mod request;
mod resume;
mod script;
pub(super) mod upload;
mod upload_cache;

use std::ffi::OsString;
use std::process::ExitCode;

use mitosis_blueprint::Blueprint;
use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_domain::selector::JobName;
use mitosis_protocol::ErrorCode;
use mitosis_protocol::job::SubmitJobsReply;
use mitosis_sweep::{Extras, Job, Script, Step, is_job_file, retry_transient};

use crate::cli::submit::{JobArgs, SubmitArgs, check_for_job_file};
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Options, Role};
use crate::login::identity::Identity;
use crate::new_task::{self, Program, folders, standard_input};
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
    let of_script = with_script(args)?;
    let (args, script) = match &of_script {
        Some((args, script)) => (args, Some(script)),
        None => (args, None),
    };
    let job = job(args, script, environment)?;
    standard_input::refuse_ignored()?;
    if args.dry_run {
        return preview(&job).await;
    }
    let options = args.job.options.options(SystemClock.now())?;
    let retry = args.job.options.retry()?;
    let notify = args.job.options.notify.notify();
    for step in &job.steps {
        mitosis_sweep::check(&step.blueprint.expand()?)?;
    }
    let identity = identity(args.connection.options(), args, environment).await?;
    let job = job.with_default_group(&identity.group)?;
    let mut job = job;
    let folders = args.job.task.folders();
    for step in &mut job.steps {
        let is_plain = step.blueprint.plan.is_plain();
        folders::add(&folders, &identity.client, &mut step.blueprint.task, is_plain).await?;
    }
    let needs = request::needs(&args.job.options, &identity).await?;
    let resources = request::resources(&args.job.task.job_artifacts(), &identity).await?;
    upload::upload(&identity.client, &job.uploads, environment, &out).await?;
    // A slow program may have written by now.
    standard_input::refuse_ignored()?;
    let settings = request::Settings {
        needs: &needs,
        resources: &resources,
        options,
        retry: retry.as_ref(),
        limits: &args.job.options.limits.limits,
        notify: &notify,
    };
    let request = request::request(args.job.name.as_ref(), job.steps, &settings);
    request::check_limits(&request.jobs, &identity).await?;
    let mut interrupts = StopRequests::listen()?;
    let sent = tokio::select! {
        sent = retry_transient(|| identity.client.submit_jobs(&request)) => sent,
        _ = interrupts.next() => return Err(interrupted()),
    };
    let reply = sent.map_err(|error| match (error.code(), &args.job.name) {
        (Some(ErrorCode::KeyReused), Some(name)) => name_taken(name, args),
        _ => error.into(),
    })?;
    report(reply, &out)
}

/// Prints a line for each job, and what to do next.
fn report(reply: SubmitJobsReply, out: &Output) -> Result<ExitCode, Failure> {
    let SubmitJobsReply { jobs, replayed, warnings } = reply;
    for warning in &warnings {
        note!("mito: warning: {warning}");
    }
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
    let hint = match args.job.options.has_relative_time() {
        true => "use another name, or write --start-after and --expires as times: durations differ each time",
        false => "use another name; a name belongs to one set of tasks",
    };
    Failure::new(Exit::Usage, format!("the name `{name}` is taken by a submission of other tasks"))
        .with_hint(hint)
}

/// The script that the arguments name, and the arguments with its options; none for a command or a job file.
fn with_script(args: &SubmitArgs) -> Result<Option<(SubmitArgs, Script)>, Failure> {
    let words: Vec<OsString> = std::env::args_os().collect();
    match &args.file {
        None => Ok(None),
        Some(file) if is_job_file(file) => {
            check_for_job_file(&words).map_err(|error| Failure::usage(&error, None))?;
            Ok(None)
        }
        Some(file) => script::read(file, &words).map(Some),
    }
}

/// Reads the job file, or makes a job of the command line. Without a group, the user's own is set after the login.
/// A name of the submission is also a label.
fn job(args: &SubmitArgs, script: Option<&Script>, environment: &Environment) -> Result<Job, Failure> {
    let JobArgs { task, name, sweep, no_output, .. } = &args.job;
    let name = name.as_ref().map(ToString::to_string);
    let program = match (script, &args.file) {
        (Some(script), _) => Program::Script(script, &args.command),
        (None, Some(path)) => {
            let labels: Vec<String> = task.labels.iter().cloned().chain(name).collect();
            let group = task.group.as_deref().unwrap_or_default();
            let current = new_task::directory::current(environment);
            return Ok(Job::read(path, Extras { group, labels: &labels, directory: current.as_deref() })?);
        }
        (None, None) if args.command.is_empty() => return Err(nothing_to_run()),
        (None, None) => Program::Command(&args.command),
    };
    standard_input::check_read_once(args.file.as_deref(), task.place.stdin.as_deref(), sweep)?;
    let plan = sweep.plan()?;
    let (mut task, uploads) = new_task::task(task, program, plan.is_plain(), environment)?;
    task.task_spec.terminal_output = !no_output;
    task.labels.extend(name);
    let blueprint = Blueprint { task, plan };
    Ok(Job { steps: vec![Step::single(blueprint)], uploads })
}

fn nothing_to_run() -> Failure {
    Failure::new(Exit::Usage, "expected a command after `--`, a job file, a script, or --resume").with_hint(
        "see `mito submit --help`\n  usage: mito submit [OPTIONS] -- <CMD>...\n  usage: mito submit [OPTIONS] <FILE>",
    )
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
