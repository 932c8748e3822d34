//! Revalidation of callers: whether an earlier authentication still holds.
//!
//! A held request or an open stream can outlive the account, the session or the token that it was authenticated
//! with.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mitosis_domain::account::User;
use mitosis_domain::ids::{GroupId, UserId};
use mitosis_protocol::Timestamp;
use mitosis_protocol::tokens::TokenScope;
use mitosis_store::ops::workers::Credential;
use mitosis_store::{Store, StoreError};

use super::cache::SingleFlightCache;
use super::caller::{invalid_token, require_active};
use crate::app::App;
use crate::error::{ApiError, Rejection};

/// What a request was authenticated with.
#[derive(Debug, Clone)]
pub(crate) struct Authentication {
    proof: Proof,
    expires_at: Option<Timestamp>,
}

/// The credential that identifies a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Proof {
    Session { username: String, number: i64 },
    PersonalToken { digest: [u8; 32], id: i64, scope: TokenScope },
}

impl Authentication {
    pub(super) fn of_session(username: String, number: i64, expires_at: Timestamp) -> Self {
        Self { proof: Proof::Session { username, number }, expires_at: Some(expires_at) }
    }

    pub(super) fn of_token(
        digest: [u8; 32],
        id: i64,
        scope: TokenScope,
        expires_at: Option<Timestamp>,
    ) -> Self {
        Self { proof: Proof::PersonalToken { digest, id, scope }, expires_at }
    }

    /// The scope of a personal token; a session has none.
    pub(crate) fn scope(&self) -> Option<TokenScope> {
        match self.proof {
            Proof::Session { .. } => None,
            Proof::PersonalToken { scope, .. } => Some(scope),
        }
    }

    /// Rejects a session that a later login has replaced.
    pub(super) fn check_session(&self, user: &User) -> Result<(), Rejection> {
        match self.proof {
            Proof::Session { number, .. } if user.session != Some(number) => Err(invalid_token()),
            Proof::Session { .. } | Proof::PersonalToken { .. } => Ok(()),
        }
    }

    /// The credential of anything that outlives the request but must end with the session or token.
    pub(crate) fn credential(&self) -> Credential {
        match &self.proof {
            Proof::Session { number, .. } => Credential::Session(*number),
            Proof::PersonalToken { id, .. } => Credential::PersonalToken(*id),
        }
    }

    /// The expiry of a personal token, if it has one. Workers do not end with a session.
    pub(crate) fn token_expires_at(&self) -> Option<Timestamp> {
        self.expires_at.filter(|_| self.scope().is_some())
    }

    /// Rejects the caller if the account is no longer active, or the session or token has ended. Lookups are cached
    /// for two seconds, so a loop may call this in every iteration.
    pub(crate) async fn revalidate(&self, app: &App) -> Result<(), ApiError> {
        self.revalidated_user(app).await.map(drop)
    }

    /// The current record of the user, after the checks of [`Self::revalidate`].
    pub(crate) async fn revalidated_user(&self, app: &App) -> Result<User, ApiError> {
        let now = app.now();
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(invalid_token().into());
        }
        let user = app
            .user_cache
            .get(self.proof.clone(), || load(app.store.clone(), self.proof.clone(), now))
            .await?;
        let user = user.ok_or_else(invalid_token)?;
        require_active(&user)?;
        self.check_session(&user)?;
        Ok(user)
    }

    /// Encodes the proof as text, for a link that must end with it. [`Self::decode`] reads it.
    pub(crate) fn encode(&self) -> String {
        match &self.proof {
            Proof::Session { username, number } => format!("session {number} {username}"),
            Proof::PersonalToken { digest, id, .. } => {
                format!("token {id} {}", URL_SAFE_NO_PAD.encode(digest))
            }
        }
    }

    /// Decodes the proof in a link. The link itself limits its lifetime and its use.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let mut words = text.splitn(3, ' ');
        let (kind, number, rest) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
        let proof = match kind {
            "session" => Proof::Session { username: rest.to_owned(), number },
            "token" => {
                let digest = URL_SAFE_NO_PAD.decode(rest).ok()?.try_into().ok()?;
                Proof::PersonalToken { digest, id: number, scope: TokenScope::Read }
            }
            _ => return None,
        };
        Some(Self { proof, expires_at: None })
    }
}

/// Loads the user of a session or token, if there is one.
async fn load(store: Arc<dyn Store>, proof: Proof, now: Timestamp) -> Result<Option<User>, StoreError> {
    match proof {
        Proof::Session { username, .. } => store.user(&username).await,
        Proof::PersonalToken { digest, .. } => {
            Ok(store.owner_of_personal_token(&digest, now).await?.map(|owner| owner.user))
        }
    }
}

/// A caller, with the authentication that can be revalidated later.
pub(crate) struct AuthenticatedCaller(pub(crate) User, pub(crate) Authentication);

/// Recently loaded users by the proof that identifies them.
pub(crate) type UserCache = SingleFlightCache<Proof, Option<User>>;

/// Recently loaded memberships of users.
pub(crate) type MembershipCache = SingleFlightCache<UserId, Arc<HashSet<GroupId>>>;

/// The groups that a user may view. Lookups are cached for two seconds.
pub(crate) async fn groups_of(app: &App, user: UserId) -> Result<Arc<HashSet<GroupId>>, ApiError> {
    let store = app.store.clone();
    let load = || async move { Ok(Arc::new(store.group_ids_of(user).await?.into_iter().collect())) };
    Ok(app.membership_cache.get(user, load).await?)
}
