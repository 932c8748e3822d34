//! `mito manager supervise`: the process that keeps the workers.

use nix::unistd::setsid;

use crate::config::Environment;
use crate::manager::call::{READY, TAKEN};
use crate::manager::place::Place;
use crate::manager::supervisor::Supervisor;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging;
use crate::process::signals::StopRequests;
use crate::show;

pub(super) async fn run(place: &Place, detached: bool, environment: &Environment) -> Result<(), Failure> {
    let _logging = logging::start(environment, logging::SERVICE, None)?;
    if detached {
        // Not in the way of a terminal that closes.
        setsid().map_err(|error| Failure::io("can't leave the terminal", error.into()))?;
    }
    place.prepare()?;
    let unusable = |error| Failure::io("can't be reached as the manager", error);
    let Some(_office) = place.take_office().map_err(unusable)? else {
        return match detached {
            true => show::line(TAKEN),
            false => Err(Failure::new(Exit::Failure, "a manager of this user runs already")
                .with_hint("`mito manager status` shows its workers; `mito manager kill` ends it")),
        };
    };
    let mut requests =
        StopRequests::listen().map_err(|error| Failure::io("can't listen to signals", error))?;
    let supervisor = Supervisor::new(place.clone());
    let listener = supervisor.listen().map_err(unusable)?;
    show::line(READY)?;
    supervisor.serve(listener, &mut requests).await;
    Ok(())
}
