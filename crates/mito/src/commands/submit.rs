//! `mito submit`: a command as a task, or as many.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use mitosis_domain::sweep::Blueprint;

use crate::cli::submit::SubmitArgs;
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Options, Role};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::lifecycle::StopRequests;
use crate::sweep::{self, Accepted, Extras, Job, Submission};
use crate::{logging, show};

/// So many tasks are shown one by one to somebody at a terminal.
const WORTH_SHOWING: u64 = 20;

pub(super) async fn run(args: &SubmitArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND, None)?;
    if let Some(id) = &args.resume {
        let submission = Submission::interrupted(id, environment)?;
        let identity = same_identity(&submission, args, environment).await?;
        return send(submission, &identity).await;
    }
    if args.dry_run {
        return preview(&job(args, args.task.group.as_deref().unwrap_or_default())?).await;
    }
    let identity = identity(args.connection.options(), args, environment).await?;
    let job = job(args, args.task.group.as_deref().unwrap_or(&identity.name))?;
    for blueprint in &job.blueprints {
        sweep::check(&blueprint.expand()?)?;
    }
    sweep::upload(&identity.client, &job.uploads).await?;
    let submission = Submission::new(args.name.as_deref(), job.blueprints, &identity, environment)?;
    send(submission, &identity).await
}

/// What a job file says, or the command line alone. A name is a label, too.
fn job(args: &SubmitArgs, group: &str) -> Result<Job, Failure> {
    if let Some(path) = &args.job {
        let labels: Vec<String> = args.task.labels.iter().chain(&args.name).cloned().collect();
        return Job::read(path, Extras { group, labels: &labels });
    }
    let mut task = args.task.task(group.to_owned(), &args.command, args.terminal);
    task.labels.extend(args.name.clone());
    let blueprint = Blueprint { task, plan: sweep::plan(&args.sweep)? };
    Ok(Job { blueprints: vec![blueprint], uploads: Vec::new() })
}

async fn preview(job: &Job) -> Result<ExitCode, Failure> {
    let expansions = job.blueprints.iter().map(Blueprint::expand).collect::<Result<Vec<_>, _>>()?;
    expansions.iter().try_for_each(sweep::check)?;
    for upload in &job.uploads {
        let length = sweep::length(upload).await?;
        show::line(format_args!("needs {} as {} ({length} bytes)", upload.file.display(), upload.key))?;
    }
    sweep::preview(&expansions)?;
    Ok(ExitCode::SUCCESS)
}

async fn identity(
    options: Options,
    args: &SubmitArgs,
    environment: &Environment,
) -> Result<Identity, Failure> {
    let layers = Layers::load(Role::Client, args.connection.config.as_deref(), options, environment)?;
    Identity::establish(&ClientConfig::new(&layers, environment)).await
}

/// Tasks are recognised among those of one user on one coordinator.
async fn same_identity(
    submission: &Submission,
    args: &SubmitArgs,
    environment: &Environment,
) -> Result<Identity, Failure> {
    let options = args
        .connection
        .options()
        .text("coordinator_addr", Some(args.connection.coordinator.as_ref().unwrap_or(submission.address())))
        .text("user", Some(args.connection.user.as_ref().unwrap_or(submission.user())));
    let identity = identity(options, args, environment).await?;
    match identity.name == *submission.user() {
        true => Ok(identity),
        false => Err(Failure::new(
            Exit::Usage,
            format!("this submission is by `{}`, and you are `{}`", submission.user(), identity.name),
        )
        .with_hint("only the one who began it can go on with it, or tasks would be submitted twice")),
    }
}

async fn send(submission: Submission, identity: &Identity) -> Result<ExitCode, Failure> {
    let mut requests =
        StopRequests::listen().map_err(|error| Failure::io("can't listen to signals", error))?;
    let go_on = submission.how_to_go_on();
    let (mut said, mut told) = (false, Ok(()));
    let sent = submission.send(&identity.client, |accepted| {
        if accepted.so_far < accepted.total && !said {
            said = true;
            eprintln!("mito: if this is interrupted, go on with `{go_on}`");
        }
        // That nobody reads any more is no reason to leave tasks out.
        if told.is_ok() {
            told = tell(&accepted);
        }
    });
    tokio::select! {
        sent = sent => {
            let total = sent?;
            if total > 1 {
                eprintln!("submitted {total} tasks");
            }
            told.map(|()| ExitCode::SUCCESS)
        }
        _ = requests.next() => Err(Failure::new(Exit::Interrupted, "interrupted; some tasks may be submitted")
            .with_hint(format!("go on with `{go_on}`: no task is submitted twice"))),
    }
}

/// Scripts take the last word of each line.
fn tell(accepted: &Accepted<'_>) -> Result<(), Failure> {
    if accepted.total > WORTH_SHOWING && io::stdout().is_terminal() {
        eprint!("\r{} of {}", accepted.so_far, accepted.total);
        if accepted.so_far == accepted.total {
            eprintln!();
        }
        return Ok(());
    }
    let mut lines = Vec::new();
    for (task, group) in accepted.tasks {
        writeln!(lines, "task {} of group {group}: {}", task.task_id, task.uuid).expect("memory takes it");
    }
    show::lines(&lines)
}
