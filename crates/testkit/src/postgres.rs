//! A private PostgreSQL server with its own directory and process, from the Debian packages.
//!
//! It does not flush to the disk, so its data survives the crash of a process but not of the machine; all other
//! settings are defaults. Creating a cluster takes a second, so one is created for each build directory and
//! copied from then on.

use std::fs::{self, File, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

const SETTINGS: &str = "
    fsync = off
    full_page_writes = off
    max_connections = 200
    shared_buffers = 32MB
    dynamic_shared_memory_type = mmap
    logging_collector = off
    lc_messages = 'C'
";

/// The access rules: the socket is in a directory that only its owner may enter.
const HBA: &str = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A lock on a table, until this is dropped.
pub struct Locked(#[expect(dead_code, reason = "its connection has the lock")] Client);

/// A running server. It stops and loses its data when this is dropped.
#[derive(Debug)]
pub struct PostgresServer {
    home: TempDir,
    port: Option<u16>,
    process: Option<Child>,
    databases: AtomicU32,
}

impl PostgresServer {
    /// The superuser of the server.
    pub const USER: &str = "mitosis";
    /// The password of that user, required on the loopback interface.
    pub const PASSWORD: &str = "mitosis-secret";

    /// Starts an empty server that listens on a socket in its own directory.
    pub async fn start() -> io::Result<Self> {
        Self::start_in(Self::new_home()?, None).await
    }

    /// Starts an empty server that also listens on a free port of the loopback interface.
    pub async fn start_on_loopback() -> io::Result<Self> {
        Self::start_in(Self::new_home()?, Some(free_port()?)).await
    }

    /// Starts an empty server that accepts only encrypted connections on the loopback interface. A client
    /// certificate must be of the same authority.
    pub async fn start_with_tls(
        certificate: &Path,
        key: &Path,
        authority: &Path,
        asks_for_certificates: bool,
    ) -> io::Result<Self> {
        let home = Self::new_home()?;
        let data = home.path().join("data");
        for (from, to) in [(certificate, "server.crt"), (key, "server.key"), (authority, "root.crt")] {
            let to = data.join(to);
            fs::copy(from, &to)?;
            fs::set_permissions(&to, Permissions::from_mode(0o600))?;
            give_away(&to)?;
        }
        let settings = data.join("postgresql.conf");
        let text = fs::read_to_string(&settings)? + "ssl = on\nssl_ca_file = 'root.crt'\n";
        fs::write(&settings, text)?;
        let method = if asks_for_certificates { "cert" } else { "scram-sha-256" };
        fs::write(
            data.join("pg_hba.conf"),
            format!("local all all trust\nhostssl all all 127.0.0.1/32 {method}\n"),
        )?;
        Self::start_in(home, Some(free_port()?)).await
    }

    /// Starts an empty server with default settings, so that commits also survive the crash of the machine. For
    /// measurements.
    pub async fn start_as_it_comes(libraries: &[&str]) -> io::Result<Self> {
        let home = TempDir::new()?;
        fs::set_permissions(home.path(), Permissions::from_mode(0o700))?;
        give_away(home.path())?;
        let data = home.path().join("data");
        let settings = format!("shared_preload_libraries = '{}'\n", libraries.join(","));
        make_cluster(&data, &[], &settings)?;
        let mut server = Self { home, port: None, process: None, databases: AtomicU32::new(0) };
        server.restart().await?;
        Ok(server)
    }

    fn new_home() -> io::Result<TempDir> {
        let home = TempDir::new()?;
        fs::set_permissions(home.path(), Permissions::from_mode(0o700))?;
        copy_owned(&template()?, &home.path().join("data"))?;
        give_away(home.path())?;
        Ok(home)
    }

    async fn start_in(home: TempDir, port: Option<u16>) -> io::Result<Self> {
        let mut server = Self { home, port, process: None, databases: AtomicU32::new(0) };
        server.restart().await?;
        Ok(server)
    }

    /// The URL of a database: `postgres://mitosis:…@127.0.0.1:PORT/NAME`, or through the socket.
    pub fn url(&self, database: &str) -> String {
        match self.port {
            Some(port) => {
                format!("postgres://{}:{}@127.0.0.1:{port}/{database}", Self::USER, Self::PASSWORD)
            }
            None => self.socket_url(database),
        }
    }

    /// The URL of a database through the socket, independent of the authentication rules.
    pub fn socket_url(&self, database: &str) -> String {
        let socket = self.home.path().display().to_string().replace('/', "%2F");
        format!("postgres://{}@{socket}:{}/{database}", Self::USER, self.port.unwrap_or(5432))
    }

    /// The port on the loopback interface, if it listens there.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Creates an empty database and returns its URL.
    pub async fn fresh_database(&self) -> io::Result<String> {
        self.copied_database("template0").await
    }

    /// Copies a database without connections and returns the URL of the copy.
    pub async fn copied_database(&self, original: &str) -> io::Result<String> {
        let name = format!("story_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE {original}")).await?;
        Ok(self.url(&name))
    }

    /// Runs statements as the superuser, in the database `postgres`.
    pub async fn execute(&self, sql: &str) -> io::Result<()> {
        let client = self.connect().await.map_err(io::Error::other)?;
        client.batch_execute(sql).await.map_err(io::Error::other)
    }

    /// Locks a table until the returned value is dropped: queries on it wait.
    pub async fn locked(&self, database_url: &str, table: &str) -> io::Result<Locked> {
        let config: Config = database_url.parse().map_err(io::Error::other)?;
        let (client, connection) = config.connect(NoTls).await.map_err(io::Error::other)?;
        crate::spawn(connection);
        let lock = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
        client.batch_execute(&lock).await.map_err(io::Error::other)?;
        Ok(Locked(client))
    }

    /// The number of transactions in all databases, as far as open sessions have reported them: they do so
    /// every second while they are active, and at their end.
    pub async fn transactions(&self) -> io::Result<i64> {
        const COUNT: &str = "SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database";
        let client = self.connect().await.map_err(io::Error::other)?;
        let row = client.query_one(COUNT, &[]).await.map_err(io::Error::other)?;
        row.try_get(0).map_err(io::Error::other)
    }

    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config
            .host_path(self.home.path())
            .port(self.port.unwrap_or(5432))
            .user(Self::USER)
            .dbname("postgres");
        let (client, connection) = config.connect(NoTls).await?;
        // The task ends when the client is dropped; its errors appear in the next call of the client.
        crate::spawn(connection);
        Ok(client)
    }

    /// Kills the server, as a crash would.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill()?;
        process.wait().map(drop)
    }

    /// Restarts the server with the same data, at the same address.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.kill()?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            self.process = Some(self.spawn()?);
            if self.is_ready(deadline).await? {
                return Ok(());
            }
            // Processes of a killed server may need a moment to notice that it is gone.
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let log = File::create(self.log())?;
        let mut command = as_owner(&program("postgres")?)?;
        command.arg("-D").arg(self.home.path().join("data")).arg("-k").arg(self.home.path());
        match self.port {
            Some(port) => command.args(["-h", "127.0.0.1", "-p", &port.to_string()]),
            None => command.args(["-h", ""]),
        };
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// Waits until the server accepts connections; false if it has exited.
    async fn is_ready(&mut self, deadline: Instant) -> io::Result<bool> {
        loop {
            let process = self.process.as_mut().expect("just started");
            let ended = process.try_wait()?.is_some();
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.log())?;
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("PostgreSQL does not start: {log}"),
                ));
            }
            if ended {
                return Ok(false);
            }
            if self.connect().await.is_ok() {
                return Ok(true);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // Immediate, but it releases its shared memory, which a kill would leave behind.
        let id = Pid::from_raw(process.id().cast_signed());
        if kill(id, Signal::SIGQUIT).is_ok() {
            process.wait().ok();
        }
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The newest installed version of a PostgreSQL program.
fn program(name: &str) -> io::Result<PathBuf> {
    let missing =
        || io::Error::new(io::ErrorKind::NotFound, "PostgreSQL is not installed (Debian: postgresql)");
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .map_err(|_| missing())?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin").join(name)))
        })
        .filter(|(_, path)| path.exists())
        .collect();
    found.sort();
    found.pop().map(|(_, path)| path).ok_or_else(missing)
}

