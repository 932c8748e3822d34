//! A complete system in this process: a coordinator with a SQLite file and a directory, and a worker.

mod kept_worker;
pub(crate) mod running_instance;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mitosis_client::{Client, ClientError, EarlierTokens, UserClient};
use mitosis_coordinator::{Coordinator, Database, KeyFiles, Objects, Running, Settings, Stop};
use mitosis_domain::clock::SystemClock;
use mitosis_domain::entropy::{Entropy, OsEntropy};
use mitosis_worker::{DirectoryLock, Login, Worker, WorkerError, WorkerExit};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Environment, check_owner, inventory, read_secret};
use crate::process::failure::Failure;
use crate::process::guard;
use kept_worker::KeptWorker;

/// The name of the only user.
pub(crate) const USER: &str = "mitosis_admin";
/// The lease of the worker, which is lost only together with the coordinator. It is short, so that tasks are requeued
/// soon after `kill -9`.
const LEASE: Duration = Duration::from_secs(30);

/// The lifetime of tokens. The password is beside the stored token, so a short one protects nothing, and commands of an
/// instance that runs for weeks find a valid one.
const TOKEN_LIFETIME: Duration = Duration::from_hours(366 * 24);

/// The pause before a removed worker is replaced.
const PAUSE: Duration = Duration::from_secs(1);

/// A running system.
pub(crate) struct Embedded {
    coordinator: Running,
    /// None once its end has been reported.
    worker: Option<JoinHandle<Result<(), WorkerError>>>,
    kept_worker: Arc<KeptWorker>,
    stop_worker: CancellationToken,
    user: UserClient,
    token: SecretString,
}

impl Embedded {
    /// Starts a system with the data in `home`, which is created if necessary. Commands inherit the variables
    /// in `inherited`.
    pub(crate) async fn start(
        home: &Path,
        bind: SocketAddr,
        slots: usize,
        inherited: Vec<(OsString, OsString)>,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        private_folder(home)?;
        // First, as nothing can start on a full disk.
        mitosis_worker::remove_abandoned(&home.join("worker"));
        let password = password(home)?;
        let coordinator =
            Coordinator::start(settings(home, bind, &password), Arc::new(SystemClock), Arc::new(OsEntropy))
                .await
                .map_err(|error| running_instance::explain_start_error(error, home, environment))?;
        let client = Client::new(&format!("http://{}", reachable(coordinator.address())))?;
        let token = client.login(USER, &password, EarlierTokens::Retain).await?;
        let user = client.with_user_token(token.clone());
        let stop_worker = CancellationToken::new();
        let kept_worker = Arc::new(KeptWorker::open(home, &user).await);
        let settings = mitosis_worker::Settings {
            slots,
            inventory: Some(inventory::of_slots(slots, inventory::detect(environment))),
            registration: kept_worker.registration(&user).await,
            registered: {
                let kept_worker = kept_worker.clone();
                Arc::new(move |worker| kept_worker.registered(worker))
            },
            guard: guard::command(),
            environment: Arc::new(inherited),
            ..mitosis_worker::Settings::new(
                Arc::new(LocalLogin { client, password }),
                home.join("worker"),
                Arc::new(OsEntropy),
            )
        };
        let worker = Some(mitosis_background::spawn("worker", run_worker(settings, stop_worker.clone())));
        Ok(Self { coordinator, worker, kept_worker, stop_worker, user, token })
    }

    pub(crate) fn user(&self) -> &UserClient {
        &self.user
    }

    pub(crate) fn token(&self) -> &SecretString {
        &self.token
    }

    /// Waits until the system, or a part of it, has ended by itself.
    pub(crate) async fn finished(&mut self) -> Result<(), Failure> {
        tokio::select! {
            finished = self.coordinator.finished() => Ok(finished?),
            ended = ended(&mut self.worker) => {
                self.worker = None;
                Ok(ended?)
            }
        }
    }

    /// Stops the worker, which kills its commands, and then the coordinator.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.kept_worker.save(&self.user).await;
        self.stop_worker.cancel();
        let worker = match self.worker {
            Some(worker) => worker.await.map_err(WorkerError::from).flatten(),
            None => Ok(()),
        };
        let coordinator = self.coordinator.stop(Stop::Gracefully).await;
        worker?;
        Ok(coordinator?)
    }
}

/// Runs a worker, and replaces it when it was removed.
async fn run_worker(settings: mitosis_worker::Settings, stop: CancellationToken) -> Result<(), WorkerError> {
    loop {
        let ended = Worker::run(settings.clone(), stop.clone()).await?;
        if ended == WorkerExit::Stopped {
            return Ok(());
        }
        tracing::warn!("the worker was removed; starting another");
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

async fn ended(worker: &mut Option<JoinHandle<Result<(), WorkerError>>>) -> Result<(), WorkerError> {
    match worker {
        Some(worker) => worker.await.map_err(WorkerError::from).flatten(),
        None => std::future::pending().await,
    }
}

/// Creates a directory in the cache for a system that lives as long as one command. Directories of killed commands are
/// removed.
pub(crate) fn temporary_home(cache: &Path) -> Result<(PathBuf, DirectoryLock), Failure> {
    let base = cache.join("local");
    mitosis_worker::remove_abandoned(&base);
    let home = base.join(OsEntropy.uuid().to_string());
    match DirectoryLock::acquire(&home) {
        Ok(hold) => Ok((home, hold)),
        Err(error) => Err(Failure::io(format!("cannot create the directory {}", home.display()), error)),
    }
}

fn settings(home: &Path, bind: SocketAddr, password: &SecretString) -> Settings {
    Settings {
        bind,
        admin_user: USER.to_owned(),
        admin_password: password.clone(),
        keys: KeyFiles { private: home.join("private.pem"), public: home.join("public.pem"), create: true },
        heartbeat_timeout: LEASE,
        token_lifetime: TOKEN_LIFETIME,
        ..Settings::new(Database::Sqlite(home.join("state.db")), Objects::Directory(home.join("objects")))
    }
}

/// The local address of a coordinator that listens on all addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), address.port()),
        false => address,
    }
}

fn private_folder(path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::io(format!("cannot create the directory {}", path.display()), error))?;
    // The directory has keys and the password, so only its owner may read it.
    Ok(check_owner(path)?)
}

/// The password of the only user, generated at the first start: other users of this machine can reach the port.
fn password(home: &Path) -> Result<SecretString, Failure> {
    let path = home.join("password");
    read_or_draw(&path)
        .map_err(|error| Failure::io(format!("cannot store the password in {}", path.display()), error))
}

fn read_or_draw(path: &Path) -> io::Result<SecretString> {
    match read_secret(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().into()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let drawn = SecretString::from(OsEntropy.uuid().simple().to_string());
    let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(drawn.expose_secret().as_bytes())?;
    file.sync_all()?;
    Ok(drawn)
}

/// The login of the worker in the same process.
struct LocalLogin {
    client: Client,
    password: SecretString,
}

#[async_trait]
impl Login for LocalLogin {
    async fn log_in(&self) -> Result<UserClient, ClientError> {
        let token = self.client.login(USER, &self.password, EarlierTokens::Retain).await?;
        Ok(self.client.with_user_token(token))
    }
}
