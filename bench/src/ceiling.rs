//! The limit of the machine: threads that only start a program and wait for it.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Error;

/// Runs a command `count` times in `slots` threads. Nothing runs between fork and exec, so that the standard
/// library can use the fast path.
pub(crate) fn spawn_loop(slots: usize, count: usize, command: &[&str]) -> Result<Duration, Error> {
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let ended: Vec<std::io::Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..slots).map(|_| scope.spawn(|| work(&next, count, command))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it only starts processes")).collect()
    });
    ended.into_iter().collect::<Result<(), _>>()?;
    Ok(begun.elapsed())
}

fn work(next: &AtomicUsize, count: usize, command: &[&str]) -> std::io::Result<()> {
    while next.fetch_add(1, Ordering::Relaxed) < count {
        Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    }
    Ok(())
}
