//! The system under test: one embedded coordinator, or two with PostgreSQL, S3 and Redis behind nginx; and workers.

use std::net::SocketAddr;
use std::time::Duration;

use mitosis_testkit::nginx::Nginx;
use mitosis_testkit::postgres::PostgresServer;
use mitosis_testkit::proxy::FaultProxy;
use mitosis_testkit::redis::RedisServer;
use mitosis_testkit::s3::S3Server;

use super::nodes::Node;
use crate::home::{ADMIN, Home};

/// The lease of workers.
pub(super) const GIVEN_AWAY: Duration = Duration::from_secs(10);
/// The lost-after limit for connections through a proxy.
pub(super) const PASSWORD: &str = "chaos-secret";
const COORDINATORS: usize = 2;
const WORKERS: usize = 3;
/// The number of slots of each worker.
pub(super) const SLOTS: usize = 3;

/// The storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    /// SQLite and a directory.
    Embedded,
    /// PostgreSQL, S3 and Redis.
    Cluster,
}

pub(super) struct World {
    pub(super) home: Home,
    pub(super) services: Services,
    pub(super) workers: Vec<Node>,
    /// The addresses for clients and workers: nginx first, then each coordinator.
    pub(super) addresses: String,
}

/// The services without the workers.
pub(super) struct Services {
    pub(super) coordinators: Vec<Node>,
    pub(super) proxy: ReverseProxy,
    pub(super) cluster: Option<Cluster>,
}

pub(super) struct Cluster {
    pub(super) postgres: PostgresServer,
    pub(super) redis: RedisServer,
    _s3: S3Server,
    pub(super) to_postgres: FaultProxy,
    pub(super) to_s3: FaultProxy,
}

impl World {
    pub(super) async fn start(store: Store) -> Self {
        let home = Home::new();
        std::fs::create_dir(home.path().join("locks")).unwrap();
        for file in ["started", "ended", "twice"] {
            home.write(file, "");
        }
        let (cluster, config) = match store {
            Store::Embedded => (None, embedded(&home)),
            Store::Cluster => {
                let (cluster, config) = Cluster::start().await;
                (Some(cluster), config)
            }
        };
        let config = home.write("coordinator.toml", &config);
        let count = if store == Store::Embedded { 1 } else { COORDINATORS };
        let (mut coordinators, mut ports) = (Vec::new(), Vec::new());
        for number in 0..count {
            let port = free_port();
            coordinators.push(coordinator(&home, &config, number, port).await);
            ports.push(port);
        }
        let proxy = ReverseProxy::start(&ports).await;
        let own = ports.iter().map(|port| format!("http://127.0.0.1:{port}"));
        let addresses: Vec<String> = std::iter::once(proxy.address()).chain(own).collect();
        let mut workers = Vec::new();
        for number in 0..WORKERS {
            // Each worker prefers another address.
            let mut known = addresses.clone();
            known.rotate_left(number % addresses.len());
            workers.push(worker(&home, number, &known.join(",")).await);
        }
        let services = Services { coordinators, proxy, cluster };
        Self { home, services, workers, addresses: addresses.join(",") }
    }
}

impl Cluster {
    async fn start() -> (Self, String) {
        let postgres = PostgresServer::start_on_loopback().await.unwrap();
        let (redis, s3) = (RedisServer::start().await.unwrap(), S3Server::start().await.unwrap());
        let database = postgres.fresh_database().await.unwrap();
        let (to_postgres, database) = through_a_proxy(&database).await;
        let (to_s3, objects) = through_a_proxy(&s3.url()).await;
        let config = format!(
            r#"[coordinator]
db_url = "{database}"
s3_url = "{objects}"
s3_access_key = "{}"
s3_secret_key = "{}"
redis_url = "{}"
redis_worker_password = "worker-secret"
redis_client_password = "client-secret"
heartbeat_timeout = "{}s"
admin_password = "{PASSWORD}"
"#,
            S3Server::ACCESS_KEY,
            S3Server::SECRET_KEY,
            redis.url(),
            GIVEN_AWAY.as_secs()
        );
        (Self { postgres, redis, _s3: s3, to_postgres, to_s3 }, config)
    }
}

/// The URL with a proxy in the place of the server.
async fn through_a_proxy(url: &str) -> (FaultProxy, String) {
    let (_, rest) = url.split_once("127.0.0.1:").expect("servers listen on the loopback interface");
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let target: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    let proxy = FaultProxy::start(target).await.unwrap();
    let url = url.replace(&target.to_string(), &proxy.address().to_string());
    (proxy, url)
}

fn embedded(home: &Home) -> String {
    let folder = home.path().display();
    format!(
        r#"[coordinator]
db_url = "sqlite://{folder}/state.db"
s3_url = "file://{folder}/objects"
heartbeat_timeout = "{}s"
admin_password = "{PASSWORD}"
"#,
        GIVEN_AWAY.as_secs()
    )
}

async fn coordinator(home: &Home, config: &std::path::Path, number: usize, port: u16) -> Node {
    let (config, bind) = (config.to_str().unwrap(), format!("127.0.0.1:{port}"));
    let log = home.path().join(format!("coordinator-{number}.log")).display().to_string();
    let args = ["coordinator", "--config", config, "--bind", &bind, "--file-log", "--log-path", &log];
    let clock = home.path().join(format!("clock-{number}"));
    Node::start(home, &args, "listening address=", Some(clock)).await
}

/// A worker with its own tag, to which a task can be sent.
async fn worker(home: &Home, number: usize, addresses: &str) -> Node {
    let account = format!("[worker]\nuser = '{ADMIN}'\npassword = '{PASSWORD}'\nretain = true\n");
    let config = home.write("worker.toml", &account);
    let (tag, slots) = (tag(number), SLOTS.to_string());
    let log = home.path().join(format!("worker-{number}.log")).display().to_string();
    let args = [
        "worker",
        "--config",
        config.to_str().unwrap(),
        "-c",
        addresses,
        "--slots",
        &slots,
        "--tags",
        &tag,
        "--file-log",
        "--log-path",
        &log,
    ];
    Node::start(home, &args, "registered", None).await
}

pub(super) fn tag(worker: usize) -> String {
    format!("worker-{worker}")
}

fn free_port() -> u16 {
    Nginx::free_port().unwrap()
}

/// A reverse proxy in front of all coordinators.
pub(super) struct ReverseProxy {
    servers: String,
    port: u16,
    nginx: Option<Nginx>,
}

impl ReverseProxy {
    async fn start(coordinators: &[u16]) -> Self {
        let port = free_port();
        let servers: Vec<String> =
            coordinators.iter().map(|port| format!("server 127.0.0.1:{port} max_fails=0;")).collect();
        let upstream = servers.concat();
        let servers = format!(
            "client_max_body_size 0; upstream mito {{ {upstream} }}
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://mito; }} }}"
        );
        let mut proxy = Self { servers, port, nginx: None };
        proxy.restart().await;
        proxy
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) async fn restart(&mut self) {
        self.nginx = Some(Nginx::start(&self.servers, &[self.port]).await.unwrap());
    }

    /// Kills all processes with SIGKILL.
    pub(super) fn kill(&mut self) {
        self.nginx = None;
    }
}
