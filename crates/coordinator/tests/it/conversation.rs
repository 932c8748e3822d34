//! The requests of a legacy worker in their order, and all rejections (HTTP contract §12).

use serde_json::{Value, json};

use crate::harness::{Harness, task};

pub(crate) async fn normal_sequence_goes_from_fetch_to_commit(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;

    let fetched = worker.fetches().await;
    assert_eq!((&fetched["uuid"], &fetched["timeout"]), (&json!(uuid), &json!("1m 30s")));
    assert_eq!(fetched["upstream_task_uuid"], Value::Null);
    assert_eq!(ann.state(&uuid).await, "Running");

    let nothing = json!({"url": null});
    assert_eq!(worker.reports(&fetched, &json!("Finish")).await.expect(200).json(), nothing);
    assert_eq!(ann.state(&uuid).await, "Finished");
    assert_eq!(ann.task(&uuid).await["result"], Value::Null);

    let bytes = b"archive".to_vec();
    let upload = json!({"Upload": {"content_type": "std-log", "content_length": bytes.len()}});
    let url = worker.reports(&fetched, &upload).await.expect(200).json()["url"].as_str().unwrap().to_owned();
    assert!(worker.uploads(&url, &bytes).await.is_success());

    let commit = json!({"Commit": {"exit_status": 768, "msg": null}});
    assert_eq!(worker.reports(&fetched, &commit).await.expect(200).json(), nothing);
    let ended = ann.task(&uuid).await;
    assert_eq!(ended["state"], "Finished");
    assert_eq!(ended["result"], json!({"exit_status": 768, "msg": null}));
    assert_eq!(ended["reporter_uuid"], json!(worker.name));

    let link = ann.get(&format!("/tasks/{uuid}/download/artifacts/std-log")).await.expect(200).json();
    assert_eq!(link["size"], bytes.len());
    let got = ann.downloads(link["url"].as_str().unwrap()).await.expect(200);
    assert_eq!(got.text.as_bytes(), bytes);
    assert!(!got.headers.contains_key("content-encoding"));
}

pub(crate) async fn fetch_without_a_task_returns_null(harness: Harness) {
    let worker = harness.user("ann").await.worker(&json!({})).await.token;
    let answer =
        harness.send(reqwest::Method::GET, "/workers/tasks?wait=0s", Some(&worker), None).await.expect(200);
    assert_eq!(
        (answer.text.as_str(), &answer.headers["content-type"]),
        ("null", &"application/json".parse().unwrap())
    );
    let beat =
        harness.send(reqwest::Method::POST, "/workers/heartbeat", Some(&worker), None).await.expect(200);
    assert_eq!(beat.text, "null");
    let left = harness.send(reqwest::Method::DELETE, "/workers", Some(&worker), None).await.expect(200);
    assert_eq!(left.text, "null");
    harness
        .send(reqwest::Method::POST, "/workers/heartbeat", Some(&worker), None)
        .await
        .expect_refused(401, "worker_unknown");
}

pub(crate) async fn reports_out_of_order_or_of_others_are_rejected(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.submits(&json!({})).await;
    let (worker, other) = (ann.worker(&json!({})).await, ann.worker(&json!({})).await);
    let fetched = worker.fetches().await;
    let commit = json!({"Commit": {"exit_status": 0, "msg": null}});
    let follow_up = json!({"Submit": task("ann", &json!({}))});

    worker.reports(&fetched, &commit).await.expect(400);
    worker.reports(&fetched, &follow_up).await.expect(400);
    other.reports(&fetched, &json!("Finish")).await.expect_refused(404, "lease_lost");
    other.reports(&json!({"id": 999_999}), &json!("Finish")).await.expect_refused(404, "lease_lost");
    worker.reports(&fetched, &json!("Explode")).await.expect_refused(422, "wrong_shape");

    worker.reports(&fetched, &json!("Finish")).await.expect(200);
    other.reports(&fetched, &commit).await.expect_refused(404, "lease_lost");
    worker.reports(&fetched, &commit).await.expect(200);
    worker.reports(&fetched, &json!("Finish")).await.expect(404);
}

pub(crate) async fn commit_can_be_repeated(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let fetched = worker.fetches().await;
    worker.finishes(&fetched, 256).await;
    let again = json!({"Commit": {"exit_status": 256, "msg": null}});
    worker.reports(&fetched, &again).await.expect(200);
    assert_eq!(ann.task(&uuid).await["result"]["exit_status"], 256);
}

pub(crate) async fn repeated_fetch_returns_the_same_task(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.submits(&json!({})).await;
    ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let first = worker.fetches().await;
    assert_eq!(worker.fetches().await, first);
    worker.finishes(&first, 0).await;
    assert_ne!(worker.fetches().await["uuid"], first["uuid"]);
}

pub(crate) async fn follow_up_waits_for_its_upstream(harness: Harness) {
    let ann = harness.user("ann").await;
    let upstream = ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let fetched = worker.fetches().await;
    worker.reports(&fetched, &json!("Finish")).await.expect(200);
    let elsewhere = json!({"Submit": task("unknown", &json!({}))});
    worker.reports(&fetched, &elsewhere).await.expect(400);
    worker.reports(&fetched, &json!({"Submit": task("ann", &json!({}))})).await.expect(200);
    let downstream = ann.task(&upstream).await["downstream_task_uuid"].as_str().unwrap().to_owned();
    assert_eq!(ann.state(&downstream).await, "Pending");
    worker.reports(&fetched, &json!({"Commit": {"exit_status": 0, "msg": null}})).await.expect(200);

    let next = worker.fetches().await;
    assert_eq!((&next["uuid"], &next["upstream_task_uuid"]), (&json!(downstream), &json!(upstream)));
}

pub(crate) async fn follow_up_of_a_lost_attempt_is_dropped(harness: Harness) {
    let ann = harness.user("ann").await;
    let upstream = ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let fetched = worker.fetches().await;
    worker.reports(&fetched, &json!("Finish")).await.expect(200);
    worker.reports(&fetched, &json!({"Submit": task("ann", &json!({}))})).await.expect(200);
    worker.delete("/workers").await.expect(200);
    assert_eq!(ann.state(&upstream).await, "Ready");
    assert_eq!(ann.task(&upstream).await["downstream_task_uuid"], Value::Null);
    let waiting =
        ann.post("/tasks/query", &json!({"states": ["Pending", "Ready"], "count": true})).await.json();
    assert_eq!(waiting["count"], 1);
}
