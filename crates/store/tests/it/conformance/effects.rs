//! What the commit of an operation means to those who wait.

use std::collections::BTreeMap;

use mitosis_domain::task::ExecEnd;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::tokens::TokenScope;
use mitosis_protocol::worker::ShutdownOp;
use mitosis_protocol::{ArtifactKind, Role};
use mitosis_store::StoreError;
use mitosis_store::ops::accounts::TokenRevocation;
use mitosis_store::ops::dispatch::{Completion, Ended, Exchange, Holder};
use mitosis_store::ops::personal_tokens::NewPersonalToken;
use mitosis_store::ops::tasks::{CancelSelection, TaskChange};
use mitosis_store::ops::workers::{Credential, Fate, NewWorker};
use mitosis_store::ops::{Actor, Changed, Effects};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::{Harness, LEASE, Person, RegisteredWorker, status};

fn effects<T>(changed: Result<Changed<T>, StoreError>) -> Effects {
    changed.unwrap().into_parts().1
}

fn ready() -> Effects {
    Effects { ready: true, ..Effects::default() }
}

fn moved() -> Effects {
    Effects { moved: true, ..Effects::default() }
}

fn ended(tasks: &[Uuid]) -> Effects {
    Effects { ended: tasks.to_vec(), ..moved() }
}

/// A task that is Ready again.
fn returned(task: Uuid) -> Effects {
    Effects { ready: true, ..ended(&[task]) }
}

/// A task of a person that a worker holds.
async fn held<B: Backend>(harness: &Harness<B>, ann: &Person, worker: RegisteredWorker) -> (Uuid, Holder) {
    let uuid = harness.submit_one(ann).await;
    let held = harness.claim_one(worker).await;
    assert_eq!(held.task.uuid, uuid);
    (uuid, Holder::Lease(held.lease))
}

pub(crate) async fn submitted_and_changed_tasks_are_ready<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let (store, now, tasks) = (harness.store(), harness.now, [harness.task(ann.group)]);
    assert_eq!(effects(store.submit(raj.user, &tasks, None, now).await), Effects::default(), "it is denied");
    assert_eq!(effects(store.submit(ann.user, &tasks, None, now).await), ready());
    let change = TaskChange { priority: Some(5), ..TaskChange::default() };
    assert_eq!(effects(store.change_task(Actor::System, tasks[0].uuid, &change, now).await), ready());
    assert_eq!(
        effects(store.change_task(Actor::System, harness.uuid(), &change, now).await),
        Effects::default()
    );
}

pub(crate) async fn claimed_task_has_moved_and_one_that_is_held_has_not<B: Backend>(
    harness: &mut Harness<B>,
) {
    let ann = harness.person("ann").await;
    let (worker, store) = (harness.worker(&ann).await, harness.store());
    let claim = async || effects(store.claim_or_resume(worker.id, harness.token(), harness.now.into()).await);
    assert_eq!(claim().await, Effects::default(), "there is none");
    harness.submit_one(&ann).await;
    assert_eq!(claim().await, moved());
    assert_eq!(claim().await, Effects::default(), "it has it already");
}

pub(crate) async fn report_of_an_attempt_moves_its_task<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (_, holder) = held(harness, &ann, worker).await;
    let (store, now, next) = (harness.store(), harness.now, harness.task(ann.group));
    assert_eq!(effects(store.report_end(holder, ExecEnd::Finished, now).await), moved());
    assert_eq!(effects(store.submit_follow_up(holder, &next, now).await), moved());
    let announced = store.reserve_attempt_artifact(holder, ArtifactKind::Result, 1, now).await;
    assert_eq!(effects(announced), moved());
}

pub(crate) async fn committed_task_has_ended_and_its_follow_up_is_ready<B: Backend>(
    harness: &mut Harness<B>,
) {
    let ann = harness.person("ann").await;
    let (worker, store, now) = (harness.worker(&ann).await, harness.store(), harness.now);
    let (uuid, holder) = held(harness, &ann, worker).await;
    harness.report(holder, ExecEnd::Finished).await;
    let completion = [Completion { holder, end: None, result: status(0) }];
    assert_eq!(effects(store.complete(&completion, now).await), ended(&[uuid]));
    assert_eq!(effects(store.complete(&completion, now).await), Effects::default(), "it is a repetition");

    let (uuid, holder) = held(harness, &ann, worker).await;
    harness.report(holder, ExecEnd::Finished).await;
    assert_eq!(effects(store.submit_follow_up(holder, &harness.task(ann.group), now).await), moved());
    let completion = [Completion { holder, end: None, result: status(0) }];
    assert_eq!(effects(store.complete(&completion, now).await), returned(uuid), "the follow-up is Ready");
}

