//! Tests with crashes of a coordinator or a worker at named points. Acknowledged work is not lost, every task ends
//! once, cancelled tasks do not run, and the output of tasks is complete.
//!
//! The test command runs each point once on the embedded store. `CRASH_HITS=5 CRASH_STORES=sqlite,postgres`, which
//! `scripts/crash-points` sets, runs each point that often on both.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use mitosis_client::{Client, ClientError, EarlierTokens, UserClient};
use mitosis_domain::failpoints::POINTS;
use mitosis_protocol::task::{SubmitOutcome, SubmitTaskRequest, SubmitTasksRequest};
use mitosis_protocol::worker::RegisterWorkerRequest;
use mitosis_protocol::{TaskResultMessage, Uuid};
use mitosis_testkit::postgres::PostgresServer;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::SecretString;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::home::{ADMIN, Home, LIMIT, POLL_INTERVAL, all_tasks, task};

/// The number of rounds of load in which the point must be reached.
const ROUNDS: usize = 30;

/// The parameters of one crash.
struct Scene<'a> {
    point: &'a str,
    hit: usize,
    home: Home,
    database: String,
    port: u16,
}

/// The acknowledged work.
#[derive(Default)]
struct Promised {
    plain: BTreeSet<Uuid>,
    kept: BTreeSet<Uuid>,
    parents: BTreeSet<Uuid>,
    cancelled: BTreeSet<Uuid>,
    stopped: BTreeSet<Uuid>,
}

