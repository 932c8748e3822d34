//! Groups: quotas, members, deletion.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use mitosis_domain::account::Membership;
use mitosis_domain::ids::GroupId;
use mitosis_domain::limits;
use mitosis_domain::quota::QuotaChange;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::{Role, TaskState};
use mitosis_store::ops::groups::{GroupCreation, GroupDeletion, MembersChange};
use mitosis_store::ops::tasks::CANCEL_BATCH;
use mitosis_store::ops::{Actor, Administered};

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, SECOND, name};

fn roles(relations: &[(&str, Role)]) -> BTreeMap<String, Role> {
    relations.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect()
}

async fn set<B: Backend>(harness: &Harness<B>, group: GroupId, relations: &[(&str, Role)]) -> MembersChange {
    harness.store().set_members(Actor::System, group, &roles(relations), harness.now).await.answer()
}

async fn remove<B: Backend>(harness: &Harness<B>, group: GroupId, names: &[&str]) -> MembersChange {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    harness.store().remove_members(Actor::System, group, &names, harness.now).await.answer()
}

pub(crate) async fn creator_of_a_group_is_its_admin<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    harness.pass(SECOND);
    let lab = harness.group(&ann, "lab").await;
    let group = harness.store().group("lab").await.unwrap().unwrap();
    assert_eq!((group.id, group.name.as_str(), group.creator.as_str()), (lab, "lab", "ann"));
    assert_eq!((group.task_count, group.worker_count, group.created_at), (0, 0, harness.now));
    assert_eq!(harness.store().members(lab).await.unwrap(), roles(&[("ann", Role::Admin)]));
    let hers = roles(&[("ann", Role::Admin), ("lab", Role::Admin)]);
    assert_eq!(harness.store().groups_of(ann.user).await.unwrap(), hers);
    assert!(harness.store().group("none").await.unwrap().is_none());
}

pub(crate) async fn group_can_not_have_a_taken_name<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    harness.person("bob").await;
    harness.group(&ann, "lab").await;
    for taken in ["bob", "lab"] {
        let outcome = harness.store().create_group(ann.user, &name(taken), harness.now).await.unwrap();
        assert_eq!(outcome, GroupCreation::NameTaken, "{taken}");
    }
    assert_eq!(harness.store().user("ann").await.unwrap().unwrap().group_count, 2);
}

pub(crate) async fn concurrent_creations_respect_the_group_quota<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let store = harness.store();
    let names: Vec<_> = (0..24).map(|number| name(&format!("lab{number}"))).collect();
    let outcomes = join_all(names.iter().map(|name| store.create_group(ann.user, name, harness.now))).await;
    let created = outcomes.iter().filter(|outcome| matches!(outcome, Ok(GroupCreation::Created(_)))).count();
    let refused =
        outcomes.iter().filter(|outcome| matches!(outcome, Ok(GroupCreation::QuotaReached))).count();
    let room = usize::try_from(limits::DEFAULT_GROUP_QUOTA).unwrap() - 1;
    assert_eq!((created, refused), (room, names.len() - room), "{outcomes:?}");
    assert_eq!(store.groups_of(ann.user).await.unwrap().len(), room + 1);
    assert_eq!(store.user("ann").await.unwrap().unwrap().group_count, limits::DEFAULT_GROUP_QUOTA);
}

pub(crate) async fn membership_of_a_user_is_resolved_by_group_name<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let lab = harness.group(&ann, "lab").await;
    let membership = async |group: &str| harness.store().membership(bob.user, group).await.unwrap();
    assert_eq!(membership("lab").await, Membership::Outsider(lab));
    assert_eq!(membership("none").await, Membership::NoSuchGroup);
    assert_eq!(set(harness, lab, &[("bob", Role::Write)]).await, MembersChange::Done(vec![]));
    assert_eq!(membership("lab").await, Membership::Member(lab, Role::Write));
}

