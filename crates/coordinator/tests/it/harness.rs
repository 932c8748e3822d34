//! A coordinator in this process, a clock that the test controls, and a plain HTTP client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mitosis_coordinator::{
    AllowedReceivers, Coordinator, Database, KeyFiles, LeaseClockSource, Objects, RedisSettings,
    RetentionSettings, Running, S3Settings, Settings, Stop, TrustedProxies,
};
use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_domain::entropy::OsEntropy;
use mitosis_protocol::Timestamp;
use mitosis_store::Store;
use mitosis_store::postgres::PostgresStore;
use mitosis_store::sqlite::SqliteStore;
use mitosis_testkit::clock::SteppedClock;
use mitosis_testkit::postgres::{Locked, PostgresServer};
use mitosis_testkit::redis::RedisServer;
use mitosis_testkit::s3::S3Server;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

/// The lease of workers.
pub(crate) const LEASE: Duration = Duration::from_secs(600);
/// The documented default administrator.
pub(crate) const ADMIN: &str = "mitosis_admin";

/// A running coordinator and its environment.
pub(crate) struct Harness {
    running: Option<Running>,
    /// How long ended tasks and their archives are kept, from the next start on.
    pub(crate) retention: RetentionSettings,
    /// Where to serve metrics without a token, from the next start on.
    pub(crate) metrics_addr: Option<SocketAddr>,
    /// The gap between two readings that does not count as lease time, from the next start on.
    pub(crate) standstill: Duration,
    /// The lease of workers, from the next start on.
    pub(crate) lease: Duration,
    /// The trusted proxies.
    pub(crate) trusted_proxies: TrustedProxies,
    /// Where notifications may be sent, from the next start on.
    pub(crate) notify_allow: AllowedReceivers,
    /// The public address, from the next start on.
    pub(crate) public_url: Option<url::Url>,
    address: String,
    http: reqwest::Client,
    services: Option<Services>,
    redis: Option<Mutex<RedisServer>>,
    pub(crate) clock: Arc<SteppedClock>,
    pub(crate) folder: TempDir,
}

/// The servers of a cluster.
struct Services {
    postgres: Mutex<PostgresServer>,
    db_url: String,
    s3: Option<S3Server>,
}

impl Services {
    async fn start() -> Self {
        let (postgres, s3) = (PostgresServer::start().await.unwrap(), S3Server::start().await.unwrap());
        let db_url = postgres.fresh_database().await.unwrap();
        Self { postgres: Mutex::new(postgres), db_url, s3: Some(s3) }
    }

    fn settings(&self) -> Settings {
        let s3 = S3Settings {
            endpoint: self.s3.as_ref().unwrap().url().parse().unwrap(),
            public_endpoint: None,
            access_key: S3Server::ACCESS_KEY.to_owned(),
            secret_key: S3Server::SECRET_KEY.into(),
            region: "mitosis".to_owned(),
            force_path_style: true,
            artifacts_bucket: "mitosis-artifacts".to_owned(),
            attachments_bucket: "mitosis-attachments".to_owned(),
        };
        Settings::new(Database::Postgres(self.db_url.clone().into()), Objects::S3(Box::new(s3)))
    }
}

/// The environment of a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surroundings {
    /// A SQLite file and a directory.
    Alone,
    /// PostgreSQL and S3.
    Cluster,
    /// A SQLite file, a directory, and Redis.
    WithRedis,
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

/// A caller with a token.
#[derive(Clone)]
pub(crate) struct Someone<'a> {
    harness: &'a Harness,
    pub(crate) name: String,
    pub(crate) token: String,
}

impl Harness {
    pub(crate) async fn set_up(surroundings: Surroundings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (services, now) = match surroundings {
            Surroundings::Alone | Surroundings::WithRedis => {
                (None, Timestamp::parse("2031-02-09T17:04:05.25Z").unwrap())
            }
            // The S3 server uses its own clock.
            Surroundings::Cluster => (Some(Services::start().await), SystemClock.now()),
        };
        let redis = match surroundings {
            Surroundings::WithRedis => Some(RedisServer::start().await.unwrap()),
            Surroundings::Alone | Surroundings::Cluster => None,
        };
        let clock = Arc::new(SteppedClock::at(now));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut harness = Self {
            running: None,
            retention: RetentionSettings::default(),
            metrics_addr: None,
            // The clock moves in steps.
            standstill: Duration::MAX,
            lease: LEASE,
            trusted_proxies: TrustedProxies::default(),
            notify_allow: AllowedReceivers::default(),
            public_url: None,
            address: String::new(),
            http,
            services,
            redis: redis.map(Mutex::new),
            clock,
            folder,
        };
        harness.start().await;
        harness
    }

