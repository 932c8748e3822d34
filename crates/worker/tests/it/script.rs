//! A scripted coordinator: it assigns the given tasks, records all requests, and fails on demand.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use mitosis_client::{Client, ClientError, UserClient};
use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_domain::entropy::OsEntropy;
use mitosis_domain::resources::Inventory;
use mitosis_protocol::worker::FetchedTask;
use mitosis_protocol::{TaskSpec, Uuid};
use mitosis_worker::{Login, OutputLimit, OutputLimitAction, Settings, Worker, WorkerError, WorkerExit};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::objects::{Content, Objects};

/// Time limit of every wait; a test fails when it is reached.
const LIMIT: Duration = Duration::from_secs(30);

/// A scripted coordinator with its worker.
pub(crate) struct Script {
    address: String,
    book: Arc<Mutex<Book>>,
    scratch: TempDir,
    stop: CancellationToken,
    drain: CancellationToken,
}

/// The script of the coordinator, and the requests that it has received.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Book {
    tasks: VecDeque<FetchedTask>,
    failures: Vec<Failure>,
    heard: Vec<String>,
    uploads: Vec<(String, Vec<u8>)>,
    objects: Objects,
    lease: Option<u64>,
    /// The seconds after which a worker is missed, if the coordinator sends them.
    missed_after: Option<u64>,
    taken_back: usize,
    /// How long a report takes.
    thinks: Duration,
    output_limit_action: OutputLimitAction,
    fresh_directories_only: bool,
    /// The lifetime of worker tokens in seconds, if they contain it.
    token_life: Option<i64>,
    /// Whether the states of all tasks are wanted.
    announces: bool,
    /// The Redis address of a legacy coordinator.
    redis_url: Option<String>,
    /// The state of the watched task on a legacy coordinator.
    watched: &'static str,
    /// Whether polls renew the lease, as those of a coordinator do.
    polls_renew: bool,
    /// Whether a watched task has reached the target state.
    has_reached: bool,
    /// The memory that workers offer.
    memory: Option<u64>,
    /// Further fields of the next poll reply.
    words: Vec<(&'static str, Value)>,
}

/// A reply that replaces the next normal ones.
struct Failure {
    to: &'static str,
    status: u16,
    times: usize,
    /// The code in the body, if there is one.
    code: Option<&'static str>,
}

impl Script {
    /// Starts a coordinator with leases of this many seconds; none for a legacy coordinator.
    pub(crate) async fn with_lease(lease: Option<u64>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let book = Arc::new(Mutex::new(Book { lease, ..Book::default() }));
        mitosis_testkit::spawn(serve(listener, address.clone(), book.clone()));
        Self {
            address,
            book,
            scratch: tempfile::tempdir().unwrap(),
            stop: CancellationToken::new(),
            drain: CancellationToken::new(),
        }
    }

    /// Starts a coordinator with these lease terms, in seconds.
    pub(crate) async fn with_terms(lease: u64, missed_after: u64) -> Self {
        let script = Self::with_lease(Some(lease)).await;
        script.book().missed_after = Some(missed_after);
        script
    }

    pub(crate) async fn new() -> Self {
        Self::with_lease(Some(600)).await
    }

    /// Starts a coordinator that supports the legacy protocol only.
    pub(crate) async fn old() -> Self {
        Self::with_lease(None).await
    }

    /// Adds a field to the next poll reply.
    pub(crate) fn says(&self, what: &'static str, value: Value) {
        self.book().words.push((what, value));
    }

