//! Writes the output of tasks to the terminal, together with a progress bar.
//!
//! The bar has its own line, so it is drawn only at the end of a line. Without a bar, bytes are written at once.

use std::io::{self, IsTerminal as _, Write};

use crate::show::Progress;

/// The largest partial line that is buffered.
const MAX_PARTIAL_LINE: usize = 64 * 1024;

/// Standard output and standard error.
#[derive(Debug)]
pub(crate) struct TerminalOutput {
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
    quiet: bool,
}

/// One of the streams.
#[derive(Debug)]
pub(crate) struct Stream {
    target: Target,
    /// The progress bar on the same terminal.
    bar: Option<Progress>,
    /// The partial line.
    partial_line: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Stdout,
    Stderr,
}

impl TerminalOutput {
    /// Writes output without a progress bar.
    pub(crate) fn plain() -> Self {
        Self::new(None)
    }

    /// Writes output beside a progress bar on standard error; standard output is affected if it is the same terminal.
    pub(crate) fn with_progress(bar: &Progress) -> Self {
        Self::new(bar.is_shown().then_some(bar))
    }

    fn new(bar: Option<&Progress>) -> Self {
        let stdout_bar = bar.filter(|_| io::stdout().is_terminal()).cloned();
        Self {
            stdout: Stream::new(Target::Stdout, stdout_bar),
            stderr: Stream::new(Target::Stderr, bar.cloned()),
            quiet: false,
        }
    }

    /// Suppresses messages between the output of tasks.
    pub(crate) fn quiet(self, quiet: bool) -> Self {
        Self { quiet, ..self }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// The progress bar of a stream, if it shares the terminal.
    pub(crate) fn progress(&self) -> Option<&Progress> {
        self.stderr.bar.as_ref()
    }

    /// Completes the output of a task.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.stdout.end().and_then(|()| self.stderr.end())
    }
}

impl Stream {
    fn new(target: Target, bar: Option<Progress>) -> Self {
        Self { target, bar, partial_line: Vec::new() }
    }

    /// Ends a partial line, so that the bar does not share it.
    fn end(&mut self) -> io::Result<()> {
        if !self.partial_line.is_empty() {
            self.partial_line.push(b'\n');
            self.write_through(self.partial_line.len())?;
        }
        Ok(())
    }

    /// Writes the first bytes of the partial line.
    fn write_through(&mut self, length: usize) -> io::Result<()> {
        let bytes: Vec<u8> = self.partial_line.drain(..length).collect();
        let target = self.target;
        match &self.bar {
            Some(bar) => bar.suspend(|| target.write(&bytes)),
            None => target.write(&bytes),
        }
    }
}

impl Target {
    fn write(self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
            Self::Stderr => io::stderr().lock().write_all(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bar.is_none() {
            return self.target.write(bytes).map(|()| bytes.len());
        }
        self.partial_line.extend_from_slice(bytes);
        let complete = self.partial_line.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if complete > 0 {
            self.write_through(complete)?;
        }
        if self.partial_line.len() > MAX_PARTIAL_LINE {
            self.end()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
