//! Limits and times of a job: options of `mito submit`.

use std::num::NonZeroU64;

use clap::Args;
use mitosis_domain::selector::JobSelector;
use mitosis_protocol::Timestamp;
use mitosis_protocol::job::JobOptions;
use mitosis_protocol::limit::LimitUse;
use mitosis_protocol::retry::{RetryCause, RetryPolicy};
use mitosis_sweep::retries::{self, Backoff};

use super::notify::NotifyArgs;
use super::value_parsers::{self, Moment};
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// Limits and retries, which do not depend on a time.
#[derive(Debug, Args)]
#[command(next_help_heading = "When the tasks run")]
pub(crate) struct LimitArgs {
    /// Maximum number of tasks that run at the same time
    #[arg(long, value_name = "N")]
    max_running: Option<NonZeroU64>,
    /// Use a named limit of the group while a task runs, and how much of it (default: 1); repeat for more
    #[arg(long = "limit", value_name = "NAME[=N]", value_parser = value_parsers::limit_use)]
    pub(crate) limits: Vec<LimitUse>,
    /// Cancel the remaining tasks when more than this number have failed
    #[arg(long, value_name = "N")]
    max_failures: Option<u64>,
    /// Run a task again, at most N times, when it failed or reached its timeout
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
    /// Retry only after this cause: exit, exit=1,75-78, signal, timeout, start, output, oom or any; repeat for more
    #[arg(long, value_name = "CAUSE")]
    retry_on: Vec<RetryCause>,
    /// Wait before a retry: 30s, or 5s..5m to double it each time [default: 1s..5m]
    #[arg(long, value_name = "WAIT")]
    backoff: Option<Backoff>,
}

impl LimitArgs {
    /// The policy for retries.
    pub(crate) fn retry(&self) -> Result<Option<RetryPolicy>, Failure> {
        Ok(retries::policy(self.retries, &self.retry_on, self.backoff)?)
    }

    /// The limits, without times.
    pub(crate) fn options(&self) -> JobOptions {
        JobOptions {
            max_running: self.max_running.map(NonZeroU64::get),
            max_failures: self.max_failures,
            ..JobOptions::default()
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "When the tasks run")]
pub(crate) struct JobOptionArgs {
    /// Start after this job has succeeded (number, name or `last`); repeat for more
    #[arg(long, value_name = "JOB", value_parser = value_parsers::job)]
    pub(crate) after: Vec<JobSelector>,
    /// Start each task after the task with the same index of this job has succeeded; repeat for more
    #[arg(long, value_name = "JOB", value_parser = value_parsers::job)]
    pub(crate) after_each: Vec<JobSelector>,
    /// Start after this job has ended, however it ended; repeat for more
    #[arg(long, value_name = "JOB", value_parser = value_parsers::job)]
    pub(crate) after_any: Vec<JobSelector>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// Start no task before this time: a duration from now, such as 2h, or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = value_parsers::moment)]
    start_after: Option<Moment>,
    /// Cancel tasks that have not started at this time: a duration from now, such as 2d, or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = value_parsers::moment)]
    expires: Option<Moment>,
    /// Start no task before `mito resume`
    #[arg(long)]
    paused: bool,
    // Last: the heading of its options is that of all that follow.
    #[command(flatten)]
    pub(crate) notify: NotifyArgs,
}

impl JobOptionArgs {
    /// The limits and times; durations count from `now`.
    pub(crate) fn options(&self, now: Timestamp) -> Result<JobOptions, Failure> {
        let start_after = self.start_after.map(|moment| moment.after(now));
        let expires_at = self.expires.map(|moment| moment.after(now));
        if expires_at.is_some_and(|expires| expires <= start_after.unwrap_or(now).max(now)) {
            return Err(Failure::new(Exit::Usage, "the job would expire before a task can start")
                .with_hint("choose a later time for --expires, or an earlier one for --start-after"));
        }
        Ok(JobOptions { paused: self.paused, start_after, expires_at, ..self.limits.options() })
    }

    /// The policy for retries.
    pub(crate) fn retry(&self) -> Result<Option<RetryPolicy>, Failure> {
        self.limits.retry()
    }

    /// Whether a time depends on when the command runs.
    pub(crate) fn has_relative_time(&self) -> bool {
        [self.start_after, self.expires].into_iter().flatten().any(|moment| matches!(moment, Moment::In(_)))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        job: JobOptionArgs,
    }

    fn options(line: &str) -> Result<JobOptions, String> {
        let words = std::iter::once("x").chain(line.split_whitespace());
        let args = Line::try_parse_from(words).map_err(|error| Failure::usage(&error, None).to_string())?;
        args.job.options(now()).map_err(|failure| failure.to_string())
    }

    fn now() -> Timestamp {
        Timestamp::parse("2031-02-09T17:00:00Z").unwrap()
    }

    #[test]
    fn time_is_a_duration_from_now_or_a_moment() {
        let minutes = |minutes: u64| Some(now() + std::time::Duration::from_secs(60 * minutes));
        for (time, expected) in [
            ("90m", minutes(90)),
            ("1h 30m", None),
            ("2031-02-09T18:30:00Z", minutes(90)),
            ("2031-02-09T19:30:00+01:00", minutes(90)),
            ("tomorrow", None),
            ("2031-02-09", None),
        ] {
            let parsed = options(&format!("--start-after={time}"));
            match expected {
                Some(_) => assert_eq!(parsed.unwrap().start_after, expected, "{time}"),
                None => assert!(parsed.is_err(), "{time}"),
            }
        }
        let error = options("--expires tomorrow").unwrap_err();
        assert!(error.contains("invalid time `tomorrow`") && error.contains("such as 2h"), "{error}");
    }

    #[test]
    fn limits_are_passed_on() {
        let all = options("--max-running 4 --max-failures 0 --paused --start-after 1h --expires 2h").unwrap();
        assert_eq!((all.max_running, all.max_failures, all.paused), (Some(4), Some(0), true));
        assert_eq!(options("").unwrap(), JobOptions::default());
        assert!(options("--max-running 0").is_err());
    }

    #[test]
    fn job_that_expires_before_it_starts_is_refused() {
        for line in ["--expires 0s", "--start-after 2h --expires 1h", "--expires 2001-01-01T00:00:00Z"] {
            assert!(options(line).unwrap_err().contains("expire before"), "{line}");
        }
    }

    #[test]
    fn needed_jobs_are_whole_jobs() {
        let parsed = |line: &str| Line::try_parse_from(line.split(' ')).map(|line| line.job);
        let job = parsed("x --after 12 --after train --after-any last").unwrap();
        let names: Vec<String> = job.after.iter().map(ToString::to_string).collect();
        assert_eq!((names, job.after_any.len()), (vec!["12".to_owned(), "train".to_owned()], 1));
        for wrong in ["12/7", "12/failed", "3f0c9a3e", "0", "a b"] {
            assert!(Line::try_parse_from(["x", "--after", wrong]).is_err(), "{wrong}");
        }
    }
}
