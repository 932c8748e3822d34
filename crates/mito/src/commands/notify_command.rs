//! `--notify-command`: a command on this machine at the end of a wait.

use std::process::Stdio;

use mitosis_protocol::Uuid;
use tokio::process::Command;

use crate::cli::notify::NotifyCommandArgs;

/// What came of the tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EndSummary {
    /// The jobs, if they were awaited as such.
    pub(crate) jobs: Vec<i64>,
    /// The task, if it is a single one.
    pub(crate) task: Option<Uuid>,
    pub(crate) tasks: u64,
    pub(crate) succeeded: u64,
    /// Tasks that failed or reached their timeout.
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
}

impl EndSummary {
    /// The outcome as one word.
    fn state(&self) -> &'static str {
        let ended = self.succeeded + self.failed + self.cancelled;
        if self.failed > 0 {
            "failed"
        } else if self.cancelled > 0 {
            "cancelled"
        } else if ended < self.tasks {
            "unfinished"
        } else {
            "succeeded"
        }
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let jobs: Vec<String> = self.jobs.iter().map(ToString::to_string).collect();
        vec![
            ("MITO_JOB", jobs.join(" ")),
            ("MITO_TASK", self.task.map(|task| task.to_string()).unwrap_or_default()),
            ("MITO_STATE", self.state().to_owned()),
            ("MITO_TASKS", self.tasks.to_string()),
            ("MITO_SUCCEEDED", self.succeeded.to_string()),
            ("MITO_FAILED", self.failed.to_string()),
            ("MITO_CANCELLED", self.cancelled.to_string()),
        ]
    }
}

/// Runs the command, if there is one. Its output goes to standard error, which is not the output of the tasks, and its
/// failure is a warning.
pub(crate) async fn run(args: &NotifyCommandArgs, summary: &EndSummary) {
    let Some(command) = &args.notify_command else { return };
    let status = Command::new("sh")
        .args(["-c", command])
        .envs(summary.variables())
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .await;
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => note!("mito: warning: the command of --notify-command failed: {status}"),
        Err(error) => note!("mito: warning: cannot start the command of --notify-command: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_the_worst_outcome() {
        let summary = |succeeded, failed, cancelled| EndSummary {
            tasks: 4,
            succeeded,
            failed,
            cancelled,
            ..EndSummary::default()
        };
        assert_eq!(summary(4, 0, 0).state(), "succeeded");
        assert_eq!(summary(2, 1, 1).state(), "failed");
        assert_eq!(summary(3, 0, 1).state(), "cancelled");
        assert_eq!(summary(3, 0, 0).state(), "unfinished");
        let variables = EndSummary { jobs: vec![12, 13], ..summary(4, 0, 0) }.variables();
        assert!(variables.contains(&("MITO_JOB", "12 13".to_owned())), "{variables:?}");
    }
}