    /// The bodies of the polls or reports so far, oldest first.
    pub(crate) fn bodies(&self, route: &str) -> Vec<Value> {
        let bodies = self.heard().into_iter().filter_map(|line| Some(line.strip_prefix(route)?.to_owned()));
        bodies.map(|body| serde_json::from_str(&body).unwrap()).collect()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// Adds a task: a shell script, and changes to the specification.
    pub(crate) fn has(&self, script: &str, change: impl FnOnce(&mut FetchedTask)) {
        let mut book = self.book();
        let number = u128::try_from(book.tasks.len() + book.heard.len() + 1).unwrap();
        let mut task = FetchedTask {
            id: i64::try_from(number).unwrap(),
            uuid: Uuid::from_u128(number),
            timeout: Duration::from_secs(60),
            upstream_task_uuid: None,
            spec: TaskSpec { args: ["sh", "-c", script].map(str::to_owned).to_vec(), ..TaskSpec::default() },
            secrets: BTreeMap::new(),
        };
        change(&mut task);
        book.tasks.push_back(task);
    }

    /// Stores an attachment.
    pub(crate) fn stores(&self, key: &str, content: &[u8]) {
        self.book().objects.put(key, content);
    }

    /// Breaks the connection of the next download after this number of bytes.
    pub(crate) fn breaks_after(&self, bytes: usize) {
        self.book().objects.break_after(bytes);
    }

    /// The status of each download of a stored attachment, and the number of its bytes.
    pub(crate) fn transfers(&self) -> Vec<(u16, usize)> {
        self.book().objects.transfers().to_vec()
    }

    /// Requests the states of all tasks.
    pub(crate) fn announces(&self) {
        self.book().announces = true;
    }

    /// Sets the Redis address of a legacy coordinator.
    pub(crate) fn has_redis(&self, url: String) {
        self.book().redis_url = Some(url);
    }

    /// Returns this state for the watched task.
    pub(crate) fn shows_watched(&self, state: &'static str) {
        self.book().watched = state;
    }

    /// Lets polls renew leases, too.
    pub(crate) fn renews_by_polls(&self) {
        self.book().polls_renew = true;
    }

    /// Lets a watched task reach the target state.
    pub(crate) fn reaches(&self) {
        self.book().has_reached = true;
    }

    /// Answers requests with this prefix as if the route did not exist.
    pub(crate) fn lacks(&self, to: &'static str) {
        let code = Some("no_such_route");
        self.book().failures.push(Failure { to, status: 404, times: usize::MAX, code });
    }

    /// Answers the next `times` requests with this prefix with a status.
    pub(crate) fn fails(&self, to: &'static str, status: u16, times: usize) {
        self.book().failures.push(Failure { to, status, times, code: None });
    }

    /// Refuses a request once with 401 and this code, like a coordinator that gives reasons.
    pub(crate) fn refuses(&self, to: &'static str, code: &'static str) {
        let mut book = self.book();
        book.missed_after = book.missed_after.or(book.lease);
        book.failures.push(Failure { to, status: 401, times: 1, code: Some(code) });
    }

    /// Issues tokens that are valid for `seconds`.
    pub(crate) fn gives_tokens_for(&self, seconds: i64) {
        self.book().token_life = Some(seconds);
    }

    /// Starts workers that stop a command at the output limit.
    pub(crate) fn stops_at_the_output_limit(&self) {
        self.book().output_limit_action = OutputLimitAction::Stop;
    }

    /// Starts workers that offer this memory, in bytes.
    pub(crate) fn offers_memory(&self, bytes: u64) {
        self.book().memory = Some(bytes);
    }

    /// Starts workers that run tasks in fresh directories only.
    pub(crate) fn uses_fresh_directories_only(&self) {
        self.book().fresh_directories_only = true;
    }

    /// Delays the answer to each report by this time.
    pub(crate) fn thinks(&self, time: Duration) {
        self.book().thinks = time;
    }

    /// Answers the next `times` ends with a verdict that the task was requeued.
    pub(crate) fn takes_back(&self, times: usize) {
        self.book().taken_back = times;
    }

    /// Starts a worker.
    pub(crate) fn worker(&self, slots: usize) -> JoinHandle<Result<WorkerExit, WorkerError>> {
        let login = Arc::new(Known(self.address.clone()));
        let (action, fresh_directories_only, memory) = {
            let book = self.book();
            (book.output_limit_action, book.fresh_directories_only, book.memory)
        };
        let settings = Settings {
            slots,
            polling_interval: Duration::from_millis(50),
            output_limit: OutputLimit { bytes: 1_000_000, action },
            fresh_directories_only,
            inventory: memory.map(|memory| Inventory { memory, ..Inventory::of_slots(slots) }),
            drain: self.drain.clone(),
            ..Settings::new(login, self.scratch.path().to_owned(), Arc::new(OsEntropy))
        };
        mitosis_testkit::spawn(Worker::run(settings, self.stop.clone()))
    }

    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Stops the worker together with its running tasks.
    pub(crate) fn drain(&self) {
        self.drain.cancel();
    }

    pub(crate) fn scratch(&self) -> &std::path::Path {
        self.scratch.path()
    }

    /// All requests, one line each: method, path, body.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.book().heard.clone()
    }

    /// The operations of the reports so far.
    pub(crate) fn reports(&self) -> Vec<Value> {
        self.heard().iter().flat_map(|line| reports_in(line)).collect()
    }

    pub(crate) fn uploads(&self) -> Vec<(String, Vec<u8>)> {
        self.book().uploads.clone()
    }