pub(crate) async fn members_are_added_changed_and_removed_together<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let bob = harness.person("bob").await;
    harness.person("cat").await;
    let lab = harness.group(&ann, "lab").await;
    set(harness, lab, &[("bob", Role::Read), ("cat", Role::Write)]).await;
    set(harness, lab, &[("bob", Role::Admin)]).await;
    let all = roles(&[("ann", Role::Admin), ("bob", Role::Admin), ("cat", Role::Write)]);
    assert_eq!(harness.store().members(lab).await.unwrap(), all);
    assert_eq!(harness.store().groups_of(bob.user).await.unwrap()["lab"], Role::Admin);

    assert_eq!(remove(harness, lab, &["ann", "cat"]).await, MembersChange::Done(vec![]));
    assert_eq!(remove(harness, lab, &["ann", "cat"]).await, MembersChange::Done(vec![]), "once more");
    assert_eq!(harness.store().members(lab).await.unwrap(), roles(&[("bob", Role::Admin)]));
}

pub(crate) async fn change_with_an_unknown_user_is_refused<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    harness.person("bob").await;
    let lab = harness.group(&ann, "lab").await;
    let stranger = MembersChange::UnknownUser("eve".to_owned());
    assert_eq!(set(harness, lab, &[("bob", Role::Read), ("eve", Role::Read)]).await, stranger);
    assert_eq!(harness.store().members(lab).await.unwrap(), roles(&[("ann", Role::Admin)]));
    set(harness, lab, &[("bob", Role::Read)]).await;
    assert_eq!(remove(harness, lab, &["bob", "eve"]).await, stranger);
    assert_eq!(harness.store().members(lab).await.unwrap().len(), 2);
}

pub(crate) async fn last_admin_stays<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    harness.person("bob").await;
    let lab = harness.group(&ann, "lab").await;
    set(harness, lab, &[("bob", Role::Write)]).await;
    assert_eq!(set(harness, lab, &[("ann", Role::Write)]).await, MembersChange::LastAdmin);
    assert_eq!(remove(harness, lab, &["bob", "ann"]).await, MembersChange::LastAdmin);
    let before = roles(&[("ann", Role::Admin), ("bob", Role::Write)]);
    assert_eq!(harness.store().members(lab).await.unwrap(), before);
    let handed_over = set(harness, lab, &[("ann", Role::Read), ("bob", Role::Admin)]).await;
    assert_eq!(handed_over, MembersChange::Done(vec![]));
}

pub(crate) async fn concurrent_admins_can_not_both_leave<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    harness.person("bob").await;
    for round in 0..6 {
        let lab = harness.group(&ann, &format!("lab{round}")).await;
        set(harness, lab, &[("bob", Role::Admin)]).await;
        let outcomes = join_all([remove(harness, lab, &["ann"]), remove(harness, lab, &["bob"])]).await;
        assert!(outcomes.contains(&MembersChange::Done(vec![])), "{outcomes:?}");
        assert!(outcomes.contains(&MembersChange::LastAdmin), "{outcomes:?}");
        assert_eq!(harness.store().members(lab).await.unwrap().len(), 1);
    }
}

pub(crate) async fn storage_quota_is_set_by_name<B: Backend>(harness: &mut Harness<B>) {
    harness.person("ann").await;
    let store = harness.store();
    for (change, in_force) in [
        (QuotaChange::Set(1_000), 1_000),
        (QuotaChange::Add(24), 1_024),
        (QuotaChange::Subtract(9_999), 0),
        (QuotaChange::Add(i64::MAX), i64::MAX),
        (QuotaChange::Add(1), i64::MAX),
    ] {
        let answer = store.change_storage_quota(Actor::System, "ann", change, harness.now).await.unwrap();
        assert_eq!(answer, Administered::Done(in_force), "{change:?}");
        assert_eq!(store.group("ann").await.unwrap().unwrap().storage_quota, in_force);
    }
    assert_eq!(
        store.change_storage_quota(Actor::System, "none", QuotaChange::Set(1), harness.now).await.unwrap(),
        Administered::Unknown
    );
}

