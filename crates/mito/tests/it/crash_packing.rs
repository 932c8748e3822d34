//! Crashes of a coordinator while it packs archives. Every archive is read back byte for byte.

use std::collections::HashMap;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use mitosis_client::{Client, ClientError, EarlierTokens, UserClient};
use mitosis_domain::failpoints::POINTS;
use mitosis_protocol::agent::{AttemptKey, EndedTask, InlineArchive, PollRequest, ReportBatch};
use mitosis_protocol::doctor::SmallArchives;
use mitosis_protocol::output::{EndedLog, OutputsRequest};
use mitosis_protocol::task::{SubmitOutcome, SubmitTasksRequest};
use mitosis_protocol::worker::RegisterWorkerRequest;
use mitosis_protocol::{ArtifactKind, TaskResult, Uuid, WaitStatus};
use mitosis_testkit::postgres::PostgresServer;
use secrecy::SecretString;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::home::{ADMIN, Home, LIMIT, POLL_INTERVAL, task};

const CRASHES: usize = 20;
/// Archives of each round, and the length of each: together more than half a packed object.
const ARCHIVES: u32 = 80;
const LENGTH: usize = 60_000;
/// Fewer bytes are not packed.
const LEAST_BYTES: usize = 4 * 1024 * 1024;

struct Scene {
    home: Home,
    database: String,
    port: u16,
    archives: HashMap<Uuid, Vec<u8>>,
}

/// The bytes of an archive, which differ from those of others.
fn archive(number: usize) -> Vec<u8> {
    (0..).flat_map(|line| format!("{line} of {number}\n").into_bytes()).take(LENGTH).collect()
}

impl Scene {
    fn coordinator(&self, pack_after: &str, point: Option<&str>) -> Child {
        let folder = self.home.path().display();
        let objects = format!("file://{folder}/objects");
        let bind = format!("127.0.0.1:{}", self.port);
        let args = ["coordinator", "--db", &self.database, "--s3", &objects, "--bind", &bind];
        let args = [&args[..], &["--pack-output-after", pack_after]].concat();
        let mut command: Command = self.home.mito(&args);
        if let Some(point) = point {
            command.env("MITOSIS_CRASH_POINT", point);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap()
    }

    async fn log_in(&self) -> UserClient {
        let client = Client::new(&format!("http://127.0.0.1:{}", self.port)).unwrap();
        let deadline = Instant::now() + LIMIT;
        loop {
            match client.login(ADMIN, &SecretString::from(ADMIN), EarlierTokens::Retain).await {
                Ok(token) => return client.with_user_token(token),
                Err(error) => assert!(error.is_transient() && Instant::now() < deadline, "{error:?}"),
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Runs tasks that leave an archive in their report.
    async fn run_tasks(&mut self, user: &UserClient) -> Result<(), ClientError> {
        let tasks = (0..ARCHIVES).map(|_| task(&["true"])).collect();
        let request = SubmitTasksRequest { tasks, idempotency_key: None };
        let submitted = user.submit_many(&request).await?;
        assert!(submitted.results.iter().all(|outcome| matches!(outcome, SubmitOutcome::Ok(_))));
        let worker = user
            .register_worker(&RegisterWorkerRequest {
                slots: Some(ARCHIVES),
                ..RegisterWorkerRequest::default()
            })
            .await?
            .client;
        let poll =
            PollRequest { want: ARCHIVES, wait: Some(Duration::from_secs(20)), ..PollRequest::default() };
        let work = worker.poll(&poll).await?.tasks;
        for some in work.chunks(20) {
            let mut ended = Vec::new();
            for task in some {
                let bytes = archive(self.archives.len());
                self.archives.insert(task.task.uuid, bytes.clone());
                ended.push(EndedTask {
                    key: AttemptKey { id: task.task.id, epoch: task.epoch, token: task.token },
                    cancelled: false,
                    result: TaskResult { exit_status: WaitStatus::SUCCESS, msg: None },
                    left_archives: false,
                    data: None,
                    warnings: vec![],
                    archives: vec![InlineArchive { kind: ArtifactKind::StdLog, bytes: bytes.into() }],
                    usage: None,
                });
            }
            worker.report_batch(&ReportBatch { ended, ..ReportBatch::default() }).await?;
        }
        worker.sign_off().await
    }

    async fn check(&self, user: &UserClient) {
        let tasks: Vec<Uuid> = self.archives.keys().copied().collect();
        for some in tasks.chunks(100) {
            let request = OutputsRequest { tasks: some.to_vec(), wait: None };
            let outputs = user.outputs(&request).await.unwrap().outputs;
            assert_eq!(outputs.len(), some.len());
            for output in outputs {
                let Some(EndedLog::Archive { bytes }) = output.log else { panic!("{} is lost", output.uuid) };
                assert!(bytes == self.archives[&output.uuid], "{} has other bytes", output.uuid);
            }
        }
    }

    /// The bytes that are not packed yet.
    async fn inline_bytes(&self, user: &UserClient) -> usize {
        let packed = usize::try_from(sizes(user).await.packed).unwrap();
        (self.archives.len() - packed) * LENGTH
    }

    fn objects(&self) -> usize {
        let folder = self.home.path().join("objects/artifacts/packed.d");
        std::fs::read_dir(folder).unwrap().count()
    }
}

async fn sizes(user: &UserClient) -> SmallArchives {
    user.admin_doctor().await.unwrap().small_archives.unwrap()
}

/// `CRASH_STORES=sqlite,postgres` selects the databases, SQLite by default.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_crashes_in_packing_lose_nothing() {
    let stores = std::env::var_os("CRASH_STORES").unwrap_or_else(|| "sqlite".into());
    for store in stores.to_str().unwrap().split(',') {
        let home = Home::new();
        let server = match store {
            "postgres" => Some(PostgresServer::start_on_loopback().await.unwrap()),
            _ => None,
        };
        let database = match &server {
            Some(server) => server.fresh_database().await.unwrap(),
            None => format!("sqlite://{}/state.db", home.path().display()),
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        crash_twenty_times(Scene { home, database, port, archives: HashMap::new() }).await;
    }
}

async fn crash_twenty_times(mut scene: Scene) {
    let points: Vec<&str> = POINTS.into_iter().filter(|point| point.starts_with("pack.")).collect();
    assert_eq!(points.len(), 6);
    for crash in 0..CRASHES {
        let mut writes = scene.coordinator("off", None);
        let user = scene.log_in().await;
        if scene.inline_bytes(&user).await < LEAST_BYTES {
            scene.run_tasks(&user).await.unwrap();
        }
        writes.kill().await.unwrap();
        let mut packs = scene.coordinator("0s", Some(points[crash % points.len()]));
        let status = tokio::time::timeout(LIMIT, packs.wait()).await.expect("it crashes").unwrap();
        assert!(!status.success(), "{status}");
    }
    let mut last = scene.coordinator("0s", None);
    let user = scene.log_in().await;
    let deadline = Instant::now() + LIMIT;
    while scene.inline_bytes(&user).await >= LEAST_BYTES {
        assert!(Instant::now() < deadline, "the rest is packed");
        sleep(POLL_INTERVAL).await;
    }
    scene.check(&user).await;
    let sizes = sizes(&user).await;
    assert!(scene.objects() as u64 <= sizes.packed_objects, "each object has a row: {sizes:?}");
    last.kill().await.unwrap();
}
