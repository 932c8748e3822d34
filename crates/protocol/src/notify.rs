//! Notifications: requests to a URL when a job ends. Native.
//!
//! The requests are those of [Standard Webhooks](https://www.standardwebhooks.com): the headers have an id, which stays the
//! same when a request is repeated, the time, and a signature.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::{JobCounts, JobState};
use crate::{Timestamp, timestamp};

/// Most notifications of one job.
pub const MAX_NOTIFICATIONS: usize = 10;

/// Bytes in a URL.
pub const MAX_URL_BYTES: usize = 2_000;

/// The header with the id of a notification. It stays the same when a request is repeated.
pub const ID_HEADER: &str = "webhook-id";

/// The header with the time of a request, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";

/// The header with the signatures of a request, separated by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// The beginning of a key in the form in which it is shown; the rest is base64.
pub const KEY_PREFIX: &str = "whsec_";

/// Which ends of a job cause a notification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotifyOn {
    /// Every end.
    #[default]
    End,
    /// An end at which not all tasks have succeeded.
    Failure,
}

/// A notification to send when a job ends.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notify {
    /// The URL that gets a `POST` request. Replies show only its scheme, host and port: the rest may be a credential.
    #[schema(example = "https://hooks.example.org/jobs")]
    pub url: String,
    /// Which ends of the job cause it.
    #[serde(default)]
    pub on: NotifyOn,
}

impl fmt::Debug for Notify {
    /// The URL may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").field("on", &self.on).finish_non_exhaustive()
    }
}

/// The state of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotificationState {
    /// The job has not ended.
    Planned,
    /// It is sent soon, or again after a failure.
    Waiting,
    /// The receiver has accepted it.
    Delivered,
    /// It is not sent again.
    Failed,
}

/// A notification of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotificationInfo {
    /// Scheme, host and port of the URL.
    #[schema(example = "https://hooks.example.org")]
    pub to: String,
    /// Which ends of the job cause it.
    pub on: NotifyOn,
    /// The state.
    pub state: NotificationState,
    /// The number of requests so far.
    pub attempts: u64,
    /// Why the last request failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When the next request is sent.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub next_attempt_at: Option<Timestamp>,
    /// When it was delivered, or failed for the last time.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "timestamp::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub ended_at: Option<Timestamp>,
}

/// What a receiver gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotificationBody {
    /// The kind of the event.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// When the job ended.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub timestamp: Timestamp,
    /// A sentence for people: `job 12 (train): failed, 98 of 100 tasks succeeded`.
    pub text: String,
    /// The job.
    pub data: EndedJob,
}

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum EventKind {
    /// A job has ended.
    #[serde(rename = "job.ended")]
    JobEnded,
}

/// A job that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndedJob {
    /// The number.
    pub job: i64,
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The group.
    pub group: String,
    /// The user who submitted it.
    pub creator: String,
    /// The state.
    pub state: JobState,
    /// How many tasks it has.
    pub tasks: u64,
    /// How many of them are in each state.
    pub counts: JobCounts,
    /// When it was submitted.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub created_at: Timestamp,
    /// When its last task ended.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub ended_at: Timestamp,
    /// The job in the API of the coordinator, if its public address is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Reply to `GET` and `POST /v1/groups/{group}/notify-key`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotifyKeyReply {
    /// The key that signs the notifications of the group: `whsec_` and base64.
    pub key: String,
    /// When it was created.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub created_at: Timestamp,
}

impl fmt::Debug for NotifyKeyReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifyKeyReply").field("created_at", &self.created_at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_formatted() {
        let notify = Notify { url: "https://example.org/c0ffee".to_owned(), on: NotifyOn::Failure };
        let key = NotifyKeyReply { key: "whsec_c0ffee".to_owned(), created_at: Timestamp::UNIX_EPOCH };
        let text = format!("{notify:?} {key:?}");
        assert!(text.contains("Failure") && !text.contains("c0ffee"), "{text}");
    }

    #[test]
    fn condition_is_optional() {
        let notify: Notify = serde_json::from_str(r#"{"url": "https://example.org"}"#).unwrap();
        assert_eq!(notify.on, NotifyOn::End);
    }
}
