//! Notifications about ended jobs: when they are written, who sends them, and their keys.

use std::collections::BTreeMap;

use futures_util::future::join;
use mitosis_domain::ids::JobId;
use mitosis_protocol::job::{JobState, StopCause};
use mitosis_protocol::notify::{NotificationBody, NotificationState, NotifyOn};
use mitosis_protocol::{Role, Timestamp};
use mitosis_store::ops::Actor;
use mitosis_store::ops::dispatch::{Completed, Completion, Holder};
use mitosis_store::ops::jobs::{JobRemoval, JobRetry, JobSubmission, JobTasks, NewJob};
use mitosis_store::ops::webhooks::{NewWebhook, TakenWebhook, UndeliveredWebhooks, WebhookOutcome};

use super::jobs;
use crate::backend::Backend;
use crate::harness::{Answer as _, HOUR, Harness, Person, SECOND, status};

const ORIGIN: &str = "https://hooks.example.org";
const FAILING: &str = "https://failures.example.org";

fn webhook(origin: &str, on: NotifyOn) -> NewWebhook {
    NewWebhook { url: format!("{origin}/secret"), origin: origin.to_owned(), on }
}

/// A job of one task, which notifies of every end and, elsewhere, of failures.
fn new_job<B: Backend>(harness: &Harness<B>, owner: &Person) -> NewJob {
    let notify = vec![webhook(ORIGIN, NotifyOn::End), webhook(FAILING, NotifyOn::Failure)];
    NewJob { name: Some("train".to_owned()), notify, ..jobs::new_job(harness, owner, 1, 1) }
}

async fn submit<B: Backend>(harness: &Harness<B>, owner: &Person, job: NewJob) -> JobId {
    match harness.store().submit_jobs(owner.user, &[job], None, harness.now).await.answer() {
        JobSubmission::Accepted(ids) => ids[0],
        other => panic!("unexpected submission: {other:?}"),
    }
}

/// Runs the only task of a job, and records the end of the job.
async fn run<B: Backend>(harness: &mut Harness<B>, owner: &Person, job: JobId, exit_status: i32) {
    let worker = harness.worker(owner).await;
    let held = harness.claim(worker, 1).await.remove(0);
    let completion = Completion {
        holder: Holder::Lease(held.lease),
        end: Some(mitosis_domain::task::ExecEnd::Finished),
        result: status(exit_status),
    };
    assert_eq!(harness.complete(completion).await, Completed::Committed);
    assert!(harness.store().end_job(job, harness.now).await.answer());
}

async fn due<B: Backend>(harness: &Harness<B>) -> Vec<i64> {
    let due = harness.store().due_webhooks(harness.now, &[], 99).await.unwrap();
    due.into_iter().map(|due| due.id).collect()
}

async fn take<B: Backend>(harness: &Harness<B>, until: Timestamp) -> Vec<TakenWebhook> {
    harness.store().take_webhooks(&due(harness).await, harness.now, until).await.unwrap()
}

async fn states<B: Backend>(harness: &Harness<B>, job: JobId) -> Vec<(NotificationState, u64)> {
    let all = harness.store().webhooks_of_job(job).await.unwrap();
    all.into_iter().map(|one| (one.state, one.attempts)).collect()
}

pub(crate) async fn end_of_a_job_writes_its_notifications<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let job = submit(harness, &ann, new_job(harness, &ann)).await;
    let shown = harness.store().webhooks_of_job(job).await.unwrap();
    assert_eq!(
        shown.iter().map(|one| (&*one.to, one.on, one.state)).collect::<Vec<_>>(),
        [
            (ORIGIN, NotifyOn::End, NotificationState::Planned),
            (FAILING, NotifyOn::Failure, NotificationState::Planned),
        ]
    );
    assert!(due(harness).await.is_empty());
    run(harness, &ann, job, 0).await;
    assert!(!harness.store().end_job(job, harness.now).await.answer(), "the end is recorded once");
    let taken = take(harness, harness.now + HOUR).await;
    let [taken] = &taken[..] else { panic!("one notification: {taken:?}") };
    assert_eq!((taken.job, taken.group, taken.attempt), (job, ann.group, 1));
    assert_eq!((&*taken.url, &*taken.origin), ("https://hooks.example.org/secret", ORIGIN));
    let body: NotificationBody = serde_json::from_str(&taken.event).unwrap();
    assert_eq!(body.text, format!("job {} (train): succeeded, 1 of 1 task succeeded", job.0));
    assert_eq!((body.data.state, body.data.counts.succeeded), (JobState::Succeeded, 1));
    assert_eq!((&*body.data.group, &*body.data.creator), ("ann", "ann"));
    assert_eq!((body.data.created_at, body.data.ended_at), (taken.created_at, harness.now));
}

pub(crate) async fn failure_and_repeated_end_notify_again<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let job = submit(harness, &ann, new_job(harness, &ann)).await;
    run(harness, &ann, job, 256).await;
    let taken = take(harness, harness.now + HOUR).await;
    assert_eq!(taken.iter().map(|one| &*one.origin).collect::<Vec<_>>(), [ORIGIN, FAILING]);
    let body: NotificationBody = serde_json::from_str(&taken[1].event).unwrap();
    assert_eq!((body.data.state, body.data.counts.failed), (JobState::Failed, 1));
    let retried = harness.store().retry_job(Actor::System, job, &JobTasks::default(), harness.now).await;
    assert_eq!(retried.answer(), JobRetry::Done { retried: 1, more: false });
    let planned = states(harness, job).await;
    assert_eq!(planned.len(), 4, "those of the next end follow: {planned:?}");
    run(harness, &ann, job, 0).await;
    assert_eq!(due(harness).await.len(), 1);
}

