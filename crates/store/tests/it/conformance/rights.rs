//! Operations check the rights of their actors, and hold them until their end.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use mitosis_domain::account::Membership;
use mitosis_domain::ids::GroupId;
use mitosis_domain::quota::QuotaChange;
use mitosis_domain::task::ExecEnd;
use mitosis_domain::task::Phase;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::task::{RemoteFile, ResourceDownload};
use mitosis_protocol::tokens::TokenScope;
use mitosis_protocol::worker::ShutdownOp;
use mitosis_protocol::{ArtifactKind, ExecState, Role, TaskSpec};
use mitosis_store::ops::accounts::{NewUser, SessionChange, TokenRevocation, UserCreation};
use mitosis_store::ops::artifacts::{Removal, Reservation, UploadRecord};
use mitosis_store::ops::dispatch::{FollowUp, Holder};
use mitosis_store::ops::groups::{GroupDeletion, MembersChange};
use mitosis_store::ops::personal_tokens::NewPersonalToken;
use mitosis_store::ops::sweeps::{Repeat, RepeatMode, Repeated, Repetition};
use mitosis_store::ops::tasks::{
    CancelSelection, IdempotencyKey, NewTask, StopRequested, Submission, TaskChange,
};
use mitosis_store::ops::workers::{
    Credential, NewWorker, Registration, Stop, WorkerChange, WorkerGroupsChange,
};
use mitosis_store::ops::{Actor, Administered};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::Answer as _;
use crate::harness::{Harness, Person, RegisteredWorker, TERMS, tag_set};

fn roles(relations: &[(&str, Role)]) -> BTreeMap<String, Role> {
    relations.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect()
}

/// Ann's group `lab`, with or without raj as a member.
async fn lab<B: Backend>(harness: &Harness<B>, ann: &Person, raj: Option<Role>) -> GroupId {
    let lab = harness.group(ann, "lab").await;
    if let Some(role) = raj {
        let relations = roles(&[("raj", role)]);
        let change =
            harness.store().set_members(Actor::User(ann.user), lab, &relations, harness.now).await.answer();
        assert_eq!(change, MembersChange::Done(vec![]));
    }
    lab
}

fn serves(groups: &BTreeMap<String, Role>, group: &str) -> bool {
    groups.get(group).is_some_and(|role| *role >= Role::Write)
}

/// Raj's worker, which serves the lab.
async fn worker_for<B: Backend>(harness: &Harness<B>, raj: &Person, lab: GroupId) -> RegisteredWorker {
    let mut new = harness.new_worker(raj);
    new.groups.insert(lab, Role::Write);
    match harness.store().register_worker(&new, TERMS, harness.now.into()).await.unwrap() {
        Registration::Registered(id) => RegisteredWorker { id, uuid: new.uuid },
        ended @ Registration::CredentialEnded => panic!("{ended:?}"),
    }
}

pub(crate) async fn adding_a_group_to_a_worker_requires_write_in_it<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, None).await;
    let worker = harness.worker(&raj).await;
    let store = harness.store();
    let by_raj = Actor::User(raj.user);
    let set = async |role| {
        let relations = roles(&[("lab", role), ("raj", Role::Admin)]);
        store.set_worker_groups(by_raj, worker.uuid, &relations, harness.now).await.answer()
    };
    let refused = |membership| WorkerGroupsChange::MayNotServe("lab".to_owned(), membership);
    assert_eq!(set(Role::Read).await, refused(Membership::Outsider(lab)));
    store.set_members(Actor::System, lab, &roles(&[("raj", Role::Read)]), harness.now).await.answer();
    assert_eq!(set(Role::Write).await, refused(Membership::Member(lab, Role::Read)));
    assert_eq!(store.worker_groups(worker.id).await.unwrap().len(), 1);

    store.set_members(Actor::System, lab, &roles(&[("raj", Role::Write)]), harness.now).await.answer();
    assert_eq!(set(Role::Write).await, WorkerGroupsChange::Done);
    // A user who may not add the group may not raise its role either, but may lower it.
    let hers = harness.worker(&ann).await;
    let relations = roles(&[("lab", Role::Write), ("raj", Role::Admin)]);
    store.set_worker_groups(Actor::System, hers.uuid, &relations, harness.now).await.answer();
    let by_raj = |role| {
        let relations = roles(&[("lab", role)]);
        let (store, now) = (store.clone(), harness.now);
        async move { store.set_worker_groups(by_raj, hers.uuid, &relations, now).await.answer() }
    };
    store.remove_members(Actor::System, lab, &["raj".to_owned()], harness.now).await.answer();
    assert_eq!(by_raj(Role::Admin).await, refused(Membership::Outsider(lab)));
    assert_eq!(by_raj(Role::Read).await, WorkerGroupsChange::Done);
}

