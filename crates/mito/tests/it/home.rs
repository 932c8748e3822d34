//! A user's home, empty at first, and what is started from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use mitosis_client::{Client, UserClient};
use mitosis_protocol::task::{QueryTasksRequest, SubmitTaskRequest, TaskFilter};
use mitosis_protocol::{TaskInfo, TaskSpec, TaskState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Longest time that anything here may take. Reaching it is a failure, never a pause.
const LIMIT: Duration = Duration::from_secs(60);
/// Time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The documented default.
pub(crate) const ADMIN: &str = "mitosis_admin";

/// An empty home directory.
pub(crate) struct Home(TempDir);

/// How a command ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A process that stays. Killed when it goes out of scope.
pub(crate) struct Service {
    child: Child,
    /// Keeps reading, so that the process never waits for its reader.
    _log: tokio::task::JoinHandle<()>,
}

/// A coordinator on an embedded store.
pub(crate) struct Coordinator {
    pub(crate) service: Service,
    pub(crate) address: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `mito` with nothing in its environment but this home.
    pub(crate) fn mito(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mito"));
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        ended(self.mito(args)).await
    }

    /// Starts a command that stays; answers it with the rest of the first line in which `mark` appears
    /// on one of its streams.
    pub(crate) async fn start(&self, args: &[&str], mark: &str) -> (Service, String) {
        let mut child =
            self.mito(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mito starts");
        let (lines, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let streams = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let log = tokio::spawn(async move {
            tokio::join!(pass_on(streams.0, lines.clone()), pass_on(streams.1, lines));
        });
        let found = tokio::time::timeout(LIMIT, async {
            let mut log = String::new();
            while let Some(line) = seen.recv().await {
                if let Some((_, rest)) = line.split_once(mark) {
                    return rest.to_owned();
                }
                log.push_str(&line);
                log.push('\n');
            }
            panic!("`mito {args:?}` ended without saying `{mark}`:\n{log}");
        });
        let rest = found.await.expect("a service says in time that it is ready");
        (Service { child, _log: log }, rest)
    }

    /// Starts a coordinator with a file and a directory in this home, on the given port.
    pub(crate) async fn coordinator(&self, port: u16, heartbeat_timeout: &str) -> Coordinator {
        let db = format!("sqlite://{}/state.db", self.path().display());
        let s3 = format!("file://{}/objects", self.path().display());
        let bind = format!("127.0.0.1:{port}");
        let args = ["coordinator", "--bind", &bind, "--db", &db, "--s3", &s3];
        let args = [&args[..], &["--heartbeat-timeout", heartbeat_timeout]].concat();
        let (service, address) = self.start(&args, "listening address=").await;
        Coordinator { service, address: format!("http://{address}") }
    }

    /// Starts a worker for the administrator.
    pub(crate) async fn worker(&self, address: &str, slots: &str) -> Service {
        let password = self.write(
            "worker.toml",
            "[worker]\nuser = 'mitosis_admin'\npassword = 'mitosis_admin'\nretain = true\n",
        );
        let config = password.to_str().unwrap();
        let args = ["worker", "--config", config, "-c", address, "--slots", slots];
        self.start(&args, "registered").await.0
    }
}

async fn pass_on(stream: impl AsyncRead + Unpin, lines: tokio::sync::mpsc::UnboundedSender<String>) {
    let mut stream = BufReader::new(stream).lines();
    while let Ok(Some(line)) = stream.next_line().await {
        // Once the ready line was seen, nobody listens any more.
        let _ = lines.send(line);
    }
}

/// Runs a command to its end.
pub(crate) async fn ended(mut command: Command) -> Output {
    let output = tokio::time::timeout(LIMIT, command.output()).await.expect("it ends").expect("it starts");
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Service {
    fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().expect("it runs").try_into().unwrap())
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.id(), signal).unwrap();
    }

    pub(crate) async fn wait(mut self) -> ExitStatus {
        tokio::time::timeout(LIMIT, self.child.wait()).await.expect("it ends").unwrap()
    }

    /// `kill -9`.
    pub(crate) async fn kill(self) {
        self.signal(Signal::SIGKILL);
        self.wait().await;
    }
}

impl Coordinator {
    pub(crate) fn port(&self) -> u16 {
        self.address.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// A connection as the first administrator.
    pub(crate) async fn admin(&self) -> UserClient {
        let client = Client::new(&self.address).unwrap();
        let token = client.login(ADMIN, &SecretString::from(ADMIN), true).await.unwrap();
        client.with_user_token(token)
    }
}

/// A task of the administrator's own group.
pub(crate) fn task(args: &[&str]) -> SubmitTaskRequest {
    SubmitTaskRequest {
        group_name: ADMIN.to_owned(),
        tags: vec![],
        labels: vec![],
        timeout: Duration::from_secs(60),
        priority: 0,
        task_spec: TaskSpec {
            args: args.iter().map(ToString::to_string).collect(),
            envs: BTreeMap::new(),
            resources: vec![],
            terminal_output: false,
            watch: None,
        },
    }
}

/// Every task of the administrator's own group.
pub(crate) async fn all_tasks(user: &UserClient) -> Vec<TaskInfo> {
    let query =
        QueryTasksRequest { filter: TaskFilter::default(), limit: Some(10_000), ..Default::default() };
    user.query_tasks(&query).await.unwrap().tasks
}

/// Waits until so many tasks are in a state.
pub(crate) async fn until_so_many(user: &UserClient, state: TaskState, wanted: usize) {
    let query = QueryTasksRequest {
        filter: TaskFilter { states: Some(vec![state]), ..TaskFilter::default() },
        count: true,
        ..Default::default()
    };
    let deadline = Instant::now() + LIMIT;
    loop {
        let count = user.query_tasks(&query).await.unwrap().count;
        if count >= wanted as u64 {
            return;
        }
        assert!(Instant::now() < deadline, "{count} of {wanted} tasks are {state:?}");
        sleep(LOOK_AGAIN).await;
    }
}
