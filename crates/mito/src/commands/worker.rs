//! `mito worker`: runs a worker until it is stopped.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use mitosis_supervisor::SUPERVISED;
use mitosis_worker::{Settings, Worker};
use tokio::signal::unix::{Signal, SignalKind};
use tokio_util::sync::CancellationToken;

use crate::cli::value_parsers;
use crate::cli::worker::WorkerArgs;
use crate::config::client::ClientConfig;
use crate::config::worker::{OnTerm, WorkerConfig};
use crate::config::{Environment, Layers, Role, keys};
use crate::login::identity::{Identity, WorkerLogin};
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::guard;
use crate::process::logging::{self, LogFile, WorkerTag};
use crate::process::signals::{StopRequests, listen};

pub(super) async fn run(args: &WorkerArgs, environment: &Environment) -> Result<ExitCode, Failure> {
    let layers = Layers::load_quietly(Role::Worker, args.config.as_deref(), args.options(), environment)?;
    let config = WorkerConfig::new(&layers, environment)?;
    let tag = WorkerTag::of_this_process();
    let _logging =
        logging::start(environment, logging::SERVICE_FILTER, log_file(&layers, environment, tag.clone()))?;
    layers.log_warnings();
    let client = ClientConfig::new(&layers, environment);
    // At the start: without a handler, the signal kills this process.
    let mut drain_requests = listen(SignalKind::user_defined1())?;
    let (login, requests) = match environment.text(SUPERVISED) {
        Some(_) => {
            let mut requests = StopRequests::listen_with_lifeline()?;
            tokio::select! {
                login = log_in(client, &config.registration.groups) => (login?, requests),
                reason = requests.next() => {
                    tracing::info!(reason, "stopped before it had logged in");
                    return Ok(ExitCode::SUCCESS);
                }
                _ = drain_requests.recv() => {
                    tracing::info!("asked to drain before it had logged in");
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
        // During a password prompt, Ctrl-C ends the process.
        None => (log_in(client, &config.registration.groups).await?, StopRequests::listen()?),
    };
    let ends_at = config.registration.lifetime.and_then(|time| Instant::now().checked_add(time));
    let settings = Settings {
        registration: config.registration,
        slots: config.inventory.default_tasks(),
        inventory: Some(config.inventory),
        ends_at,
        output_limit: config.output_limit,
        input_cache: config.input_cache,
        fresh_directories_only: config.fresh_directories_only,
        isolation: config.isolation,
        environment: Arc::new(inherited_env(environment, config.pass_env.as_deref())),
        guard: guard::command(),
        polling_interval: config.polling_interval,
        heartbeat_interval: config.heartbeat_interval,
        skip_redis: config.skip_redis,
        registered: Arc::new(move |worker| tag.set_worker(worker)),
        ..Settings::new(Arc::new(login), environment.cache_folder(), Arc::new(OsEntropy))
    };
    until_stopped(settings, config.on_term, requests, drain_requests).await
}

/// The environment variables that commands inherit.
pub(super) fn inherited_env(environment: &Environment, list: Option<&[String]>) -> Vec<(OsString, OsString)> {
    let all = environment.all().map(|(name, value)| (name.to_owned(), value.to_owned()));
    mitosis_worker::inherited_env(all, list)
}

/// Logs in and checks the groups, so that errors are reported before the worker starts.
async fn log_in(config: ClientConfig, groups: &[String]) -> Result<WorkerLogin, Failure> {
    let identity = Identity::establish_with_retry(&config).await?;
    match check_groups(&identity, groups).await {
        // The worker retries an unreachable coordinator itself.
        Err(failure) if matches!(failure.exit(), Exit::Network | Exit::Fault) => {}
        checked => checked?,
    }
    Ok(WorkerLogin::new(config, identity))
}

/// Checks the groups and roles of a worker. The coordinator ignores groups that don't exist, and reads an unknown role
/// as `write` (HTTP contract), so a misspelled one would go unnoticed.
pub(super) async fn check_groups(identity: &Identity, groups: &[String]) -> Result<(), Failure> {
    if groups.is_empty() {
        return Ok(());
    }
    for (name, role) in groups.iter().filter_map(|entry| entry.split_once(':')) {
        value_parsers::role(role).map_err(|why| {
            Failure::new(Exit::Usage, format!("group {name}: {why}"))
                .with_hint(format!("write `{name}:write`, or just `{name}`"))
        })?;
    }
    let own = identity.client.groups().await?.groups;
    let name = |entry: &String| entry.split(':').next().unwrap_or_default().to_owned();
    match groups.iter().map(name).find(|name| !own.contains_key(name)) {
        Some(name) => Err(Failure::new(
            Exit::NotFound,
            format!("group `{name}` does not exist, or you are not a member, so no worker can serve it"),
        )
        .with_hint("`mito client users groups` lists yours")),
        None => Ok(()),
    }
}

async fn until_stopped(
    settings: Settings,
    on_term: OnTerm,
    mut requests: StopRequests,
    mut drain_requests: Signal,
) -> Result<ExitCode, Failure> {
    let stop = CancellationToken::new();
    let drain = settings.drain.clone();
    let working = async {
        tokio::select! {
            ended = Worker::run(settings, stop.clone()) => ended,
            never = async {
                while drain_requests.recv().await.is_some() {
                    tracing::info!("asked to drain");
                    drain.cancel();
                }
                std::future::pending().await
            } => never,
        }
    };
    tokio::pin!(working);
    let ended = tokio::select! {
        ended = &mut working => ended?,
        signal = requests.next() => {
            let finished = match on_term {
                OnTerm::Requeue => None,
                OnTerm::Finish(limit) => {
                    tracing::info!(signal, "stopping after the running tasks");
                    drain.cancel();
                    tokio::select! {
                        ended = &mut working => Some(ended?),
                        _ = requests.next() => None,
                        () = passed(limit) => None,
                    }
                }
            };
            if let Some(ended) = finished {
                tracing::info!(?ended, "stopped");
                return Ok(ExitCode::SUCCESS);
            }
            tracing::info!(signal, "stopping; running tasks are killed and requeued");
            stop.cancel();
            tokio::select! {
                ended = &mut working => ended?,
                signal = requests.next() => {
                    tracing::warn!(signal, "stopped immediately");
                    return Ok(Exit::Failure.into());
                }
            }
        }
    };
    tracing::info!(?ended, "stopped");
    Ok(ExitCode::SUCCESS)
}

/// Waits until a limit has passed, if there is one.
async fn passed(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

fn log_file(layers: &Layers, environment: &Environment, tag: WorkerTag) -> Option<LogFile> {
    let of_workers = || environment.cache_folder().join("worker");
    match (
        layers.get_or_default(keys::SHARED_LOG),
        layers.get_or_default(keys::FILE_LOG),
        layers.get(keys::LOG_PATH),
    ) {
        (true, _, path) => {
            let path = path.unwrap_or_else(|| of_workers().join("workers.log"));
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).to_owned();
            Some(LogFile::Shared { folder, name, tag })
        }
        (false, true, Some(path)) => Some(LogFile::At(path)),
        (false, true, None) => Some(LogFile::At(of_workers().join(format!("{}.log", OsEntropy.uuid())))),
        (false, false, _) => None,
    }
}
