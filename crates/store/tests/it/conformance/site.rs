//! Lists for administrators, and sums of use.

use std::time::Duration;

use mitosis_protocol::Timestamp;
use mitosis_protocol::activity::ActivityMinute;
use mitosis_protocol::admin::UsageCounts;
use mitosis_store::ops::Actor;
use mitosis_store::ops::accounts::SessionChange;
use mitosis_store::ops::query::WorkerPage;
use mitosis_store::ops::tasks::CancelSelection;
use mitosis_store::ops::workers::Fate;

use crate::backend::Backend;
use crate::harness::{Answer as _, HOUR, Harness, SECOND};

pub(crate) async fn users_and_groups_are_listed_in_pages<B: Backend>(harness: &mut Harness<B>) {
    let ann = harness.person("ann").await;
    for name in ["bob", "cid"] {
        harness.person(name).await;
    }
    harness.store().record_login(ann.user, SessionChange::Retain(1), None, harness.now).await.unwrap();
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let page = harness.store().all_users(after, 2).await.unwrap();
        after = page.last().map(|last| last.user.id);
        names.extend(page.iter().map(|listed| (listed.user.name.clone(), listed.last_login_at)));
        if page.len() < 2 {
            break;
        }
    }
    let expected = [("ann", Some(harness.now)), ("bob", None), ("cid", None)];
    assert_eq!(names, expected.map(|(name, at)| (name.to_owned(), at)));
    harness.group(&ann, "lab").await;
    harness.submit_one(&ann).await;
    let groups = harness.store().all_groups(None, 10).await.unwrap();
    let shown: Vec<_> = groups
        .iter()
        .map(|group| (group.name.as_str(), group.creator_name.as_str(), group.members))
        .collect();
    assert_eq!(shown, [("ann", "ann", 1), ("bob", "bob", 1), ("cid", "cid", 1), ("lab", "ann", 1)]);
    assert_eq!(groups[0].tasks, 1);
    assert_eq!(harness.store().all_groups(Some(groups[2].id), 10).await.unwrap().len(), 1);
}

pub(crate) async fn workers_of_all_groups_are_listed<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let (first, second) = (harness.worker(&ann).await, harness.worker(&bob).await);
    harness.submit_one(&ann).await;
    harness.claim_one(first).await;
    let page = |after, limit| WorkerPage { after, limit, bytes: usize::MAX };
    let all = harness.store().all_workers(page(None, 10)).await.unwrap();
    assert!(all.is_complete);
    let shown: Vec<_> = all.workers.iter().map(|worker| (worker.id, worker.held.len())).collect();
    assert_eq!(shown, [(first.id, 1), (second.id, 0)]);
    let rest = harness.store().all_workers(page(Some(first.id), 10)).await.unwrap();
    assert_eq!(rest.workers.len(), 1);
    assert!(!harness.store().all_workers(page(None, 1)).await.unwrap().is_complete);
}

pub(crate) async fn use_is_summed_up_by_user_and_group<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let worker = harness.worker(&ann).await;
    for _ in 0..2 {
        harness.submit_one(&ann).await;
        let held = harness.claim_one(worker).await;
        harness.pass(90 * SECOND);
        harness.finish(&held).await;
    }
    // A lost attempt does not count.
    harness.submit_one(&ann).await;
    harness.claim_one(worker).await;
    harness.store().sign_off(worker.uuid, Fate::WorkerLost, harness.now).await.answer();
    let between = harness.now + SECOND;
    harness.pass(HOUR);
    let waiting = harness.submit_one(&bob).await;
    let waiting = CancelSelection::Ready(vec![waiting]);
    harness.store().cancel(Actor::User(bob.user), &waiting, harness.now).await.answer();
    let usage = async |since, until| {
        let all = harness.store().usage(since, until, Duration::from_secs(60)).await.unwrap().unwrap();
        all.into_iter().map(|one| (one.user, one.group, one.counts)).collect::<Vec<_>>()
    };
    let none = UsageCounts::default();
    let of = |name: &str, counts| (name.to_owned(), name.to_owned(), counts);
    let of_ann = of("ann", UsageCounts { slot_seconds: 180, succeeded: 2, ..none });
    let of_bob = of("bob", UsageCounts { cancelled: 1, ..none });
    let end = harness.now + SECOND;
    assert_eq!(usage(Timestamp::UNIX_EPOCH, end).await, [of_ann.clone(), of_bob.clone()]);
    assert_eq!(usage(Timestamp::UNIX_EPOCH, between).await, [of_ann]);
    assert_eq!(usage(between, end).await, [of_bob]);
    assert!(usage(end, end).await.is_empty());
}

pub(crate) async fn ends_are_counted_by_minute_and_group<B: Backend>(harness: &mut Harness<B>) {
    let (ann, bob) = (harness.person("ann").await, harness.person("bob").await);
    let (worker, other) = (harness.worker(&ann).await, harness.worker(&bob).await);
    let minute = Duration::from_secs(60);
    let mut ends = Vec::new();
    for (person, worker) in [(&ann, worker), (&ann, worker), (&bob, other)] {
        harness.submit_one(person).await;
        let held = harness.claim_one(worker).await;
        harness.finish(&held).await;
        ends.push(harness.now.unix_micros().div_euclid(60_000_000));
        harness.pass(minute);
    }
    // A lost attempt does not count.
    harness.submit_one(&ann).await;
    harness.claim_one(worker).await;
    harness.store().sign_off(worker.uuid, Fate::WorkerLost, harness.now).await.answer();
    harness.pass(SECOND);
    let waiting = harness.submit_one(&bob).await;
    harness
        .store()
        .cancel(Actor::User(bob.user), &CancelSelection::Ready(vec![waiting]), harness.now)
        .await
        .answer();
    ends.push(harness.now.unix_micros().div_euclid(60_000_000));

    let (long, until) = (Duration::from_secs(60), harness.now + SECOND);
    let found = harness.store().activity(Timestamp::UNIX_EPOCH, until, long).await.unwrap().unwrap();
    let (first, second) = (found[0].group, found[2].group);
    let shown: Vec<_> = found.iter().map(|one| (one.minute, one.group, one.counts)).collect();
    let succeeded = ActivityMinute { succeeded: 1, ..ActivityMinute::default() };
    let cancelled = ActivityMinute { cancelled: 1, ..ActivityMinute::default() };
    let expected = [
        (ends[0], first, succeeded),
        (ends[1], first, succeeded),
        (ends[2], second, succeeded),
        (ends[3], second, cancelled),
    ];
    assert_eq!(shown, expected);
    assert_ne!(first, second);
    let none = harness.store().activity(until, until + long, long).await.unwrap().unwrap();
    assert_eq!(none, []);
}
