//! Personal tokens.

use mitosis_protocol::tokens::TokenScope;
use mitosis_store::ops::Actor;
use mitosis_store::ops::accounts::{SessionChange, TokenRevocation};
use mitosis_store::ops::personal_tokens::NewPersonalToken;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{HOUR, Harness, Person, TICK};

fn token(owner: &Person, number: u8) -> NewPersonalToken {
    let name = format!("token {number}");
    NewPersonalToken {
        owner: owner.user,
        name,
        digest: [number; 32],
        scope: TokenScope::Read,
        expires_at: None,
        session: None,
    }
}

pub(crate) async fn token_identifies_its_owner_until_it_is_revoked<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let store = harness.store();
    let first = store.create_personal_token(&token(&ann, 1), harness.now).await.unwrap().unwrap();
    let write = NewPersonalToken { scope: TokenScope::Write, ..token(&raj, 2) };
    store.create_personal_token(&write, harness.now).await.unwrap();

    let owner = store.owner_of_personal_token(&[1; 32], harness.now).await.unwrap().unwrap();
    assert_eq!((owner.user.id, owner.user.name.as_str()), (ann.user, "ann"));
    assert_eq!((owner.id, owner.scope, owner.expires_at), (first, TokenScope::Read, None));
    let owner = store.owner_of_personal_token(&[2; 32], harness.now).await.unwrap().unwrap();
    assert_eq!((owner.user.id, owner.scope), (raj.user, TokenScope::Write));
    assert!(store.owner_of_personal_token(&[3; 32], harness.now).await.unwrap().is_none());

    let foreign = store.revoke_personal_token(raj.user, first, harness.now).await.answer();
    assert_eq!(foreign, None, "it is not raj's");
    assert_eq!(store.revoke_personal_token(ann.user, first, harness.now).await.answer(), Some(vec![]));
    assert_eq!(store.revoke_personal_token(ann.user, first, harness.now).await.answer(), None);
    assert!(store.owner_of_personal_token(&[1; 32], harness.now).await.unwrap().is_none());
}

pub(crate) async fn expired_token_is_refused_and_still_listed<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let store = harness.store();
    let end = harness.now + HOUR;
    store.create_personal_token(&token(&ann, 1), harness.now).await.unwrap();
    let short = NewPersonalToken { expires_at: Some(end), ..token(&ann, 2) };
    store.create_personal_token(&short, harness.now).await.unwrap();
    assert!(store.owner_of_personal_token(&[2; 32], end - TICK).await.unwrap().is_some());
    assert!(store.owner_of_personal_token(&[2; 32], end).await.unwrap().is_none());

    let listed = store.personal_tokens(ann.user).await.unwrap();
    let shown: Vec<_> = listed.iter().map(|token| (token.name.as_str(), token.expires_at)).collect();
    assert_eq!(shown, [("token 1", None), ("token 2", Some(end))]);
    assert!(listed.iter().all(|token| token.created_at == harness.now && token.scope == TokenScope::Read));
}

pub(crate) async fn ended_session_creates_no_token<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let store = harness.store();
    let session = store.record_login(ann.user, SessionChange::Replace(7), None, harness.now).await.unwrap();
    let new = NewPersonalToken { session: Some(session), ..token(&ann, 1) };
    store
        .reset_password(Actor::System, ann.user, "hash", 8, TokenRevocation::Revoke, harness.now)
        .await
        .answer();
    assert_eq!(store.create_personal_token(&new, harness.now).await.unwrap(), None);
    assert!(store.personal_tokens(ann.user).await.unwrap().is_empty());
    let new = NewPersonalToken { session: Some(8), ..new };
    assert!(store.create_personal_token(&new, harness.now).await.unwrap().is_some());
}
