//! A private nginx, for testing a proxy in front of a coordinator.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The directory is not in every user's `PATH`.
const PROGRAM: &str = "/usr/sbin/nginx";
const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running nginx. It stops when this is dropped.
#[derive(Debug)]
pub struct Nginx {
    home: TempDir,
    process: Child,
}

impl Nginx {
    /// Starts nginx with these `server` blocks, which must listen on these ports of the loopback interface. All
    /// other settings are defaults.
    pub async fn start(servers: &str, ports: &[u16]) -> io::Result<Self> {
        let home = TempDir::new()?;
        let folder = home.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
            .collect::<Vec<_>>()
            .concat();
        let settings = format!(
            "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n\
             events {{}}\nhttp {{\naccess_log off;\n{temporary}{servers}\n}}\n"
        );
        let path = home.path().join("nginx.conf");
        fs::write(&path, settings)?;
        let process = Command::new(PROGRAM)
            .arg("-p")
            .arg(home.path())
            .arg("-e")
            .arg(home.path().join("error.log"))
            .arg("-c")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut nginx = Self { home, process };
        let deadline = Instant::now() + START_TIMEOUT;
        while ports.iter().any(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_err()) {
            if Instant::now() > deadline || nginx.process.try_wait()?.is_some() {
                return Err(io::Error::other(format!("nginx does not start: {}", nginx.log())));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(nginx)
    }

    /// Returns an unused port of the loopback interface.
    pub fn free_port() -> io::Result<u16> {
        Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
    }

    /// The error log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A process that can't be stopped here ends with the machine.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