pub(crate) async fn only_its_controllers_change_a_worker<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    lab(harness, &ann, Some(Role::Admin)).await;
    let worker = harness.worker(&ann).await;
    let (store, actor) = (harness.store(), Actor::User(raj.user));
    let relations = roles(&[("lab", Role::Write)]);
    let set = store.set_worker_groups(actor, worker.uuid, &relations, harness.now).await.answer();
    assert_eq!(set, WorkerGroupsChange::NotInControl);
    let removed =
        store.remove_worker_groups(actor, worker.uuid, &["ann".to_owned()], harness.now).await.answer();
    assert_eq!(removed, WorkerGroupsChange::NotInControl);
    for op in [ShutdownOp::Graceful, ShutdownOp::Force] {
        assert_eq!(store.stop_worker(actor, worker.uuid, op, harness.now).await.answer(), Stop::NotInControl);
    }
    let tags = store.set_worker_tags(actor, worker.uuid, &tag_set("x"), harness.now).await.answer();
    let labels = store.set_worker_labels(actor, worker.uuid, &tag_set("x"), harness.now).await.unwrap();
    assert_eq!((tags, labels), (WorkerChange::Denied, WorkerChange::Denied));
    let worker = store.worker(worker.uuid).await.unwrap().unwrap();
    assert!(worker.tags.is_empty() && worker.labels.is_empty());

    let actor = Actor::User(ann.user);
    let tags = store.set_worker_tags(actor, worker.uuid, &tag_set("x"), harness.now).await.answer();
    assert_eq!(tags, WorkerChange::Done);
    assert_eq!(
        store.stop_worker(actor, worker.uuid, ShutdownOp::Force, harness.now).await.answer(),
        Stop::Removed
    );
}

pub(crate) async fn group_admin_removes_any_worker_with_its_tasks<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, Some(Role::Write)).await;
    let worker = worker_for(harness, &raj, lab).await;
    let ids = harness.submit(&ann, &[harness.task(lab)]).await;
    let own = harness.submit_one(&raj).await;
    assert_eq!(harness.claim(worker, 2).await.len(), 2);
    let store = harness.store();
    let remove = async |actor| {
        store.remove_worker_groups(actor, worker.uuid, &["lab".to_owned()], harness.now).await.answer()
    };
    assert_eq!(remove(Actor::User(ann.user)).await, WorkerGroupsChange::Done);
    assert_eq!(harness.phase(ids[0].uuid).await, Phase::Ready);
    assert!(matches!(harness.phase(own).await, Phase::Running(_)));
    assert!(!serves(&store.worker_groups(worker.id).await.unwrap(), "lab"));

    // The user who controls the worker lets it end its tasks.
    store
        .set_worker_groups(Actor::User(raj.user), worker.uuid, &roles(&[("lab", Role::Write)]), harness.now)
        .await
        .answer();
    harness.claim_one(worker).await;
    assert_eq!(remove(Actor::User(raj.user)).await, WorkerGroupsChange::Done);
    assert!(matches!(harness.phase(ids[0].uuid).await, Phase::Running(_)));
}

pub(crate) async fn leaving_member_removes_own_workers<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, Some(Role::Write)).await;
    let worker = worker_for(harness, &raj, lab).await;
    // A worker of another user, to which raj has added the group.
    let lent = harness.worker(&harness.person("eve").await).await;
    let store = harness.store();
    store
        .set_worker_groups(Actor::System, lent.uuid, &roles(&[("raj", Role::Admin)]), harness.now)
        .await
        .answer();
    let relations = roles(&[("lab", Role::Write)]);
    store.set_worker_groups(Actor::User(raj.user), lent.uuid, &relations, harness.now).await.answer();
    let ids = harness.submit(&ann, &[harness.task(lab), harness.task(lab)]).await;
    let own = harness.submit_one(&raj).await;
    harness.claim_one(lent).await;
    assert_eq!(harness.claim(worker, 2).await.len(), 2);

    let names = ["raj".to_owned()];
    let change = store.remove_members(Actor::User(ann.user), lab, &names, harness.now).await.answer();
    let MembersChange::Done(mut workers) = change else { panic!("{change:?}") };
    workers.sort_unstable();
    let mut expected = vec![worker.uuid, lent.uuid];
    expected.sort_unstable();
    assert_eq!(workers, expected);
    for id in ids {
        assert_eq!(harness.phase(id.uuid).await, Phase::Ready);
    }
    assert_eq!(harness.losses_in_line().await, 0, "they were taken back in order");
    assert!(matches!(harness.phase(own).await, Phase::Running(_)), "it is raj's own");
    for worker in [worker, lent] {
        assert!(!store.worker_groups(worker.id).await.unwrap().contains_key("lab"));
    }
    assert!(harness.claim(worker, 2).await.is_empty());
}