    /// Starts the coordinator after [`Self::stop`].
    pub(crate) async fn start(&mut self) {
        let running = self.start_one().await;
        self.address = format!("http://{}", running.address());
        self.running = Some(running);
    }

    /// Starts another coordinator of the same cluster, and returns its address.
    pub(crate) async fn another(&self) -> (Running, String) {
        assert!(self.services.is_some(), "an embedded coordinator is the only one");
        let running = self.start_one().await;
        let address = format!("http://{}", running.address());
        (running, address)
    }

    async fn start_one(&self) -> Running {
        let place = |name| self.folder.path().join(name);
        let settings = Settings {
            bind: "127.0.0.1:0".parse().unwrap(),
            keys: KeyFiles { private: place("private.pem"), public: place("public.pem"), create: true },
            heartbeat_timeout: self.lease,
            lease_clock: LeaseClockSource::Process { standstill: self.standstill },
            retention: self.retention,
            metrics_addr: self.metrics_addr,
            trusted_proxies: self.trusted_proxies.clone(),
            notify_allow: self.notify_allow.clone(),
            public_url: self.public_url.clone(),
            redis: match &self.redis {
                Some(redis) => Some(RedisSettings {
                    url: redis.lock().await.url().into(),
                    worker_password: Some("for workers: !@/".into()),
                    client_password: None,
                    skip_acl_rules: false,
                }),
                None => None,
            },
            ..match &self.services {
                Some(services) => services.settings(),
                None => {
                    Settings::new(Database::Sqlite(place("state.db")), Objects::Directory(place("objects")))
                }
            }
        };
        Coordinator::start(settings, self.clock.clone(), Arc::new(OsEntropy)).await.unwrap()
    }

    /// Restarts the coordinator on the same data.
    pub(crate) async fn restart(&mut self) {
        self.running.take().unwrap().stop(Stop::Gracefully).await.unwrap();
        self.start().await;
    }

    /// Stops the coordinator.
    pub(crate) async fn stop(&mut self) {
        self.running.take().unwrap().stop(Stop::Now).await.unwrap();
    }

    /// Opens the database while no coordinator uses it.
    pub(crate) async fn store(&self) -> Box<dyn Store> {
        assert!(self.running.is_none(), "the coordinator has to be stopped");
        match &self.services {
            Some(services) => Box::new(PostgresStore::open(&services.db_url).await.unwrap()),
            None => Box::new(SqliteStore::open(&self.folder.path().join("state.db")).unwrap()),
        }
    }

    /// The host and port.
    pub(crate) fn address(&self) -> &str {
        self.address.strip_prefix("http://").unwrap()
    }

    /// Where metrics are served without a token.
    pub(crate) fn metrics_address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().metrics_address().expect("an address for metrics")
    }

    /// Makes the object store fail.
    pub(crate) fn lose_objects(&mut self) {
        match &mut self.services {
            Some(services) => drop(services.s3.take()),
            None => std::fs::remove_dir_all(self.folder.path().join("objects")).unwrap(),
        }
    }

    /// The database server of a cluster.
    pub(crate) async fn postgres(&self) -> MutexGuard<'_, PostgresServer> {
        self.services.as_ref().expect("a cluster").postgres.lock().await
    }

    /// Locks a table of the database until the result is dropped.
    pub(crate) async fn locked(&self, table: &str) -> Locked {
        let services = self.services.as_ref().expect("a cluster");
        services.postgres.lock().await.locked(&services.db_url, table).await.unwrap()
    }

    /// The Redis server.
    pub(crate) async fn redis(&self) -> MutexGuard<'_, RedisServer> {
        self.redis.as_ref().expect("surroundings with Redis").lock().await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.address) };
        let mut request = self.http.request(method, url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::read(request).await
    }

    /// Starts a request that the other methods do not cover.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.address) };
        self.http.request(method, url)
    }

    /// Logs in and retains other sessions of the user.
    pub(crate) async fn login(&self, name: &str, password: &str) -> Answer {
        let digest = md5::compute(password).0;
        let body = json!({"username": name, "md5_password": digest, "retain": true});
        self.send(Method::POST, "/login", None, Some(&body)).await
    }

    pub(crate) async fn logged_in(&self, name: &str, password: &str) -> Someone<'_> {
        let token = self.login(name, password).await.json()["token"].as_str().unwrap().to_owned();
        Someone { harness: self, name: name.to_owned(), token }
    }

    pub(crate) async fn admin(&self) -> Someone<'_> {
        self.logged_in(ADMIN, ADMIN).await
    }

    /// Creates a user and logs in; the password is the name.
    pub(crate) async fn user(&self, name: &str) -> Someone<'_> {
        let body = json!({"username": name, "md5_password": md5::compute(name).0, "admin": false});
        self.admin().await.post("/admin/users", &body).await.expect(200);
        self.logged_in(name, name).await
    }
}

