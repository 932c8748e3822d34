//! Whether a caller of some time ago would still be let in.
//!
//! A request may be held, and a stream be open, for longer than the account, the session or the token lasts that
//! it was let in with.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mitosis_domain::account::User;
use mitosis_protocol::Timestamp;
use mitosis_protocol::tokens::TokenScope;
use mitosis_store::ops::workers::Credential;
use tokio::time::Instant;

use super::caller::{active, invalid_token};
use crate::app::App;
use crate::error::{ApiError, Refusal};

/// How long an answer counts, for all streams and requests of one session or token.
const COUNTS: Duration = Duration::from_secs(2);
/// Answers that are kept; those that do not count any more go first.
const KEPT: usize = 10_000;

/// What a caller was let in with.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    proof: Proof,
    /// When the token ends.
    until: Option<Timestamp>,
}

/// How a caller was identified.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Proof {
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
        if self.until.is_some_and(|until| until <= app.now()) {
            return Err(invalid_token().into());
        }
        if app.standings.count(&self.proof) {
            return Ok(());
        }
        self.look(app).await?;
        app.standings.note(self.proof.clone());
        Ok(())
    }

    async fn look(&self, app: &App) -> Result<(), ApiError> {
        let user = match &self.proof {
            Proof::Session { username, .. } => app.store.user(username).await?,
            Proof::PersonalToken { digest, .. } => {
                app.store.owner_of_personal_token(digest, app.now()).await?.map(|owner| owner.user)
            }
        };
        let user = user.ok_or_else(invalid_token)?;
        active(&user)?;
        Ok(self.agrees_with(&user)?)
    }
}

/// A caller with what shows later whether the user would still be let in.
pub(crate) struct LastingCaller(pub(crate) User, pub(crate) Standing);

/// Who was found in good standing lately.
#[derive(Debug, Default)]
pub(crate) struct Standings(Mutex<HashMap<Proof, Instant>>);

impl Standings {
    fn count(&self, proof: &Proof) -> bool {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(proof).is_some_and(|at| at.elapsed() < COUNTS)
    }

    fn note(&self, proof: Proof) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= KEPT {
            found.retain(|_, at| at.elapsed() < COUNTS);
        }
        found.insert(proof, Instant::now());
    }
}