pub(crate) async fn deleted_group_has_no_members_and_no_waiting_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let lab = harness.group(&ann, "lab").await;
    let mut new = harness.new_worker(&ann);
    new.groups.insert(lab, Role::Write);
    let worker = harness.register(&new).await;
    let tasks = [harness.task(lab), harness.task(lab)];
    harness.submit(&ann, &tasks).await;
    let held = harness.claim_one(worker).await;

    let store = harness.store();
    assert_eq!(
        store.delete_group(Actor::System, ann.group, harness.now).await.answer(),
        GroupDeletion::Personal
    );
    let deletion = store.delete_group(Actor::System, lab, harness.now).await.answer();
    assert_eq!(deletion, GroupDeletion::Deleted(vec![tasks[1].uuid]));
    assert_eq!(store.membership(ann.user, "lab").await.unwrap(), Membership::Outsider(lab));
    assert!(!store.worker_groups(worker.id).await.unwrap().contains_key("lab"));
    assert_eq!(store.group("lab").await.unwrap().unwrap().state, AccountState::Deleted);
    assert_eq!(
        store.create_group(ann.user, &name("lab"), harness.now).await.unwrap(),
        GroupCreation::NameTaken
    );
    harness.finish(&held).await;

    let without_admin = BTreeMap::from([("ann".to_owned(), Role::Write)]);
    let change = store.restore_group(Actor::System, lab, &without_admin, harness.now).await.answer();
    assert_eq!(change, MembersChange::LastAdmin);
    assert_eq!(store.group("lab").await.unwrap().unwrap().state, AccountState::Deleted);
    let with_admin = BTreeMap::from([("ann".to_owned(), Role::Admin)]);
    assert_eq!(
        store.restore_group(Actor::System, lab, &with_admin, harness.now).await.answer(),
        MembersChange::Done(vec![])
    );
    assert_eq!(store.membership(ann.user, "lab").await.unwrap(), Membership::Member(lab, Role::Admin));
    assert_eq!(store.group("lab").await.unwrap().unwrap().state, AccountState::Active);
}

pub(crate) async fn interrupted_deletion_continues<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let lab = harness.group(&ann, "lab").await;
    let batch: Vec<_> = (0..=CANCEL_BATCH).map(|_| harness.task(lab)).collect();
    harness.submit(&ann, &batch).await;
    let others = harness.submit_one(&ann).await;
    assert!(harness.store().unfinished_deletions(10).await.unwrap().is_empty());
    harness.store().delete_group(Actor::System, lab, harness.now).await.answer();
    harness.restart().await;
    let store = harness.store();
    assert_eq!(store.unfinished_deletions(10).await.unwrap(), [lab]);
    assert!(store.continue_deletion(ann.group, harness.now).await.answer().is_empty(), "it is not deleted");
    assert!(store.task(others).await.unwrap().unwrap().phase.state() == TaskState::Ready);
    for left in [1, 0, 0] {
        assert_eq!(store.continue_deletion(lab, harness.now).await.answer().len(), left);
    }
    assert!(store.unfinished_deletions(10).await.unwrap().is_empty());
}

pub(crate) async fn restored_group_keeps_its_waiting_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let lab = harness.group(&ann, "lab").await;
    let store = harness.store();
    store.delete_group(Actor::System, lab, harness.now).await.answer();
    store.restore_group(Actor::System, lab, &roles(&[("ann", Role::Admin)]), harness.now).await.answer();
    let task = harness.task(lab);
    harness.submit(&ann, std::slice::from_ref(&task)).await;
    assert!(store.unfinished_deletions(10).await.unwrap().is_empty());
    assert!(store.continue_deletion(lab, harness.now).await.answer().is_empty());
}

pub(crate) async fn groups_of_a_user_are_listed_by_id_and_name<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = harness.group(&ann, "lab").await;
    let store = harness.store();
    let ids = |user| {
        let store = store.clone();
        async move {
            let mut ids = store.group_ids_of(user).await.unwrap();
            ids.sort_unstable();
            ids
        }
    };
    assert_eq!(ids(ann.user).await, [ann.group, lab]);
    assert_eq!(ids(raj.user).await, [raj.group]);
    store
        .set_members(Actor::System, lab, &BTreeMap::from([("raj".to_owned(), Role::Read)]), harness.now)
        .await
        .answer();
    assert_eq!(ids(raj.user).await, [raj.group, lab]);
}