/// Who controls a worker may remove a group and let its tasks continue; a leaving member may not.
pub(crate) async fn leaving_member_holds_no_task_on_removed_workers<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, Some(Role::Write)).await;
    let worker = worker_for(harness, &raj, lab).await;
    let held = harness.submit(&ann, &[harness.task(lab)]).await[0].uuid;
    harness.claim_one(worker).await;
    let (store, names, groups) = (harness.store(), ["raj".to_owned()], ["lab".to_owned()]);
    let off = store.remove_worker_groups(Actor::User(raj.user), worker.uuid, &groups, harness.now);
    assert_eq!(off.await.answer(), WorkerGroupsChange::Done);
    assert!(matches!(harness.phase(held).await, Phase::Running(_)));
    let change = store.remove_members(Actor::User(ann.user), lab, &names, harness.now).await.answer();
    assert_eq!(change, MembersChange::Done(vec![worker.uuid]));
    assert_eq!(harness.phase(held).await, Phase::Ready);
}

pub(crate) async fn member_reduced_to_read_serves_no_more<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, Some(Role::Admin)).await;
    let worker = worker_for(harness, &raj, lab).await;
    let store = harness.store();
    let set = async |role| {
        store.set_members(Actor::User(ann.user), lab, &roles(&[("raj", role)]), harness.now).await.answer()
    };
    assert_eq!(set(Role::Write).await, MembersChange::Done(vec![]));
    assert!(serves(&store.worker_groups(worker.id).await.unwrap(), "lab"));
    assert_eq!(set(Role::Read).await, MembersChange::Done(vec![worker.uuid]));
    assert!(!serves(&store.worker_groups(worker.id).await.unwrap(), "lab"));
}

pub(crate) async fn only_admins_change_members<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, Some(Role::Write)).await;
    let (store, actor) = (harness.store(), Actor::User(raj.user));
    let set = store.set_members(actor, lab, &roles(&[("raj", Role::Admin)]), harness.now).await.answer();
    assert_eq!(set, MembersChange::Denied);
    let removed = store.remove_members(actor, lab, &["raj".to_owned()], harness.now).await.answer();
    assert_eq!(removed, MembersChange::Denied);
    assert_eq!(store.delete_group(actor, lab, harness.now).await.answer(), GroupDeletion::Denied);
    let members = store.members(lab).await.unwrap();
    assert_eq!(members, roles(&[("ann", Role::Admin), ("raj", Role::Write)]));
    assert_eq!(store.group("lab").await.unwrap().unwrap().state, AccountState::Active);
}

pub(crate) async fn reader_and_outsider_change_no_task<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, Some(Role::Read)).await;
    let worker = worker_for(harness, &ann, lab).await;
    let held = harness.submit(&ann, &[harness.task(lab)]).await[0].uuid;
    harness.claim_one(worker).await;
    let waits = harness.submit(&ann, &[harness.task(lab)]).await[0].uuid;
    let (eve, store) = (harness.person("eve").await, harness.store());
    for actor in [Actor::User(raj.user), Actor::User(eve.user)] {
        let change = TaskChange { priority: Some(5), ..TaskChange::default() };
        assert!(!store.change_task(actor, waits, &change, harness.now).await.answer());
        assert!(!store.set_task_labels(actor, waits, &tag_set("x"), harness.now).await.unwrap());
        let all = mitosis_store::ops::query::TaskQuery::all_of(lab);
        for selection in [
            CancelSelection::Ready(vec![waits]),
            CancelSelection::Waiting(vec![waits]),
            CancelSelection::Matching(all),
        ] {
            assert!(store.cancel(actor, &selection, harness.now).await.answer().is_empty());
        }
        assert_eq!(harness.request_stop(actor, held).await, StopRequested::NotRunning);
    }
    let actor = Actor::User(ann.user);
    assert_eq!(harness.request_stop(actor, held).await, StopRequested::LegacyWorker);
    assert!(store.set_task_labels(actor, waits, &tag_set("x"), harness.now).await.unwrap());
    let cancelled = store.cancel(actor, &CancelSelection::Ready(vec![waits]), harness.now).await.answer();
    assert_eq!(cancelled, [waits]);
}

