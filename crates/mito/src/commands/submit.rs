//! `mito submit`: a command as a task, or as many.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use mitosis_domain::sweep::{Blueprint, Plan};

use crate::cli::submit::SubmitArgs;
use crate::config::client::ClientConfig;
use crate::config::{Environment, Layers, Options, Role};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::lifecycle::StopRequests;
use crate::sweep::{self, Accepted, Submission};
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
    let plan = sweep::plan(&args.sweep)?;
    if args.dry_run {
        let group = args.task.group.clone().unwrap_or_default();
        let blueprint = blueprint(args, plan, group);
        let expansion = blueprint.expand()?;
        sweep::check(&expansion)?;
        sweep::preview(&[expansion])?;
        return Ok(ExitCode::SUCCESS);
    }
    let identity = identity(args.connection.options(), args, environment).await?;
    let group = args.task.group.clone().unwrap_or_else(|| identity.name.clone());
    let blueprint = blueprint(args, plan, group);
    sweep::check(&blueprint.expand()?)?;
    let submission = Submission::new(args.name.as_deref(), vec![blueprint], &identity, environment)?;
    send(submission, &identity).await
}

/// The name is a label, too.
fn blueprint(args: &SubmitArgs, plan: Plan, group: String) -> Blueprint {
    let mut task = args.task.task(group, &args.command, args.terminal);
    if let Some(name) = args.name.as_ref().filter(|name| !task.labels.contains(name)) {
        task.labels.push(name.clone());
    }
    Blueprint { task, plan }
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
