//! Masks secrets in the output of a command.
//!
//! The command of a task with secrets writes to pipes. A thread copies them to the output files, which therefore never
//! contain a secret. A command without secrets writes directly to its files.

use std::io::{self, PipeReader, PipeWriter, Read as _, pipe};
use std::os::fd::AsFd as _;
use std::process::Stdio;
use std::sync::Arc;
use std::thread::JoinHandle;

use mitosis_protocol::output::OutputStream;
use mitosis_protocol::worker::FetchedTask;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::mask::Masker;
use super::output_files::OutputFiles;

/// The size of a read.
const READ_BYTES: usize = 64 * 1024;
/// How much is read of a pipe after the end of the command: at least what a pipe can hold. A process that has left the
/// group of the command may still write.
const MAX_REST: usize = 1024 * 1024;

/// The pipes of a command whose output is masked.
pub(super) struct MaskedOutput {
    stdout: PipeWriter,
    stderr: PipeWriter,
    /// Ends the thread when it is dropped.
    end: PipeWriter,
    thread: JoinHandle<io::Result<()>>,
}

impl MaskedOutput {
    /// Starts the thread, if the output of the task is kept and can contain a secret.
    pub(super) fn start(task: &FetchedTask, output: Option<&Arc<OutputFiles>>) -> io::Result<Option<Self>> {
        let (Some(output), Some(masker)) = (output, Masker::new(task.secrets.values())) else {
            return Ok(None);
        };
        let (from_stdout, stdout) = pipe()?;
        let (from_stderr, stderr) = pipe()?;
        let (ended, end) = pipe()?;
        let copies = [
            Copy::new(from_stdout, OutputStream::Stdout, masker.clone())?,
            Copy::new(from_stderr, OutputStream::Stderr, masker)?,
        ];
        let output = output.clone();
        let copy = move || copy(copies, &ended, &output);
        let thread = std::thread::Builder::new().name("mito-mask".to_owned()).spawn(copy)?;
        Ok(Some(Self { stdout, stderr, end, thread }))
    }

    /// Where the command writes.
    pub(super) fn stdio(&self) -> io::Result<(Stdio, Stdio)> {
        Ok((self.stdout.try_clone()?.into(), self.stderr.try_clone()?.into()))
    }

    /// Returns when everything that the command has written is in its output files.
    pub(super) fn finish(self) -> io::Result<()> {
        let Self { stdout, stderr, end, thread } = self;
        drop((stdout, stderr, end));
        thread.join().map_err(|_| io::Error::other("the thread that masks secrets panicked"))?
    }
}

/// One stream between its pipe and its file.
struct Copy {
    /// None at the end of the stream.
    from: Option<PipeReader>,
    to: OutputStream,
    masker: Masker,
    buffer: Vec<u8>,
    masked: Vec<u8>,
}

impl Copy {
    fn new(from: PipeReader, to: OutputStream, masker: Masker) -> io::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&from, FcntlArg::F_GETFL)?);
        fcntl(&from, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Self { from: Some(from), to, masker, buffer: vec![0; READ_BYTES], masked: Vec::new() })
    }

    /// Copies what is in the pipe, at most one buffer. Returns the number of bytes read.
    fn step(&mut self, output: &OutputFiles) -> io::Result<usize> {
        let Some(from) = &mut self.from else { return Ok(0) };
        let read = match from.read(&mut self.buffer) {
            Ok(0) => {
                self.from = None;
                return Ok(0);
            }
            Ok(read) => read,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(0);
            }
            Err(error) => return Err(error),
        };
        self.masker.feed(&self.buffer[..read], &mut self.masked);
        self.flush(output)?;
        Ok(read)
    }

    /// Copies the rest, after the end of the command.
    fn finish(&mut self, output: &OutputFiles) -> io::Result<()> {
        let mut rest = 0;
        while rest < MAX_REST {
            match self.step(output)? {
                0 => break,
                read => rest += read,
            }
        }
        self.masker.finish(&mut self.masked);
        self.flush(output)
    }

    fn flush(&mut self, output: &OutputFiles) -> io::Result<()> {
        output.write(self.to, &self.masked)?;
        self.masked.clear();
        Ok(())
    }
}