pub(crate) async fn exchange_names_the_tasks_that_ended<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (worker, store) = (harness.worker(&ann).await, harness.store());
    let exchange = async |one: Exchange| effects(store.exchange(&[one.into()], harness.now.into()).await);
    let nothing = || harness.nothing(worker);
    assert_eq!(exchange(Exchange { want: 1, ..nothing() }).await, Effects::default());
    harness.submit_one(&ann).await;
    assert_eq!(exchange(Exchange { want: 1, ..nothing() }).await, moved(), "one was given");
    let (first, holder) = held(harness, &ann, worker).await;
    let Holder::Lease(lease) = holder else { unreachable!("it is an attempt") };
    let end = Ended {
        lease,
        end: ExecEnd::Finished,
        result: status(0),
        data: None,
        warnings: vec![],
        archives: vec![],
        usage: None,
    };
    assert_eq!(exchange(Exchange { ended: vec![end.clone()], ..nothing() }).await, ended(&[first]));
    assert_eq!(exchange(Exchange { ended: vec![end], ..nothing() }).await, Effects::default());
    let (second, holder) = held(harness, &ann, worker).await;
    let Holder::Lease(lease) = holder else { unreachable!("it is an attempt") };
    assert_eq!(exchange(Exchange { returned: vec![lease], ..nothing() }).await, returned(second));
}

pub(crate) async fn cancelled_tasks_have_ended<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (store, now, uuid) = (harness.store(), harness.now, harness.submit_one(&ann).await);
    let selection = CancelSelection::Waiting(vec![uuid]);
    assert_eq!(effects(store.cancel(Actor::System, &selection, now).await), ended(&[uuid]));
    assert_eq!(effects(store.cancel(Actor::System, &selection, now).await), Effects::default());
}

pub(crate) async fn worker_is_woken_to_stop_a_task<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let agent = harness.register(&NewWorker { slots: Some(1), ..harness.new_worker(&ann) }).await;
    let (uuid, _) = held(harness, &ann, agent).await;
    let (store, now) = (harness.store(), harness.now);
    let woken = Effects { workers: vec![agent.uuid], ..Effects::default() };
    assert_eq!(effects(store.request_stops(Actor::System, &[uuid], now).await), woken);
    assert_eq!(effects(store.request_stops(Actor::System, &[harness.uuid()], now).await), Effects::default());
    // The wish ends the task with the attempt: it is not Ready again.
    let taken = effects(store.stop_worker(Actor::System, agent.uuid, ShutdownOp::Force, now).await);
    assert_eq!(
        taken,
        Effects { workers: vec![agent.uuid], ..returned(uuid) },
        "requests for tasks are answered"
    );
}

/// An Admin of a group takes the worker of another user off it: followers of the tasks that it gives back have to know,
/// and so has the worker.
pub(crate) async fn worker_taken_off_a_group_names_what_it_gives_back<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = harness.group(&ann, "lab").await;
    let mut new = harness.new_worker(&raj);
    new.groups.insert(lab, Role::Write);
    let worker = harness.register(&new).await;
    let uuid = harness.submit(&ann, &[harness.task(lab)]).await[0].uuid;
    harness.claim_one(worker).await;
    let (store, now, groups) = (harness.store(), harness.now, ["lab".to_owned()]);
    let denied = store.remove_worker_groups(Actor::User(raj.user), harness.uuid(), &groups, now).await;
    assert_eq!(effects(denied), Effects::default());
    let taken = store.remove_worker_groups(Actor::User(ann.user), worker.uuid, &groups, now).await;
    assert_eq!(effects(taken), Effects { workers: vec![worker.uuid], ..returned(uuid) });
    let given = BTreeMap::from([("lab".to_owned(), Role::Read)]);
    assert_eq!(effects(store.set_worker_groups(Actor::System, worker.uuid, &given, now).await), ready());
}