impl Answer {
    pub(crate) async fn read(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Expects a rejection with this status, code and a message.
    #[track_caller]
    pub(crate) fn expect_refused(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        let body = answer.json();
        assert_eq!(body["code"], code, "{body}");
        assert!(body["msg"].as_str().is_some_and(|msg| !msg.is_empty()), "{body}");
        assert!(body["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{body}");
        assert!(body["request_id"].is_string(), "{body}");
        answer
    }

    /// Expects a success without content.
    #[track_caller]
    pub(crate) fn expect_empty(self) -> Self {
        let answer = self.expect(200);
        assert_eq!(answer.text, "");
        assert!(!answer.headers.contains_key("content-type"), "{:?}", answer.headers);
        answer
    }
}

impl Someone<'_> {
    /// The same caller with another token.
    pub(crate) fn with(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.harness.send(Method::GET, path, Some(&self.token), None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.harness.send(Method::POST, path, Some(&self.token), Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.harness.send(Method::PUT, path, Some(&self.token), Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.harness.send(Method::PATCH, path, Some(&self.token), Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.harness.send(Method::DELETE, path, Some(&self.token), None).await
    }

    /// Submits a task to a group and returns its UUID.
    pub(crate) async fn submits_to(&self, group: &str, changes: &Value) -> String {
        let answer = self.post("/tasks", &task(group, changes)).await.expect(200);
        answer.json()["uuid"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn submits(&self, changes: &Value) -> String {
        self.submits_to(&self.name, changes).await
    }

    pub(crate) async fn task(&self, uuid: &str) -> Value {
        self.get(&format!("/tasks/{uuid}")).await.expect(200).json()["info"].clone()
    }

    pub(crate) async fn state(&self, uuid: &str) -> String {
        self.task(uuid).await["state"].as_str().unwrap().to_owned()
    }

    /// Registers a worker.
    pub(crate) async fn worker(&self, changes: &Value) -> Someone<'_> {
        let body = changed(json!({"tags": [], "labels": [], "groups": [], "lifetime": null}), changes);
        let reply = self.post("/workers", &body).await.expect(200).json();
        Someone {
            harness: self.harness,
            name: reply["worker_id"].as_str().unwrap().to_owned(),
            token: reply["token"].as_str().unwrap().to_owned(),
        }
    }

    /// Fetches a task as a worker, without waiting.
    pub(crate) async fn fetches(&self) -> Value {
        self.get("/workers/tasks?wait=0s").await.expect(200).json()
    }

    /// Reports on a fetched task as a worker.
    pub(crate) async fn reports(&self, task: &Value, op: &Value) -> Answer {
        self.post("/workers/tasks", &json!({"id": task["id"], "op": op})).await
    }

    /// Reports the normal end of a task, including the commit.
    pub(crate) async fn finishes(&self, task: &Value, exit_status: i32) {
        self.reports(task, &json!("Finish")).await.expect(200);
        self.reports(task, &json!({"Commit": {"exit_status": exit_status, "msg": null}})).await.expect(200);
    }

    /// Sends bytes to an upload link.
    pub(crate) async fn uploads(&self, url: &str, bytes: &[u8]) -> StatusCode {
        let request = self.harness.request(Method::PUT, url).body(bytes.to_vec());
        request.send().await.unwrap().status()
    }

    /// Reads a download link.
    pub(crate) async fn downloads(&self, url: &str) -> Answer {
        self.harness.send(Method::GET, url, None, None).await
    }
}

/// Polls a condition until it holds, for at most ten seconds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A submission with some fields changed.
pub(crate) fn task(group: &str, changes: &Value) -> Value {
    let plain = json!({
        "group_name": group, "tags": [], "labels": [], "timeout": "90s", "priority": 0,
        "task_spec": {"args": ["true"], "envs": {}, "resources": [], "terminal_output": false, "watch": null},
    });
    changed(plain, changes)
}

pub(crate) fn changed(mut plain: Value, changes: &Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        plain[key] = value.clone();
    }
    plain
}