/// Copies both streams until the command has ended. If a file can't be written, the pipes are closed, and the command gets
/// an error when it writes.
fn copy(mut copies: [Copy; 2], ended: &PipeReader, output: &OutputFiles) -> io::Result<()> {
    while !wait(&copies, ended)? {
        for copy in &mut copies {
            copy.step(output)?;
        }
    }
    copies.iter_mut().try_for_each(|copy| copy.finish(output))
}

/// Waits for output. Returns whether the command has ended.
fn wait(copies: &[Copy; 2], ended: &PipeReader) -> io::Result<bool> {
    let open = copies.iter().filter_map(|copy| copy.from.as_ref());
    let mut files: Vec<PollFd<'_>> = open.map(|from| PollFd::new(from.as_fd(), PollFlags::POLLIN)).collect();
    files.push(PollFd::new(ended.as_fd(), PollFlags::POLLIN));
    match poll(&mut files, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(files.last().and_then(PollFd::any).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Command;
    use std::time::Duration;

    use mitosis_protocol::TaskSpec;
    use mitosis_protocol::Uuid;
    use mitosis_protocol::secret::SecretValue;

    use super::*;

    fn task(secret: &str) -> FetchedTask {
        FetchedTask {
            id: 1,
            uuid: Uuid::nil(),
            timeout: Duration::from_secs(60),
            upstream_task_uuid: None,
            spec: TaskSpec::default(),
            secrets: BTreeMap::from([("TOKEN".to_owned(), SecretValue::new(secret))]),
        }
    }

    fn files() -> Arc<OutputFiles> {
        let file = || tempfile::tempfile().unwrap();
        Arc::new(OutputFiles::new(file(), file()))
    }

    /// What a shell script with a secret writes.
    fn output(script: &str) -> (String, String) {
        let files = files();
        let masked = MaskedOutput::start(&task("hunter2-hunter2"), Some(&files)).unwrap().unwrap();
        let (stdout, stderr) = masked.stdio().unwrap();
        let mut child =
            Command::new("sh").args(["-c", script]).stdout(stdout).stderr(stderr).spawn().unwrap();
        child.wait().unwrap();
        masked.finish().unwrap();
        let read = |stream: &super::super::output_files::OutputFile| {
            String::from_utf8(stream.part(0).unwrap().bytes).unwrap()
        };
        (read(&files.stdout), read(&files.stderr))
    }

    #[test]
    fn secret_in_two_writes_is_masked_in_both_streams() {
        let (stdout, stderr) =
            output("printf 'a hunter2'; printf -- '-hunter2 b'; printf 'hunter2-hunt' >&2; printf 'er2' >&2");
        assert_eq!((&*stdout, &*stderr), ("a *** b", "***"));
    }

    #[test]
    fn unfinished_secret_is_written_at_the_end() {
        assert_eq!(output("printf hunter2-hun").0, "hunter2-hun");
    }

    #[test]
    fn process_that_keeps_the_pipe_does_not_delay_the_end() {
        let (stdout, _) = output("echo first; setsid sleep 5 & echo second");
        assert!(stdout.contains("first\n") && stdout.contains("second\n"), "{stdout}");
    }

    #[test]
    fn long_output_is_complete() {
        let (stdout, _) = output("i=0; while [ $i -lt 20000 ]; do echo $i hunter2-hunter2; i=$((i+1)); done");
        let lines: Vec<String> = (0..20_000).map(|number| format!("{number} ***\n")).collect();
        let expected = lines.concat();
        assert!(stdout == expected, "{} bytes", stdout.len());
    }

    #[test]
    fn task_without_secrets_or_output_needs_no_thread() {
        assert!(MaskedOutput::start(&task("short"), Some(&files())).unwrap().is_none());
        assert!(MaskedOutput::start(&task("hunter2-hunter2"), None).unwrap().is_none());
    }
}
