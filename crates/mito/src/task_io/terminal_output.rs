//! Writes the output of tasks to the terminal, together with a progress bar.
//!
//! The bar has its own line, so it is drawn only at the end of a line. Without a bar, bytes are written at once.

use std::io::{self, IsTerminal as _, Write};

use mitosis_protocol::output::OutputStream;

use crate::show::Progress;
use crate::task_io::control_filter::ControlFilter;

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
    /// Whether to write nothing.
    is_hidden: bool,
    filter: Option<ControlFilter>,
    prefix: Option<Prefix>,
}

/// What each line starts with.
#[derive(Debug)]
struct Prefix {
    text: String,
    /// The partial line: the streams of several tasks share the terminal.
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

    /// Shows one of the streams only.
    pub(crate) fn select(mut self, only: Option<OutputStream>) -> Self {
        self.stdout.is_hidden = only == Some(OutputStream::Stderr);
        self.stderr.is_hidden = only == Some(OutputStream::Stdout);
        self
    }

    /// Removes control sequences from a stream that is shown on a terminal.
    pub(crate) fn without_control_sequences(mut self) -> Self {
        self.stdout.filter = io::stdout().is_terminal().then(ControlFilter::default);
        self.stderr.filter = io::stderr().is_terminal().then(ControlFilter::default);
        self
    }

    /// Starts each line with a text.
    pub(crate) fn with_prefix(mut self, text: &str) -> Self {
        let prefix = || Some(Prefix { text: text.to_owned(), partial_line: Vec::new() });
        (self.stdout.prefix, self.stderr.prefix) = (prefix(), prefix());
        self
    }

    /// A stream, if it is shown.
    pub(crate) fn shown(&mut self, of: OutputStream) -> Option<&mut Stream> {
        let stream = match of {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        (!stream.is_hidden).then_some(stream)
    }

    /// Suppresses messages between the output of tasks.
    pub(crate) fn quiet(self, quiet: bool) -> Self {
        Self { quiet, ..self }
    }

    /// Whether to say where the output of an attempt ends. With several tasks, the line starts with the task.
    pub(crate) fn announces_attempts(&self) -> bool {
        !self.quiet || self.stderr.prefix.is_some()
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
        Self { target, bar, partial_line: Vec::new(), is_hidden: false, filter: None, prefix: None }
    }

    /// Ends a partial line, so that the bar or the line of another task does not share it.
    fn end(&mut self) -> io::Result<()> {
        let reset = self.filter.as_mut().map_or(&b""[..], ControlFilter::end);
        if !reset.is_empty() {
            self.pass_on(reset)?;
        }
        if let Some(line) = self.prefix.as_mut().and_then(Prefix::last_line) {
            self.pass_on(&line)?;
        }
        self.end_partial_line()
    }

    fn end_partial_line(&mut self) -> io::Result<()> {
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

impl Prefix {
    /// The lines that are complete now, each with the text before it.
    fn complete_lines(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut lines = Vec::with_capacity(bytes.len() + self.text.len());
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial_line.extend_from_slice(part);
            if part.ends_with(b"\n") || self.partial_line.len() > MAX_PARTIAL_LINE {
                lines.extend(self.last_line().unwrap_or_default());
            }
        }
        lines
    }

    /// The partial line, if there is one, completed.
    fn last_line(&mut self) -> Option<Vec<u8>> {
        let mut line = std::mem::take(&mut self.partial_line);
        if line.is_empty() {
            return None;
        }
        if !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        Some([self.text.as_bytes(), &line].concat())
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_hidden {
            return Ok(bytes.len());
        }
        let filtered = self.filter.as_mut().map(|filter| filter.filter(bytes));
        let shown = filtered.as_deref().unwrap_or(bytes);
        let prefixed = self.prefix.as_mut().map(|prefix| prefix.complete_lines(shown));
        self.pass_on(prefixed.as_deref().unwrap_or(shown))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    /// Writes to the terminal, or to the partial line above the bar.
    fn pass_on(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bar.is_none() {
            return self.target.write(bytes);
        }
        self.partial_line.extend_from_slice(bytes);
        let complete = self.partial_line.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if complete > 0 {
            self.write_through(complete)?;
        }
        match self.partial_line.len() > MAX_PARTIAL_LINE {
            true => self.end_partial_line(),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_lines_are_prefixed_and_shown() {
        let mut prefix = Prefix { text: "lab-1 | ".to_owned(), partial_line: Vec::new() };
        assert_eq!(prefix.complete_lines(b"half"), b"");
        assert_eq!(prefix.complete_lines(b" done\nnext\nmore"), b"lab-1 | half done\nlab-1 | next\n");
        assert_eq!(prefix.last_line().as_deref(), Some(&b"lab-1 | more\n"[..]));
        assert_eq!(prefix.last_line(), None);
        let long = vec![b'x'; MAX_PARTIAL_LINE + 1];
        assert_eq!(
            prefix.complete_lines(&long).len(),
            long.len() + 9,
            "a line without end is shown in parts"
        );
    }
}
