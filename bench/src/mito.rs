//! A system under measurement: coordinators and workers, each in its own process.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mitosis_client::{Client, EarlierTokens, UserClient};
use mitosis_protocol::TaskSpec;
use mitosis_protocol::task::{
    QueryTasksRequest, SubmitOutcome, SubmitTaskRequest, SubmitTasksRequest, TaskFilter,
};
use mitosis_protocol::worker::QueryWorkersRequest;
use mitosis_testkit::postgres::PostgresServer;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::SecretString;
use tempfile::TempDir;

use crate::numbers::float;
use crate::observe::{self, Watch, Work};
use crate::{Error, Plan};

const ADMIN: &str = "mitosis_admin";
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Time between two checks for an end.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const MAX_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Where the state is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedded,
    Postgres,
}

impl Kind {
    pub(crate) const BOTH: [Self; 2] = [Self::Embedded, Self::Postgres];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "mito, embedded",
            Self::Postgres => "mito, PostgreSQL",
        }
    }
}

/// The load of a coordinator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) cpu_percent: f64,
    /// NaN without a database server.
    pub(crate) statements_per_second: f64,
}

/// A running system; it stops when this is dropped.
pub(crate) struct Mito {
    pub(crate) user: UserClient,
    coordinators: Vec<Child>,
    workers: Vec<Child>,
    addresses: Vec<String>,
    program: PathBuf,
    watch: Option<Watch>,
    database: String,
    // Dropped after everything that uses it.
    server: Option<PostgresServer>,
    folder: TempDir,
}

impl Mito {
    /// Starts a coordinator.
    pub(crate) async fn start(plan: &Plan, kind: Kind) -> Result<Self, Error> {
        Self::start_many(plan, kind, 1).await
    }

    /// Starts several coordinators. Objects are in a directory: they are not measured.
    pub(crate) async fn start_many(plan: &Plan, kind: Kind, count: usize) -> Result<Self, Error> {
        let folder = TempDir::new()?;
        let server = match kind {
            Kind::Embedded => None,
            Kind::Postgres => Some(PostgresServer::start_as_it_comes(&["pg_stat_statements"]).await?),
        };
        let database = match &server {
            Some(server) => server.url("postgres"),
            None => format!("sqlite://{}", folder.path().join("state.db").display()),
        };
        let ports = (0..count).map(|_| free_port()).collect::<Result<Vec<_>, _>>()?;
        let addresses: Vec<String> = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        let mut mito = Self {
            user: Client::new(&addresses.join(","))?.with_user_token(String::new().into()),
            coordinators: Vec::new(),
            workers: Vec::new(),
            addresses,
            program: plan.mito.clone(),
            watch: None,
            database,
            server,
            folder,
        };
        for (number, port) in ports.into_iter().enumerate() {
            mito.write_coordinator_config(number, port)?;
            let coordinator = mito.spawn_coordinator(number)?;
            mito.coordinators.push(coordinator);
            // The first one creates the tables and the keys.
            mito.log_in().await?;
        }
        if kind == Kind::Postgres {
            mito.watch = Some(Watch::open(&mito.database).await?);
        }
        Ok(mito)
    }

