//! Secrets of groups: values that tasks get as variables, and that no reply to a user contains. Native.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Timestamp, timestamp};

/// Most secrets of a group.
pub const MAX_SECRETS: u64 = 1_000;

/// Most secrets that one task may use.
pub const MAX_SECRETS_OF_TASK: usize = 32;

/// Most bytes of a value.
pub const MAX_SECRET_BYTES: usize = 32 * 1024;

/// Lines of values that are shorter, in bytes, are not masked in output: the mask would hide ordinary text.
pub const MIN_MASKED_BYTES: usize = 6;

/// The value of a secret. It is never formatted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretValue(String);

impl SecretValue {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself: for the environment of a command, or for encryption.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(***)")
    }
}

/// A secret of a group, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretInfo {
    /// The name, which is unique in the group.
    pub name: String,
    /// The name of the user who set the value.
    pub set_by: String,
    /// When the value was set.
    #[serde(with = "timestamp::rfc3339")]
    #[schema(value_type = String, format = DateTime, example = "2031-02-09T17:04:05Z")]
    pub set_at: Timestamp,
}

/// Reply to `GET /v1/groups/{group}/secrets`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretsReply {
    /// The secrets, by name.
    pub secrets: Vec<SecretInfo>,
}

/// `PUT /v1/groups/{group}/secrets/{secret}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetSecretRequest {
    /// The value: 1 to 32,768 bytes without NUL characters.
    #[schema(value_type = String, write_only)]
    pub value: SecretValue,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_not_formatted() {
        let request = SetSecretRequest { value: SecretValue::new("hunter2") };
        assert_eq!(format!("{request:?}"), "SetSecretRequest { value: SecretValue(***) }");
        assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"value":"hunter2"}"#);
    }
}
