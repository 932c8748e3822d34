//! The outcome of the last run of each pass.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mitosis_background::TaskStatus;
use mitosis_protocol::Timestamp;
use mitosis_protocol::doctor::{BackgroundTask, PassOutcome};

/// The number of consecutive failures after which a pass is reported as failing.
const FAILURE_THRESHOLD: u64 = 3;

/// The changes of a pass: counts by description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report(Vec<(&'static str, u64)>);

impl Report {
    pub(crate) fn new(changes: impl IntoIterator<Item = (&'static str, u64)>) -> Self {
        Self(changes.into_iter().filter(|(_, count)| *count > 0).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (what, count)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{what}: {count}")?;
        }
        Ok(())
    }
}

/// The outcome of the last run of each pass.
#[derive(Debug, Default)]
pub(crate) struct Passes(Mutex<BTreeMap<&'static str, PassOutcome>>);

impl Passes {
    /// Records the outcome of a run that started at `at`.
    pub(crate) fn record(
        &self,
        name: &'static str,
        at: Timestamp,
        took: Duration,
        outcome: Result<&Report, String>,
    ) {
        let mut passes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = passes.get(name).map_or(0, |last| last.failures_in_a_row);
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (report, error) = match outcome {
            Ok(report) => ((!report.is_empty()).then(|| report.to_string()), None),
            Err(error) => (None, Some(error)),
        };
        let failures_in_a_row = if error.is_some() { before + 1 } else { 0 };
        passes.insert(name, PassOutcome { at, duration_ms, report, error, failures_in_a_row });
    }

    /// The state of each background task, with the outcome of its last pass if it runs passes.
    pub(crate) fn describe(&self, statuses: Vec<TaskStatus>) -> Vec<BackgroundTask> {
        let passes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let describe = |status: TaskStatus| {
            let last_pass = passes.get(status.name).cloned();
            let fails = last_pass.as_ref().is_some_and(|last| last.failures_in_a_row >= FAILURE_THRESHOLD);
            BackgroundTask {
                name: status.name.to_owned(),
                failing: status.is_failing || fails,
                restarts: status.restarts,
                last_pass,
            }
        };
        statuses.into_iter().map(describe).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_pass_is_reported_until_it_succeeds() {
        let (passes, took) = (Passes::default(), Duration::from_millis(7));
        let status = || TaskStatus { name: "garbage", restarts: 2, is_failing: false };
        let task = || passes.describe(vec![status()]).remove(0);
        assert_eq!(task().last_pass, None);
        for failures in 1..=FAILURE_THRESHOLD {
            passes.record("garbage", Timestamp::UNIX_EPOCH, took, Err("no route to host".to_owned()));
            assert_eq!(task().failing, failures == FAILURE_THRESHOLD);
        }
        assert_eq!(task().last_pass.unwrap().error.as_deref(), Some("no route to host"));
        let report = Report::new([("objects", 3), ("others", 0)]);
        passes.record("garbage", Timestamp::UNIX_EPOCH, took, Ok(&report));
        let BackgroundTask { failing, restarts, last_pass, .. } = task();
        let last = last_pass.unwrap();
        assert_eq!((failing, restarts, last.duration_ms), (false, 2, 7));
        assert_eq!(
            (last.report.as_deref(), last.error, last.failures_in_a_row),
            (Some("objects: 3"), None, 0)
        );
    }
}