    /// Waits until `times` requests with this prefix have been received.
    pub(crate) async fn hears(&self, what: &str, times: usize) {
        let heard = async {
            while self.heard().iter().filter(|line| line.starts_with(what)).count() < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, heard)
            .await
            .unwrap_or_else(|_| panic!("`{what}` in {:#?}", self.heard()));
    }

    /// Waits for `times` commits; returns the last one.
    pub(crate) async fn commits(&self, times: usize) -> Value {
        let commits =
            || self.reports().into_iter().filter_map(|op| op.get("Commit").cloned()).collect::<Vec<_>>();
        let committed = async {
            while commits().len() < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, committed).await.unwrap_or_else(|_| panic!("{:#?}", self.heard()));
        commits().pop().unwrap()
    }
}

/// The reports in a line. An end that comes with others and requests more tasks is both of its reports.
fn reports_in(line: &str) -> Vec<Value> {
    let json = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    if let Some(body) = line.strip_prefix("POST /workers/tasks ") {
        return vec![json(body)["op"].clone()];
    }
    let Some(report) = line.strip_prefix("POST /v1/agents/report ").map(json) else { return Vec::new() };
    let ended = report["ended"].as_array().unwrap().iter();
    ended
        .flat_map(|ended| {
            let end = if ended["cancelled"] == true { "Cancel" } else { "Finish" };
            [json!(end), json!({"Commit": ended["result"]})]
        })
        .collect()
}

/// A login that always succeeds.
struct Known(String);

#[async_trait]
impl Login for Known {
    async fn log_in(&self) -> Result<UserClient, ClientError> {
        Ok(Client::new(&self.0)?.with_user_token("token".into()))
    }
}

