//! Users: creation, login, quotas.

use futures_util::future::join_all;
use mitosis_domain::account::{Membership, User};
use mitosis_domain::limits;
use mitosis_domain::quota::QuotaChange;
use mitosis_protocol::Role;
use mitosis_protocol::admin::AccountState;
use mitosis_store::ops::accounts::{Bootstrap, NewUser, SessionChange, TokenRevocation, UserCreation};
use mitosis_store::ops::{Actor, Administered};

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, SECOND, name};

async fn user<B: Backend>(harness: &Harness<B>, name: &str) -> User {
    harness.store().user(name).await.unwrap().expect("the user is there")
}

pub(crate) async fn new_user_is_admin_of_the_personal_group<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let account = user(harness, "ann").await;
    assert_eq!((account.id, account.name.as_str()), (ann.user, "ann"));
    assert_eq!(account.password_hash, Harness::<B>::new_user("ann").password_hash);
    assert_eq!((account.session, account.admin, account.state), (None, false, AccountState::Active));
    assert_eq!((account.group_quota, account.group_count), (limits::DEFAULT_GROUP_QUOTA, 1));
    assert_eq!(account.created_at, harness.now);

    let group = harness.store().group("ann").await.unwrap().unwrap();
    assert_eq!((group.id, group.creator.as_str(), group.state), (ann.group, "ann", AccountState::Active));
    assert_eq!((group.storage_quota, group.storage_used), (limits::DEFAULT_STORAGE_QUOTA, 0));
    let membership = harness.store().membership(ann.user, "ann").await.unwrap();
    assert_eq!(membership, Membership::Member(ann.group, Role::Admin));
    assert!(harness.store().user("bob").await.unwrap().is_none());
}

pub(crate) async fn name_of_a_user_or_group_is_taken<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    harness.group(&ann, "lab").await;
    for taken in ["ann", "lab"] {
        let outcome = harness
            .store()
            .create_user(Actor::System, &Harness::<B>::new_user(taken), harness.now)
            .await
            .unwrap();
        assert_eq!(outcome, UserCreation::NameTaken, "{taken}");
    }
    assert_eq!(user(harness, "ann").await.id, ann.user);
    assert!(harness.store().user("lab").await.unwrap().is_none());
}

pub(crate) async fn concurrent_users_of_one_name_create_one_account<B: Backend>(harness: &mut Harness<B>) {
    let (store, new) = (harness.store(), Harness::<B>::new_user("ann"));
    let outcomes = join_all((0..16).map(|_| store.create_user(Actor::System, &new, harness.now))).await;
    let created = outcomes.iter().filter(|outcome| matches!(outcome, Ok(UserCreation::Created(_)))).count();
    let taken = outcomes.iter().filter(|outcome| matches!(outcome, Ok(UserCreation::NameTaken))).count();
    assert_eq!((created, taken), (1, 15), "{outcomes:?}");
}

fn first_admin(text: &str) -> NewUser {
    NewUser { name: name(text), password_hash: "$argon2id$first".to_owned(), admin: true }
}

pub(crate) async fn concurrent_coordinators_bootstrap_one_admin<B: Backend>(harness: &mut Harness<B>) {
    let (store, new) = (harness.store(), first_admin("root"));
    let outcomes = join_all((0..8).map(|_| store.bootstrap_admin(&new, harness.now))).await;
    let created = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Bootstrap::Created(_)))).count();
    let done = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Bootstrap::AlreadyDone))).count();
    assert_eq!((created, done), (1, 7), "{outcomes:?}");
    assert!(user(harness, "root").await.admin);

    drop(store);
    harness.restart().await;
    let later = harness.store().bootstrap_admin(&first_admin("other"), harness.now).await.unwrap();
    assert_eq!(later, Bootstrap::AlreadyDone);
    assert!(harness.store().user("other").await.unwrap().is_none());
}

pub(crate) async fn bootstrap_does_not_take_over_an_account<B: Backend>(harness: &mut Harness<B>) {
    harness.person("root").await;
    let outcome = harness.store().bootstrap_admin(&first_admin("root"), harness.now).await.unwrap();
    assert_eq!(outcome, Bootstrap::NameTaken);
    let account = user(harness, "root").await;
    assert!(!account.admin);
    assert_eq!(account.password_hash, Harness::<B>::new_user("root").password_hash);
}