pub(crate) async fn reader_and_outsider_change_no_file<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, Some(Role::Read)).await;
    let task = harness.submit(&ann, &[harness.task(lab)]).await[0].uuid;
    let (eve, store, kind) = (harness.person("eve").await, harness.store(), ArtifactKind::Result);
    let reserve = async |actor, size| {
        let attachment = store.reserve_attachment(actor, lab, "x", size, None, harness.now).await.unwrap();
        (attachment, store.reserve_artifact(actor, task, kind, size, None, harness.now).await.unwrap())
    };
    let remove = async |actor| {
        let attachment = store.remove_attachment(actor, lab, "x", harness.now).await.unwrap();
        (attachment, store.remove_artifact(actor, task, kind, harness.now).await.unwrap())
    };
    let (denied, not_removed) = (Reservation::Denied, Removal::Denied);
    let others = [Actor::User(raj.user), Actor::User(eve.user)];
    for actor in others {
        assert_eq!(reserve(actor, 5).await, (denied.clone(), denied.clone()));
        assert_eq!(remove(actor).await, (not_removed.clone(), not_removed.clone()));
    }
    assert_eq!(harness.used("lab").await, 0);
    let (attachment, artifact) = reserve(Actor::User(ann.user), 5).await;
    assert!(matches!(attachment, Reservation::Reserved { record: UploadRecord::New, .. }), "{attachment:?}");
    assert!(matches!(artifact, Reservation::Reserved { record: UploadRecord::New, .. }), "{artifact:?}");
    for actor in others {
        assert_eq!(reserve(actor, 6).await, (denied.clone(), denied.clone()));
        assert_eq!(remove(actor).await, (not_removed.clone(), not_removed.clone()));
    }
    assert_eq!(harness.used("lab").await, 10);
    store.set_members(Actor::System, lab, &roles(&[("raj", Role::Write)]), harness.now).await.answer();
    let (attachment, artifact) = remove(others[0]).await;
    assert!(matches!(attachment, Removal::Removed { .. }), "{attachment:?}");
    assert!(matches!(artifact, Removal::Removed { .. }), "{artifact:?}");
}

pub(crate) async fn locked_account_has_no_rights<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    // A worker of another owner does not end with the account.
    let raj = harness.person("raj").await;
    let groups = [(raj.group, Role::Admin), (ann.group, Role::Admin)].into();
    let worker = harness.register(&NewWorker { groups, ..harness.new_worker(&raj) }).await;
    let task = harness.submit_one(&ann).await;
    let (store, actor) = (harness.store(), Actor::User(ann.user));
    for state in [AccountState::Locked, AccountState::Deleted] {
        assert_eq!(
            store.set_account_state(Actor::System, "ann", state, harness.now).await.answer(),
            Administered::Done(vec![])
        );
        let reservation =
            store.reserve_attachment(actor, ann.group, "x", 5, None, harness.now).await.unwrap();
        assert_eq!(reservation, Reservation::Denied);
        assert!(!store.set_task_labels(actor, task, &tag_set("x"), harness.now).await.unwrap());
        let tags = store.set_worker_tags(actor, worker.uuid, &tag_set("x"), harness.now).await.answer();
        assert_eq!(tags, WorkerChange::Denied);
        let new = [harness.task(ann.group)];
        assert_eq!(store.submit(ann.user, &new, None, harness.now).await.answer(), Submission::Denied);
    }
    assert_eq!(
        store.set_account_state(Actor::System, "ann", AccountState::Active, harness.now).await.answer(),
        Administered::Done(vec![])
    );
    assert!(store.set_task_labels(actor, task, &tag_set("x"), harness.now).await.unwrap());
}

