//! A temporary home directory of a user, and processes that use it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use mitosis_client::{Client, EarlierTokens, UserClient};
use mitosis_protocol::task::{QueryTasksRequest, SubmitTaskRequest, TaskFilter};
use mitosis_protocol::{TaskInfo, TaskSpec, TaskState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Time limit of every wait. Reaching it is a failure, never a pause.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// The interval of polling.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The documented default administrator.
pub(crate) const ADMIN: &str = "mitosis_admin";

/// An empty home directory.
pub(crate) struct Home(TempDir);

/// The exit code and the output of a command.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A process in the background. It is killed when it goes out of scope.
pub(crate) struct Service {
    child: Child,
    /// Keeps reading its output, so that the process never blocks.
    _log: tokio::task::JoinHandle<()>,
    /// The lines after the one that said that it is ready.
    lines: tokio::sync::mpsc::UnboundedReceiver<String>,
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

    /// Waits until a line of a file has `mark`. Returns the rest of that line.
    pub(crate) async fn until_written(&self, file: &str, mark: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let text = std::fs::read_to_string(self.path().join(file)).unwrap_or_default();
            let mut whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some((_, rest)) = whole.find_map(|line| line.split_once(mark)) {
                return rest.to_owned();
            }
            assert!(Instant::now() < deadline, "{file} does not say `{mark}`: {text}");
            sleep(POLL_INTERVAL).await;
        }
    }

    /// A `mito` command with only this home in its environment.
    pub(crate) fn mito(&self, args: &[&str]) -> Command {
        Self::mito_in(self.path(), args)
    }

    /// A `mito` command with only a home in its environment.
    pub(crate) fn mito_in(home: &Path, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mito"));
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", home)
            .current_dir(home)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        ended(self.mito(args)).await
    }

    /// Starts a background process. Returns it with the rest of the first line of its output that has `mark`.
    pub(crate) async fn start(&self, args: &[&str], mark: &str) -> (Service, String) {
        Service::start(self.mito(args), mark).await
    }

    /// Starts a coordinator with a file and a directory in this home, on the given port.
    pub(crate) async fn coordinator(&self, port: u16, heartbeat_timeout: &str) -> Coordinator {
        let bind = format!("127.0.0.1:{port}");
        self.coordinator_with(&["--bind", &bind, "--heartbeat-timeout", heartbeat_timeout]).await
    }

    /// Starts a coordinator that also logs to a file of this home.
    pub(crate) async fn coordinator_logging_to(&self, file: &str) -> Coordinator {
        self.coordinator_with(&["--bind", "127.0.0.1:0", "--file-log", "--log-path", file]).await
    }

    /// Starts a coordinator with a file and a directory in this home.
    pub(crate) async fn coordinator_with(&self, options: &[&str]) -> Coordinator {
        self.coordinator_in(options, &[]).await
    }

    /// Starts a coordinator with additional variables in its environment.
    pub(crate) async fn coordinator_in(&self, options: &[&str], variables: &[(&str, &Path)]) -> Coordinator {
        let db = format!("sqlite://{}/state.db", self.path().display());
        let s3 = format!("file://{}/objects", self.path().display());
        let mut command = self.mito(&[&["coordinator", "--db", &db, "--s3", &s3], options].concat());
        command.envs(variables.iter().copied());
        let (service, address) = Service::start(command, "listening address=").await;
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

/// A user of `mito client`; the password is the name.
pub(crate) struct Person<'a> {
    home: &'a Home,
    address: &'a str,
    name: &'a str,
}

impl<'a> Person<'a> {
    /// The default administrator.
    pub(crate) fn administrator(home: &'a Home, coordinator: &'a Coordinator) -> Self {
        Self { home, address: &coordinator.address, name: ADMIN }
    }

    /// A new user.
    pub(crate) async fn welcomes(&self, name: &'a str) -> Self {
        self.run_ok(&["admin", "users", "create", name, name]).await;
        Self { name, ..*self }
    }

    /// A `mito client` command.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let options = ["client", "-c", self.address, "-u", self.name, "--retain"];
        let mut command = self.home.mito(&[&options[..], args].concat());
        command.env("MITO_PASSWORD", self.name);
        command
    }

    /// Runs `mito client` to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        ended(self.command(args)).await
    }

    /// Runs `mito client`, which must succeed. Returns its standard output.
    pub(crate) async fn run_ok(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert_eq!(output.code, Some(0), "{args:?}: {}", output.stderr);
        output.stdout.trim().to_owned()
    }

    /// Runs `mito client`, which must fail with an exit code and these words in its message.
    pub(crate) async fn expect_failure(&self, args: &[&str], code: i32, words: &[&str]) -> Output {
        let output = self.run(args).await;
        assert_eq!(output.code, Some(code), "{args:?}: {}{}", output.stdout, output.stderr);
        for word in words {
            assert!(
                output.stderr.contains(word),
                "`{word}` is not in the answer to {args:?}: {}",
                output.stderr
            );
        }
        output
    }

    /// Submits a task. Returns its UUID.
    pub(crate) async fn submits(&self, args: &[&str]) -> String {
        let answer = self.run_ok(&[&["tasks", "submit"], args].concat()).await;
        answer.rsplit(' ').next().unwrap().to_owned()
    }

    /// Repeats a command until its output contains `word`.
    pub(crate) async fn run_until(&self, word: &str, args: &[&str]) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let answer = self.run_ok(args).await;
            if answer.contains(word) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{args:?} does not say `{word}`: {answer}");
            sleep(POLL_INTERVAL).await;
        }
    }
}