    async fn log_in(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + START_TIMEOUT;
        let client = self.user.client().clone();
        loop {
            match client.login(ADMIN, &SecretString::from(ADMIN), EarlierTokens::Retain).await {
                Ok(token) => {
                    self.user = client.with_user_token(token);
                    return Ok(());
                }
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// Starts a worker, and waits until it has run a task.
    pub(crate) async fn add_worker(&mut self, slots: usize) -> Result<(), Error> {
        let config = format!(
            "[worker]\ncoordinator_addr = '{}'\nuser = '{ADMIN}'\npassword = '{ADMIN}'\nretain = true\n",
            self.addresses.join(",")
        );
        fs::write(self.folder.path().join("worker.toml"), config)?;
        let slots = slots.to_string();
        let args = ["worker", "--config", "worker.toml", "--slots", &slots];
        self.workers.push(spawn(&self.program, self.folder.path(), "worker.log", &args)?);
        let warm = format!("warm {}", self.workers.len());
        self.run_all(&task(&warm, &["true"], 0), 40).await?;
        Ok(())
    }

    /// Stops all workers.
    pub(crate) fn stop_workers(&mut self) {
        stop(self.workers.drain(..));
    }

    /// Kills the first worker, as a crash would.
    pub(crate) fn kill_worker(&mut self) -> Result<(), Error> {
        let mut victim = self.workers.remove(0);
        let killed = victim.kill();
        victim.wait()?;
        Ok(killed?)
    }

    /// Submits `count` copies of a task and waits until all have ended; returns the time.
    pub(crate) async fn run_all(&self, task: &SubmitTaskRequest, count: usize) -> Result<Duration, Error> {
        let begun = Instant::now();
        self.submit(task, count).await?;
        self.wait_for(&task.labels[0], count).await?;
        Ok(begun.elapsed())
    }

    /// Submits `count` copies of a task in one call.
    pub(crate) async fn submit(&self, task: &SubmitTaskRequest, count: usize) -> Result<(), Error> {
        let tasks = vec![task.clone(); count];
        let reply = self.user.submit_many(&SubmitTasksRequest { tasks, idempotency_key: None }).await?;
        match reply.results.iter().find(|outcome| matches!(outcome, SubmitOutcome::Err(_))) {
            Some(refused) => Err(format!("a task was refused: {refused:?}").into()),
            None => Ok(()),
        }
    }

    /// Waits until `count` tasks of a label have ended. Each check counts them, which costs the coordinator
    /// time; so the next check is when half of the missing ones should have ended.
    pub(crate) async fn wait_for(&self, label: &str, count: usize) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let ended = self.ended(label).await?;
            if ended >= count as u64 {
                return Ok(());
            }
            let missing = float(count as u64 - ended);
            let left = begun.elapsed().mul_f64(missing / float(ended.max(1)));
            tokio::time::sleep((left / 2).clamp(POLL_INTERVAL, MAX_POLL_INTERVAL)).await;
        }
    }

    /// How many tasks of a label have ended with status 0.
    pub(crate) async fn ended(&self, label: &str) -> Result<u64, Error> {
        let mut query = query(label);
        query.filter.exit_status = Some("=0".to_owned());
        query.count = true;
        Ok(self.user.query_tasks(&query).await?.count)
    }

    /// Runs the program as a client of the first coordinator; returns its standard output.
    pub(crate) fn client(&self, args: &[&str]) -> Result<String, Error> {
        let output = Command::new(&self.program)
            .args(&args[..1])
            .args(["-c", &self.addresses[0], "-u", ADMIN])
            .args(&args[1..])
            .env("MITO_PASSWORD", ADMIN)
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("`mito {}` ended with {}", args.join(" "), output.status).into()),
        }
    }

    /// Adds a line to the configuration of the first coordinator, for its next start.
    pub(crate) fn configure(&self, line: &str) -> Result<(), Error> {
        let file = self.folder.path().join("coordinator-0.toml");
        let config = fs::read_to_string(&file)?;
        Ok(fs::write(file, format!("{config}{line}\n"))?)
    }

    /// The size of the database: of its files, or as the server counts it.
    pub(crate) async fn database_bytes(&self) -> Result<f64, Error> {
        if let Some(watch) = &self.watch {
            return watch.database_bytes().await;
        }
        let mut bytes = 0;
        for file in ["state.db", "state.db-wal"] {
            bytes += fs::metadata(self.folder.path().join(file)).map_or(0, |found| found.len());
        }
        Ok(float(bytes))
    }

    /// The folder in which its processes run.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The process id of the first coordinator.
    pub(crate) fn coordinator(&self) -> u32 {
        self.coordinators[0].id()
    }

    /// Kills a coordinator, as a crash would.
    pub(crate) fn kill_coordinator(&mut self, number: usize) -> Result<(), Error> {
        self.coordinators[number].kill()?;
        self.coordinators[number].wait()?;
        Ok(())
    }

    /// Restarts a killed coordinator.
    pub(crate) fn revive_coordinator(&mut self, number: usize) -> Result<(), Error> {
        self.coordinators[number] = self.spawn_coordinator(number)?;
        Ok(())
    }

    /// Kills and restarts the database server.
    pub(crate) async fn restart_database(&mut self) -> Result<(), Error> {
        match &mut self.server {
            Some(server) => Ok(server.restart().await?),
            None => Err("there is no database server".into()),
        }
    }

    fn write_coordinator_config(&self, number: usize, port: u16) -> Result<(), Error> {
        let config = format!(
            "[coordinator]\nbind = '127.0.0.1:{port}'\ndb_url = '{}'\ns3_url = 'file://{}'\n",
            self.database,
            self.folder.path().join("objects").display()
        );
        Ok(fs::write(self.folder.path().join(format!("coordinator-{number}.toml")), config)?)
    }

    fn spawn_coordinator(&self, number: usize) -> Result<Child, Error> {
        let (config, log) = (format!("coordinator-{number}.toml"), format!("coordinator-{number}.log"));
        spawn(&self.program, self.folder.path(), &log, &["coordinator", "--config", &config])
    }

    /// The work of the database so far; none without a server.
    pub(crate) async fn database_work(&self) -> Result<Option<Work>, Error> {
        match &self.watch {
            Some(watch) => Ok(Some(watch.work().await?)),
            None => Ok(None),
        }
    }

    /// The load of the first coordinator and its database during a period.
    pub(crate) async fn load_over(&self, span: Duration) -> Result<Load, Error> {
        let pid = self.coordinator();
        let (used, work, begun) = (observe::cpu_seconds(pid)?, self.database_work().await?, Instant::now());
        tokio::time::sleep(span).await;
        let seconds = begun.elapsed().as_secs_f64();
        let cpu_percent = (observe::cpu_seconds(pid)? - used) / seconds * 100.0;
        let statements_per_second = match (work, self.database_work().await?) {
            (Some(before), Some(after)) => (after.statements - before.statements) / seconds,
            _ => f64::NAN,
        };
        Ok(Load { cpu_percent, statements_per_second })
    }

    /// How many workers are registered.
    pub(crate) async fn workers(&self) -> Result<usize, Error> {
        let query = QueryWorkersRequest { count: true, ..QueryWorkersRequest::default() };
        Ok(usize::try_from(self.user.query_workers(&query).await?.count)?)
    }

    /// Stops everything but the database without losing state, and then starts the coordinator again.
    pub(crate) async fn restart_around(
        &mut self,
        between: impl AsyncFnOnce(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.stop_processes();
        between(&self.database).await?;
        for number in 0..self.addresses.len() {
            let coordinator = self.spawn_coordinator(number)?;
            self.coordinators.push(coordinator);
        }
        self.log_in().await
    }

    fn stop_processes(&mut self) {
        // Workers first: each signs off.
        stop(self.workers.drain(..).chain(self.coordinators.drain(..)));
    }
}

