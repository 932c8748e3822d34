//! Outages of the database.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Harness};

pub(crate) async fn database_outage_is_reported_and_passes(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let path = format!("/tasks/{uuid}");
    harness.postgres().await.kill().unwrap();
    let health = harness.send(Method::GET, "/health", None, None).await.expect(503);
    assert!(health.text.contains("database"), "{}", health.text);
    ann.get(&path).await.expect_refused(503, "unavailable");

    harness.postgres().await.restart().await.unwrap();
    assert_eq!(ann.state(&uuid).await, "Ready", "what was acknowledged is there");
    harness.send(Method::GET, "/health", None, None).await.expect(200);
}

/// Legacy workers exit at the first error, so their requests are held instead.
pub(crate) async fn worker_survives_a_database_outage(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let task = worker.fetches().await;

    harness.postgres().await.kill().unwrap();
    let (again, restarted) = tokio::join!(worker.fetches(), async {
        harness.send(Method::GET, "/health", None, None).await.expect(503);
        harness.postgres().await.restart().await
    });
    restarted.unwrap();
    assert_eq!(again["uuid"], task["uuid"], "it holds the same task");
    worker.finishes(&task, 0).await;
    assert_eq!(ann.state(&uuid).await, "Finished");
}

/// A legacy worker exits at any other reply than the usual one, and when a request breaks off.
pub(crate) async fn legacy_worker_survives_a_database_outage(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let (busy, idle) = (ann.worker(&json!({})).await, ann.worker(&json!({})).await);
    let task = busy.fetches().await;
    harness.postgres().await.kill().unwrap();

    let finish = json!("Finish");
    let (reported, ()) = tokio::join!(busy.reports(&task, &finish), async {
        // Longer than a request of a native worker is held.
        let until = Instant::now() + Duration::from_secs(23);
        while Instant::now() < until {
            assert_eq!(idle.get("/workers/tasks").await.expect(200).text, "null");
            assert_eq!(busy.post("/workers/heartbeat", &json!(null)).await.expect(200).text, "null");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        harness.postgres().await.restart().await.unwrap();
    });
    reported.expect(200);
    busy.reports(&task, &json!({"Commit": {"exit_status": 0, "msg": null}})).await.expect(200);
    assert_eq!(ann.state(&uuid).await, "Finished");
    idle.post("/workers/heartbeat", &json!(null)).await.expect(200);
}

/// A database that accepts connections but does not respond is an outage, too.
pub(crate) async fn legacy_worker_gets_replies_while_the_database_hangs(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.submits(&json!({})).await;
    let idle = ann.worker(&json!({})).await;
    let hung = harness.locked("worker").await;
    let both = async {
        let (task, heartbeat) =
            tokio::join!(idle.get("/workers/tasks"), idle.post("/workers/heartbeat", &json!(null)));
        [task, heartbeat].map(|answer| answer.expect(200).text)
    };
    let answers = tokio::time::timeout(Duration::from_secs(9), both).await;
    assert_eq!(answers.expect("they are answered soon"), ["null", "null"]);
    drop(hung);
    idle.fetches().await;
}

/// A native worker would rely on a lease that was not renewed.
pub(crate) async fn native_heartbeat_fails_during_a_database_outage(harness: Harness) {
    let ann = harness.user("ann").await;
    let worker = ann.worker(&json!({"slots": 1})).await;
    harness.postgres().await.kill().unwrap();
    let heartbeat = harness.request(Method::POST, "/workers/heartbeat").header("user-agent", "mito/1.2.3");
    let answer = Answer::read(heartbeat.bearer_auth(&worker.token)).await;
    assert!(!answer.headers.contains_key("x-mito-lease"));
    answer.expect_refused(503, "unavailable");
}
