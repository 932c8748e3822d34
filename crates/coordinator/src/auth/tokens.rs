//! Bearer tokens (HTTP contract §3): a signed JWT, encoded in base64 once more.
//!
//! Tokens that a coordinator of the old system issued with the same key pair are honoured.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use mitosis_protocol::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

use crate::auth::keys::SigningPair;

/// How long past its end a worker's token is still taken, so that it can report.
const WORKER_LEEWAY: Duration = Duration::from_mins(1);

/// Signs and reads tokens.
pub(crate) struct Tokens {
    sign: EncodingKey,
    verify: DecodingKey,
    lifetime: Duration,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    /// Unix seconds.
    exp: i64,
    /// A user's session; 0 for workers.
    sign: i64,
}

/// What a valid user token says. Whether the session is still in force is for the store to say.
pub(crate) struct UserClaims {
    pub(crate) username: String,
    pub(crate) session: i64,
    /// When the token ends.
    pub(crate) until: Timestamp,
}

/// A token that is malformed, signed by somebody else, of the wrong kind, or over.
#[derive(Debug)]
pub(crate) struct BadToken;

/// Why a worker's token is not taken.
#[derive(Debug)]
pub(crate) enum BadWorkerToken {
    /// It was good for this worker, and is over.
    Expired(Uuid),
    /// It was never good.
    Invalid,
}

impl From<BadToken> for BadWorkerToken {
    fn from(BadToken: BadToken) -> Self {
        Self::Invalid
    }
}

impl Tokens {
    pub(crate) fn new(pair: &SigningPair, lifetime: Duration) -> Self {
        Self {
            sign: EncodingKey::from_ed_der(&pair.private_der),
            verify: DecodingKey::from_ed_der(&pair.public),
            lifetime,
        }
    }

    /// A token for a user's session.
    pub(crate) fn for_user(&self, username: &str, session: i64, now: Timestamp) -> String {
        self.issue(username.to_owned(), session, now + self.lifetime)
    }