pub(crate) async fn upload_is_refused_after_the_end_of_a_membership<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, None).await;
    let task = harness.submit(&ann, &[harness.task(lab)]).await[0].uuid;
    let (store, actor, names) = (harness.store(), Actor::User(raj.user), ["raj".to_owned()]);
    let mut announced = 0;
    for round in 1..=20 {
        store.set_members(Actor::System, lab, &roles(&[("raj", Role::Write)]), harness.now).await.answer();
        let (left, artifact, attachment) = tokio::join!(
            store.remove_members(Actor::System, lab, &names, harness.now),
            store.reserve_artifact(actor, task, ArtifactKind::Result, round, None, harness.now),
            store.reserve_attachment(actor, lab, "x", round, None, harness.now),
        );
        assert!(matches!(left.answer(), MembersChange::Done(_)));
        for reservation in [artifact.unwrap(), attachment.unwrap()] {
            match reservation {
                Reservation::Reserved { .. } => announced += 1,
                denied => assert_eq!(denied, Reservation::Denied, "round {round}"),
            }
        }
        let late = store.reserve_attachment(actor, lab, "x", round + 100, None, harness.now).await.unwrap();
        assert_eq!(late, Reservation::Denied, "round {round}, {announced} announced");
    }
    assert!(harness.used("lab").await <= 40);
}

/// A task that watches another one and fetches its result.
fn naming<B: Backend>(harness: &Harness<B>, group: GroupId, other: Uuid) -> [NewTask; 2] {
    let plain = harness.task(group);
    let watch = TaskSpec { watch: Some((other, ExecState::TaskCommitted)), ..plain.spec.clone() };
    let remote_file = RemoteFile::Artifact { uuid: other, content_type: ArtifactKind::Result };
    let resource = ResourceDownload { remote_file, local_path: "x".into() };
    let fetch = TaskSpec { resources: vec![resource], ..plain.spec.clone() };
    [NewTask { spec: watch, ..plain }, NewTask { spec: fetch, ..harness.task(group) }]
}

pub(crate) async fn task_refers_only_to_tasks_visible_to_its_creator<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let hers = harness.submit_one(&ann).await;
    let his = harness.submit_one(&raj).await;
    let store = harness.store();
    let key = IdempotencyKey { key: "k".to_owned(), digest: [1; 32], refused: vec![] };
    for task in naming(harness, raj.group, hers) {
        let both = [harness.task(raj.group), task.clone()];
        let outcome = store.submit(raj.user, &both, Some(&key), harness.now).await.answer();
        assert_eq!(outcome, Submission::Denied);
        let change = TaskChange { spec: Some(task.spec), ..TaskChange::default() };
        assert!(!store.change_task(Actor::User(raj.user), his, &change, harness.now).await.answer());
    }
    assert_eq!(harness.scalar("SELECT count(*) FROM task").await, 2, "nothing was submitted");
    let seen = store.tasks_seen_by(raj.user, &[hers, his, harness.uuid()]).await.unwrap();
    assert_eq!((seen.len(), seen[&hers], seen[&his]), (2, false, true));

    store.set_members(Actor::System, ann.group, &roles(&[("raj", Role::Read)]), harness.now).await.answer();
    for task in naming(harness, raj.group, hers) {
        let outcome = store.submit(raj.user, &[task], None, harness.now).await.answer();
        assert!(matches!(outcome, Submission::Accepted(_)), "{outcome:?}");
    }
    let outcome = store.submit(raj.user, &[harness.task(raj.group)], Some(&key), harness.now).await.answer();
    assert!(matches!(outcome, Submission::Accepted(_)), "the key of a denied submission is free");
}

pub(crate) async fn change_refers_only_to_tasks_visible_to_both<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, Some(Role::Write)).await;
    let (hers, his) = (harness.submit_one(&ann).await, harness.submit_one(&raj).await);
    let shared = harness.submit(&ann, &[harness.task(lab)]).await[0].uuid;
    let store = harness.store();
    for (other, allowed) in [(hers, false), (his, false), (shared, true)] {
        for task in naming(harness, lab, other) {
            let change = TaskChange { spec: Some(task.spec), ..TaskChange::default() };
            let changed =
                store.change_task(Actor::User(raj.user), shared, &change, harness.now).await.answer();
            assert_eq!(changed, allowed, "{other}");
        }
    }
}

pub(crate) async fn follow_up_refers_to_its_group_or_as_its_upstream<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, Some(Role::Write)).await;
    let (private, named) = (harness.submit_one(&ann).await, harness.submit_one(&ann).await);
    let foreign = harness.submit_one(&raj).await;
    let [upstream, _] = naming(harness, lab, named);
    let upstream = harness.submit(&ann, &[upstream]).await[0].uuid;
    let worker = worker_for(harness, &raj, lab).await;
    let held = loop {
        let held = harness.claim_one(worker).await;
        if held.task.uuid == upstream {
            break held;
        }
    };
    let holder = Holder::Lease(held.lease);
    harness.report(holder, ExecEnd::Finished).await;
    let store = harness.store();
    for (other, allowed) in [(private, false), (foreign, false), (upstream, true), (named, true)] {
        for task in naming(harness, lab, other) {
            let outcome = store.submit_follow_up(holder, &task, harness.now).await.answer();
            match allowed {
                true => assert!(matches!(outcome, FollowUp::Created(_)), "{other}: {outcome:?}"),
                false => assert_eq!(outcome, FollowUp::ForbiddenReference, "{other}"),
            }
        }
    }
    let creator_gone = roles(&[("raj", Role::Admin), ("ann", Role::Read)]);
    store.set_members(Actor::System, lab, &creator_gone, harness.now).await.answer();
    let outcome = store.submit_follow_up(holder, &harness.task(lab), harness.now).await.answer();
    assert_eq!(outcome, FollowUp::CreatorDenied);
}

