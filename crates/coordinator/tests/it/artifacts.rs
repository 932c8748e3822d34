//! What tasks leave behind.

use serde_json::{Value, json};

use crate::stage::{Someone, Stage};

async fn uploads(worker: &Someone<'_>, task: &Value, bytes: &[u8]) {
    let upload = json!({"Upload": {"content_type": "result", "content_length": bytes.len()}});
    let reply = worker.reports(task, &upload).await.expect(200).json();
    assert!(worker.uploads(reply["url"].as_str().unwrap(), bytes).await.is_success());
}

pub(crate) async fn what_an_attempt_left_that_was_lost_is_never_seen(stage: Stage) {
    let ann = stage.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let path = format!("/tasks/{uuid}/download/artifacts/result");
    let lost = ann.worker(&json!({})).await;
    let task = lost.fetches().await;
    lost.reports(&task, &json!("Finish")).await.expect(200);
    uploads(&lost, &task, b"of the lost one").await;
    ann.get(&path).await.expect(404);
    lost.delete("/workers").await.expect(200);

    let second = ann.worker(&json!({})).await;
    let task = second.fetches().await;
    second.reports(&task, &json!("Finish")).await.expect(200);
    uploads(&second, &task, b"of the second").await;
    second.reports(&task, &json!({"Commit": {"exit_status": 0, "msg": null}})).await.expect(200);
    let link = ann.get(&path).await.expect(200).json();
    assert_eq!(ann.downloads(link["url"].as_str().unwrap()).await.expect(200).text, "of the second");
}

pub(crate) async fn an_upload_has_exactly_the_announced_length(stage: Stage) {
    let ann = stage.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let body = json!({"content_type": "result", "content_length": 5});
    let reply = ann.post(&format!("/tasks/{uuid}/artifacts"), &body).await.expect(200).json();
    assert_eq!(reply["exist"], false);
    let url = reply["url"].as_str().unwrap();
    assert!(ann.uploads(url, b"four").await.is_client_error());
    assert!(ann.uploads(url, b"sixsix").await.is_client_error());
    assert!(ann.uploads(url, b"fivef").await.is_success());
    let reply = ann.post(&format!("/tasks/{uuid}/artifacts"), &body).await.expect(200).json();
    assert_eq!(reply["exist"], true);
}

pub(crate) async fn a_link_ends_after_its_hour_and_can_t_be_turned_to_another_object(stage: Stage) {
    let ann = stage.user("ann").await;
    let (mine, other) = (ann.submits(&json!({})).await, ann.submits(&json!({})).await);
    let body = json!({"content_type": "result", "content_length": 5});
    let reply = ann.post(&format!("/tasks/{mine}/artifacts"), &body).await.expect(200).json();
    let url = reply["url"].as_str().unwrap();
    assert!(ann.uploads(&url.replace(&mine, &other), b"fivef").await.is_client_error());
    stage.clock.advance(std::time::Duration::from_secs(3601));
    assert!(ann.uploads(url, b"fivef").await.is_client_error());
}

pub(crate) async fn an_artifact_can_be_deleted_an_hour_after_its_upload(stage: Stage) {
    let ann = stage.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let body = json!({"content_type": "result", "content_length": 5});
    let reply = ann.post(&format!("/tasks/{uuid}/artifacts"), &body).await.expect(200).json();
    assert!(ann.uploads(reply["url"].as_str().unwrap(), b"fivef").await.is_success());
    let path = format!("/tasks/{uuid}/artifacts/result");
    ann.delete(&path).await.expect(400);
    stage.clock.advance(std::time::Duration::from_secs(3601));
    ann.delete(&path).await.expect_empty();
    ann.delete(&path).await.expect_refused(404, "not_found");
}

pub(crate) async fn an_archive_that_never_came_is_told_in_the_result(stage: Stage) {
    let ann = stage.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let task = worker.fetches().await;
    worker.reports(&task, &json!("Finish")).await.expect(200);
    let upload = json!({"Upload": {"content_type": "result", "content_length": 5}});
    worker.reports(&task, &upload).await.expect(200);
    worker.reports(&task, &json!({"Commit": {"exit_status": 0, "msg": null}})).await.expect(200);
    let result = ann.task(&uuid).await["result"].clone();
    assert_eq!(result, json!({"exit_status": 0, "msg": "UploadResultTimeout"}));
}
