//! Shows the output of tasks that is there: all of a task that has ended, and what a running one has written so far.

use std::fs::File;
use std::io::{self, Seek as _, Write};
use std::path::Path;

use mitosis_client::{Capabilities, UserClient};
use mitosis_log_archive::omission_mark;
use mitosis_protocol::output::{EndedLog, LogsQuery, OutputStream, OutputsReply, OutputsRequest};
use mitosis_protocol::{ArtifactKind, Uuid};

use crate::login::reconnect::Reconnect;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::task_io::follow::{LogPart, Shown};
use crate::task_io::std_log;
use crate::task_io::terminal_output::TerminalOutput;

/// Where to start.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    /// At these offsets, counted as the command wrote the bytes.
    At(Shown),
    Part(LogPart),
}

impl Start {
    pub(crate) fn new(part: LogPart) -> Self {
        if part.is_all() { Self::At(Shown::default()) } else { Self::Part(part) }
    }

    fn logs_query(&self, of: OutputStream) -> LogsQuery {
        let query = LogsQuery { stream: Some(of), ..LogsQuery::default() };
        match self {
            Self::At(Shown { stdout, stderr }) => {
                let offset = Some(if of == OutputStream::Stdout { *stdout } else { *stderr });
                LogsQuery { offset, ..query }
            }
            Self::Part(LogPart { tail, since }) => LogsQuery { tail: *tail, since: since.clone(), ..query },
        }
    }
}

/// Shows the stored output of an ended task. Returns whether there is any.
pub(crate) async fn show(
    user: &UserClient,
    task: Uuid,
    start: &Start,
    scratch: &Path,
    streams: &mut TerminalOutput,
) -> Result<bool, Failure> {
    let log = match start {
        Start::At(shown) => ended_log(user, task).await?.map(|log| (log, *shown)),
        Start::Part(_) => None,
    };
    match log {
        Some((EndedLog::Archive { bytes }, shown)) => show_archive(&bytes, shown, streams),
        Some((EndedLog::Object, _)) | None => show_object(user, task, start, scratch, streams).await,
    }
}

/// Shows the output of an attempt. Returns whether there is any.
pub(crate) async fn show_attempt(
    user: &UserClient,
    task: Uuid,
    attempt: i64,
    start: &Start,
    streams: &mut TerminalOutput,
) -> Result<bool, Failure> {
    let mut is_there = false;
    for of in [OutputStream::Stdout, OutputStream::Stderr] {
        if streams.shown(of).is_some() {
            let query = LogsQuery { attempt: Some(attempt), ..start.logs_query(of) };
            is_there |= show_stream(user, task, query, of, streams).await?;
        }
    }
    Ok(is_there)
}

/// Shows the output in a small archive. Returns that there is one.
pub(crate) fn show_archive(
    archive: &[u8],
    from: Shown,
    streams: &mut TerminalOutput,
) -> Result<bool, Failure> {
    let [stdout, stderr] = std_log::positions(archive, from);
    for (of, position) in [(OutputStream::Stdout, stdout), (OutputStream::Stderr, stderr)] {
        if let (Some(omitted), Some(stream)) = (position.omitted, streams.shown(of)) {
            write(stream, omission_mark(omitted).as_bytes())?;
        }
    }
    let from = Shown { stdout: stdout.offset, stderr: stderr.offset };
    std_log::copy(archive, from, &mut streams.stdout, &mut streams.stderr).map(|()| true).map_err(cant_write)
}

/// Shows the output in the object store. Returns whether there is any.
pub(crate) async fn show_object(
    user: &UserClient,
    task: Uuid,
    start: &Start,
    scratch: &Path,
    streams: &mut TerminalOutput,
) -> Result<bool, Failure> {
    if let (Capabilities::Legacy, Start::At(shown)) = (user.client().capabilities().await?, start) {
        return match fetch_archive(user, task, scratch).await? {
            Some(archive) => show_file(archive, *shown, streams).await.map(|()| true),
            None => Ok(false),
        };
    }
    let mut is_there = false;
    for of in [OutputStream::Stdout, OutputStream::Stderr] {
        if streams.shown(of).is_some() {
            is_there |= show_stream(user, task, start.logs_query(of), of, streams).await?;
        }
    }
    Ok(is_there)
}

/// Shows what a running task has written so far; all of its output if it ends meanwhile.
pub(crate) async fn show_so_far(
    user: &UserClient,
    task: Uuid,
    start: &Start,
    streams: &mut TerminalOutput,
) -> Result<(), Failure> {
    for of in [OutputStream::Stdout, OutputStream::Stderr] {
        let Some(stream) = streams.shown(of) else { continue };
        let mut log = user.logs(task, &start.logs_query(of)).await?;
        while let Some(bytes) = log.next().await? {
            write(stream, &bytes)?;
        }
    }
    streams.end().map_err(cant_write)
}

