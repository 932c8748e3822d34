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
const PATIENCE: Duration = Duration::from_secs(300);
/// How long something that others need not reach may be away.
const BRIEF: Duration = Duration::from_secs(30);
/// When the first word about it is due.
pub(crate) const WORTH_A_WORD: Duration = Duration::from_secs(2);

/// A time without answers.
pub(crate) struct Outage {
    patience: Duration,
    since: Option<Instant>,
    said: bool,
    backoff: Backoff,
    /// A bar that words must not be written into.
    bar: Option<Progress>,
}

impl Outage {
    pub(crate) fn new() -> Self {
        Self::of_at_most(PATIENCE)
    }

    /// For a wait that may take so long: it is not given up before that, nor before anybody else's.
    pub(crate) fn within(limit: Option<Duration>) -> Self {
        Self::of_at_most(limit.unwrap_or_default().max(PATIENCE))
    }

    /// For what may be down for good: it is not worth a long wait.
    pub(crate) fn brief() -> Self {
        Self::of_at_most(BRIEF)
    }

    fn of_at_most(patience: Duration) -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        Self { patience, since: None, said: false, backoff, bar: None }
    }

    /// While a bar is on the screen.
    pub(crate) fn beside(self, bar: Option<&Progress>) -> Self {
        Self { bar: bar.cloned(), ..self }
    }

    pub(crate) fn over(&mut self) {
        if self.said {
            self.say(format_args!("connected again"));
        }
        *self = Self { bar: self.bar.take(), ..Self::of_at_most(self.patience) };
    }

    fn say(&self, words: fmt::Arguments<'_>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note!("mito: {words}")),
            None => note!("mito: {words}"),
        }
    }

    /// Repeats a call that only reads until there is an answer.
    pub(crate) async fn outlast<T>(
        &mut self,
        call: impl AsyncFn() -> Result<T, ClientError>,
        hint: &str,
    ) -> Result<T, Failure> {
        loop {
            match call().await {
                Err(error) if error.is_transient() => self.wait(error, || hint.to_owned()).await?,
                answer => {
                    self.over();
                    return Ok(answer?);
                }
            }
        }
    }

    /// Waits before the next try; fails when the outage has lasted too long.
    pub(crate) async fn wait(
        &mut self,
        error: ClientError,
        hint: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        self.endure(Failure::new(Exit::Network, error).with_hint(hint())).await
    }

    /// The same for what failed for want of an answer, be it a login or a download.
    pub(crate) async fn endure(&mut self, failure: Failure) -> Result<(), Failure> {
        let lasted = self.since.get_or_insert_with(Instant::now).elapsed();
        if lasted > self.patience {
            return Err(failure);
        }
        let (wait, silence) = (self.next_wait(), WORTH_A_WORD.saturating_sub(lasted));
        if !self.said && silence <= wait {
            tokio::time::sleep(silence).await;
            let limit = duration::short(self.patience);
            self.say(format_args!("{}; trying again for {limit}", failure.sentence()));
            self.said = true;
            tokio::time::sleep(wait.saturating_sub(silence)).await;
        } else {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// Waits before the next try, where nobody has failed.
    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next_wait()).await;
    }

    fn next_wait(&mut self) -> Duration {
        let mut chance = [0; 4];
        OsEntropy.fill(&mut chance);
        self.backoff.next_wait(u32::from_le_bytes(chance))
    }
}