pub(crate) async fn follow_up_refers_only_to_tasks_still_visible<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let store = harness.store();
    store.set_members(Actor::System, raj.group, &roles(&[("ann", Role::Read)]), harness.now).await.answer();
    let his = harness.submit_one(&raj).await;
    let [upstream, _] = naming(harness, ann.group, his);
    harness.submit(&ann, &[upstream]).await;
    let worker = harness.worker(&ann).await;
    let holder = Holder::Lease(harness.claim_one(worker).await.lease);
    harness.report(holder, ExecEnd::Finished).await;
    let [follow_up, _] = naming(harness, ann.group, his);
    let submit = async || store.submit_follow_up(holder, &follow_up, harness.now).await.answer();
    assert!(matches!(submit().await, FollowUp::Created(_)));
    store.remove_members(Actor::System, raj.group, &["ann".to_owned()], harness.now).await.answer();
    assert_eq!(submit().await, FollowUp::ForbiddenReference);
}

pub(crate) async fn repetition_skips_tasks_of_foreign_groups<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, Some(Role::Write)).await;
    let hers = harness.submit_one(&ann).await;
    let [names_hers, _] = naming(harness, lab, hers);
    let ids = harness.submit(&ann, &[names_hers, harness.task(lab), harness.task(ann.group)]).await;
    let uuids: Vec<Uuid> = ids.iter().map(|ids| ids.uuid).collect();
    let store = harness.store();
    store.cancel(Actor::System, &CancelSelection::Ready(uuids.clone()), harness.now).await.answer();
    let repeats: Vec<Repeat> = uuids.iter().map(|of| Repeat { of: *of, uuid: harness.uuid() }).collect();
    let repeat =
        async |user| match store.repeat(user, &repeats, RepeatMode::Once, None, harness.now).await.answer() {
            Repetition::Accepted(repeated) => {
                repeated.iter().map(|Repeated { of, .. }| *of).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
    assert_eq!(repeat(raj.user).await, [uuids[1]]);
}

pub(crate) async fn deleted_group_gets_no_waiting_tasks<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let count = async |harness: &Harness<B>| harness.store().user("ann").await.unwrap().unwrap().group_count;
    assert_eq!(count(harness).await, 1);
    let lab = lab(harness, &ann, Some(Role::Write)).await;
    assert_eq!(count(harness).await, 2);
    let worker = worker_for(harness, &raj, lab).await;
    let held = harness.submit(&ann, &[harness.task(lab)]).await[0].uuid;
    harness.claim_one(worker).await;
    let store = harness.store();
    for _ in 0..2 {
        let deletion = store.delete_group(Actor::System, lab, harness.now).await.answer();
        assert_eq!(deletion, GroupDeletion::Deleted(vec![]));
        assert_eq!(count(harness).await, 1, "given back once");
    }
    // A membership alone does not restore the group on the worker.
    store.set_members(Actor::System, lab, &roles(&[("ann", Role::Admin)]), harness.now).await.answer();
    let outcome = store.submit(ann.user, &[harness.task(lab)], None, harness.now).await.answer();
    assert_eq!(outcome, Submission::Denied);
    store.stop_worker(Actor::System, worker.uuid, ShutdownOp::Force, harness.now).await.answer();
    assert!(matches!(harness.phase(held).await, Phase::Ended(_)), "it does not go back in line");
    store.restore_group(Actor::System, lab, &roles(&[("ann", Role::Admin)]), harness.now).await.answer();
    assert_eq!(count(harness).await, 2);
}

