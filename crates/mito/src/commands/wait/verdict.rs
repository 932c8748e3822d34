//! The exit code of `mito wait`.

use std::process::ExitCode;

use mitosis_protocol::ShellCode;
use mitosis_protocol::job::JobCounts;

use super::Until;
use crate::commands::client::tasks::wait::WaitSummary;
use crate::commands::notify_command::EndSummary;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// What the awaited tasks came to.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// The number of tasks.
    total: u64,
    /// Tasks that ended without success.
    unsuccessful: u64,
    /// Tasks that have not ended.
    left: u64,
    /// The exit code of a single task.
    code: ShellCode,
    /// The first job with such tasks, and the selector of these tasks.
    job: Option<(i64, &'static str)>,
    /// Tasks that were cancelled.
    cancelled: u64,
}

impl Verdict {
    /// Adds the tasks of a job. `code` is the exit code of the only one.
    pub(super) fn add_counts(&mut self, job: i64, counts: &JobCounts, code: Option<ShellCode>) {
        self.total += counts.total();
        self.left += counts.total() - counts.ended();
        self.unsuccessful += unsuccessful(counts);
        self.cancelled += counts.cancelled;
        self.code = code.unwrap_or_default();
        if unsuccessful(counts) > 0 {
            let all_cancelled = unsuccessful(counts) == counts.cancelled;
            self.job.get_or_insert((job, if all_cancelled { "cancelled" } else { "failed" }));
        }
    }

    /// Adds tasks without a job.
    pub(super) fn add_tasks(&mut self, summary: WaitSummary) {
        self.total += summary.total;
        self.left += summary.left;
        self.unsuccessful += summary.failed;
        self.code = summary.code;
    }

    /// Whether nothing else has to be awaited.
    pub(super) fn is_final(&self, until: Until) -> bool {
        until == Until::FirstFailure && self.unsuccessful > 0
    }

    /// The outcome of these jobs for `--notify-command`.
    pub(super) fn summary(&self, jobs: Vec<i64>) -> EndSummary {
        EndSummary {
            jobs,
            task: None,
            tasks: self.total,
            succeeded: self.total - self.left - self.unsuccessful,
            failed: self.unsuccessful - self.cancelled,
            cancelled: self.cancelled,
        }
    }

    /// The exit code: that of a single task, or one for failures among several.
    pub(super) fn exit(self) -> Result<ExitCode, Failure> {
        let Self { total, unsuccessful, left, code, job, cancelled } = self;
        match (total, unsuccessful) {
            (_, 0) => Ok(ExitCode::SUCCESS),
            (1, _) if !code.is_success() => Ok(code.into()),
            // It was cancelled before it was written.
            (1, _) if cancelled == 1 => Ok(Exit::Unknown.into()),
            _ => {
                let rest = match left {
                    0 => String::new(),
                    1 => "; 1 has not ended".to_owned(),
                    left => format!("; {left} have not ended"),
                };
                let sentence = format!("{unsuccessful} of {total} tasks did not succeed{rest}");
                Err(Failure::new(Exit::SomeFailed, sentence).with_hint(hint(job)))
            }
        }
    }
}

/// The number of tasks that ended without success.
pub(super) fn unsuccessful(counts: &JobCounts) -> u64 {
    counts.failed + counts.timed_out + counts.cancelled
}

fn hint(job: Option<(i64, &str)>) -> String {
    match job {
        Some((job, tasks)) => format!(
            "`mito ls {job}/{tasks}` lists them, `mito logs {job}/{tasks}` shows their output, `mito retry {job}` runs them \
             again"
        ),
        None => "`mito show` shows one; `mito retry` runs it again".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(counts: &[JobCounts], code: Option<u8>) -> Result<ExitCode, (Exit, String)> {
        let mut verdict = Verdict::default();
        counts
            .iter()
            .zip(12..)
            .for_each(|(counts, job)| verdict.add_counts(job, counts, code.map(ShellCode)));
        verdict.exit().map_err(|failure| (failure.exit(), failure.to_string()))
    }

    #[test]
    fn single_task_has_its_own_code_and_several_have_one_for_failures() {
        let none = JobCounts::default();
        let (good, bad) =
            (JobCounts { succeeded: 57, ..none }, JobCounts { failed: 2, timed_out: 1, ..none });
        assert_eq!(exit(&[good], None), Ok(ExitCode::SUCCESS));
        let (code, text) = exit(&[good, bad], None).unwrap_err();
        assert_eq!(code, Exit::SomeFailed);
        assert!(text.contains("3 of 60 tasks did not succeed") && text.contains("`mito retry 13`"), "{text}");
        let cancelled = JobCounts { cancelled: 1, ..none };
        assert_eq!(exit(&[cancelled], None), Ok(ExitCode::from(125)), "it was never written");
        let (_, text) = exit(&[JobCounts { cancelled: 9, ..none }], None).unwrap_err();
        assert!(text.contains("`mito ls 12/cancelled`"), "{text}");
        let one = JobCounts { failed: 1, ..none };
        assert_eq!(exit(&[one], Some(7)), Ok(ExitCode::from(7)));
        assert_eq!(exit(&[JobCounts { cancelled: 1, ..none }], Some(125)), Ok(ExitCode::from(125)));
        let (_, text) = exit(&[JobCounts { running: 2, ..one }], None).unwrap_err();
        assert!(text.contains("1 of 3 tasks did not succeed; 2 have not ended"), "{text}");
    }
}