/// PostgreSQL refuses to run as root; it then runs as the user of the Debian package.
pub(crate) fn owner_of_servers() -> io::Result<Option<User>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    User::from_name("postgres")?
        .map(Some)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no user 'postgres'"))
}

fn as_owner(program: &Path) -> io::Result<Command> {
    let mut command = Command::new(program);
    if let Some(owner) = owner_of_servers()? {
        command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
    }
    Ok(command)
}

pub(crate) fn give_away(path: &Path) -> io::Result<()> {
    match owner_of_servers()? {
        Some(owner) => chown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())),
        None => Ok(()),
    }
}

/// A cluster that has never run, created by the first process that needs it.
fn template() -> io::Result<PathBuf> {
    let executable = std::env::current_exe()?;
    let folder = executable.parent().expect("an executable is in a folder");
    let version = program("initdb")?.components().rev().nth(2).map(|part| part.as_os_str().to_owned());
    let name = format!("postgres-{}", version.unwrap_or_default().display());
    let template = folder.join(&name);
    let lock = File::create(folder.join(format!("{name}.lock")))?;
    lock.lock()?;
    if !template.exists() {
        let unfinished = folder.join(format!("{name}.unfinished"));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        let home = TempDir::new()?;
        give_away(home.path())?;
        let data = home.path().join("data");
        make_cluster(&data, &["--wal-segsize", "1"], SETTINGS)?;
        copy(&data, &unfinished, &|_| Ok(()))?;
        fs::rename(&unfinished, &template)?;
    }
    Ok(template)
}

/// Creates a cluster in a directory that its owner may write to.
fn make_cluster(data: &Path, options: &[&str], more_settings: &str) -> io::Result<()> {
    let password = data.with_extension("password");
    fs::write(&password, PostgresServer::PASSWORD)?;
    give_away(&password)?;
    let made = as_owner(&program("initdb")?)?
        .arg("--no-sync")
        .args(["--encoding", "UTF8", "--locale", "C"])
        .args(options)
        .args(["--username", PostgresServer::USER, "--auth", "scram-sha-256"])
        .arg("--pwfile")
        .arg(&password)
        .arg("--pgdata")
        .arg(data)
        .current_dir("/")
        .output()?;
    if !made.status.success() {
        return Err(io::Error::other(format!("initdb: {}", String::from_utf8_lossy(&made.stderr))));
    }
    fs::write(data.join("pg_hba.conf"), HBA)?;
    let settings = data.join("postgresql.conf");
    fs::write(&settings, fs::read_to_string(&settings)? + more_settings)
}

fn copy_owned(from: &Path, to: &Path) -> io::Result<()> {
    copy(from, to, &give_away)
}

fn copy(from: &Path, to: &Path, finish: &dyn Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, Permissions::from_mode(0o700))?;
    finish(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, finish)?;
        } else {
            fs::copy(entry.path(), &target)?;
            finish(&target)?;
        }
    }
    Ok(())
}
