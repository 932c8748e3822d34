//! The database goes away, and comes back.

use reqwest::Method;
use serde_json::json;

use crate::stage::Stage;

pub(crate) async fn an_outage_of_the_database_is_told_and_passes(stage: Stage) {
    let ann = stage.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let path = format!("/tasks/{uuid}");
    stage.postgres().await.kill().unwrap();
    let health = stage.send(Method::GET, "/health", None, None).await.expect(503);
    assert!(health.text.contains("database"), "{}", health.text);
    ann.get(&path).await.expect_refused(503, "unavailable");

    stage.postgres().await.restart().await.unwrap();
    assert_eq!(ann.state(&uuid).await, "Ready", "what was acknowledged is there");
    stage.send(Method::GET, "/health", None, None).await.expect(200);
}

/// Published workers give up at the first error, so they are left waiting instead.
pub(crate) async fn a_worker_does_not_notice_an_outage_of_the_database(stage: Stage) {
    let ann = stage.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let task = worker.fetches().await;

    stage.postgres().await.kill().unwrap();
    let (again, restarted) = tokio::join!(worker.fetches(), async {
        stage.send(Method::GET, "/health", None, None).await.expect(503);
        stage.postgres().await.restart().await
    });
    restarted.unwrap();
    assert_eq!(again["uuid"], task["uuid"], "it holds the same task");
    worker.finishes(&task, 0).await;
    assert_eq!(ann.state(&uuid).await, "Finished");
}