    /// A token for a worker: for the lifetime that it asks for, or the default one, and not beyond `until`.
    pub(crate) fn for_worker(
        &self,
        worker: Uuid,
        lifetime: Option<Duration>,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> String {
        let end = now + lifetime.unwrap_or(self.lifetime);
        self.issue(worker.to_string(), 0, until.map_or(end, |until| end.min(until)))
    }

    /// Another token for a worker that is registered. None lasts longer than the default, unless the worker
    /// was registered for longer.
    pub(crate) fn renewed(
        &self,
        worker: Uuid,
        lifetime: Option<Duration>,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> String {
        let most = until.unwrap_or(now + self.lifetime);
        self.for_worker(worker, lifetime, Some(most), now)
    }

    /// Reads a user's token.
    pub(crate) fn read_user(&self, token: &str, now: Timestamp) -> Result<UserClaims, BadToken> {
        let claims = self.read(token)?;
        if claims.exp <= now.unix_seconds() || Uuid::try_parse(&claims.sub).is_ok() && claims.sign == 0 {
            return Err(BadToken);
        }
        let until = Timestamp::from_unix_micros(claims.exp.saturating_mul(1_000_000));
        Ok(UserClaims { username: claims.sub, session: claims.sign, until })
    }

    /// The user whom a token was given to, also when it has ended since: who has it was logged in once.
    pub(crate) fn was_given_to(&self, token: &str) -> Option<String> {
        let claims = self.read(token).ok()?;
        (Uuid::try_parse(&claims.sub).is_err() || claims.sign != 0).then_some(claims.sub)
    }

    /// Reads a worker's token.
    pub(crate) fn read_worker(&self, token: &str, now: Timestamp) -> Result<Uuid, BadWorkerToken> {
        let (uuid, end) = self.read_any_worker(token)?;
        if end <= (now - WORKER_LEEWAY).unix_seconds() {
            return Err(BadWorkerToken::Expired(uuid));
        }
        Ok(uuid)
    }

    /// The worker that a token was issued to, also when it has expired, and when it expires.
    fn read_any_worker(&self, token: &str) -> Result<(Uuid, i64), BadToken> {
        let claims = self.read(token)?;
        if claims.sign != 0 {
            return Err(BadToken);
        }
        Ok((Uuid::try_parse(&claims.sub).map_err(|_| BadToken)?, claims.exp))
    }

    fn issue(&self, sub: String, sign: i64, end: Timestamp) -> String {
        let claims = Claims { sub, exp: end.unix_seconds(), sign };
        let jws = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.sign)
            .expect("a checked key signs three plain claims");
        STANDARD.encode(jws)
    }

    fn read(&self, token: &str) -> Result<Claims, BadToken> {
        let jws = STANDARD.decode(token).map_err(|_| BadToken)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The end is compared with the coordinator's own clock, not with the library's.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        jsonwebtoken::decode::<Claims>(&jws, &self.verify, &validation)
            .map(|token| token.claims)
            .map_err(|_| BadToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::KeyFiles;

    fn tokens() -> Tokens {
        let folder = tempfile::tempdir().unwrap();
        let files = KeyFiles {
            private: folder.path().join("a.pem"),
            public: folder.path().join("b.pem"),
            create: true,
        };
        Tokens::new(&crate::auth::keys::load(&files).unwrap(), Duration::from_mins(1))
    }

    const NOW: Timestamp = Timestamp::from_unix_micros(1_900_000_000_000_000);

    #[test]
    fn a_token_is_good_until_its_end_and_a_worker_s_a_minute_longer() {
        let tokens = tokens();
        let user = tokens.for_user("ann", 7, NOW);
        let claims = tokens.read_user(&user, NOW + Duration::from_secs(59)).unwrap();
        assert_eq!((claims.username.as_str(), claims.session), ("ann", 7));
        assert!(tokens.read_user(&user, NOW + Duration::from_secs(60)).is_err());
        assert_eq!(tokens.was_given_to(&user).as_deref(), Some("ann"), "it says so for ever");
        let worker = tokens.for_worker(Uuid::from_u128(5), None, None, NOW);
        assert_eq!(tokens.read_worker(&worker, NOW + Duration::from_secs(119)).unwrap(), Uuid::from_u128(5));
        assert!(tokens.read_worker(&worker, NOW + Duration::from_secs(120)).is_err());
    }

    #[test]
    fn a_renewed_token_ends_where_the_registration_does() {
        let tokens = tokens();
        let (worker, hour) = (Uuid::from_u128(5), Duration::from_hours(1));
        let ends = |token: String, after: Duration| {
            let after = NOW + after + WORKER_LEEWAY;
            tokens.read_worker(&token, after - Duration::from_secs(1)).is_ok()
                && tokens.read_worker(&token, after).is_err()
        };
        let minute = Duration::from_mins(1);
        let thousand_years = Some(Duration::from_hours(24 * 365 * 1_000));
        assert!(ends(tokens.renewed(worker, None, None, NOW), minute), "the default of these tokens");
        assert!(ends(tokens.renewed(worker, thousand_years, None, NOW), minute));
        assert!(ends(tokens.renewed(worker, thousand_years, Some(NOW + hour), NOW), hour));
        assert!(ends(tokens.renewed(worker, None, Some(NOW + hour), NOW), minute));
        let short = Duration::from_secs(10);
        assert!(ends(tokens.renewed(worker, None, Some(NOW + short), NOW), short));
        assert!(ends(tokens.for_worker(worker, Some(hour), Some(NOW + short), NOW), short));
    }

    #[test]
    fn kinds_are_not_mixed_up_and_nothing_forged_is_read() {
        let ours = tokens();
        let user = ours.for_user("ann", 7, NOW);
        let worker = ours.for_worker(Uuid::from_u128(5), None, None, NOW);
        assert!(ours.read_worker(&user, NOW).is_err());
        assert!(ours.read_user(&worker, NOW).is_err());
        assert!(ours.was_given_to(&worker).is_none() && tokens().was_given_to(&user).is_none());
        assert!(tokens().read_user(&user, NOW).is_err(), "another key signed it");
        for nonsense in ["", "abc", "e30=", &user[1..]] {
            assert!(ours.read_user(nonsense, NOW).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn the_layout_is_the_one_of_the_old_system() {
        let token = tokens().for_user("ann", 7, NOW);
        let jws = String::from_utf8(STANDARD.decode(token).unwrap()).unwrap();
        assert_eq!(jws.split('.').count(), 3);
        assert!(jws.starts_with("eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSJ9."), "{jws}");
    }
}
