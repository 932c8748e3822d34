//! `mito coordinator`: runs until it is told to stop, twice if need be.

use std::process::ExitCode;
use std::sync::Arc;

use mitosis_coordinator::{Coordinator, Running, Settings, Stop};
use mitosis_domain::clock::SystemClock;
use mitosis_domain::entropy::OsEntropy;

use crate::cli::coordinator::CoordinatorArgs;
use crate::config::coordinator::settings;
use crate::config::{Environment, Layers, Role};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lifecycle::StopRequests;
use crate::logging::{self, LogFile};

pub(super) async fn run(args: &CoordinatorArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let layers =
        Layers::load_quietly(Role::Coordinator, args.config.as_deref(), args.options(), environment)?;
    let settings = settings(&layers)?;
    let _logging = logging::start(environment, logging::SERVICE, log_file(&layers, &settings, environment))?;
    layers.log_warnings();
    let mut requests =
        StopRequests::listen().map_err(|error| Failure::io("can't listen to signals", error))?;
    let running = tokio::select! {
        started = Coordinator::start(settings, Arc::new(SystemClock), Arc::new(OsEntropy)) => started?,
        signal = requests.next() => {
            tracing::info!(signal, "stopped before it had started");
            return Ok(ExitCode::SUCCESS);
        }
    };
    until_stopped(running, &mut requests).await
}

async fn until_stopped(mut running: Running, requests: &mut StopRequests) -> Result<ExitCode, Failure> {
    let ended = tokio::select! {
        ended = running.finished() => ended,
        signal = requests.next() => {
            tracing::info!(signal, "stopping; a second signal stops at once");
            Ok(())
        }
    };
    let stopped = tokio::select! {
        stopped = running.stop(Stop::Gracefully) => stopped,
        signal = requests.next() => {
            tracing::warn!(signal, "stopped at once");
            return Ok(Exit::Failure.into());
        }
    };
    ended.and(stopped).map_err(|error| Failure::io("the coordinator failed", error))?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

fn log_file(layers: &Layers, settings: &Settings, environment: &Environment) -> Option<LogFile> {
    layers.flag("file_log").then(|| match layers.path("log_path") {
        Some(path) => LogFile::At(path.to_owned()),
        None => LogFile::Daily {
            folder: environment.cache_folder().join("coordinator"),
            name: format!("{}.log", settings.bind),
        },
    })
}
