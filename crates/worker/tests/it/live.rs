//! The execution states that a worker reports, and those that it receives for watched tasks.

use std::time::Duration;

use futures_util::StreamExt as _;
use mitosis_protocol::{ExecState, Uuid};
use mitosis_testkit::redis::RedisServer;
use serde_json::{Value, json};

use crate::script::Script;

const LIMIT: Duration = Duration::from_secs(30);
const REPORT: &str = "POST /v1/agents/report ";

/// All states that were reported, oldest first.
pub(crate) fn states(script: &Script) -> Vec<Value> {
    let reports = script.bodies(REPORT);
    let states = |report: &Value| report["states"].as_array().cloned().unwrap_or_default();
    reports.iter().flat_map(states).map(|one| one["state"].clone()).collect()
}

pub(crate) async fn until(mut holds: impl FnMut() -> bool, what: &str) {
    let held = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, held).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn states_without_watchers_are_not_reported() {
    let script = Script::new().await;
    script.has("sleep 0.1", |_| {});
    let worker = script.worker(1);
    script.commits(1).await;
    assert!(states(&script).is_empty());
    assert!(script.bodies("POST /v1/agents/poll ").iter().all(|poll| poll["tells_states"] == json!(true)));
    script.stop();
    worker.await.unwrap().unwrap();
}

#[tokio::test]
async fn all_states_of_a_task_are_reported_in_order() {
    let script = Script::new().await;
    script.announces();
    script.has("true", |_| {});
    script.has("echo kept", |task| task.spec.terminal_output = true);
    script.has("sleep 600", |task| task.timeout = Duration::from_millis(100));
    let worker = script.worker(1);
    script.commits(3).await;
    let plain = [
        "ExecPending",
        "ExecSpawned",
        "ExecFinished",
        "UploadResult",
        "UploadFinishedResult",
        "UploadResultFinished",
    ];
    let stopped = [
        "ExecPending",
        "ExecSpawned",
        "ExecTimeout",
        "UploadResult",
        "UploadCancelledResult",
        "UploadResultFinished",
    ];
    assert_eq!(states(&script), [plain, plain, stopped].concat());
    script.stop();
    worker.await.unwrap().unwrap();
}

#[tokio::test]
async fn spawn_of_a_long_task_is_reported_before_its_end() {
    let script = Script::new().await;
    script.announces();
    script.has("sleep 600", |_| {});
    let worker = script.worker(1);
    until(|| states(&script) == [json!("ExecPending"), json!("ExecSpawned")], "it runs").await;
    assert_eq!(script.bodies(REPORT).len(), 1, "in one report");
    script.stop();
    worker.await.unwrap().unwrap();
}

#[tokio::test]
async fn current_state_of_a_watched_task_is_reported() {
    let script = Script::new().await;
    script.has("sleep 600", |_| {});
    let worker = script.worker(2);
    script.hears("POST /v1/agents/poll ", 3).await;
    assert!(states(&script).is_empty());
    script.says("watched", json!([Uuid::from_u128(1)]));
    until(|| states(&script).last() == Some(&json!("ExecSpawned")), "the state that it has").await;
    script.stop();
    worker.await.unwrap().unwrap();
}

#[tokio::test]
async fn states_of_a_lost_report_are_repeated() {
    let script = Script::new().await;
    script.announces();
    script.fails("POST /v1/agents/report", 503, 2);
    script.has("sleep 600", |_| {});
    let worker = script.worker(1);
    script.hears(REPORT, 3).await;
    let last = script.bodies(REPORT).pop().unwrap();
    assert_eq!(last["states"][1]["state"], json!("ExecSpawned"), "{last}");
    script.stop();
    worker.await.unwrap().unwrap();
}

async fn announced(script: &Script, redis: &RedisServer, task: Uuid) -> redis::aio::PubSub {
    script.has_redis(redis.url());
    let client = redis::Client::open(redis.url()).unwrap();
    let mut subscription = client.get_async_pubsub().await.unwrap();
    subscription.subscribe(format!("task:{task}")).await.unwrap();
    subscription
}

async fn heard(subscription: &mut redis::aio::PubSub, last: ExecState) -> Vec<i32> {
    let mut seen = Vec::new();
    let mut messages = subscription.on_message();
    while seen.last() != Some(&last.as_i32()) {
        let message = tokio::time::timeout(LIMIT, messages.next()).await;
        let message = message.unwrap_or_else(|_| panic!("{seen:?}")).unwrap();
        seen.push(message.get_payload::<i32>().unwrap());
    }
    seen
}

#[tokio::test]
async fn states_go_to_redis_with_a_legacy_coordinator() {
    let (script, redis) = (Script::old().await, RedisServer::start().await.unwrap());
    let mut subscription = announced(&script, &redis, Uuid::from_u128(1)).await;
    script.has("true", |_| {});
    let worker = script.worker(1);
    let seen = heard(&mut subscription, ExecState::TaskCommitted).await;
    assert_eq!(seen, [1, 10, 11, 12, 14, 15, 17, 19]);
    script.stop();
    worker.await.unwrap().unwrap();
}

#[tokio::test]
async fn stopping_worker_announces_its_exit() {
    let (script, redis) = (Script::old().await, RedisServer::start().await.unwrap());
    let mut subscription = announced(&script, &redis, Uuid::from_u128(1)).await;
    script.has("sleep 600", |_| {});
    let worker = script.worker(1);
    heard(&mut subscription, ExecState::ExecSpawned).await;
    script.stop();
    worker.await.unwrap().unwrap();
    assert_eq!(heard(&mut subscription, ExecState::WorkerExited).await, [-1]);
}

/// The output of the waiting task when it starts.
fn watcher(script: &Script, target: ExecState) {
    script.has("true", |task| task.spec.watch = Some((Uuid::from_u128(0xfeed), target)));
}

#[tokio::test]
async fn watch_with_a_legacy_coordinator_reads_redis() {
    let (script, redis) = (Script::old().await, RedisServer::start().await.unwrap());
    script.has_redis(redis.url());
    script.shows_watched("Running");
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!("task:{}", Uuid::from_u128(0xfeed));
    redis::cmd("SET").arg(&key).arg(1).query_async::<()>(&mut connection).await.unwrap();
    watcher(&script, ExecState::ExecSpawned);
    let worker = script.worker(1);
    script.hears("GET /workers/tasks/", 2).await;
    assert!(script.reports().is_empty(), "it is announced as fetching");
    redis::cmd("SET").arg(&key).arg(11).query_async::<()>(&mut connection).await.unwrap();
    script.commits(1).await;
    script.stop();
    worker.await.unwrap().unwrap();
}

#[tokio::test]
async fn watch_with_a_legacy_coordinator_presumes_a_spawn() {
    let script = Script::old().await;
    script.shows_watched("Running");
    watcher(&script, ExecState::ExecSpawned);
    let worker = script.worker(1);
    let committed = script.commits(1).await;
    assert_eq!(committed["exit_status"], json!(0));
    script.stop();
    worker.await.unwrap().unwrap();
}
