//! Ends the commands of a worker that was killed and could not do it itself.
//!
//! A second, small process reads a pipe whose other end only the worker has: it closes when the worker is
//! gone, in whatever way. Which commands run, the worker writes into a table that both have open, so a
//! start and an end cost one small write each, and wake nobody.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;

/// Between the first word and the last. Shorter than any lease.
const GRACE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A process group in the table, or nobody.
const ENTRY_BYTES: usize = size_of::<i32>();
const NOBODY: i32 = 0;

/// The other process, for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Guard {
    table: Arc<File>,
    _alive: ChildStdin,
}

/// The place of one slot in the table.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    table: Arc<File>,
    offset: u64,
}

impl Guard {
    /// Starts a process that calls [`keep_guard`].
    pub(crate) fn start(command: &[OsString], slots: usize) -> io::Result<Self> {
        let (program, args) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let table = File::from(memfd_create(c"running", MFdFlags::MFD_CLOEXEC)?);
        table.set_len((slots * ENTRY_BYTES) as u64)?;
        let mut child = Command::new(program)
            .args(args)
            // It needs nothing of the worker, and outlives signals to the terminal and locks on folders.
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::from(table.try_clone()?))
            .stderr(Stdio::null())
            .spawn()?;
        let alive = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { table: Arc::new(table), _alive: alive })
    }

    /// The place of a slot, counted from 0.
    pub(crate) fn mark(&self, slot: usize) -> Mark {
        Mark { table: self.table.clone(), offset: (slot * ENTRY_BYTES) as u64 }
    }
}

impl Mark {
    /// The slot runs this group.
    pub(crate) fn runs(&self, group: Pid) {
        self.write(group.as_raw());
    }

    /// The slot runs nothing. Has to be said before the number can belong to somebody else.
    pub(crate) fn clear(&self) {
        self.write(NOBODY);
    }

    fn write(&self, group: i32) {
        if let Err(error) = self.table.write_all_at(&group.to_ne_bytes(), self.offset) {
            tracing::warn!(%error, "a command would outlive this worker if it were killed");
        }
    }
}

/// The whole life of the second process: waits until the worker is gone, then ends what it left running.
/// Its standard input is the pipe, its standard output the table.
///
/// # Errors
/// When the table can't be read: this was not started by a worker.
pub fn keep_guard() -> io::Result<()> {
    // A service is often stopped by a signal to all of its processes, and this has to be the last of them.
    let deaf: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1]
        .into_iter()
        .collect();
    deaf.thread_block()?;
    let table = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut entries = vec![0; usize::try_from(table.metadata()?.len()).map_err(io::Error::other)?];
    io::copy(&mut io::stdin(), &mut io::sink())?;
    table.read_exact_at(&mut entries, 0)?;
    let groups: Vec<Pid> = entries
        .chunks_exact(ENTRY_BYTES)
        .map(|entry| i32::from_ne_bytes(entry.try_into().expect("as long as an entry")))
        .filter(|group| *group > 1)
        .map(Pid::from_raw)
        .collect();
    end(groups);
    Ok(())
}

fn end(mut groups: Vec<Pid>) {
    let deadline = Instant::now() + GRACE;
    groups.retain(|group| killpg(*group, Signal::SIGTERM).is_ok());
    while !groups.is_empty() && Instant::now() < deadline {
        std::thread::sleep(LOOK_AGAIN);
        groups.retain(|group| killpg(*group, None).is_ok());
    }
    for group in groups {
        // Whoever has gone meanwhile needs no signal.
        let _ = killpg(group, Signal::SIGKILL);
    }
}
