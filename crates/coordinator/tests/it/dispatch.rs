//! Who gets which task, and when.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Harness, LEASE, Someone};

pub(crate) async fn larger_priorities_go_first_and_the_older_among_equals(harness: Harness) {
    let ann = harness.user("ann").await;
    let mut uuids = Vec::new();
    for priority in [0, 5, -3, 5] {
        uuids.push(ann.submits(&json!({"priority": priority})).await);
    }
    let worker = ann.worker(&json!({})).await;
    let mut order = Vec::new();
    for _ in 0..4 {
        let task = worker.fetches().await;
        order.push(uuids.iter().position(|uuid| task["uuid"] == **uuid).unwrap());
        worker.finishes(&task, 0).await;
    }
    assert_eq!(order, [1, 3, 0, 2]);
}

pub(crate) async fn a_worker_gets_only_tasks_whose_tags_it_has_and_whose_groups_it_serves(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    ann.submits(&json!({"tags": ["gpu", "eu"]})).await;
    let plain = ann.worker(&json!({})).await;
    let half = ann.worker(&json!({"tags": ["gpu"]})).await;
    let foreign = raj.worker(&json!({"tags": ["gpu", "eu"]})).await;
    for worker in [plain, half, foreign] {
        assert_eq!(worker.fetches().await, Value::Null);
    }
    assert_ne!(ann.worker(&json!({"tags": ["us", "eu", "gpu"]})).await.fetches().await, Value::Null);
}

/// A published worker exits when a request breaks off that is under way, as all are when a coordinator crashes.
pub(crate) async fn unasked_fetch_without_a_task_is_answered_at_once(harness: Harness) {
    let ann = harness.user("ann").await;
    let worker = ann.worker(&json!({})).await;
    let begun = std::time::Instant::now();
    assert_eq!(worker.get("/workers/tasks").await.expect(200).text, "null");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

pub(crate) async fn a_request_that_is_held_is_answered_when_a_task_comes(harness: Harness) {
    let ann = harness.user("ann").await;
    let worker = ann.worker(&json!({})).await;
    let (held, uuid) =
        tokio::join!(worker.get("/workers/tasks?wait=20s"), async { ann.submits(&json!({})).await });
    assert_eq!(held.expect(200).json()["uuid"], json!(uuid));
}

pub(crate) async fn a_worker_that_is_silent_for_a_lease_loses_its_task_and_its_late_report_is_refused(
    harness: Harness,
) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({"timeout": "3h"})).await;
    let lost = ann.worker(&json!({})).await;
    let fetched = lost.fetches().await;
    let patient = ann.worker(&json!({})).await;

    harness.clock.advance(LEASE.saturating_sub(Duration::from_secs(1)));
    patient.post("/workers/heartbeat", &json!(null)).await.expect(200);
    assert_eq!(ann.state(&uuid).await, "Running");
    harness.clock.advance(Duration::from_secs(2));
    // Held until the lost worker's task is free again.
    let again = patient.get("/workers/tasks?wait=20s").await.expect(200).json();
    assert_eq!(again["uuid"], fetched["uuid"]);

    lost.reports(&fetched, &json!("Finish")).await.expect_refused(401, "worker_unknown");
    patient.finishes(&again, 0).await;
    assert_eq!(ann.task(&uuid).await["reporter_uuid"], json!(patient.name));
}

pub(crate) async fn after_a_restart_every_worker_has_a_whole_lease_and_its_task(mut harness: Harness) {
    let (uuid, token, fetched) = {
        let ann = harness.user("ann").await;
        let uuid = ann.submits(&json!({})).await;
        let worker = ann.worker(&json!({})).await;
        let fetched = worker.fetches().await;
        (uuid, worker.token, fetched)
    };
    harness.clock.advance(LEASE * 3);
    harness.restart().await;
    let report = json!({"id": fetched["id"], "op": "Finish"});
    harness.send(reqwest::Method::POST, "/workers/tasks", Some(&token), Some(&report)).await.expect(200);
    let ann = harness.logged_in("ann", "ann").await;
    assert_eq!(ann.state(&uuid).await, "Finished");
}

pub(crate) async fn a_task_that_runs_far_over_its_time_is_taken_back(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({"timeout": "90s"})).await;
    let worker = ann.worker(&json!({})).await;
    worker.fetches().await;
    // Preparation may take half an hour, the command its time, and a minute is for the grace.
    let allowed = Duration::from_secs(30 * 60 + 90 + 60);
    let mut waited = Duration::ZERO;
    while waited + LEASE / 2 < allowed {
        harness.clock.advance(LEASE / 2);
        waited += LEASE / 2;
        worker.post("/workers/heartbeat", &json!(null)).await.expect(200);
    }
    assert_eq!(ann.state(&uuid).await, "Running");
    harness.clock.advance(LEASE / 2);
    let other = ann.worker(&json!({})).await;
    assert_eq!(other.get("/workers/tasks?wait=20s").await.expect(200).json()["uuid"], json!(uuid));
}

pub(crate) async fn of_many_workers_that_ask_at_once_each_gets_another_task(harness: Harness) {
    let ann = harness.user("ann").await;
    for _ in 0..8 {
        ann.submits(&json!({})).await;
    }
    let mut workers = Vec::new();
    for _ in 0..8 {
        workers.push(ann.worker(&json!({})).await);
    }
    let fetched = futures_util::future::join_all(workers.iter().map(Someone::fetches)).await;
    let mut uuids: Vec<_> = fetched.iter().map(|task| task["uuid"].as_str().unwrap()).collect();
    uuids.sort_unstable();
    uuids.dedup();
    assert_eq!(uuids.len(), 8);
}
