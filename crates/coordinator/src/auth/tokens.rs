//! Bearer tokens (HTTP contract §3): a signed JWT, encoded in base64.
//!
//! Tokens that a legacy coordinator issued with the same key pair are valid.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use mitosis_protocol::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

use crate::auth::keys::SigningPair;

/// How long the token of a worker is accepted after its expiry, so that the worker can report.
const WORKER_LEEWAY: Duration = Duration::from_mins(1);

/// Signs and reads tokens.
pub(crate) struct Tokens {
    sign: EncodingKey,
    verify: DecodingKey,
    lifetime: Duration,
    cookie_name: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    /// Unix seconds.
    exp: i64,
    /// A user's session; 0 for workers.
    sign: i64,
}

/// The claims of a valid user token. The store decides whether the session is still current.
pub(crate) struct UserClaims {
    pub(crate) username: String,
    pub(crate) session: i64,
    /// When the token expires.
    pub(crate) until: Timestamp,
}

/// A token that is malformed, signed with another key, of the wrong kind, or expired.
#[derive(Debug)]
pub(crate) struct InvalidToken;

/// Why the token of a worker is rejected.
#[derive(Debug)]
pub(crate) enum WorkerTokenError {
    /// The token of this worker has expired.
    Expired(Uuid),
    /// The token was never valid.
    Invalid,
}

impl From<InvalidToken> for WorkerTokenError {
    fn from(InvalidToken: InvalidToken) -> Self {
        Self::Invalid
    }
}

impl Tokens {
    pub(crate) fn new(pair: &SigningPair, lifetime: Duration) -> Self {
        Self {
            sign: EncodingKey::from_ed_der(&pair.private_der),
            verify: DecodingKey::from_ed_der(&pair.public),
            lifetime,
            cookie_name: cookie_name(&pair.public),
        }
    }

    /// The name of the cookie of the web page. Browsers send the cookies of a host to all its ports, so coordinators with
    /// other keys have other names.
    pub(crate) fn cookie_name(&self) -> &str {
        &self.cookie_name
    }

    /// The lifetime of a token of a user.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Issues a token for the session of a user.
    pub(crate) fn for_user(&self, username: &str, session: i64, now: Timestamp) -> String {
        self.issue(username.to_owned(), session, now + self.lifetime)
    }

    /// Issues a token for a worker with the requested lifetime or the default one, but not beyond `until`.
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

    /// Issues a new token for a registered worker. It lasts no longer than the default, unless the worker was registered
    /// for longer.
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

    /// Verifies the token of a user.
    pub(crate) fn read_user(&self, token: &str, now: Timestamp) -> Result<UserClaims, InvalidToken> {
        let claims = self.read(token)?;
        if claims.exp <= now.unix_seconds() || Uuid::try_parse(&claims.sub).is_ok() && claims.sign == 0 {
            return Err(InvalidToken);
        }
        let until = Timestamp::from_unix_micros(claims.exp.saturating_mul(1_000_000));
        Ok(UserClaims { username: claims.sub, session: claims.sign, until })
    }

    /// The user to whom a token was issued, even if it has expired: its holder has logged in before.
    pub(crate) fn owner_of(&self, token: &str) -> Option<String> {
        let claims = self.read(token).ok()?;
        (Uuid::try_parse(&claims.sub).is_err() || claims.sign != 0).then_some(claims.sub)
    }

    /// Verifies the token of a worker.
    pub(crate) fn read_worker(&self, token: &str, now: Timestamp) -> Result<Uuid, WorkerTokenError> {
        let (uuid, end) = self.read_any_worker(token)?;
        if end <= (now - WORKER_LEEWAY).unix_seconds() {
            return Err(WorkerTokenError::Expired(uuid));
        }
        Ok(uuid)
    }

    /// The worker to whom a token was issued, even if it has expired, and the expiry.
    fn read_any_worker(&self, token: &str) -> Result<(Uuid, i64), InvalidToken> {
        let claims = self.read(token)?;
        if claims.sign != 0 {
            return Err(InvalidToken);
        }
        Ok((Uuid::try_parse(&claims.sub).map_err(|_| InvalidToken)?, claims.exp))
    }

    fn issue(&self, sub: String, sign: i64, end: Timestamp) -> String {
        let claims = Claims { sub, exp: end.unix_seconds(), sign };
        let jws = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.sign)
            .expect("a checked key signs three plain claims");
        STANDARD.encode(jws)
    }

    fn read(&self, token: &str) -> Result<Claims, InvalidToken> {
        let jws = STANDARD.decode(token).map_err(|_| InvalidToken)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The expiry is checked by the clock of the coordinator, not by that of the library.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        jsonwebtoken::decode::<Claims>(&jws, &self.verify, &validation)
            .map(|token| token.claims)
            .map_err(|_| InvalidToken)
    }
}

fn cookie_name(public_key: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, public_key);
    let number = digest.as_ref().iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("mito-{number:08x}")
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
    fn tokens_expire_and_workers_get_a_leeway() {
        let tokens = tokens();
        let user = tokens.for_user("ann", 7, NOW);
        let claims = tokens.read_user(&user, NOW + Duration::from_secs(59)).unwrap();
        assert_eq!((claims.username.as_str(), claims.session), ("ann", 7));
        assert!(tokens.read_user(&user, NOW + Duration::from_secs(60)).is_err());
        assert_eq!(tokens.owner_of(&user).as_deref(), Some("ann"), "also after the expiry");
        let worker = tokens.for_worker(Uuid::from_u128(5), None, None, NOW);
        assert_eq!(tokens.read_worker(&worker, NOW + Duration::from_secs(119)).unwrap(), Uuid::from_u128(5));
        assert!(tokens.read_worker(&worker, NOW + Duration::from_secs(120)).is_err());
    }

    #[test]
    fn renewed_token_ends_with_the_registration() {
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
    fn wrong_kinds_and_forged_tokens_are_rejected() {
        let issuer = tokens();
        let user = issuer.for_user("ann", 7, NOW);
        let worker = issuer.for_worker(Uuid::from_u128(5), None, None, NOW);
        assert!(issuer.read_worker(&user, NOW).is_err());
        assert!(issuer.read_user(&worker, NOW).is_err());
        assert!(issuer.owner_of(&worker).is_none() && tokens().owner_of(&user).is_none());
        assert!(tokens().read_user(&user, NOW).is_err(), "it was signed with another key");
        for nonsense in ["", "abc", "e30=", &user[1..]] {
            assert!(issuer.read_user(nonsense, NOW).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn layout_is_that_of_the_legacy_system() {
        let token = tokens().for_user("ann", 7, NOW);
        let jws = String::from_utf8(STANDARD.decode(token).unwrap()).unwrap();
        assert_eq!(jws.split('.').count(), 3);
        assert!(jws.starts_with("eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSJ9."), "{jws}");
    }
}
