//! A progress bar on standard error, if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Between two looks at a bar that changes in words, too.
const REDRAW: Duration = Duration::from_millis(250);

/// How far something is. It is gone from the screen once this goes.
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
            // A change that came too soon after another to be drawn is drawn then.
            progress.0.enable_steady_tick(REDRAW);
        }
        progress
    }

    /// Nobody knows how many there will be.
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

    /// So much more is done.
    pub(crate) fn add(&self, done: u64) {
        self.0.inc(done);
    }

    /// So much is done in all.
    pub(crate) fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// What the numbers are about, where that changes.
    pub(crate) fn say(&self, what: String) {
        self.0.set_message(what);
    }

    /// Whether it is visible.
    pub(crate) fn is_shown(&self) -> bool {
        !self.0.is_hidden()
    }

    /// Writes something without disturbing the bar.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