/// Shows one stream; continues at the byte after a failure.
async fn show_stream(
    user: &UserClient,
    task: Uuid,
    mut query: LogsQuery,
    of: OutputStream,
    streams: &mut TerminalOutput,
) -> Result<bool, Failure> {
    let mut reconnect = Reconnect::brief();
    loop {
        let ask = async || match user.logs(task, &query).await {
            Err(error) if error.status() == Some(404) => Ok(None),
            log => log.map(Some),
        };
        let Some(mut log) = reconnect.retry(ask, &show_later_hint(task)).await? else { return Ok(false) };
        let mut offset = log.offset();
        let error = loop {
            match log.next().await {
                Ok(Some(bytes)) => {
                    offset += bytes.len() as u64;
                    if let Some(stream) = streams.shown(of) {
                        write(stream, &bytes)?;
                    }
                }
                Ok(None) => return Ok(true),
                Err(error) => break error,
            }
        };
        if !error.is_transient() {
            return Err(error.into());
        }
        let attempt = query.attempt;
        query = LogsQuery { stream: Some(of), stored_offset: Some(offset), attempt, ..LogsQuery::default() };
        reconnect.pause_after_error(error, || show_later_hint(task)).await?;
    }
}

/// The log of an ended task, if the coordinator can return it at once.
async fn ended_log(user: &UserClient, task: Uuid) -> Result<Option<EndedLog>, Failure> {
    let request = OutputsRequest { tasks: vec![task], wait: None };
    // A coordinator without this route has only the artifact.
    let ask = async || match user.outputs(&request).await {
        Err(error) if !error.is_transient() => Ok(OutputsReply::default()),
        reply => reply,
    };
    let reply = Reconnect::brief().retry(ask, &show_later_hint(task)).await?;
    Ok(reply.outputs.into_iter().next().and_then(|output| output.log))
}

/// Shows the part of an archive of a legacy coordinator after the offsets.
async fn show_file(archive: File, from: Shown, streams: &mut TerminalOutput) -> Result<(), Failure> {
    let mut moved = std::mem::replace(streams, TerminalOutput::plain());
    let (shown, returned) = tokio::task::spawn_blocking(move || {
        let outcome = (&archive)
            .rewind()
            .and_then(|()| std_log::copy(&archive, from, &mut moved.stdout, &mut moved.stderr));
        (outcome, moved)
    })
    .await
    .map_err(|error| Failure::new(Exit::Fault, error))?;
    *streams = returned;
    shown.map_err(|error| Failure::io("cannot show the task's output", error))
}

/// Downloads the archive into an unnamed file, if there is one. The link may lead to a coordinator, so failures are
/// retried.
async fn fetch_archive(user: &UserClient, task: Uuid, scratch: &Path) -> Result<Option<File>, Failure> {
    std::fs::create_dir_all(scratch)
        .map_err(|error| Failure::io(format!("cannot create the directory {}", scratch.display()), error))?;
    let cant_make = |error| Failure::io(format!("cannot make a file in {}", scratch.display()), error);
    let name = scratch.join(format!("the output of {task}"));
    let mut reconnect = Reconnect::brief();
    loop {
        let ask = async || match user.artifact_link(task, ArtifactKind::StdLog).await {
            Err(error) if error.status() == Some(404) => Ok(None),
            link => link.map(Some),
        };
        let Some(link) = reconnect.retry(ask, &show_later_hint(task)).await? else { return Ok(None) };
        let archive = tempfile::tempfile_in(scratch).map_err(cant_make)?;
        let target = archive.try_clone().map_err(cant_make)?;
        match user.download(&link.url, target, &name).await {
            Ok(_) => return Ok(Some(archive)),
            Err(error) if error.is_transient() => reconnect.pause_after(Failure::from(error)).await?,
            Err(error) => return Err(error.into()),
        }
    }
}

pub(crate) fn write(stream: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    match bytes {
        [] => Ok(()),
        bytes => stream.write_all(bytes).map_err(cant_write),
    }
}

pub(crate) fn cant_write(error: io::Error) -> Failure {
    Failure::io("cannot write the task's output", error)
}

fn show_later_hint(task: Uuid) -> String {
    format!("the task has ended; show its output later with `mito client tasks logs {task}`")
}

#[cfg(test)]
mod tests {
    use mitosis_client::Client;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn outage_after_the_end_of_a_task_has_the_hint_that_it_has_ended() {
        let user = Client::new("http://127.0.0.1:1").unwrap().with_user_token("token".into());
        let scratch = tempfile::tempdir().unwrap();
        let (start, mut streams) = (Start::new(LogPart::default()), TerminalOutput::plain());
        let shown = show(&user, Uuid::nil(), &start, scratch.path(), &mut streams).await;
        let text = shown.unwrap_err().to_string();
        assert!(text.contains("hint: the task has ended; show its output later"), "{text}");
    }
}
