//! The resources that a process and a database server have used, from outside.

use std::fs;

use tokio_postgres::{Client, NoTls};

use crate::Error;
use crate::numbers::float;

/// A description of the processor in one line.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = |line: &&str| line.starts_with("model name");
    let model = info.lines().find(named).and_then(|line| line.split(": ").nth(1)).unwrap_or("some processor");
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{cpus} x {model}; coordinator, database, workers and load share them")
}

/// Seconds of processor time that a process has used, all its threads together.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64, Error> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name can contain anything, so fields are counted from its closing bracket.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.unwrap_or(100);
    Ok(float(ticks(11) + ticks(12)) / float(per_second.unsigned_abs()))
}

/// The memory of a process in bytes, now and at its peak: `(VmRSS, VmHWM)`.
pub(crate) fn memory(pid: u32) -> Result<(f64, f64), Error> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse::<u64>().ok())
    };
    let bytes = |name| float(kilobytes(name).unwrap_or_default() * 1024);
    Ok((bytes("VmRSS:"), bytes("VmHWM:")))
}

/// Resets the peak of the memory.
pub(crate) fn forget_most_memory(pid: u32) -> Result<(), Error> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

/// The work of a database server so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work {
    pub(crate) statements: f64,
    pub(crate) wal_bytes: f64,
}

/// A separate connection to a server.
pub(crate) struct Watch(Client);

impl Watch {
    pub(crate) async fn open(url: &str) -> Result<Self, Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        mitosis_testkit::spawn(connection);
        client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await?;
        Ok(Self(client))
    }

    /// The size of the database.
    pub(crate) async fn database_bytes(&self) -> Result<f64, Error> {
        let sql = "SELECT pg_database_size(current_database())::float8";
        Ok(self.0.query_one(sql, &[]).await?.try_get(0)?)
    }

    /// The statement itself is counted too: one each time.
    pub(crate) async fn work(&self) -> Result<Work, Error> {
        let sql = "SELECT coalesce(sum(calls), 0)::float8,
                          (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8
                   FROM pg_stat_statements";
        let row = self.0.query_one(sql, &[]).await?;
        Ok(Work { statements: row.try_get(0)?, wal_bytes: row.try_get(1)? })
    }
}
