//! Secrets of groups: who may set them, and which are read.

use std::collections::BTreeMap;

use mitosis_domain::ids::GroupId;
use mitosis_protocol::Role;
use mitosis_store::ops::Actor;
use mitosis_store::ops::secrets::{SealedSecret, SecretChange, SecretRemoval};

use crate::backend::Backend;
use crate::harness::{Answer as _, Harness, Person, SECOND};

fn value(sealed: &str) -> SealedSecret {
    SealedSecret { key_id: "k".to_owned(), sealed: sealed.to_owned() }
}

async fn set<B: Backend>(harness: &Harness<B>, by: &Person, group: GroupId, name: &str) -> SecretChange {
    harness.store().set_secret(by.user, group, name, &value(name), 3, harness.now).await.unwrap()
}

async fn join<B: Backend>(harness: &Harness<B>, who: &Person, group: GroupId, role: Role) {
    let relations = BTreeMap::from([(who.name.clone(), role)]);
    harness.store().set_members(Actor::System, group, &relations, harness.now).await.answer();
}

async fn names<B: Backend>(harness: &Harness<B>, group: GroupId) -> Vec<String> {
    harness.store().secrets(group).await.unwrap().into_iter().map(|secret| secret.name).collect()
}

pub(crate) async fn secret_is_replaced_and_removed<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    assert_eq!(set(harness, &ann, ann.group, "B").await, SecretChange::Set);
    assert_eq!(set(harness, &ann, ann.group, "A").await, SecretChange::Set);
    harness.pass(SECOND);
    let changed = SealedSecret { key_id: "new".to_owned(), sealed: "other".to_owned() };
    let store = harness.store();
    let set = store.set_secret(ann.user, ann.group, "A", &changed, 3, harness.now).await.unwrap();
    assert_eq!(set, SecretChange::Set);
    let listed = store.secrets(ann.group).await.unwrap();
    let of: Vec<_> = listed.iter().map(|it| (&*it.name, &*it.key_id, &*it.set_by, it.set_at)).collect();
    assert_eq!(of, [("A", "new", "ann", harness.now), ("B", "k", "ann", harness.now - SECOND)]);
    let key = (ann.group, "A".to_owned());
    assert_eq!(store.sealed_secrets(std::slice::from_ref(&key)).await.unwrap(), [(key, changed)].into());
    assert_eq!(store.remove_secret(ann.user, ann.group, "A").await.unwrap(), SecretRemoval::Removed);
    assert_eq!(store.remove_secret(ann.user, ann.group, "A").await.unwrap(), SecretRemoval::Unknown);
    assert_eq!(names(harness, ann.group).await, ["B"]);
}

pub(crate) async fn only_an_admin_sets_and_removes_secrets<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let raj = harness.person("raj").await;
    assert_eq!(set(harness, &ann, ann.group, "A").await, SecretChange::Set);
    for role in [None, Some(Role::Read), Some(Role::Write)] {
        if let Some(role) = role {
            join(harness, &raj, ann.group, role).await;
        }
        assert_eq!(set(harness, &raj, ann.group, "A").await, SecretChange::Denied, "{role:?}");
        let removed = harness.store().remove_secret(raj.user, ann.group, "A").await.unwrap();
        assert_eq!(removed, SecretRemoval::Denied, "{role:?}");
    }
    join(harness, &raj, ann.group, Role::Admin).await;
    assert_eq!(set(harness, &raj, ann.group, "A").await, SecretChange::Set);
    assert_eq!(harness.store().secrets(ann.group).await.unwrap()[0].set_by, "raj");
}

pub(crate) async fn group_has_a_bounded_number_of_secrets<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    for name in ["A", "B", "C"] {
        assert_eq!(set(harness, &ann, ann.group, name).await, SecretChange::Set);
    }
    assert_eq!(set(harness, &ann, ann.group, "D").await, SecretChange::TooMany);
    assert_eq!(set(harness, &ann, ann.group, "C").await, SecretChange::Set, "it exists");
}

pub(crate) async fn secrets_are_read_by_group_and_name<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let raj = harness.person("raj").await;
    for (person, name) in [(&ann, "A"), (&ann, "B"), (&raj, "A"), (&raj, "C")] {
        assert_eq!(set(harness, person, person.group, name).await, SecretChange::Set);
    }
    let wanted =
        [(ann.group, "B"), (raj.group, "A"), (raj.group, "B")].map(|(group, name)| (group, name.to_owned()));
    let found = harness.store().sealed_secrets(&wanted).await.unwrap();
    let expected = wanted[..2].iter().map(|key| (key.clone(), value(&key.1))).collect();
    assert_eq!(found, expected, "neither A of ann nor B of raj");
    assert!(harness.store().sealed_secrets(&[]).await.unwrap().is_empty());
}
