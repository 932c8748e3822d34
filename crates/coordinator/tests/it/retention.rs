//! Deletion of old tasks.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Harness, Someone, eventually};

/// Runs one task with an artifact, and returns its UUID.
async fn run_one(ann: &Someone<'_>) -> String {
    let uuid = ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let task = worker.fetches().await;
    worker.reports(&task, &json!("Finish")).await.expect(200);
    let upload = json!({"Upload": {"content_type": "result", "content_length": 5}});
    let reply = worker.reports(&task, &upload).await.expect(200).json();
    assert!(worker.uploads(reply["url"].as_str().unwrap(), b"bytes").await.is_success());
    worker.reports(&task, &json!({"Commit": {"exit_status": 0, "msg": null}})).await.expect(200);
    uuid
}

pub(crate) async fn a_task_is_forgotten_after_its_time_and_not_before(mut harness: Harness) {
    let ann = harness.user("ann").await;
    let old = run_one(&ann).await;
    let waiting = ann.submits(&json!({"tags": ["of no worker"]})).await;
    let token = ann.token.clone();
    let hours = |hours| Duration::from_hours(hours);
    harness.clock.advance(hours(3));

    // Without the setting, nothing is deleted.
    harness.restart().await;
    let ann = harness.logged_in("ann", "ann").await;
    let young = run_one(&ann).await;
    ann.get(&format!("/tasks/{old}")).await.expect(200);

    harness.retention.tasks = Some(hours(2));
    harness.restart().await;
    let get =
        async |uuid: &str| harness.send(Method::GET, &format!("/tasks/{uuid}"), Some(&token), None).await;
    let deleted = async {
        while get(&old).await.status != 404 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), deleted).await.expect("the task is deleted");
    get(&young).await.expect(200);
    get(&waiting).await.expect(200);
    let group = harness.send(Method::GET, "/groups/ann", Some(&token), None).await.expect(200).json();
    assert_eq!(group["storage_used"], 5, "of the young one");
}

pub(crate) async fn archives_are_deleted_before_their_task(mut harness: Harness) {
    let hours = |hours| Duration::from_hours(hours);
    let ann = harness.user("ann").await;
    let old = run_one(&ann).await;
    harness.clock.advance(hours(3));
    let young = run_one(&ann).await;
    harness.retention.output = Some(hours(2));
    harness.restart().await;
    let ann = harness.logged_in("ann", "ann").await;
    let archives = async |uuid: &str| {
        let task = ann.get(&format!("/tasks/{uuid}")).await.expect(200).json();
        (task["info"]["state"].clone(), task["artifacts"].as_array().unwrap().len())
    };
    eventually("the archive is deleted", async || archives(&old).await == (json!("Finished"), 0)).await;
    assert_eq!(archives(&young).await, (json!("Finished"), 1));
    let group = ann.get("/groups/ann").await.expect(200).json();
    assert_eq!(group["storage_used"], 5, "of the young one");
    ann.get(&format!("/tasks/{old}/download/artifacts/result")).await.expect(404);
}
