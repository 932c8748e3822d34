//! Whether a caller of some time ago would still be let in.
//!
//! A request may be held, and a stream be open, for longer than the account, the session or the token lasts that
//! it was let in with.

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

use super::caller::{active, invalid_token};
use super::remembered::Remembered;
use crate::app::App;
use crate::error::{ApiError, Refusal};

/// What a caller was let in with.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    proof: Proof,
    /// When the token ends.
    until: Option<Timestamp>,
}

/// How a caller was identified.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Proof {
    Session { username: String, number: i64 },
    PersonalToken { digest: [u8; 32], id: i64, scope: TokenScope },
}

impl Standing {
    pub(super) fn of_session(username: String, number: i64, until: Timestamp) -> Self {
        Self { proof: Proof::Session { username, number }, until: Some(until) }
    }

    pub(super) fn of_token(digest: [u8; 32], id: i64, scope: TokenScope, until: Option<Timestamp>) -> Self {
        Self { proof: Proof::PersonalToken { digest, id, scope }, until }
    }

    /// The scope of a personal token; a session has none.
    pub(super) fn scope(&self) -> Option<TokenScope> {
        match self.proof {
            Proof::Session { .. } => None,
            Proof::PersonalToken { scope, .. } => Some(scope),
        }
    }

    /// Refuses a session that another one has taken the place of.
    pub(super) fn agrees_with(&self, user: &User) -> Result<(), Refusal> {
        match self.proof {
            Proof::Session { number, .. } if user.session != Some(number) => Err(invalid_token()),
            Proof::Session { .. } | Proof::PersonalToken { .. } => Ok(()),
        }
    }

    /// For what outlives the request, and must not outlive this.
    pub(crate) fn credential(&self) -> Credential {
        match &self.proof {
            Proof::Session { number, .. } => Credential::Session(*number),
            Proof::PersonalToken { id, .. } => Credential::PersonalToken(*id),
        }
    }

    /// When the personal token ends, if that is known already. Workers do not end with a session.
    pub(crate) fn token_until(&self) -> Option<Timestamp> {
        self.until.filter(|_| self.scope().is_some())
    }

    /// Refuses once the account is not active any more, or the session or the token has ended. The store is
    /// asked every two seconds at most, so this may be called at each turn of a loop.
    pub(crate) async fn check(&self, app: &App) -> Result<(), ApiError> {
        self.user(app).await.map(drop)
    }

    /// The same, with the user.
    pub(crate) async fn user(&self, app: &App) -> Result<User, ApiError> {
        let now = app.now();
        if self.until.is_some_and(|until| until <= now) {
            return Err(invalid_token().into());
        }
        let user = app
            .standings
            .get(self.proof.clone(), || look(app.store.clone(), self.proof.clone(), now))
            .await?;
        let user = user.ok_or_else(invalid_token)?;
        active(&user)?;
        self.agrees_with(&user)?;
        Ok(user)
    }

    /// As text, for a link that ends with this; [`Self::read`] reads it.
    pub(crate) fn written(&self) -> String {
        match &self.proof {
            Proof::Session { username, number } => format!("session {number} {username}"),
            Proof::PersonalToken { digest, id, .. } => {
                format!("token {id} {}", URL_SAFE_NO_PAD.encode(digest))
            }
        }
    }

    /// What a link was given to. The link itself says when it ends, and what it is good for.
    pub(crate) fn read(text: &str) -> Option<Self> {
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
        Some(Self { proof, until: None })
    }
}

/// The user behind a session or token, if there is one.
async fn look(store: Arc<dyn Store>, proof: Proof, now: Timestamp) -> Result<Option<User>, StoreError> {
    match proof {
        Proof::Session { username, .. } => store.user(&username).await,
        Proof::PersonalToken { digest, .. } => {
            Ok(store.owner_of_personal_token(&digest, now).await?.map(|owner| owner.user))
        }
    }
}

/// A caller with what shows later whether the user would still be let in.
pub(crate) struct LastingCaller(pub(crate) User, pub(crate) Standing);

/// Who was found behind sessions and tokens lately.
pub(crate) type Standings = Remembered<Proof, Option<User>>;

/// The groups that users were found in lately.
pub(crate) type Memberships = Remembered<UserId, Arc<HashSet<GroupId>>>;

/// The groups that a user may look at. The store is asked every two seconds at most.
pub(crate) async fn groups_of(app: &App, user: UserId) -> Result<Arc<HashSet<GroupId>>, ApiError> {
    let store = app.store.clone();
    let ask = || async move { Ok(Arc::new(store.group_ids_of(user).await?.into_iter().collect())) };
    Ok(app.memberships.get(user, ask).await?)
}