pub(crate) async fn removed_worker_names_what_it_gives_back<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (store, now, worker) = (harness.store(), harness.now, harness.worker(&ann).await);
    let (uuid, _) = held(harness, &ann, worker).await;
    let actor = Actor::User(ann.user);
    let marked = Effects { workers: vec![worker.uuid], ..ready() };
    assert_eq!(effects(store.stop_worker(actor, worker.uuid, ShutdownOp::Graceful, now).await), marked);
    let removed = Effects { workers: vec![worker.uuid], ..returned(uuid) };
    assert_eq!(effects(store.stop_worker(actor, worker.uuid, ShutdownOp::Force, now).await), removed);
    assert_eq!(
        effects(store.stop_worker(actor, worker.uuid, ShutdownOp::Force, now).await),
        Effects::default()
    );

    let worker = harness.worker(&ann).await;
    harness.claim_one(worker).await;
    assert_eq!(effects(store.sign_off(worker.uuid, Fate::Returned, now).await), returned(uuid));
}

pub(crate) async fn lost_worker_names_what_it_gives_back<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let worker = harness.worker(&ann).await;
    let (uuid, _) = held(harness, &ann, worker).await;
    assert_eq!(effects(harness.store().reap(harness.now.into(), 10).await), Effects::default());
    harness.pass(LEASE);
    assert_eq!(effects(harness.store().reap(harness.now.into(), 10).await), returned(uuid));
}

pub(crate) async fn worker_of_a_closed_account_or_token_is_woken<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let (store, now) = (harness.store(), harness.now);
    let token = NewPersonalToken {
        owner: ann.user,
        name: "token".to_owned(),
        digest: [1; 32],
        scope: TokenScope::Write,
        expires_at: None,
        session: None,
    };
    let id = store.create_personal_token(&token, now).await.unwrap().unwrap();
    let credential = Some(Credential::PersonalToken(id));
    let worker = harness.register(&NewWorker { credential, ..harness.new_worker(&ann) }).await;
    let woken = |worker: RegisteredWorker| Effects { workers: vec![worker.uuid], ..ready() };
    assert_eq!(effects(store.revoke_personal_token(ann.user, id, now).await), woken(worker));
    assert_eq!(effects(store.revoke_personal_token(ann.user, id, now).await), Effects::default());

    let worker = harness.worker(&ann).await;
    assert_eq!(
        effects(store.reset_password(Actor::System, ann.user, "hash", 7, TokenRevocation::Keep, now).await),
        woken(worker)
    );
    let worker = harness.worker(&ann).await;
    let locked = store.set_account_state(Actor::System, "ann", AccountState::Locked, now).await;
    assert_eq!(effects(locked), woken(worker));
    let unknown = store.set_account_state(Actor::System, "bob", AccountState::Locked, now).await;
    assert_eq!(effects(unknown), Effects::default());
}

pub(crate) async fn members_who_leave_change_memberships_and_workers<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let lab = harness.group(&ann, "lab").await;
    let (store, now, actor) = (harness.store(), harness.now, Actor::User(ann.user));
    let relations = BTreeMap::from([("raj".to_owned(), Role::Write)]);
    let members = Effects { memberships: true, ..Effects::default() };
    assert_eq!(effects(store.set_members(actor, lab, &relations, now).await), members);
    let mut new = harness.new_worker(&raj);
    new.groups.insert(lab, Role::Write);
    let worker = harness.register(&new).await;
    let uuid = harness.submit(&ann, &[harness.task(lab)]).await[0].uuid;
    harness.claim_one(worker).await;
    let names = ["raj".to_owned()];
    let denied = store.remove_members(Actor::User(raj.user), lab, &names, now).await;
    assert_eq!(effects(denied), Effects::default());
    let left = effects(store.remove_members(actor, lab, &names, now).await);
    assert_eq!(left, Effects { memberships: true, workers: vec![worker.uuid], ..returned(uuid) });
}

pub(crate) async fn deleted_group_changes_memberships_and_ends_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let lab = harness.group(&ann, "lab").await;
    let uuid = harness.submit(&ann, &[harness.task(lab)]).await[0].uuid;
    let (store, now) = (harness.store(), harness.now);
    let deleted = effects(store.delete_group(Actor::User(ann.user), lab, now).await);
    assert_eq!(deleted, Effects { memberships: true, ..returned(uuid) });
    assert_eq!(effects(store.continue_deletion(lab, now).await), Effects::default());
    let relations = BTreeMap::from([("ann".to_owned(), Role::Admin)]);
    let restored = effects(store.restore_group(Actor::System, lab, &relations, now).await);
    assert_eq!(restored, Effects { memberships: true, ..Effects::default() });
}
