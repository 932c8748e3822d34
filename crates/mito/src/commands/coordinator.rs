//! `mito coordinator`: runs a coordinator until it is stopped; a second request stops it immediately.

use std::process::ExitCode;
use std::sync::Arc;

use mitosis_coordinator::{Coordinator, Running, Settings, Stop};
use mitosis_domain::clock::SystemClock;
use mitosis_domain::entropy::OsEntropy;
use tokio::signal::unix::{Signal, SignalKind};

use crate::cli::coordinator::CoordinatorArgs;
use crate::config::coordinator::settings;
use crate::config::{Environment, Layers, Role, keys};
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::logging::{self, LogFile};
use crate::process::signals::{StopRequests, listen};

pub(super) async fn run(args: &CoordinatorArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let layers =
        Layers::load_quietly(Role::Coordinator, args.config.as_deref(), args.options(), environment)?;
    let settings = settings(&layers)?;
    let _logging =
        logging::start(environment, logging::SERVICE_FILTER, log_file(&layers, &settings, environment))?;
    layers.log_warnings();
    raise_the_limit_on_open_files();
    let mut requests = StopRequests::listen()?;
    // Without a certificate to reload, SIGHUP ends the process.
    let reloads = settings.tls.as_ref().map(|_| listen(SignalKind::hangup())).transpose()?;
    let running = tokio::select! {
        started = Coordinator::start(settings, Arc::new(SystemClock), Arc::new(OsEntropy)) => started?,
        signal = requests.next() => {
            tracing::info!(signal, "stopped before the start was complete");
            return Ok(ExitCode::SUCCESS);
        }
    };
    until_stopped(running, &mut requests, reloads).await
}

/// Raises the soft limit of open files: each connection is one, and the usual limit of 1,024 is for programs that use
/// `select`. No child process inherits the limit.
fn raise_the_limit_on_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map(|()| hard));
    match raised {
        Ok(limit) => tracing::debug!(limit, "open files"),
        Err(error) => tracing::warn!(%error, "could not raise the limit on open files"),
    }
}

async fn until_stopped(
    mut running: Running,
    requests: &mut StopRequests,
    mut reloads: Option<Signal>,
) -> Result<ExitCode, Failure> {
    let ended = loop {
        tokio::select! {
            ended = running.finished() => break ended,
            signal = requests.next() => {
                tracing::info!(signal, "stopping; a second signal stops immediately");
                break Ok(());
            }
            () = next(&mut reloads) => {
                if let Err(error) = running.reload() {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, "cannot reload the certificate; the old one stays in use");
                }
            }
        }
    };
    let stopped = tokio::select! {
        stopped = running.stop(Stop::Gracefully) => stopped,
        signal = requests.next() => {
            tracing::warn!(signal, "stopped immediately");
            return Ok(Exit::Failure.into());
        }
    };
    ended.and(stopped)?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

async fn next(reloads: &mut Option<Signal>) {
    let heard = match reloads {
        Some(reloads) => reloads.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending::<()>().await;
    }
}

fn log_file(layers: &Layers, settings: &Settings, environment: &Environment) -> Option<LogFile> {
    layers.get_or_default(keys::FILE_LOG).then(|| match layers.get(keys::LOG_PATH) {
        Some(path) => LogFile::At(path),
        None => LogFile::Daily {
            folder: environment.cache_folder().join("coordinator"),
            name: format!("{}.log", settings.bind),
        },
    })
}
