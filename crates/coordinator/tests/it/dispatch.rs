//! The assignment of tasks to workers.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Harness, LEASE, Someone};

pub(crate) async fn higher_priority_goes_first_then_the_older(harness: Harness) {
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

pub(crate) async fn worker_gets_only_tasks_with_its_tags_and_groups(harness: Harness) {
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

/// A legacy worker exits when an open request breaks off, for example because the coordinator crashes.
pub(crate) async fn fetch_without_wait_returns_at_once(harness: Harness) {
    let ann = harness.user("ann").await;
    let worker = ann.worker(&json!({})).await;
    let begun = std::time::Instant::now();
    assert_eq!(worker.get("/workers/tasks").await.expect(200).text, "null");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

pub(crate) async fn held_fetch_returns_when_a_task_arrives(harness: Harness) {
    let ann = harness.user("ann").await;
    let worker = ann.worker(&json!({})).await;
    let (held, uuid) =
        tokio::join!(worker.get("/workers/tasks?wait=20s"), async { ann.submits(&json!({})).await });
    assert_eq!(held.expect(200).json()["uuid"], json!(uuid));
}

pub(crate) async fn silent_worker_loses_its_task_and_late_report_is_rejected(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({"timeout": "3h"})).await;
    let lost = ann.worker(&json!({})).await;
    let fetched = lost.fetches().await;
    let patient = ann.worker(&json!({})).await;

    harness.clock.advance(LEASE.saturating_sub(Duration::from_secs(1)));
    patient.post("/workers/heartbeat", &json!(null)).await.expect(200);
    assert_eq!(ann.state(&uuid).await, "Running");
    harness.clock.advance(Duration::from_secs(2));
    // Held until the task of the lost worker is requeued.
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

pub(crate) async fn task_far_beyond_its_timeout_is_requeued(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({"timeout": "90s"})).await;
    let worker = ann.worker(&json!({})).await;
    worker.fetches().await;
    // The limit is half an hour for the preparation, the timeout of the command, and a minute of grace.
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

pub(crate) async fn concurrent_fetches_get_different_tasks(harness: Harness) {
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
