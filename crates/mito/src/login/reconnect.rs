//! A coordinator that is away for a while.

use std::fmt;
use std::time::Duration;

use mitosis_client::ClientError;
use mitosis_domain::backoff::Backoff;
use mitosis_domain::entropy::{Entropy as _, OsEntropy};
use mitosis_protocol::duration;
use tokio::time::Instant;

use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::Progress;

/// How long a coordinator may be away before we stop waiting for it.
const TIMEOUT: Duration = Duration::from_secs(300);
/// How long something that others need not reach may be away.
const BRIEF_TIMEOUT: Duration = Duration::from_secs(30);
/// When the first word about it is due.
pub(crate) const NOTICE_AFTER: Duration = Duration::from_secs(2);

/// A time without answers.
pub(crate) struct Reconnect {
    timeout: Duration,
    lost_at: Option<Instant>,
    notified: bool,
    backoff: Backoff,
    /// A bar that words must not be written into.
    bar: Option<Progress>,
}

impl Reconnect {
    pub(crate) fn new() -> Self {
        Self::with_timeout(TIMEOUT)
    }

    /// For a wait with a limit: at least as long as the limit, and as the default.
    pub(crate) fn within(limit: Option<Duration>) -> Self {
        Self::with_timeout(limit.unwrap_or_default().max(TIMEOUT))
    }

    /// For what may be down for good: it is not worth a long wait.
    pub(crate) fn brief() -> Self {
        Self::with_timeout(BRIEF_TIMEOUT)
    }

    fn with_timeout(timeout: Duration) -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        Self { timeout, lost_at: None, notified: false, backoff, bar: None }
    }

    /// While a bar is on the screen.
    pub(crate) fn with_progress(self, bar: Option<&Progress>) -> Self {
        Self { bar: bar.cloned(), ..self }
    }

    pub(crate) fn reset(&mut self) {
        if self.notified {
            self.notify(format_args!("reconnected"));
        }
        *self = Self { bar: self.bar.take(), ..Self::with_timeout(self.timeout) };
    }

    fn notify(&self, words: fmt::Arguments<'_>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note!("mito: {words}")),
            None => note!("mito: {words}"),
        }
    }

    /// Repeats a call that only reads until there is an answer.
    pub(crate) async fn retry<T>(
        &mut self,
        call: impl AsyncFn() -> Result<T, ClientError>,
        hint: &str,
    ) -> Result<T, Failure> {
        loop {
            match call().await {
                Err(error) if error.is_transient() => {
                    self.pause_after_error(error, || hint.to_owned()).await?;
                }
                answer => {
                    self.reset();
                    return Ok(answer?);
                }
            }
        }
    }

    /// Waits before the next try; fails when the outage has lasted too long.
    pub(crate) async fn pause_after_error(
        &mut self,
        error: ClientError,
        hint: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        self.pause_after(Failure::new(Exit::Network, error).with_hint(hint())).await
    }

    /// As [`Self::pause_after_error`], for a failed login or download.
    pub(crate) async fn pause_after(&mut self, failure: Failure) -> Result<(), Failure> {
        let lasted = self.lost_at.get_or_insert_with(Instant::now).elapsed();
        if lasted > self.timeout {
            return Err(failure);
        }
        let (wait, until_notice) = (self.next_wait(), NOTICE_AFTER.saturating_sub(lasted));
        if !self.notified && until_notice <= wait {
            tokio::time::sleep(until_notice).await;
            let limit = duration::short(self.timeout);
            self.notify(format_args!("{}; retrying for {limit}", failure.sentence()));
            self.notified = true;
            tokio::time::sleep(wait.saturating_sub(until_notice)).await;
        } else {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// Waits before the next attempt, without a failure.
    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next_wait()).await;
    }

    fn next_wait(&mut self) -> Duration {
        self.backoff.next_wait(OsEntropy.fraction())
    }
}
