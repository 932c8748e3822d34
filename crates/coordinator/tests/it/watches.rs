//! Tasks that watch the state of another task.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Harness, Someone};

/// Assigns the one waiting task to a native agent that reports states.
async fn takes(agent: &Someone<'_>, at: &str) -> Value {
    let poll = json!({"want": 1, "tells_states": true, "wait": "20s"});
    let reply = agent.post(&format!("{at}/v1/agents/poll"), &poll).await.expect(200).json();
    reply["tasks"][0].clone()
}

/// A task for `holder`, and a worker that holds a task which watches it.
async fn watched<'a>(owner: &'a Someone<'a>) -> (String, Someone<'a>) {
    let uuid = owner.submits(&json!({"tags": ["holder"]})).await;
    let watcher = owner.worker(&json!({"slots": 1, "tags": ["watcher"]})).await;
    let spec = json!({"args": ["true"], "envs": {}, "resources": [], "terminal_output": false,
        "watch": [uuid, "ExecSpawned"]});
    owner.submits(&json!({"tags": ["watcher"], "task_spec": spec})).await;
    takes(&watcher, "").await;
    (uuid, watcher)
}

/// The registration of workers for the watched task.
fn holder() -> Value {
    json!({"slots": 1, "tags": ["holder"]})
}

async fn says(agent: &Someone<'_>, at: &str, uuid: &str, state: &str) {
    let report = json!({"states": [{"task": uuid, "state": state}]});
    agent.post(&format!("{at}/v1/agents/report"), &report).await.expect(200);
}

/// Waits until the states of a task are requested from its agent.
async fn is_asked(agent: &Someone<'_>, at: &str, task: &Value) {
    let held = json!([{"id": task["task"]["id"], "epoch": task["epoch"]}]);
    let poll = json!({"held": held, "tells_states": true, "wait": "20s"});
    let reply = agent.post(&format!("{at}/v1/agents/poll"), &poll).await.expect(200).json();
    assert_eq!(reply["watched"], json!([task["task"]["uuid"]]), "{reply}");
    assert_eq!(reply["announce"], Value::Null, "without Redis, no other task matters");
}

async fn reached(watcher: &Someone<'_>, uuid: &str, target: &str, wait: &str) -> bool {
    let path = format!("/v1/workers/tasks/{uuid}/reached?target={target}&wait={wait}");
    watcher.get(&path).await.expect(200).json()["reached"].as_bool().unwrap()
}

pub(crate) async fn watched_task_reaches_the_reported_state(harness: Harness) {
    let ann = harness.user("ann").await;
    let (uuid, watcher) = watched(&ann).await;
    let holder = ann.worker(&holder()).await;
    assert!(!reached(&watcher, &uuid, "FetchResource", "0s").await, "it waits");
    let task = takes(&holder, "").await;
    assert!(reached(&watcher, &uuid, "FetchResource", "0s").await);
    assert!(!reached(&watcher, &uuid, "ExecSpawned", "0s").await, "it may be in hand and not started");
    let begun = Instant::now();
    let (spawned, ()) = tokio::join!(reached(&watcher, &uuid, "ExecSpawned", "20s"), async {
        is_asked(&holder, "", &task).await;
        says(&holder, "", &uuid, "ExecPending").await;
        says(&holder, "", &uuid, "ExecSpawned").await;
    });
    assert!(spawned && begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(!reached(&watcher, &uuid, "ExecFinished", "0s").await);
}

pub(crate) async fn only_states_of_the_holder_count(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let (uuid, watcher) = watched(&ann).await;
    let holder = ann.worker(&holder()).await;
    takes(&holder, "").await;
    let stranger = raj.worker(&json!({"slots": 1})).await;
    let (spawned, ()) = tokio::join!(reached(&watcher, &uuid, "ExecSpawned", "1s"), async {
        for _ in 0..10 {
            says(&stranger, "", &uuid, "ExecSpawned").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(!spawned);
    let path = format!("/v1/workers/tasks/{uuid}/reached?target=ExecSpawned");
    stranger.get(&path).await.expect_refused(403, "forbidden");
    let many: Vec<_> = (0..10_001).map(|_| json!({"task": uuid, "state": "ExecSpawned"})).collect();
    let report = json!({"states": many});
    stranger.post("/v1/agents/report", &report).await.expect_refused(400, "invalid_request");
}

/// A legacy worker without Redis announces nothing, but a command without files starts when it is fetched.
pub(crate) async fn plain_task_of_a_legacy_worker_counts_as_spawned(harness: Harness) {
    let ann = harness.user("ann").await;
    let (uuid, watcher) = watched(&ann).await;
    let published = ann.worker(&json!({"tags": ["holder"]})).await;
    published.fetches().await;
    assert!(reached(&watcher, &uuid, "ExecSpawned", "0s").await);
    assert!(!reached(&watcher, &uuid, "ExecFinished", "0s").await);
}

pub(crate) async fn watched_state_is_forwarded_across_coordinators(harness: Harness) {
    let ann = harness.user("ann").await;
    let (running, there) = harness.another().await;
    let (uuid, watcher) = watched(&ann).await;
    let holder = ann.worker(&holder()).await;
    let task = takes(&holder, &there).await;
    let (spawned, ()) = tokio::join!(reached(&watcher, &uuid, "ExecSpawned", "20s"), async {
        is_asked(&holder, &there, &task).await;
        says(&holder, &there, &uuid, "ExecSpawned").await;
    });
    assert!(spawned);
    running.stop(mitosis_coordinator::Stop::Gracefully).await.unwrap();
}