async fn pass_on(stream: impl AsyncRead + Unpin, lines: tokio::sync::mpsc::UnboundedSender<String>) {
    let mut stream = BufReader::new(stream).lines();
    while let Ok(Some(line)) = stream.next_line().await {
        // The receiver goes with the service.
        let _ = lines.send(line);
    }
}

/// Runs a command to its end.
pub(crate) async fn ended(command: Command) -> Output {
    ended_within(LIMIT, command).await
}

/// Runs a command to its end, with another time limit.
pub(crate) async fn ended_within(limit: Duration, mut command: Command) -> Output {
    let output = tokio::time::timeout(limit, command.output()).await.expect("it ends").expect("it starts");
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Service {
    /// Like [`Home::start`], for a prepared command.
    pub(crate) async fn start(mut command: Command, mark: &str) -> (Self, String) {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
        let (lines, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let streams = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let log = mitosis_testkit::spawn(async move {
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
            panic!("{command:?} ended without saying `{mark}`:\n{log}");
        });
        let rest = found.await.expect("a service says in time that it is ready");
        (Self { child, _log: log, lines: seen }, rest)
    }

    /// The process id.
    pub(crate) fn pid(&self) -> Pid {
        self.id()
    }

    fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().expect("it runs").try_into().unwrap())
    }

    /// Whether the process is running.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.id(), signal).unwrap();
    }

    pub(crate) async fn wait(mut self) -> ExitStatus {
        tokio::time::timeout(LIMIT, self.child.wait()).await.expect("it ends").unwrap()
    }

    /// Ends the process with a signal. Returns what it has written since it was ready.
    pub(crate) async fn ends_with(mut self, signal: Signal) -> String {
        self.signal(signal);
        let mut text = String::new();
        while let Some(line) = self.lines.recv().await {
            text.push_str(&line);
            text.push('\n');
        }
        self.wait().await;
        text
    }

    /// Kills the process with SIGKILL.
    pub(crate) async fn kill(self) {
        self.signal(Signal::SIGKILL);
        self.wait().await;
    }
}

impl Coordinator {
    pub(crate) fn port(&self) -> u16 {
        self.address.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// A client with the token of the default administrator.
    pub(crate) async fn admin(&self) -> UserClient {
        let client = Client::new(&self.address).unwrap();
        let token = client.login(ADMIN, &SecretString::from(ADMIN), EarlierTokens::Retain).await.unwrap();
        client.with_user_token(token)
    }
}

/// A shell loop that waits until a file exists, or until its directory is gone, so that a failed test leaves no
/// process behind.
pub(crate) fn until_there(file: &Path) -> String {
    let folder = file.parent().expect("it is in a home").display();
    format!("until [ -e {} ] || [ ! -d {folder} ]; do sleep 0.05; done", file.display())
}

/// A task of the administrator's own group.
pub(crate) fn task(args: &[&str]) -> SubmitTaskRequest {
    SubmitTaskRequest {
        group_name: ADMIN.to_owned(),
        tags: vec![],
        labels: vec![],
        timeout: Duration::from_secs(60),
        priority: 0,
        task_spec: TaskSpec { args: args.iter().map(ToString::to_string).collect(), ..TaskSpec::default() },
    }
}

/// Every task of the administrator's own group.
pub(crate) async fn all_tasks(user: &UserClient) -> Vec<TaskInfo> {
    let query =
        QueryTasksRequest { filter: TaskFilter::default(), limit: Some(10_000), ..Default::default() };
    user.query_tasks(&query).await.unwrap().tasks
}

/// Waits until a number of tasks are in a state.
pub(crate) async fn wait_for_count(user: &UserClient, state: TaskState, wanted: usize) {
    let query = QueryTasksRequest {
        filter: TaskFilter {
            states: Some(vec![state]),
            // Ended, and not only reported to have ended.
            exit_status: (state == TaskState::Finished).then(|| ">=0".to_owned()),
            ..TaskFilter::default()
        },
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
        sleep(POLL_INTERVAL).await;
    }
}
