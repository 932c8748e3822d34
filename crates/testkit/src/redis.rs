//! A private Redis server, on a free port of the loopback interface, without persistence.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running server. It stops and loses its data when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    /// A certificate and its key.
    tls: Option<(PathBuf, PathBuf)>,
    process: Option<Child>,
}

impl RedisServer {
    /// The password of the administrator.
    pub const PASSWORD: &str = "redis-secret";

    /// Starts an empty server.
    pub async fn start() -> io::Result<Self> {
        Self::start_speaking(None).await
    }

    /// Starts an empty server that accepts TLS only.
    pub async fn start_with_tls(certificate: PathBuf, key: PathBuf) -> io::Result<Self> {
        Self::start_speaking(Some((certificate, key))).await
    }

    async fn start_speaking(tls: Option<(PathBuf, PathBuf)>) -> io::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut server = Self { port, tls, process: None };
        server.restart().await?;
        Ok(server)
    }

    /// The address, as in `redis_url`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://:{}@127.0.0.1:{}", Self::PASSWORD, self.port)
    }

    /// Kills the server, as a crash would.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill()?;
        process.wait().map(drop)
    }

    /// Restarts the server, empty, at the same address.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.kill()?;
        let mut process = Command::new("redis-server")
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // Through standard input, so that the password is not visible in the process list.
        let mut settings = process.stdin.take().expect("it was asked for");
        let port = match &self.tls {
            None => format!("port {}", self.port),
            Some((certificate, key)) => format!(
                "port 0\ntls-port {}\ntls-auth-clients no\ntls-cert-file {}\ntls-key-file {}",
                self.port,
                certificate.display(),
                key.display()
            ),
        };
        writeln!(settings, "bind 127.0.0.1\n{port}\nsave \"\"\nrequirepass {}", Self::PASSWORD)?;
        drop(settings);
        self.process = Some(process);
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "Redis does not start"));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // A process that can't be stopped here ends with the machine.
        self.kill().ok();
    }
}
