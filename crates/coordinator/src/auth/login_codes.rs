//! Codes that log in to the web page once, for a link of `mito dev` or `mito open`.
//!
//! They are kept in memory: a code is valid only at the coordinator that issued it, and for a few minutes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mitosis_domain::entropy::Entropy;
use mitosis_protocol::Timestamp;

use super::caller::personal_token_digest as digest;

/// How long a code is valid.
pub(crate) const LIFETIME: Duration = Duration::from_mins(5);
/// The number of codes that are kept. More are refused.
const CAPACITY: usize = 10_000;

/// What a code logs in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CodeOwner {
    pub(crate) username: String,
    pub(crate) session: i64,
}

/// Codes that have been issued and not used.
#[derive(Default)]
pub(crate) struct LoginCodes(Mutex<HashMap<[u8; 32], (CodeOwner, Timestamp)>>);

impl LoginCodes {
    /// Issues a code. `None` if too many are unused.
    pub(crate) fn issue(&self, owner: CodeOwner, now: Timestamp, entropy: &dyn Entropy) -> Option<String> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        let code = URL_SAFE_NO_PAD.encode(bytes);
        let mut codes = self.codes();
        codes.retain(|_, (_, expires_at)| *expires_at > now);
        if codes.len() >= CAPACITY {
            return None;
        }
        codes.insert(digest(&code), (owner, now + LIFETIME));
        Some(code)
    }

    /// Uses a code. It is not valid again.
    pub(crate) fn redeem(&self, code: &str, now: Timestamp) -> Option<CodeOwner> {
        let (owner, expires_at) = self.codes().remove(&digest(code))?;
        (expires_at > now).then_some(owner)
    }

    fn codes(&self) -> MutexGuard<'_, HashMap<[u8; 32], (CodeOwner, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use mitosis_domain::entropy::OsEntropy;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_micros(1_900_000_000_000_000);

    fn owner() -> CodeOwner {
        CodeOwner { username: "ann".to_owned(), session: 7 }
    }

    #[test]
    fn code_is_valid_once() {
        let codes = LoginCodes::default();
        let code = codes.issue(owner(), NOW, &OsEntropy).unwrap();
        assert_eq!(codes.redeem("another", NOW), None);
        assert_eq!(codes.redeem(&code, NOW), Some(owner()));
        assert_eq!(codes.redeem(&code, NOW), None);
    }

    #[test]
    fn code_expires() {
        let codes = LoginCodes::default();
        let code = codes.issue(owner(), NOW, &OsEntropy).unwrap();
        assert_eq!(codes.redeem(&code, NOW + LIFETIME), None);
    }

    #[test]
    fn full_table_refuses_until_codes_expire() {
        let codes = LoginCodes::default();
        for _ in 0..CAPACITY {
            codes.issue(owner(), NOW, &OsEntropy).unwrap();
        }
        assert_eq!(codes.issue(owner(), NOW, &OsEntropy), None);
        assert!(codes.issue(owner(), NOW + LIFETIME, &OsEntropy).is_some());
    }
}
