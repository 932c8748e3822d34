//! A bar on standard error, where somebody watches.

use indicatif::{ProgressBar, ProgressStyle};

/// How far something is. It is gone from the screen once this goes.
#[derive(Debug, Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn of_bytes(shown: bool, total: u64) -> Self {
        Self::new(shown, total, "{bar:32} {bytes}/{total_bytes} {bytes_per_sec}")
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

    /// Writes something without disturbing the bar.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