pub(crate) async fn cancelled_job_counts_unwritten_tasks<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let new = NewJob { size: 1_000, first: Vec::new(), ..new_job(harness, &ann) };
    let job = submit(harness, &ann, new).await;
    harness.store().stop_job(job, StopCause::Cancelled, harness.now).await.answer();
    assert!(harness.store().end_job(job, harness.now).await.answer());
    let taken = take(harness, harness.now + HOUR).await;
    let body: NotificationBody = serde_json::from_str(&taken[0].event).unwrap();
    assert_eq!((body.data.state, body.data.counts.cancelled), (JobState::Cancelled, 1_000));
    assert_eq!(taken.len(), 2, "it has not succeeded");
}

pub(crate) async fn notification_is_taken_by_one_until_it_is_due_again<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let job = submit(harness, &ann, new_job(harness, &ann)).await;
    run(harness, &ann, job, 0).await;
    let (ids, until) = (due(harness).await, harness.now + SECOND);
    let store = harness.store();
    let take = || store.take_webhooks(&ids, harness.now, until);
    let (one, other) = join(take(), take()).await;
    assert_eq!(one.unwrap().len() + other.unwrap().len(), 1);
    assert!(due(harness).await.is_empty());
    // The coordinator that has taken it stops, and its late outcome changes nothing.
    harness.now = until;
    let again = harness.store().take_webhooks(&ids, harness.now, until + SECOND).await.unwrap();
    assert_eq!((again[0].id, again[0].attempt), (ids[0], 2));
    let delivered = WebhookOutcome::Delivered;
    assert!(!harness.store().record_webhook(ids[0], 1, &delivered, harness.now).await.unwrap());
    assert!(harness.store().record_webhook(ids[0], 2, &delivered, harness.now).await.unwrap());
    assert!(!harness.store().record_webhook(ids[0], 2, &delivered, harness.now).await.unwrap());
    harness.now = until + HOUR;
    assert!(due(harness).await.is_empty());
    assert_eq!(states(harness, job).await, [(NotificationState::Delivered, 2)]);
}

pub(crate) async fn failed_notification_is_due_again_or_given_up<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let job = submit(harness, &ann, new_job(harness, &ann)).await;
    run(harness, &ann, job, 256).await;
    let taken = take(harness, harness.now + HOUR).await;
    let (next, started) = (Some(harness.now + SECOND), harness.now);
    let failed = |next| WebhookOutcome::Failed { error: "status 500".to_owned(), next };
    for (one, next) in taken.iter().zip([next, None]) {
        assert!(harness.store().record_webhook(one.id, 1, &failed(next), harness.now).await.unwrap());
    }
    let shown = harness.store().webhooks_of_job(job).await.unwrap();
    assert_eq!((shown[0].state, shown[0].next_attempt_at), (NotificationState::Waiting, next));
    assert_eq!((shown[1].state, shown[1].ended_at), (NotificationState::Failed, Some(harness.now)));
    assert!(shown.iter().all(|one| one.last_error.as_deref() == Some("status 500")));
    let expected = UndeliveredWebhooks { waiting: 1, failing: 1, failed: 1, oldest: Some(started) };
    assert_eq!(harness.store().undelivered_webhooks().await.unwrap(), expected);
    harness.now = harness.now + SECOND;
    assert_eq!(due(harness).await, [taken[0].id]);
    let without = harness.store().due_webhooks(harness.now, &[ORIGIN.to_owned()], 99).await.unwrap();
    assert!(without.is_empty());
}

pub(crate) async fn notifications_outlive_their_job_for_a_while<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    let job = submit(harness, &ann, new_job(harness, &ann)).await;
    run(harness, &ann, job, 0).await;
    let ended = harness.now;
    harness.now = harness.now + HOUR;
    let removed = harness.store().remove_job(Actor::System, job, harness.now).await.unwrap();
    assert!(matches!(removed, JobRemoval::Done { tasks: 1, more: false, .. }), "{removed:?}");
    assert_eq!(due(harness).await.len(), 1, "it is sent nevertheless");
    assert_eq!(harness.store().delete_webhooks(ended, 9).await.unwrap(), 0);
    assert_eq!(harness.store().delete_webhooks(harness.now, 9).await.unwrap(), 1);
    assert!(due(harness).await.is_empty());
}

pub(crate) async fn key_is_created_once_and_read_by_group_admins<B: Backend>(harness: &mut Harness<B>) {
    let (ann, raj) = (harness.person("ann").await, harness.person("raj").await);
    let relations = BTreeMap::from([(raj.name.clone(), Role::Write)]);
    harness.store().set_members(Actor::System, ann.group, &relations, harness.now).await.answer();
    let store = harness.store();
    let key = |by, proposal| store.webhook_key(by, ann.group, proposal, harness.now);
    let first = key(Actor::System, "first").await.unwrap().unwrap();
    assert_eq!((&*first.secret, first.previous), ("first", None));
    let read = key(Actor::User(ann.user), "second").await.unwrap().unwrap();
    assert_eq!(read.secret, "first");
    assert_eq!(key(Actor::User(raj.user), "third").await.unwrap(), None, "Write is not enough");
    let replace = |by| store.replace_webhook_key(by, ann.group, "other", harness.now);
    assert_eq!(replace(Actor::User(raj.user)).await.unwrap(), None);
    let replaced = replace(Actor::User(ann.user)).await.unwrap().unwrap();
    assert_eq!((&*replaced.secret, replaced.previous.as_deref()), ("other", Some("first")));
}
