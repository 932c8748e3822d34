//! The system: one embedded coordinator, or two over PostgreSQL, S3 and Redis behind nginx; and workers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use mitosis_testkit::postgres::PostgresServer;
use mitosis_testkit::proxy::FaultProxy;
use mitosis_testkit::redis::RedisServer;
use mitosis_testkit::s3::S3Server;
use tokio::process::{Child, Command};

use super::nodes::Node;
use crate::home::{ADMIN, Home};

/// After so much silence a worker's tasks are given away.
pub(super) const GIVEN_AWAY: Duration = Duration::from_secs(10);
const COORDINATORS: usize = 2;
const WORKERS: usize = 3;
/// Tasks that each worker runs at once.
pub(super) const SLOTS: usize = 3;

/// Where the state is.
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
    /// What clients and workers are given: nginx first, then each coordinator.
    pub(super) addresses: String,
}

/// Everything but the workers.
pub(super) struct Services {
    pub(super) coordinators: Vec<Node>,
    pub(super) nginx: Option<Nginx>,
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
        for folder in ["locks", "nginx"] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
        }
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
        let nginx = Nginx::start(&home, &ports).await;
        let own = ports.iter().map(|port| format!("http://127.0.0.1:{port}"));
        let addresses: Vec<String> = nginx.iter().map(Nginx::address).chain(own).collect();
        let mut workers = Vec::new();
        for number in 0..WORKERS {
            // Each prefers another way in.
            let mut known = addresses.clone();
            known.rotate_left(number % addresses.len());
            workers.push(worker(&home, number, &known.join(",")).await);
        }
        let services = Services { coordinators, nginx, cluster };
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
"#,
            S3Server::ACCESS_KEY,
            S3Server::SECRET_KEY,
            redis.url(),
            GIVEN_AWAY.as_secs()
        );
        (Self { postgres, redis, _s3: s3, to_postgres, to_s3 }, config)
    }
}

/// The same URL with a proxy in the place of the server.
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

/// A worker with a tag of its own, by which a task can be sent to it.
async fn worker(home: &Home, number: usize, addresses: &str) -> Node {
    let account = format!("[worker]\nuser = '{ADMIN}'\npassword = '{ADMIN}'\nretain = true\n");
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
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A reverse proxy in front of all coordinators.
pub(super) struct Nginx {
    folder: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Nginx {
    /// None on a machine without nginx.
    async fn start(home: &Home, coordinators: &[u16]) -> Option<Self> {
        let folder = home.path().join("nginx");
        let port = free_port();
        let servers: String =
            coordinators.iter().map(|port| format!("server 127.0.0.1:{port} max_fails=0; ")).collect();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {}/{kind}; ", folder.display()))
            .collect();
        let config = format!(
            "daemon off; master_process off; pid {0}/pid; error_log {0}/error.log; events {{}}
             http {{ access_log off; {temporary} client_max_body_size 0;
               upstream mito {{ {servers} }}
               server {{ listen 127.0.0.1:{port};
                 location / {{ proxy_pass http://mito; proxy_set_header Host $http_host; }} }} }}",
            folder.display()
        );
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut nginx = Self { folder, port, process: None };
        nginx.restart().await.then_some(nginx)
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Whether it runs.
    pub(super) async fn restart(&mut self) -> bool {
        let mut command = Command::new("nginx");
        command
            .env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
            .arg("-p")
            .arg(&self.folder)
            .arg("-c")
            .arg(self.folder.join("nginx.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let Ok(process) = command.spawn() else { return false };
        self.process = Some(process);
        true
    }

    pub(super) async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.unwrap();
        }
    }
}
