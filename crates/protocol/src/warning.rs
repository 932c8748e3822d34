//! Warnings about outputs of a task that were not stored, or not as the task left them. Native; 0.6.8 clients
//! don't see them.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ArtifactKind;

/// Most warnings of one task.
pub const MAX_WARNINGS: usize = 16;
/// Most files that one warning names.
pub const MAX_WARNING_FILES: usize = 20;
/// Most bytes of a text or file name in a warning; longer ones are cut.
pub const MAX_WARNING_TEXT_BYTES: usize = 500;

/// A warning about the outputs of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResultWarning {
    /// The kind of the warning, as a stable code.
    pub code: WarningCode,
    /// The archive that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactKind>,
    /// The problem, as a sentence without a full stop.
    pub text: String,
    /// The files that it concerns, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// How many more files it concerns.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_files: u64,
}

/// The kinds of warnings. A code that a reader does not know is read as [`WarningCode::Unknown`]; the text
/// still has the problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WarningCode {
    /// A whole archive was not stored: the quota of the group is exceeded, or the object store refused.
    NotStored,
    /// An archive was stored, but files are missing or incomplete in it.
    Incomplete,
    /// Entries without content were left out of an archive: sockets, FIFOs, devices, dangling links.
    LeftOut,
    /// `result.json` can't be used in a table. The archive still contains it.
    DataRefused,
    /// The follow-up task was not submitted.
    FollowUpRefused,
    /// The worker can't use the directory that the task requires.
    DirectoryUnavailable,
    /// A file that the task needs could not be fetched.
    ResourceUnavailable,
    /// A task that this one needs did not succeed.
    DependencyFailed,
    /// A secret that the task uses does not exist any more, or can't be decrypted.
    SecretUnavailable,
    /// A code that this reader does not know.
    #[serde(other)]
    Unknown,
}

impl ResultWarning {
    /// Creates a warning without files.
    pub fn new(code: WarningCode, artifact: Option<ArtifactKind>, text: impl Into<String>) -> Self {
        Self { code, artifact, text: text.into(), files: Vec::new(), more_files: 0 }
    }

    /// Whether output of the task is lost.
    pub fn is_loss(&self) -> bool {
        matches!(self.code, WarningCode::NotStored | WarningCode::Incomplete)
    }

    /// Returns the warning within the limits for storing it.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let surplus = self.files.len().saturating_sub(MAX_WARNING_FILES);
        self.files.truncate(MAX_WARNING_FILES);
        self.more_files = self.more_files.saturating_add(surplus as u64);
        self.files.iter_mut().chain([&mut self.text]).for_each(bound);
        self
    }
}

impl fmt::Display for ResultWarning {
    /// Writes the text, and the files that it concerns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if !self.files.is_empty() {
            write!(f, ": {}", self.files.join(", "))?;
        }
        match self.more_files {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Cuts a text that is too long, and replaces characters that no database accepts.
fn bound(text: &mut String) {
    if text.len() > MAX_WARNING_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_WARNING_TEXT_BYTES));
        text.push('…');
    }
    if text.contains('\0') {
        *text = text.replace('\0', "\u{fffd}");
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_code_is_read_with_its_text() {
        let text = r#"{"code":"of_tomorrow","text":"something"}"#;
        let read: ResultWarning = serde_json::from_str(text).unwrap();
        assert_eq!(read, ResultWarning::new(WarningCode::Unknown, None, "something"));
        assert!(!read.is_loss());
    }

    #[test]
    fn bounded_warning_counts_omitted_files() {
        let mut warning = ResultWarning::new(WarningCode::Incomplete, None, "ü".repeat(1000));
        warning.files = (0..30).map(|number| format!("a\0{number}")).collect();
        warning.more_files = 5;
        let bounded = warning.bounded();
        assert_eq!((bounded.files.len(), bounded.more_files), (MAX_WARNING_FILES, 15));
        assert!(bounded.text.len() <= MAX_WARNING_TEXT_BYTES + '…'.len_utf8());
        assert_eq!(bounded.files[0], "a\u{fffd}0");
    }
}
