//! `mito manager logs`: shows the logs of workers. It reads files, so it works without a supervisor.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use mitosis_supervisor::{StateDir, log};

use crate::cli::manager::LogsArgs;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// Time between two reads of the logs.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

pub(super) async fn run(args: &LogsArgs, dir: &StateDir) -> Result<(), Failure> {
    let mut sources = sources(args, dir)?;
    for source in &mut sources {
        source.show_last(args.lines).map_err(|error| source.unreadable(error))?;
    }
    if !args.follow {
        return Ok(());
    }
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        if args.number.is_none() {
            add_new_ones(&mut sources, dir)?;
        }
        for source in &mut sources {
            source.show_added().map_err(|error| source.unreadable(error))?;
        }
    }
}

fn sources(args: &LogsArgs, dir: &StateDir) -> Result<Vec<Source>, Failure> {
    let logged = logged(dir)?;
    match args.number {
        Some(number) if logged.contains(&number) => Ok(vec![Source::alone(dir.worker_log(number))]),
        Some(number) => Err(Failure::new(Exit::Failure, format!("worker {number} has no log"))
            .with_hint("`mito manager status` shows the numbers")),
        None => {
            let manager = Source::among_others("manager".to_owned(), dir.supervisor_log());
            let worker = |number: u32| Source::among_others(number.to_string(), dir.worker_log(number));
            Ok(std::iter::once(manager).chain(logged.into_iter().map(worker)).collect())
        }
    }
}

fn add_new_ones(sources: &mut Vec<Source>, dir: &StateDir) -> Result<(), Failure> {
    for number in logged(dir)? {
        let path = dir.worker_log(number);
        if !sources.iter().any(|source| source.path == path) {
            sources.push(Source::among_others(number.to_string(), path));
        }
    }
    Ok(())
}

fn logged(dir: &StateDir) -> Result<Vec<u32>, Failure> {
    dir.logged_workers().map_err(|error| Failure::io("cannot list the logs", error))
}

/// A log file, and the offset up to which it was shown.
struct Source {
    /// The prefix of each line, if several files are shown.
    name: Option<String>,
    path: PathBuf,
    shown: u64,
    /// The partial line at the end.
    begun: Vec<u8>,
}

impl Source {
    fn alone(path: PathBuf) -> Self {
        Self { name: None, path, shown: 0, begun: Vec::new() }
    }

    fn among_others(name: String, path: PathBuf) -> Self {
        Self { name: Some(name), ..Self::alone(path) }
    }

    fn unreadable(&self, error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::io("", error),
            _ => Failure::io(format!("cannot show {}", self.path.display()), error),
        }
    }

    fn show_last(&mut self, lines: usize) -> io::Result<()> {
        let mut text = read_if_there(&self.path)?;
        self.shown = text.len() as u64;
        if last_lines(&text, lines).len() == text.len() {
            let mut all = read_if_there(&log::older(&self.path))?;
            all.append(&mut text);
            text = all;
        }
        self.show(last_lines(&text, lines))
    }

    fn show_added(&mut self) -> io::Result<()> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let length = file.metadata()?.len();
        // It was truncated: start from the beginning.
        self.shown = if length < self.shown { 0 } else { self.shown };
        file.seek(SeekFrom::Start(self.shown))?;
        let mut text = Vec::new();
        self.shown += file.read_to_end(&mut text)? as u64;
        self.show(&text)
    }

    /// Writes complete lines, and keeps a partial one.
    fn show(&mut self, text: &[u8]) -> io::Result<()> {
        self.begun.extend_from_slice(text);
        let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        let rest = self.begun.split_off(end + 1);
        let mut out = io::stdout().lock();
        for line in self.begun.split_inclusive(|byte| *byte == b'\n') {
            if let Some(name) = &self.name {
                write!(out, "{name} | ")?;
            }
            out.write_all(line)?;
        }
        out.flush()?;
        self.begun = rest;
        Ok(())
    }
}

fn read_if_there(path: &std::path::Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        text => text,
    }
}

/// The offset of the last lines of a text; a partial line does not count.
fn last_lines(text: &[u8], lines: usize) -> &[u8] {
    let ends = text.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place);
    match ends.clone().nth(lines) {
        Some(end) => &text[end + 1..],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_are_found_from_the_end() {
        let text = b"one\ntwo\nthree\nfo";
        assert_eq!(last_lines(text, 2), b"two\nthree\nfo");
        assert_eq!(last_lines(text, 3), text);
        assert_eq!(last_lines(text, 9), text);
        assert_eq!(last_lines(text, 0), b"fo");
        assert_eq!(last_lines(b"", 3), b"");
    }
}
