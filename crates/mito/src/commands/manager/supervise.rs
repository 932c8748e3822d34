//! `mito manager supervise`: the supervisor process.

use mitosis_supervisor::{ALREADY_RUNNING, READY, StateDir, Supervisor};
use nix::unistd::setsid;

use crate::config::Environment;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::process::signals::StopRequests;
use crate::show;

/// Exit codes that a restart would only repeat. The systemd unit has the same ones.
const PERMANENT_FAILURES: &[u8] =
    &[Exit::Usage as u8, Exit::Auth as u8, Exit::Forbidden as u8, Exit::Config as u8];

pub(super) async fn run(dir: &StateDir, detached: bool, environment: &Environment) -> Result<(), Failure> {
    let _logging = logging::start(environment, logging::SERVICE_FILTER, None)?;
    if detached {
        // A detached supervisor ignores the end of the terminal.
        setsid().map_err(|error| Failure::io("cannot detach from the terminal", error.into()))?;
    }
    dir.prepare()?;
    let unusable = |error| Failure::io("cannot listen as the manager", error);
    let Some(_lock) = dir.lock().map_err(unusable)? else {
        return match detached {
            true => show::line(ALREADY_RUNNING),
            false => Err(Failure::new(Exit::Failure, "a manager of this user is already running")
                .with_hint("`mito manager status` shows its workers; `mito manager kill` stops it")),
        };
    };
    let mut requests = StopRequests::listen()?;
    let supervisor = Supervisor::new(dir.clone(), PERMANENT_FAILURES);
    let listener = supervisor.listen().map_err(unusable)?;
    show::line(READY)?;
    supervisor.serve(listener, async || requests.next().await).await;
    Ok(())
}