impl Scene<'_> {
    fn is_of_the_worker(&self) -> bool {
        self.point.starts_with("worker.")
    }

    fn command(&self, args: &[&str], crashes: bool) -> Command {
        let mut command = self.home.mito(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if crashes {
            command.env("MITOSIS_CRASH_POINT", format!("{}@{}", self.point, self.hit));
        }
        command
    }

    fn coordinator(&self, crashes: bool) -> Child {
        let (bind, folder) = (format!("127.0.0.1:{}", self.port), self.home.path().display());
        let objects = format!("file://{folder}/objects");
        let lease = if self.point.starts_with("reap.") { "2s" } else { "600s" };
        let args = ["coordinator", "--db", &self.database, "--s3", &objects, "--bind", &bind];
        let args = [&args[..], &["--heartbeat-timeout", lease]].concat();
        self.command(&args, crashes).spawn().unwrap()
    }

    fn worker(&self, crashes: bool) -> Child {
        let login = "[worker]\nuser = 'mitosis_admin'\npassword = 'mitosis_admin'\nretain = true\n";
        let config = self.home.write("worker.toml", login);
        let address = format!("http://127.0.0.1:{}", self.port);
        let args = ["worker", "--config", config.to_str().unwrap(), "-c", &address, "--slots", "4"];
        self.command(&args, crashes).spawn().unwrap()
    }

    async fn play(&self) {
        let of_worker = self.is_of_the_worker();
        let mut coordinator = self.coordinator(!of_worker);
        if self.point.starts_with("migrate.") {
            assert!(!coordinator.wait().await.unwrap().success());
            self.home.write("crashed", "");
            coordinator = self.coordinator(false);
        }
        let mut worker = self.worker(of_worker);
        let user = with_retry(async || {
            let client = Client::new(&format!("http://127.0.0.1:{}", self.port))?;
            let token = client.login(ADMIN, &SecretString::from(ADMIN), EarlierTokens::Retain).await?;
            Ok(client.with_user_token(token))
        });
        let mut crashed = self.point.starts_with("migrate.");
        let load = async {
            let (user, mut promised) = (user.await, Promised::default());
            for round in 0..ROUNDS {
                self.round(&user, round, &mut promised).await;
                if self.home.path().join("crashed").exists() {
                    break;
                }
            }
            (user, promised)
        };
        tokio::pin!(load);
        let (user, promised) = loop {
            tokio::select! {
                done = &mut load => break done,
                _ = coordinator.wait(), if !of_worker => {
                    crashed = true;
                    self.home.write("crashed", "");
                    coordinator = self.coordinator(false);
                }
                _ = worker.wait(), if of_worker => {
                    crashed = true;
                    self.home.write("crashed", "");
                    worker = self.worker(false);
                }
                () = self.until_asked_to_drain() => {
                    kill(Pid::from_raw(coordinator.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
                }
            }
        };
        assert!(crashed, "{} was not come by {} times", self.point, self.hit);
        self.audit(&user, &promised).await;
        drop((coordinator, worker));
    }

    async fn until_asked_to_drain(&self) {
        if !self.point.starts_with("shutdown.") || self.home.path().join("crashed").exists() {
            return std::future::pending().await;
        }
        while !self.home.path().join("drain").exists() {
            sleep(POLL_INTERVAL).await;
        }
        std::fs::remove_file(self.home.path().join("drain")).unwrap();
    }

    fn script(&self, rest: &str) -> SubmitTaskRequest {
        let ran = self.home.path().join("ran");
        task(&["sh", "-c", &format!("echo $MITO_TASK_UUID >> {}; {rest}", ran.display())])
    }

    /// Runs some of every operation.
    async fn round(&self, user: &UserClient, round: usize, promised: &mut Promised) {
        // Too long to travel with the report, so it is uploaded.
        let mut kept = self.script("head -c 100000 /dev/urandom");
        kept.task_spec.terminal_output = true;
        let follow = serde_json::to_string(&self.script("true")).unwrap();
        let parent = self.script(&format!("printf '%s' '{}' > $MITO_NEW_TASK", follow.replace('\'', "")));
        let mut late = self.script("true");
        late.priority = -9;
        late.tags = vec!["no worker has it".to_owned()];
        let tasks =
            vec![self.script("true"), self.script("sleep 0.1"), kept, parent, late, self.script("sleep 50")];
        let request = SubmitTasksRequest { tasks, idempotency_key: Some(format!("round {round}")) };
        let reply = with_retry(async || user.submit_many(&request).await).await;
        let uuids: Vec<Uuid> = reply
            .results
            .iter()
            .map(|outcome| match outcome {
                SubmitOutcome::Ok(task) => task.uuid,
                refused @ SubmitOutcome::Err(_) => panic!("{refused:?}"),
            })
            .collect();
        promised.plain.extend(&uuids[..2]);
        promised.kept.insert(uuids[2]);
        promised.parents.insert(uuids[3]);
        if self.point.starts_with("reap.") {
            self.be_lost(user).await;
        }
        promised.cancelled.insert(uuids[4]);
        // A repeated request after a failure reports that no task is waiting any more.
        while user.cancel(uuids[4]).await.is_err_and(|error| error.is_transient()) {
            sleep(POLL_INTERVAL).await;
        }
        promised.stopped.insert(uuids[5]);
        let deadline = Instant::now() + LIMIT;
        while with_retry(async || user.task(uuids[5]).await).await.info.result.is_none() {
            // The task may not run yet, or the stop may have been requested before.
            let _ = user.stop_task(uuids[5]).await;
            assert!(Instant::now() < deadline, "a stop is obeyed");
            sleep(POLL_INTERVAL).await;
        }
        if self.point.starts_with("shutdown.") {
            self.home.write("drain", "");
        }
        sleep(Duration::from_millis(300)).await;
    }

    /// A legacy worker that takes a task, if there is one, and goes silent.
    async fn be_lost(&self, user: &UserClient) {
        let request = RegisterWorkerRequest::default();
        if let Ok(registered) = user.register_worker(&request).await {
            let _ = registered.client.fetch(Duration::ZERO).await;
        }
        sleep(Duration::from_millis(1_500)).await;
    }

    async fn audit(&self, user: &UserClient, promised: &Promised) {
        let deadline = Instant::now() + LIMIT;
        let tasks = loop {
            let tasks = with_retry(async || {
                user.task(*promised.plain.first().unwrap()).await?;
                Ok(all_tasks(user).await)
            })
            .await;
            if tasks.iter().all(|task| task.result.is_some()) {
                break tasks;
            }
            let open: Vec<_> = tasks.iter().filter(|task| task.result.is_none()).collect();
            assert!(Instant::now() < deadline, "{}: {open:?}", self.point);
            sleep(POLL_INTERVAL).await;
        };
        let ran = std::fs::read_to_string(self.home.path().join("ran")).unwrap();
        let mut starts: BTreeMap<Uuid, usize> = BTreeMap::new();
        for line in ran.lines() {
            *starts.entry(line.parse().unwrap()).or_default() += 1;
        }
        let all: BTreeMap<Uuid, _> = tasks.iter().map(|task| (task.uuid, task)).collect();
        assert_eq!(all.len(), tasks.len(), "each is there once");
        let followers: BTreeSet<Uuid> =
            tasks.iter().filter(|task| task.upstream_task_uuid.is_some()).map(|task| task.uuid).collect();
        let upstream: BTreeSet<Uuid> = tasks.iter().filter_map(|task| task.upstream_task_uuid).collect();
        assert_eq!(
            (&upstream, followers.len()),
            (&promised.parents, promised.parents.len()),
            "one follow-up each"
        );
        let sets =
            [&promised.plain, &promised.kept, &promised.parents, &promised.cancelled, &promised.stopped];
        let known: BTreeSet<Uuid> = sets.into_iter().chain([&followers]).flatten().copied().collect();
        assert_eq!(known, all.keys().copied().collect(), "what was acknowledged, and nothing else");
        for uuid in [&promised.plain, &promised.kept, &promised.parents, &followers].into_iter().flatten() {
            let result = all[uuid].result.unwrap();
            assert_eq!((result.exit_status.0, result.msg), (0, None), "{}: {uuid}", self.point);
            let starts = starts.get(uuid).copied().unwrap_or_default();
            assert!(
                starts == 1 || (self.is_of_the_worker() && starts > 0),
                "{uuid} was started {starts} times"
            );
        }
        for uuid in promised.cancelled.iter().chain(&promised.stopped) {
            let result = all[uuid].result.unwrap();
            assert_eq!(result.msg, Some(TaskResultMessage::UserCancellation), "{}: {uuid}", self.point);
        }
        assert!(
            promised.cancelled.iter().all(|uuid| !starts.contains_key(uuid)),
            "what was cancelled never ran"
        );
        for uuid in &promised.kept {
            assert_eq!(user.task(*uuid).await.unwrap().artifacts.len(), 1, "{}: its output", self.point);
        }
    }
}

/// Repeats a call while the coordinator is down.
async fn with_retry<T>(mut call: impl AsyncFnMut() -> Result<T, ClientError>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.is_transient() && Instant::now() < deadline, "{error:?}"),
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Runs a crash at each point with this prefix, as configured.
async fn crashes_at(step: &str) {
    let asked = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let hits = asked("CRASH_HITS").map_or(1, |hits| hits.parse().unwrap());
    let stores = asked("CRASH_STORES").unwrap_or_else(|| "sqlite".to_owned());
    let points: Vec<&str> = POINTS.into_iter().filter(|point| point.starts_with(step)).collect();
    assert!(!points.is_empty(), "{step} names points");
    for store in stores.split(',') {
        let server = match store {
            "postgres" => Some(PostgresServer::start_on_loopback().await.unwrap()),
            _ => None,
        };
        for (point, hit) in points.iter().flat_map(|point| (1..=hits).map(move |hit| (*point, hit))) {
            if server.is_some() && point.starts_with("sqlite.") {
                continue;
            }
            // These points are reached once per process.
            let hit = if point.starts_with("migrate.") || point.starts_with("shutdown.") { 1 } else { hit };
            let home = Home::new();
            let database = match &server {
                Some(server) => server.fresh_database().await.unwrap(),
                None => format!("sqlite://{}/state.db", home.path().display()),
            };
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            Scene { point, hit, home, database, port }.play().await;
        }
    }
}

macro_rules! crashes {
    ($($test:ident: $step:literal),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            crashes_at($step).await;
        }
    )*};
}

crashes! {
    crash_around_a_held_poll_loses_nothing: "poll.",
    crash_before_a_background_pass_loses_nothing: "pass.",
    crash_around_a_renewal_loses_nothing: "renew.",
    crash_around_an_upload_loses_nothing: "artifact.",
    crash_in_a_cancellation_loses_nothing: "cancel.",
    crash_around_a_migration_loses_nothing: "migrate.",
    crash_around_a_transaction_loses_nothing: "sqlite.",
    crash_in_a_submission_loses_nothing: "submit.",
    crash_in_a_claim_loses_nothing: "claim.",
    crash_in_a_completion_loses_nothing: "complete.",
    crash_in_a_reaping_loses_nothing: "reap.",
    crash_in_a_release_loses_nothing: "follow_up.",
    crash_in_a_shutdown_loses_nothing: "shutdown.",
    crash_of_a_worker_loses_nothing: "worker.",
}
