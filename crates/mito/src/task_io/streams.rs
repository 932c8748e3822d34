//! What tasks write, on the same screen as a bar.
//!
//! A bar stands on a line of its own, so it is only drawn where a line has ended. Without a bar, bytes go
//! through as they come.

use std::io::{self, IsTerminal as _, Write};

use crate::show::Progress;

/// More than this is not kept back for the end of its line.
const LONGEST_LINE: usize = 64 * 1024;

/// The two streams of this process.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
    quiet: bool,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Stream {
    which: Which,
    /// The bar with which it shares a screen.
    bar: Option<Progress>,
    /// The start of a line whose end has not come.
    begun: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Stdout,
    Stderr,
}

impl Streams {
    /// Nothing else is on the screen.
    pub(crate) fn alone() -> Self {
        Self::new(None)
    }

    /// A bar is on the screen: standard error, and standard output where that is the same screen.
    pub(crate) fn beside(bar: &Progress) -> Self {
        Self::new(bar.is_shown().then_some(bar))
    }

    fn new(bar: Option<&Progress>) -> Self {
        let of_stdout = bar.filter(|_| io::stdout().is_terminal()).cloned();
        Self {
            stdout: Stream::new(Which::Stdout, of_stdout),
            stderr: Stream::new(Which::Stderr, bar.cloned()),
            quiet: false,
        }
    }

    /// With no word of ours between what tasks write.
    pub(crate) fn quietly(self, quiet: bool) -> Self {
        Self { quiet, ..self }
    }

    pub(crate) fn are_quiet(&self) -> bool {
        self.quiet
    }

    /// What stands on the screen beside them.
    pub(crate) fn bar(&self) -> Option<&Progress> {
        self.stderr.bar.as_ref()
    }

    /// That was all of a task.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.stdout.end().and_then(|()| self.stderr.end())
    }
}

impl Stream {
    fn new(which: Which, bar: Option<Progress>) -> Self {
        Self { which, bar, begun: Vec::new() }
    }

    /// A line that was begun ends here, or the bar would stand in it.
    fn end(&mut self) -> io::Result<()> {
        if !self.begun.is_empty() {
            self.begun.push(b'\n');
            self.pass(self.begun.len())?;
        }
        Ok(())
    }

    /// Writes the first so many of the bytes that were kept back.
    fn pass(&mut self, length: usize) -> io::Result<()> {
        let bytes: Vec<u8> = self.begun.drain(..length).collect();
        let which = self.which;
        match &self.bar {
            Some(bar) => bar.suspend(|| which.write(&bytes)),
            None => which.write(&bytes),
        }
    }
}

impl Which {
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
            return self.which.write(bytes).map(|()| bytes.len());
        }
        self.begun.extend_from_slice(bytes);
        let whole = self.begun.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole > 0 {
            self.pass(whole)?;
        }
        if self.begun.len() > LONGEST_LINE {
            self.end()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
