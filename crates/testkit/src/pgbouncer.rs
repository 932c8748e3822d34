//! A private pgbouncer in front of a private PostgreSQL server.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::postgres::{PostgresServer, give_away, owner_of_servers};

/// The directory is not in every user's `PATH`.
const PROGRAM: &str = "/usr/sbin/pgbouncer";
const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running pooler. It stops when this is dropped.
#[derive(Debug)]
pub struct PgBouncer {
    home: TempDir,
    port: u16,
    process: Child,
}

impl PgBouncer {
    /// Starts a pooler in front of a server on the loopback interface; `mode` is `session`, `transaction` or
    /// `statement`.
    pub async fn start(server: &PostgresServer, mode: &str) -> io::Result<Self> {
        let home = TempDir::new()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let behind = server.port().ok_or_else(|| io::Error::other("the server has no port"))?;
        let users = home.path().join("users");
        fs::write(&users, format!("\"{}\" \"{}\"\n", PostgresServer::USER, PostgresServer::PASSWORD))?;
        let settings = home.path().join("settings");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={behind}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n\
             pool_mode = {mode}\n",
            users.display()
        );
        fs::write(&settings, text)?;
        for path in [home.path(), &users, &settings] {
            give_away(path)?;
        }
        let mut command = Command::new(PROGRAM);
        // pgbouncer refuses to run as root.
        if let Some(owner) = owner_of_servers()? {
            command.arg("-u").arg(owner.name);
        }
        let process = command.arg(&settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = process.current_dir("/").spawn()?;
        let bouncer = Self { home, port, process };
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "pgbouncer does not start"));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(bouncer)
    }

    /// The URL of a database of the server through the pooler.
    pub fn url(&self, database: &str) -> String {
        let (user, password) = (PostgresServer::USER, PostgresServer::PASSWORD);
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // A process that can't be stopped here ends with the machine.
        self.process.kill().ok();
        self.process.wait().ok();
        let _ = &self.home;
    }
}