pub(crate) async fn registration_requires_a_valid_credential<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let store = harness.store();
    let session = store.record_login(ann.user, SessionChange::Replace(7), None, harness.now).await.unwrap();
    let token = NewPersonalToken {
        owner: ann.user,
        name: "t".to_owned(),
        digest: [1; 32],
        scope: TokenScope::Write,
        expires_at: None,
        session: Some(session),
    };
    let token = store.create_personal_token(&token, harness.now).await.unwrap().unwrap();
    let register = async |credential| {
        let new = NewWorker { credential: Some(credential), ..harness.new_worker(&ann) };
        (store.register_worker(&new, TERMS, harness.now.into()).await.unwrap(), new.uuid)
    };
    let (_, with_session) = register(Credential::Session(session)).await;
    let (_, with_token) = register(Credential::PersonalToken(token)).await;
    let ended = Registration::CredentialEnded;
    assert_eq!(register(Credential::Session(8)).await.0, ended);
    assert_eq!(register(Credential::PersonalToken(token + 1)).await.0, ended);
    assert_eq!(store.workers_of(ann.user).await.unwrap(), [with_session, with_token]);

    let revoked = store.revoke_personal_token(ann.user, token, harness.now).await.answer();
    assert_eq!(revoked, Some(vec![with_token]), "a worker ends with the token that registered it");
    assert_eq!(register(Credential::PersonalToken(token)).await.0, ended);
    let reset = store
        .reset_password(Actor::System, ann.user, "hash", 9, TokenRevocation::Keep, harness.now)
        .await
        .answer();
    assert_eq!(reset, Administered::Done(vec![with_session]));
    assert_eq!(register(Credential::Session(session)).await.0, ended);
    assert!(store.workers_of(ann.user).await.unwrap().is_empty());
}

pub(crate) async fn password_reset_ends_workers_and_revokes_tokens<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let held = harness.submit_one(&ann).await;
    harness.claim_one(worker).await;
    let store = harness.store();
    let token = NewPersonalToken {
        owner: ann.user,
        name: "t".to_owned(),
        digest: [1; 32],
        scope: TokenScope::Read,
        expires_at: None,
        session: None,
    };
    store.create_personal_token(&token, harness.now).await.unwrap().unwrap();
    store
        .reset_password(Actor::System, ann.user, "one", 1, TokenRevocation::Keep, harness.now)
        .await
        .answer();
    assert_eq!(store.personal_tokens(ann.user).await.unwrap().len(), 1);
    assert_eq!((harness.phase(held).await, harness.losses_in_line().await), (Phase::Ready, 0));
    store
        .reset_password(Actor::System, ann.user, "two", 2, TokenRevocation::Revoke, harness.now)
        .await
        .answer();
    assert!(store.personal_tokens(ann.user).await.unwrap().is_empty());
    let user = store.user("ann").await.unwrap().unwrap();
    assert_eq!((user.password_hash.as_str(), user.session), ("two", Some(2)));
}

/// An agent whose slots are full only requests messages.
pub(crate) async fn locked_account_loses_its_workers<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let task = harness.submit_one(&ann).await;
    harness.claim_one(worker).await;
    let store = harness.store();
    let set = async |state| store.set_account_state(Actor::System, "ann", state, harness.now).await.answer();
    assert_eq!(set(AccountState::Active).await, Administered::Done(vec![]));
    assert_eq!(store.held_attempts(&[worker.id]).await.unwrap().len(), 1);
    assert_eq!(set(AccountState::Locked).await, Administered::Done(vec![worker.uuid]));
    assert_eq!(harness.phase(task).await, Phase::Ready);
    assert_eq!(store.held_attempts(&[worker.id]).await.unwrap().len(), 0);
    assert_eq!(set(AccountState::Active).await, Administered::Done(vec![]));
    assert_eq!(store.worker(worker.uuid).await.unwrap(), None, "it does not come back");
    let worker = harness.worker(&ann).await;
    assert_eq!(set(AccountState::Deleted).await, Administered::Done(vec![worker.uuid]));
}

pub(crate) async fn claim_is_refused_after_the_end_of_a_membership<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, Some(Role::Write)).await;
    let store = harness.store();
    for round in 0..20 {
        store.set_members(Actor::System, lab, &roles(&[("raj", Role::Write)]), harness.now).await.answer();
        let worker = worker_for(harness, &raj, lab).await;
        let uuid = harness.submit(&ann, &[harness.task(lab)]).await[0].uuid;
        let names = ["raj".to_owned()];
        let leave = store.remove_members(Actor::System, lab, &names, harness.now);
        let mut late = harness.new_worker(&raj);
        late.groups.insert(lab, Role::Write);
        let register = store.register_worker(&late, TERMS, harness.now.into());
        let (left, registered, _) = tokio::join!(leave, register, harness.ask(worker, 1, harness.token()));
        assert!(matches!(left.answer(), MembersChange::Done(_)));
        let Registration::Registered(late) = registered.unwrap() else {
            panic!("no credential was asked for")
        };
        assert_eq!(harness.phase(uuid).await, Phase::Ready, "round {round}");
        for worker in [worker.id, late] {
            assert!(!store.worker_groups(worker).await.unwrap().contains_key("lab"), "round {round}");
        }
        store.cancel(Actor::System, &CancelSelection::Ready(vec![uuid]), harness.now).await.answer();
    }
}