async fn serve(listener: TcpListener, address: String, book: Arc<Mutex<Book>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (address, book) = (address.clone(), book.clone());
        mitosis_testkit::spawn(async move {
            let answer = service_fn(move |request| respond(request, address.clone(), book.clone()));
            // The worker may disconnect during a request.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// Answers a download of a stored attachment, or any other request.
async fn respond(
    request: Request<Incoming>,
    address: String,
    book: Arc<Mutex<Book>>,
) -> Result<Response<Content>, Infallible> {
    if let Some(key) = request.uri().path().strip_prefix("/objects/")
        && let Some(response) = book.lock().unwrap().objects.get(key, request.headers())
    {
        return Ok(response);
    }
    Ok(answer(request, address, book).await?.map(Content::Whole))
}

async fn answer(
    request: Request<Incoming>,
    address: String,
    book: Arc<Mutex<Book>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let body =
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let thinks = book.lock().unwrap().thinks;
    if path == "/v1/agents/report" {
        tokio::time::sleep(thinks).await;
    }
    let held = {
        let mut book = book.lock().unwrap();
        let line = format!(
            "{method} {path} {}",
            String::from_utf8_lossy(if path.starts_with("/objects") { b"" } else { &body })
        );
        book.heard.push(line.clone());
        if let Some(failure) =
            book.failures.iter_mut().find(|failure| failure.times > 0 && line.starts_with(failure.to))
        {
            failure.times -= 1;
            let body = failure.code.map(|code| json!({"msg": "refused", "code": code}).to_string());
            let response =
                Response::builder().status(failure.status).header("content-type", "application/json");
            return Ok(response.body(Full::from(body.unwrap_or_default())).unwrap());
        }
        if method == Method::PUT {
            book.uploads.push((path.clone(), body.to_vec()));
        }
        book.usual(&method, &path, &body, &address)
    };
    match held {
        Some(response) => Ok(response),
        // A task may be available the next time.
        None => {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let (announce, lease) = {
                let book = book.lock().unwrap();
                (book.announces, book.renewal())
            };
            let nothing = match path.as_str() {
                "/v1/agents/poll" => json!({"tasks": [], "dropped": [], "stop": [], "followed": [],
                    "announce": announce, "drain": false, "lease": lease}),
                path if path.ends_with("/reached") => json!({"reached": false}),
                _ => Value::Null,
            };
            Ok(reply(&nothing, None, None))
        }
    }
}

impl Book {
    fn usual(
        &mut self,
        method: &Method,
        path: &str,
        body: &[u8],
        address: &str,
    ) -> Option<Response<Full<Bytes>>> {
        let value = match (method, path) {
            (&Method::POST, "/workers") => {
                let uuid = Uuid::from_u128(0xabc0 + u128::try_from(self.heard.len()).unwrap());
                json!({"worker_id": uuid, "token": self.token(), "redis_url": self.redis_url})
            }
            (&Method::POST, "/v1/agents/poll") => {
                let poll: Value = serde_json::from_slice(body).unwrap();
                let mut reply = json!({"tasks": self.hand_out(&poll), "dropped": [], "stop": [],
                    "followed": [], "drain": false, "lease": self.renewal()});
                let nothing = reply["tasks"] == json!([]) && self.words.is_empty();
                reply["announce"] = json!(self.announces);
                for (what, value) in self.words.drain(..) {
                    reply[what] = value;
                }
                if nothing {
                    return None;
                }
                reply
            }
            (&Method::POST, "/v1/agents/report") => {
                let report: Value = serde_json::from_slice(body).unwrap();
                let verdicts: Vec<_> = report["ended"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|_| {
                        let verdict = if self.taken_back > 0 { "stale" } else { "accepted" };
                        self.taken_back = self.taken_back.saturating_sub(1);
                        verdict
                    })
                    .collect();
                json!({"verdicts": verdicts, "tasks": self.hand_out(&report), "drain": false})
            }
            (&Method::POST, "/v1/workers/token") => json!({"token": self.token()}),
            (&Method::GET, "/workers/tasks") => serde_json::to_value(self.tasks.pop_front()?).unwrap(),
            (&Method::POST, "/workers/tasks") => {
                let report: Value = serde_json::from_slice(body).unwrap();
                let kind = report["op"]["Upload"]["content_type"].as_str();
                json!({"url": kind.map(|kind| format!("{address}/objects/{kind}"))})
            }
            (&Method::GET, path) if path.starts_with("/workers/tasks/") && path.len() == 51 => {
                self.watched_task()
            }
            (&Method::GET, path) if path.starts_with("/workers/tasks/") => {
                let key = path.split_once("/attachments/").map(|(_, key)| key);
                let key = key.filter(|key| self.objects.contains(key)).unwrap_or("resource");
                // The permission is another one each time.
                json!({"url": format!("{address}/objects/{key}?permission={}", self.heard.len()), "size": 8})
            }
            (&Method::GET, "/objects/resource") => return Some(Response::new(Full::from("resource"))),
            (&Method::GET, path) if path.ends_with("/reached") && self.has_reached => {
                json!({"reached": true})
            }
            (&Method::GET, path) if path.starts_with("/v1/") => return None,
            _ => Value::Null,
        };
        Some(reply(&value, self.lease, self.missed_after))
    }
}

impl Book {
    fn watched_task(&self) -> Value {
        let now = "2026-01-02 03:04:05.000000 +00:00:00";
        let info = json!({
            "uuid": Uuid::from_u128(0xfeed), "creator_username": "ann", "group_name": "ann", "task_id": 1,
            "tags": [], "labels": [], "created_at": now, "updated_at": now, "state": self.watched,
            "timeout": 60, "priority": 0, "result": null, "upstream_task_uuid": null,
            "downstream_task_uuid": null, "reporter_uuid": null,
            "spec": {"args": ["sleep"], "envs": {}, "resources": [], "terminal_output": false, "watch": null},
        });
        json!({"info": info, "artifacts": []})
    }

    /// The lease terms in a poll reply.
    fn renewal(&self) -> Option<String> {
        self.lease.filter(|_| self.polls_renew).map(|lease| format!("{lease}s"))
    }

    fn token(&self) -> String {
        let Some(life) = self.token_life else { return "worker".to_owned() };
        let end = SystemClock.now().unix_seconds() + life;
        let claims = URL_SAFE_NO_PAD.encode(json!({"sub": "x", "exp": end, "sign": 0}).to_string());
        STANDARD.encode(format!("e30.{claims}.c2ln"))
    }

    /// The number of tasks that an agent requests.
    fn hand_out(&mut self, request: &Value) -> Value {
        let want = usize::try_from(request["want"].as_u64().unwrap()).unwrap();
        let some = want.min(self.tasks.len());
        let tasks = self.tasks.drain(..some).map(|task| json!({"task": task, "epoch": 1, "token": 7}));
        tasks.collect()
    }
}

fn reply(value: &Value, lease: Option<u64>, missed_after: Option<u64>) -> Response<Full<Bytes>> {
    let mut response = Response::builder().header("content-type", "application/json");
    if let Some(lease) = lease {
        response = response.header("x-mito-lease", lease);
    }
    if let Some(missed_after) = missed_after {
        response = response.header("x-mito-missed-after", missed_after);
    }
    response.body(Full::from(value.to_string())).unwrap()
}
