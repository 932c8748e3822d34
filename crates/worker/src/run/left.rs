//! What a command left, as far as it has been taken care of.

use mitosis_protocol::{ArtifactKind, ResultWarning, TaskResult, TaskResultMessage, WarningCode};
use serde_json::value::RawValue;

/// What a command left, as far as it has been taken care of.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// The small result for tables.
    pub(super) data: Option<Box<RawValue>>,
    /// Archives that are not stored yet.
    pub(super) to_be_stored: Vec<ArtifactKind>,
    /// A follow-up task is not submitted yet.
    pub(super) asks_for_a_task: bool,
    /// The coordinator was asked for a place for an archive, and gave one.
    pub(super) has_announced: bool,
    pub(super) warnings: Vec<ResultWarning>,
    /// Something is lost for another reason than a quota.
    pub(super) is_incomplete: bool,
}

impl Left {
    /// An archive is lost. That a group has no room is told in a warning alone, as published workers do.
    pub(super) fn not_stored(&mut self, kind: ArtifactKind, why: &str, is_over_quota: bool) {
        let text = format!("{} is not stored: {why}", in_words(kind));
        self.warnings.push(ResultWarning::new(WarningCode::NotStored, Some(kind), text));
        self.is_incomplete |= !is_over_quota;
    }

    /// What is not taken care of by now is lost.
    pub(super) fn give_up(&mut self, why: &str) {
        for kind in std::mem::take(&mut self.to_be_stored) {
            self.not_stored(kind, why, false);
        }
    }

    /// The same of everything that was to follow.
    pub(super) fn stop(&mut self, why: &str) {
        self.give_up(why);
        if self.asks_for_a_task {
            let text = format!("the follow-up task was not submitted: {why}");
            self.warnings.push(ResultWarning::new(WarningCode::FollowUpRefused, None, text));
        }
    }

    /// The result of the task, with the words of published workers for what is missing.
    pub(super) fn complete(&self, result: TaskResult, is_with_ours: bool) -> TaskResult {
        // A coordinator that does not take warnings has no other way to be told.
        let is_incomplete =
            self.is_incomplete || !is_with_ours && self.warnings.iter().any(ResultWarning::is_loss);
        let incomplete = is_incomplete.then_some(TaskResultMessage::UploadResultTimeout);
        let refused = self.warnings.iter().any(|warning| warning.code == WarningCode::FollowUpRefused);
        let follow_up = refused.then_some(TaskResultMessage::SubmitNewTaskFailed);
        TaskResult { msg: result.msg.or(incomplete).or(follow_up), ..result }
    }
}

fn in_words(kind: ArtifactKind) -> &'static str {
    match kind {
        ArtifactKind::Result => "the archive of the result directory (`result`)",
        ArtifactKind::ExecLog => "the archive of the exec directory (`exec-log`)",
        ArtifactKind::StdLog => "the archive of the output (`std-log`)",
    }
}
