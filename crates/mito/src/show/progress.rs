//! A progress bar on standard error, if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The interval between redraws of a bar whose text changes.
const REDRAW: Duration = Duration::from_millis(250);

/// A progress bar, which is removed when it is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn of_bytes(shown: bool, total: u64) -> Self {
        Self::new(shown, total, "{bar:32} {bytes}/{total_bytes} {bytes_per_sec}")
    }

    pub(super) fn of_things(shown: bool, total: u64, what: &'static str) -> Self {
        let progress = Self::new(shown, total, "{bar:32} {pos} of {len} {msg}");
        progress.0.set_message(what);
        if shown {
            // Draws changes that followed another one too soon to be drawn.
            progress.0.enable_steady_tick(REDRAW);
        }
        progress
    }

    /// The total is unknown.
    pub(super) fn of_unknown(shown: bool, what: &'static str) -> Self {
        let progress = Self::new(shown, 0, "{pos} {msg}");
        progress.0.set_message(what);
        progress
    }

    fn new(shown: bool, total: u64, template: &str) -> Self {
        if !shown {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        Self(ProgressBar::new(total).with_style(style.progress_chars("━━ ")))
    }

    /// Adds to the progress.
    pub(crate) fn add(&self, done: u64) {
        self.0.inc(done);
    }

    /// Sets the progress.
    pub(crate) fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Sets the text of the bar.
    pub(crate) fn say(&self, what: String) {
        self.0.set_message(what);
    }

    /// Whether the bar is visible.
    pub(crate) fn is_shown(&self) -> bool {
        !self.0.is_hidden()
    }

    /// Hides the bar while `write` writes to the terminal.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    /// Removes the bar.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
