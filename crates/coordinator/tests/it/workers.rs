//! Workers, for users.

use serde_json::{Value, json};

use crate::harness::Harness;

pub(crate) async fn worker_is_shown_with_its_task(harness: Harness) {
    let ann = harness.user("ann").await;
    let worker = ann.worker(&json!({"tags": ["gpu"], "labels": ["rack-1"]})).await;
    let uuid = ann.submits(&json!({})).await;
    worker.fetches().await;
    let shown = ann.get(&format!("/workers/{}", worker.name)).await.expect(200).json();
    assert_eq!(shown["info"]["assigned_task_id"], json!(uuid));
    assert_eq!((&shown["info"]["tags"], &shown["info"]["state"]), (&json!(["gpu"]), &json!("Normal")));
    let count = async |filter: Value| {
        let mut body = filter;
        body["count"] = json!(true);
        ann.post("/workers/query", &body).await.expect(200).json()["count"].clone()
    };
    assert_eq!(count(json!({"tags": ["gpu"], "labels": []})).await, 1);
    assert_eq!(count(json!({"role": ["Write"]})).await, 0);
    assert_eq!(count(json!({"role": []})).await, 0);
    assert_eq!(count(json!({"labels": ["rack-2"]})).await, 0);
}

pub(crate) async fn workers_are_paginated(harness: Harness) {
    let ann = harness.user("ann").await;
    let mut registered = Vec::new();
    for _ in 0..5 {
        registered.push(ann.worker(&json!({})).await.name);
    }
    let page = async |more: Value| {
        let mut body = json!({"count": false, "limit": 2});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ann.post("/workers/query", &body).await.expect(200).json()
    };
    let (mut found, mut reply) = (Vec::new(), page(json!({})).await);
    loop {
        let workers = reply["workers"].as_array().unwrap();
        assert_eq!(reply["count"], workers.len());
        found.extend(workers.iter().map(|worker| worker["worker_id"].as_str().unwrap().to_owned()));
        if reply["next"].is_null() {
            break;
        }
        // The last worker of a page may have stopped.
        ann.delete(&format!("/workers/{}", found.last().unwrap())).await.expect_empty();
        reply = page(json!({"after": reply["next"]})).await;
    }
    assert_eq!(found, registered);
    assert!(reply.get("next").is_none(), "legacy clients get only the fields that they know: {reply}");
}

pub(crate) async fn many_workers_are_stopped_by_filter(harness: Harness) {
    let ann = harness.user("ann").await;
    for _ in 0..101 {
        ann.worker(&json!({})).await;
    }
    let stopped = ann.post("/workers/shutdown", &json!({"op": "Force"})).await.expect(200).json();
    assert_eq!(stopped["shutdown_count"], 101);
    assert_eq!(ann.post("/workers/query", &json!({"count": true})).await.expect(200).json()["count"], 0);
}

pub(crate) async fn idle_worker_stops_at_once_and_busy_one_after_its_task(harness: Harness) {
    let ann = harness.user("ann").await;
    let idle = ann.worker(&json!({})).await;
    ann.delete(&format!("/workers/{}", idle.name)).await.expect_empty();
    idle.post("/workers/heartbeat", &json!(null)).await.expect(401);

    let busy = ann.worker(&json!({})).await;
    ann.submits(&json!({})).await;
    let task = busy.fetches().await;
    ann.delete(&format!("/workers/{}?op=graceful", busy.name)).await.expect_empty();
    busy.post("/workers/heartbeat", &json!(null)).await.expect(200);
    busy.finishes(&task, 0).await;
    busy.post("/workers/heartbeat", &json!(null)).await.expect(401);
    assert_eq!(ann.task(task["uuid"].as_str().unwrap()).await["state"], "Finished");
}

pub(crate) async fn forced_stop_takes_the_task_of_a_worker(harness: Harness) {
    let ann = harness.user("ann").await;
    let worker = ann.worker(&json!({})).await;
    let uuid = ann.submits(&json!({})).await;
    worker.fetches().await;
    ann.delete(&format!("/workers/{}?op=explode", worker.name)).await.expect(400);
    ann.delete(&format!("/workers/{}?op=Force", worker.name)).await.expect_empty();
    worker.post("/workers/heartbeat", &json!(null)).await.expect(401);
    assert_eq!(ann.state(&uuid).await, "Ready");
}

pub(crate) async fn worker_token_ends_with_its_lifetime(harness: Harness) {
    let worker = harness.user("ann").await.worker(&json!({"lifetime": "5min"})).await.token;
    let beat = async || harness.send(reqwest::Method::POST, "/workers/heartbeat", Some(&worker), None).await;
    harness.clock.advance(std::time::Duration::from_secs(359));
    beat().await.expect(200);
    harness.clock.advance(std::time::Duration::from_secs(2));
    beat().await.expect(401);
}
