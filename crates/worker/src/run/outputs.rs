//! The outputs of a command, and how far they have been stored.

use mitosis_protocol::agent::InlineArchive;
use mitosis_protocol::{ArtifactKind, ResultWarning, TaskResult, TaskResultMessage, WarningCode};
use serde_json::value::RawValue;

use super::Protocol;

/// Why an output is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// The storage quota of the group leaves no room. That doesn't change the result of the task, as in 0.6.8
    /// (semantics §10).
    Quota,
    /// Any other reason. The result of the task is incomplete.
    Failure,
}

/// The outputs of a command, and how far they have been stored.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    /// The small result for tables.
    pub(super) data: Option<Box<RawValue>>,
    /// Small archives that travel with the report.
    pub(super) archives: Vec<InlineArchive>,
    /// Archives that are not stored yet. The first one is being stored.
    pub(super) to_be_stored: Vec<ArtifactKind>,
    /// The last error of the upload of the first of these archives.
    pub(super) upload_error: Option<String>,
    /// Whether a follow-up task is still to be submitted.
    pub(super) asks_for_a_task: bool,
    /// Whether an archive was announced to the coordinator.
    pub(super) has_announced: bool,
    pub(super) warnings: Vec<ResultWarning>,
    /// Whether an output is lost for a reason other than a quota.
    pub(super) is_incomplete: bool,
}

impl Outputs {
    /// Notes that an archive is lost.
    pub(super) fn not_stored(&mut self, kind: ArtifactKind, why: &str, loss: Loss) {
        let text = format!("{} is not stored: {why}", in_words(kind));
        self.warnings.push(ResultWarning::new(WarningCode::NotStored, Some(kind), text));
        self.is_incomplete |= loss == Loss::Failure;
    }

    /// Notes that all remaining archives are lost. A failing upload is a cause, too: it delayed all of them.
    pub(super) fn remaining_not_stored(&mut self, why: &str) {
        let why = match self.upload_error.take() {
            Some(error) => format!("{why}; the last upload failed: {error}"),
            None => why.to_owned(),
        };
        for kind in std::mem::take(&mut self.to_be_stored) {
            self.not_stored(kind, &why, Loss::Failure);
        }
    }

    /// Notes that all remaining archives and the follow-up are lost.
    pub(super) fn stop(&mut self, why: &str) {
        self.remaining_not_stored(why);
        if self.asks_for_a_task {
            let text = format!("the follow-up task was not submitted: {why}");
            self.warnings.push(ResultWarning::new(WarningCode::FollowUpRefused, None, text));
        }
    }

    /// The result of the task, with the message of 0.6.8 for missing outputs.
    pub(super) fn complete(&self, result: TaskResult, protocol: Protocol) -> TaskResult {
        // A coordinator without support for warnings has only the message.
        let only_message = protocol == Protocol::Legacy;
        let is_incomplete =
            self.is_incomplete || only_message && self.warnings.iter().any(ResultWarning::is_loss);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_about_remaining_archives_have_the_last_upload_error() {
        let texts = |upload_error: Option<&str>| {
            let to_be_stored = vec![ArtifactKind::ExecLog, ArtifactKind::Result];
            let upload_error = upload_error.map(str::to_owned);
            let mut left = Outputs { to_be_stored, upload_error, ..Outputs::default() };
            left.remaining_not_stored("it took too long");
            left.warnings.into_iter().map(|warning| warning.text).collect::<Vec<_>>()
        };
        let with_error = texts(Some("the object store is full"));
        assert_eq!(with_error.len(), 2);
        for text in with_error {
            let end = "is not stored: it took too long; the last upload failed: the object store is full";
            assert!(text.ends_with(end), "{text}");
        }
        assert!(texts(None).iter().all(|text| text.ends_with("is not stored: it took too long")));
    }
}
