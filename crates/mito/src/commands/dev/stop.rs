//! `mito dev stop`: stops a running system, after a question if that interrupts tasks.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use super::{client, home, running_tasks};
use crate::cli::dev::StopArgs;
use crate::config::instances::Instances;
use crate::config::{ConfigError, Environment, Instance};
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::show;
use crate::show::text::shell_word;

/// How long a system may take to stop: its commands get time to end.
const TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

pub(super) async fn run(args: &StopArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let _logging = logging::start(environment, logging::COMMAND_FILTER, None)?;
    let instance = chosen(args, environment)?;
    if !args.force {
        confirm(&instance).await?;
    }
    request_stop(&instance)?;
    wait_until_gone(&instance, environment).await?;
    show::line(format_args!("stopped `mito dev` of {}", instance.data.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn chosen(args: &StopArgs, environment: &Environment) -> Result<Instance, Failure> {
    let found = Instances::find(environment);
    for reason in &found.refused {
        note!("mito: {reason}");
    }
    if let Some(data) = &args.data {
        let data = home(Some(data), environment)?;
        return found
            .of_data(&data)
            .ok_or_else(|| not_running(&format!(" with the data {}", data.display())));
    }
    let mut running = found.running;
    match (running.pop(), running.is_empty()) {
        (None, _) => Err(not_running("")),
        (Some(instance), true) => Ok(instance),
        (Some(last), false) => {
            let data = shell_word(&last.data.display().to_string());
            running.push(last);
            Err(Failure::from(ConfigError::SeveralInstances(running))
                .with_hint(format!("name one: `mito dev stop --data {data}`")))
        }
    }
}

fn not_running(which: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("no `mito dev` of this user is running{which}"))
        .with_hint("`mito dev status` lists those that are")
}

/// Asks before tasks are interrupted. Without a terminal, that needs `--force`.
async fn confirm(instance: &Instance) -> Result<(), Failure> {
    let count = match client(instance) {
        Ok(Some(client)) => running_tasks::count(&client).await.map_err(Failure::from),
        Ok(None) => Ok(0),
        Err(failure) => Err(failure),
    };
    let count = count.map_err(|failure| {
        failure.about("cannot find out whether tasks are running").and_hint("`--force` stops it anyway")
    })?;
    if count == 0 {
        return Ok(());
    }
    let consequence = running_tasks::consequence(count);
    if !io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Failure, format!("stopping interrupts {consequence}"))
            .with_hint("`--force` stops it; `mito ls --active` shows the jobs"));
    }
    let mut answer = String::new();
    let question = format!("mito: stopping interrupts {consequence}. Stop? [y/N] ");
    io::stderr()
        .write_all(question.as_bytes())
        .and_then(|()| io::stdin().read_line(&mut answer))
        .map_err(|error| Failure::io("cannot prompt on the terminal", error))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Failure, "not stopped")),
    }
}

/// Sends SIGTERM to the process that holds the lock of the instance. The id alone does not identify it: in a container,
/// it may be that of another process.
fn request_stop(instance: &Instance) -> Result<(), Failure> {
    if !instance.has_its_process() {
        return Err(Failure::new(
            Exit::Failure,
            format!("process {} is not the `mito dev` of {}", instance.process, instance.data.display()),
        )
        .with_hint("it runs in another container; stop it there"));
    }
    match kill(Pid::from_raw(instance.process), Signal::SIGTERM) {
        // It has just ended.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(Failure::io(format!("cannot stop process {}", instance.process), error.into())),
    }
}

async fn wait_until_gone(instance: &Instance, environment: &Environment) -> Result<(), Failure> {
    let deadline = Instant::now() + TIMEOUT;
    while Instances::find(environment).running.contains(instance) {
        if Instant::now() > deadline {
            return Err(Failure::new(
                Exit::TimedOut,
                format!("`mito dev` of {} is still stopping", instance.data.display()),
            )
            .with_hint(format!("a second `kill {}` ends it at once", instance.process)));
        }
        sleep(POLL_INTERVAL).await;
    }
    Ok(())
}