pub(crate) async fn login_retains_or_replaces_the_session<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (store, peer) = (harness.store(), Some("2001:db8::7".parse().unwrap()));
    for (change, in_force) in [
        (SessionChange::Retain(11), 11),
        (SessionChange::Retain(12), 11),
        (SessionChange::Replace(13), 13),
        (SessionChange::Retain(14), 13),
    ] {
        let session = store.record_login(ann.user, change, peer, harness.now).await.unwrap();
        assert_eq!(session, in_force, "{change:?}");
        assert_eq!(user(harness, "ann").await.session, Some(in_force));
    }
}

pub(crate) async fn sessions_end_together<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let store = harness.store();
    for user in [ann.user, bob.user] {
        store.record_login(user, SessionChange::Retain(11), None, harness.now).await.unwrap();
    }
    assert!(!store.end_sessions(ann.user, 12, harness.now).await.unwrap(), "it is not the current one");
    assert_eq!(user(harness, "ann").await.session, Some(11));
    assert!(store.end_sessions(ann.user, 11, harness.now).await.unwrap());
    assert!(!store.end_sessions(ann.user, 11, harness.now).await.unwrap(), "it has ended");
    assert_eq!(user(harness, "ann").await.session, None);
    assert_eq!(user(harness, "bob").await.session, Some(11));
}

pub(crate) async fn new_password_starts_a_new_session<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let bob = harness.person("bob").await;
    let store = harness.store();
    store.record_login(ann.user, SessionChange::Retain(11), None, harness.now).await.unwrap();
    harness.pass(SECOND);
    let proved = user(harness, "ann").await.password_hash;
    assert!(store.set_password(ann.user, &proved, "$argon2id$new", 12, harness.now).await.unwrap());
    let account = user(harness, "ann").await;
    assert_eq!((account.password_hash.as_str(), account.session), ("$argon2id$new", Some(12)));
    assert_eq!(user(harness, "bob").await.session, None);

    let unknown = mitosis_domain::ids::UserId(bob.user.0 + 1000);
    assert!(!store.set_password(unknown, "$argon2id$new", "$argon2id$newer", 13, harness.now).await.unwrap());
    // An administrator has reset it in the meantime.
    store
        .reset_password(Actor::System, ann.user, "$argon2id$reset", 14, TokenRevocation::Keep, harness.now)
        .await
        .answer();
    assert!(
        !store.set_password(ann.user, "$argon2id$new", "$argon2id$newer", 15, harness.now).await.unwrap()
    );
    let account = user(harness, "ann").await;
    assert_eq!((account.password_hash.as_str(), account.session), ("$argon2id$reset", Some(14)));
}

pub(crate) async fn account_state_is_set_by_name<B: Backend>(harness: &mut Harness<B>) {
    harness.person("ann").await;
    harness.person("bob").await;
    for state in [AccountState::Locked, AccountState::Deleted, AccountState::Active, AccountState::Locked] {
        assert_eq!(
            harness.store().set_account_state(Actor::System, "ann", state, harness.now).await.answer(),
            Administered::Done(vec![])
        );
        assert_eq!(user(harness, "ann").await.state, state);
    }
    assert_eq!(user(harness, "bob").await.state, AccountState::Active);
    assert_eq!(
        harness
            .store()
            .set_account_state(Actor::System, "eve", AccountState::Locked, harness.now)
            .await
            .answer(),
        Administered::Unknown
    );
}

pub(crate) async fn group_quota_is_clamped_to_its_range<B: Backend>(harness: &mut Harness<B>) {
    harness.person("ann").await;
    let store = harness.store();
    for (change, in_force) in [
        (QuotaChange::Set(5), 5),
        (QuotaChange::Add(2), 7),
        (QuotaChange::Subtract(100), 0),
        (QuotaChange::Add(i64::MAX), i32::MAX),
    ] {
        let answer = store.change_group_quota(Actor::System, "ann", change, harness.now).await.unwrap();
        assert_eq!(answer, Administered::Done(in_force), "{change:?}");
        assert_eq!(user(harness, "ann").await.group_quota, in_force);
    }
    assert_eq!(
        store.change_group_quota(Actor::System, "eve", QuotaChange::Set(1), harness.now).await.unwrap(),
        Administered::Unknown
    );
}

pub(crate) async fn concurrent_quota_changes_add_up<B: Backend>(harness: &mut Harness<B>) {
    harness.person("ann").await;
    let store = harness.store();
    let changes =
        (0..32).map(|_| store.change_group_quota(Actor::System, "ann", QuotaChange::Add(1), harness.now));
    for answer in join_all(changes).await {
        assert!(matches!(answer.unwrap(), Administered::Done(_)));
    }
    assert_eq!(user(harness, "ann").await.group_quota, limits::DEFAULT_GROUP_QUOTA + 32);
}