pub(crate) async fn submission_into_a_deleted_group_is_refused<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let store = harness.store();
    for round in 0..6 {
        let group = harness.group(&ann, &format!("lab{round}")).await;
        let tasks: Vec<_> = (0..4).map(|_| [harness.task(group)]).collect();
        let submissions = join_all(tasks.iter().map(|task| store.submit(ann.user, task, None, harness.now)));
        let (deleted, submitted) =
            tokio::join!(store.delete_group(Actor::System, group, harness.now), submissions);
        assert!(matches!(deleted.answer(), GroupDeletion::Deleted(_)));
        for (task, outcome) in tasks.iter().zip(submitted) {
            match outcome.answer() {
                Submission::Accepted(_) => {
                    assert!(matches!(harness.phase(task[0].uuid).await, Phase::Ended(_)), "round {round}");
                }
                Submission::Denied => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// An administrator whose account is locked during a request.
pub(crate) async fn former_administrator_changes_nothing<B: Backend>(harness: &mut Harness<B>) {
    let root = NewUser { admin: true, ..Harness::<B>::new_user("root") };
    let created = harness.store().create_user(Actor::System, &root, harness.now).await.unwrap();
    let UserCreation::Created(root) = created else { panic!("{created:?}") };
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = lab(harness, &ann, None).await;
    let worker = harness.worker(&ann).await;
    let task = harness.submit_one(&ann).await;
    let (store, now) = (harness.store(), harness.now);
    let admins = roles(&[("ann", Role::Admin)]);
    let (quota, kind) = (QuotaChange::Add(1), ArtifactKind::Result);
    let lock = AccountState::Locked;
    store.set_account_state(Actor::System, "root", lock, now).await.answer();
    // Neither of them is an administrator.
    for actor in [Actor::Administrator(root), Actor::Administrator(raj.user), Actor::User(ann.user)] {
        let new = Harness::<B>::new_user("eve");
        assert_eq!(store.create_user(actor, &new, now).await.unwrap(), UserCreation::Denied);
        assert_eq!(store.set_account_state(actor, "ann", lock, now).await.answer(), Administered::Denied);
        let reset =
            store.reset_password(actor, ann.user, "hash", 9, TokenRevocation::Revoke, now).await.answer();
        assert_eq!(reset, Administered::Denied);
        assert_eq!(store.change_group_quota(actor, "ann", quota, now).await.unwrap(), Administered::Denied);
        assert_eq!(store.change_storage_quota(actor, "ann", quota, now).await.unwrap(), Administered::Denied);
        let restored = store.restore_group(actor, lab, &admins, now).await.answer();
        assert_eq!(restored, MembersChange::Denied);
    }
    for actor in [Actor::Administrator(root), Actor::Administrator(raj.user)] {
        let stop = store.stop_worker(actor, worker.uuid, ShutdownOp::Force, now).await.answer();
        assert_eq!(stop, Stop::NotInControl);
        assert_eq!(store.remove_artifact(actor, task, kind, now).await.unwrap(), Removal::Denied);
        assert_eq!(store.remove_attachment(actor, ann.group, "x", now).await.unwrap(), Removal::Denied);
    }
    store.set_account_state(Actor::System, "root", AccountState::Active, now).await.answer();
    let actor = Actor::Administrator(root);
    assert_eq!(store.remove_artifact(actor, task, kind, now).await.unwrap(), Removal::Unknown);
    assert_eq!(store.remove_attachment(actor, ann.group, "x", now).await.unwrap(), Removal::Unknown);
    assert_eq!(store.restore_group(actor, lab, &admins, now).await.answer(), MembersChange::Done(vec![]));
    let stop = store.stop_worker(actor, worker.uuid, ShutdownOp::Force, now).await.answer();
    assert_eq!(stop, Stop::Removed);
    assert_eq!(store.set_account_state(actor, "ann", lock, now).await.answer(), Administered::Done(vec![]));
}