impl Drop for Mito {
    fn drop(&mut self) {
        self.stop_processes();
    }
}

/// Requests processes to end, and waits for each.
fn stop(processes: impl Iterator<Item = Child>) {
    for mut process in processes {
        if kill(Pid::from_raw(process.id().cast_signed()), Signal::SIGTERM).is_ok() {
            process.wait().ok();
        }
    }
}

/// A task of the administrator's own group.
pub(crate) fn task(label: &str, command: &[&str], priority: i32) -> SubmitTaskRequest {
    SubmitTaskRequest {
        group_name: ADMIN.to_owned(),
        tags: Vec::new(),
        labels: vec![label.to_owned()],
        timeout: Duration::from_mins(10),
        priority,
        task_spec: TaskSpec {
            args: command.iter().map(ToString::to_string).collect(),
            ..TaskSpec::default()
        },
    }
}

/// The tasks of a label.
pub(crate) fn query(label: &str) -> QueryTasksRequest {
    QueryTasksRequest {
        filter: TaskFilter { labels: Some(vec![label.to_owned()]), ..TaskFilter::default() },
        ..QueryTasksRequest::default()
    }
}

fn spawn(program: &Path, folder: &Path, log: &str, args: &[&str]) -> Result<Child, Error> {
    let path = std::env::vars_os().find(|(name, _)| name == "PATH").map(|(_, value)| value);
    let log = fs::File::create(folder.join(log))?;
    Ok(Command::new(program)
        .args(args)
        .env_clear()
        .envs(path.map(|value| ("PATH", value)))
        .env("HOME", folder)
        .env("RUST_LOG", "warn")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?)
}

fn free_port() -> Result<u16, Error> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
