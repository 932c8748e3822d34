//! Live execution states on Redis.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use mitosis_coordinator::{Coordinator, Database, KeyFiles, Objects, RedisSettings, Settings, StartError};
use mitosis_domain::clock::SystemClock;
use mitosis_domain::entropy::OsEntropy;
use redis::aio::MultiplexedConnection;
use redis::{Client, RedisError};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, LEASE, Someone};

/// The timeout of a test step.
const LIMIT: Duration = Duration::from_secs(30);

async fn connection(url: &str) -> MultiplexedConnection {
    Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn client_url(harness: &Harness) -> String {
    let reply = harness.admin().await.get("/redis").await.expect(200).json();
    reply["url"].as_str().unwrap().to_owned()
}

async fn worker_url(someone: &Someone<'_>) -> String {
    let body = json!({"tags": [], "labels": [], "groups": []});
    let reply = someone.post("/workers", &body).await.expect(200).json();
    reply["redis_url"].as_str().unwrap().to_owned()
}

/// The headers of a native agent.
async fn as_agent(harness: &Harness, worker: &Someone<'_>, method: Method, body: Option<&Value>) -> Value {
    let mut request = harness.request(method, "/workers/tasks?wait=0s").bearer_auth(&worker.token);
    request = request.header("user-agent", "mito/1.2.3");
    if let Some(body) = body {
        request = request.json(body);
    }
    Answer::read(request).await.expect(200).json()
}

pub(crate) async fn redis_users_have_minimal_rights(harness: Harness) {
    let (client_url, worker_url) = (client_url(&harness).await, worker_url(&harness.admin().await).await);
    assert!(client_url.starts_with("redis://mitosis_client:") && client_url.ends_with("/?protocol=resp3"));
    assert!(worker_url.starts_with("redis://mitosis_worker:") && worker_url.ends_with("/?protocol=resp3"));
    let (mut client, mut worker) = (connection(&client_url).await, connection(&worker_url).await);

    let set = |key: &'static str| redis::cmd("SET").arg(key).arg(11).to_owned();
    set("task:x").query_async::<()>(&mut worker).await.unwrap();
    redis::cmd("PUBLISH").arg("task:x").arg(11).query_async::<i64>(&mut worker).await.unwrap();
    let read: i64 = redis::cmd("GET").arg("task:x").query_async(&mut client).await.unwrap();
    assert_eq!(read, 11);

    let refused = |outcome: Result<redis::Value, RedisError>| {
        assert!(outcome.unwrap_err().to_string().to_lowercase().contains("permission"));
    };
    refused(set("task:x").query_async(&mut client).await);
    refused(set("other").query_async(&mut worker).await);
    refused(redis::cmd("GET").arg("other").query_async(&mut client).await);
    refused(redis::cmd("FLUSHALL").query_async(&mut worker).await);
    let publish = redis::cmd("PUBLISH").arg("task:x").arg(19).to_owned();
    refused(publish.query_async(&mut client).await);
    let channels = redis::cmd("PUBSUB").arg("CHANNELS").to_owned();
    refused(channels.query_async(&mut client).await);
    refused(redis::cmd("ACL").arg("LIST").query_async(&mut worker).await);
}

/// Another coordinator of the database would get the same passwords, like this one after a restart.
pub(crate) async fn drawn_redis_password_is_the_same_at_every_start(mut harness: Harness) {
    let before = client_url(&harness).await;
    let mut held = connection(&before).await;
    harness.restart().await;
    assert_eq!(client_url(&harness).await, before);
    redis::cmd("PING").query_async::<()>(&mut connection(&before).await).await.unwrap();
    redis::cmd("GET").arg("task:x").query_async::<Option<i32>>(&mut held).await.unwrap();
}

pub(crate) async fn states_of_native_agents_are_announced_and_expire(harness: Harness) {
    let ann = harness.user("ann").await;
    let url = client_url(&harness).await;
    let uuid = ann.submits(&json!({})).await;
    let channel = format!("task:{uuid}");
    let mut subscription = Client::open(url.as_str()).unwrap().get_async_pubsub().await.unwrap();
    subscription.subscribe(&channel).await.unwrap();

    let worker = ann.worker(&json!({})).await;
    let task = as_agent(&harness, &worker, Method::GET, None).await;
    let report = |op: Value| json!({"id": task["id"], "op": op});
    let commit = json!({"Commit": {"exit_status": 9, "msg": "ExecTimeout"}});
    for op in [json!("Cancel"), json!({"Upload": {"content_type": "std-log", "content_length": 1}}), commit] {
        as_agent(&harness, &worker, Method::POST, Some(&report(op))).await;
    }
    let mut seen = Vec::new();
    let mut messages = subscription.on_message();
    while seen.last() != Some(&19) {
        let message = tokio::time::timeout(LIMIT, messages.next()).await.unwrap().unwrap();
        seen.push(message.get_payload::<i32>().unwrap());
    }
    assert_eq!(seen, [10, 14, 13, 19], "pending, uploading, timed out, ended");
    let mut reader = connection(&url).await;
    let left: i64 = redis::cmd("TTL").arg(&channel).query_async(&mut reader).await.unwrap();
    assert!((1..=60).contains(&left), "{left}");
}

pub(crate) async fn legacy_workers_announce_themselves(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let task = worker.fetches().await;
    worker.finishes(&task, 0).await;
    // The next announcement of the agent comes after all earlier ones.
    let next = ann.submits(&json!({})).await;
    as_agent(&harness, &worker, Method::GET, None).await;
    let mut reader = connection(&client_url(&harness).await).await;
    until(&mut reader, &next).await;
    let state: Option<i32> =
        redis::cmd("GET").arg(format!("task:{uuid}")).query_async(&mut reader).await.unwrap();
    assert_eq!(state, None);
}

async fn until(reader: &mut MultiplexedConnection, uuid: &str) {
    let key = format!("task:{uuid}");
    tokio::time::timeout(LIMIT, async {
        loop {
            let state: Option<i32> = redis::cmd("GET").arg(&key).query_async(reader).await.unwrap();
            if state.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the state of a task of our agent is announced");
}

pub(crate) async fn tasks_continue_without_redis(harness: Harness) {
    let ann = harness.user("ann").await;
    let worker = ann.worker(&json!({})).await;
    harness.redis().await.kill().unwrap();

    let uuid = ann.submits(&json!({})).await;
    let task = as_agent(&harness, &worker, Method::GET, None).await;
    worker.finishes(&task, 0).await;
    assert_eq!(ann.state(&uuid).await, "Finished");
    redis_is(&harness, "unavailable").await;

    harness.redis().await.restart().await.unwrap();
    redis_is(&harness, "ok").await;
    let mut reader = connection(&client_url(&harness).await).await;
    let next = ann.submits(&json!({})).await;
    as_agent(&harness, &worker, Method::GET, None).await;
    until(&mut reader, &next).await;
}

/// Waits until the health report has this state. Redis never makes the coordinator unhealthy.
async fn redis_is(harness: &Harness, wanted: &str) {
    tokio::time::timeout(LIMIT, async {
        loop {
            let health = harness.send(Method::GET, "/health", None, None).await.expect(200).json();
            if health["parts"]["redis"] == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("Redis is {wanted}"));
}

/// Sends the first poll of an agent that reports states, and returns the reply.
async fn first_poll(agent: &Someone<'_>, more: &Value) -> Value {
    let mut poll = json!({"want": 1, "tells_states": true, "wait": "20s"});
    poll.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    agent.post("/v1/agents/poll", &poll).await.expect(200).json()
}

async fn states(agent: &Someone<'_>, task: &Value, states: &[&str]) {
    let states: Vec<_> = states.iter().map(|state| json!({"task": task["uuid"], "state": state})).collect();
    let report = json!({"states": states});
    let reply = agent.post("/v1/agents/report", &report).await.expect(200).json();
    assert_eq!(reply, json!({"verdicts": [], "tasks": [], "drain": false}));
}

pub(crate) async fn agent_states_are_announced_in_the_order_of_0_6_8(harness: Harness) {
    let ann = harness.user("ann").await;
    let url = client_url(&harness).await;
    let uuid = ann.submits(&json!({})).await;
    let mut subscription = Client::open(url.as_str()).unwrap().get_async_pubsub().await.unwrap();
    subscription.subscribe(format!("task:{uuid}")).await.unwrap();
    let agent = ann.worker(&json!({"slots": 1})).await;
    let reply = first_poll(&agent, &json!({})).await;
    assert_eq!(reply["announce"], json!(true), "the states of all tasks matter");
    let given = &reply["tasks"][0];
    states(&agent, &given["task"], &["ExecPending", "ExecSpawned"]).await;
    let mut reader = connection(&url).await;
    let left: i64 = redis::cmd("TTL").arg(format!("task:{uuid}")).query_async(&mut reader).await.unwrap();
    assert_eq!(left, -1, "a command may run for long");
    let rest = ["ExecFinished", "UploadResult", "UploadFinishedResult", "UploadResultFinished"];
    let rest: Vec<_> = rest.iter().map(|state| json!({"task": uuid, "state": state})).collect();
    let key = json!({"id": given["task"]["id"], "epoch": given["epoch"], "token": given["token"]});
    let ended = json!({"key": key, "cancelled": false, "result": {"exit_status": 0, "msg": null}});
    agent.post("/v1/agents/report", &json!({"states": rest, "ended": [ended]})).await.expect(200);
    let mut seen = Vec::new();
    let mut messages = subscription.on_message();
    while seen.last() != Some(&19) {
        let message = tokio::time::timeout(LIMIT, messages.next()).await.unwrap().unwrap();
        seen.push(message.get_payload::<i32>().unwrap());
    }
    assert_eq!(seen, [1, 10, 11, 12, 14, 15, 17, 19]);
}

pub(crate) async fn agent_announces_states_of_what_it_holds_only(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let url = client_url(&harness).await;
    let uuid = ann.submits(&json!({})).await;
    let mut subscription = Client::open(url.as_str()).unwrap().get_async_pubsub().await.unwrap();
    subscription.subscribe(format!("task:{uuid}")).await.unwrap();
    let holder = ann.worker(&json!({"slots": 1})).await;
    let given = first_poll(&holder, &json!({})).await["tasks"][0].clone();
    let other = raj.worker(&json!({"slots": 1})).await;
    // Its report comes before that of the holder, so the test need not wait for something that does not happen.
    states(&other, &given["task"], &["TaskCommitted"]).await;
    states(&holder, &given["task"], &["ExecSpawned"]).await;
    let mut seen = Vec::new();
    let mut messages = subscription.on_message();
    while seen.last() != Some(&11) {
        let message = tokio::time::timeout(LIMIT, messages.next()).await.unwrap().unwrap();
        seen.push(message.get_payload::<i32>().unwrap());
    }
    assert_eq!(seen, [1, 11]);
}

pub(crate) async fn departed_agent_is_announced_as_exited(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let agent = ann.worker(&json!({"slots": 1})).await;
    first_poll(&agent, &json!({})).await;
    let leave = harness.request(Method::DELETE, "/workers").header("user-agent", "mito/1.2.3");
    Answer::read(leave.bearer_auth(&agent.token)).await.expect(200);
    has_exited(&harness, &uuid).await;
}

pub(crate) async fn lost_agent_is_announced_as_exited(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let agent = ann.worker(&json!({"slots": 1})).await;
    first_poll(&agent, &json!({})).await;
    // It is stored when this returns.
    agent.post("/workers/heartbeat", &json!(null)).await.expect(200);
    harness.clock.advance(LEASE);
    has_exited(&harness, &uuid).await;
}

/// Waits until the exit of the worker of a task is announced.
async fn has_exited(harness: &Harness, uuid: &str) {
    let mut reader = connection(&client_url(harness).await).await;
    let key = format!("task:{uuid}");
    let deadline = std::time::Instant::now() + LIMIT;
    loop {
        let state: Option<i32> = redis::cmd("GET").arg(&key).query_async(&mut reader).await.unwrap();
        if state == Some(-1) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{state:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A legacy worker announces its state on Redis, and a native worker receives it.
pub(crate) async fn watched_task_of_a_legacy_worker_is_read_from_redis(harness: Harness) {
    let ann = harness.user("ann").await;
    let file = json!([{"remote_file": {"Attachment": {"key": "k"}}, "local_path": "f"}]);
    let spec =
        json!({"args": ["true"], "envs": {}, "resources": file, "terminal_output": false, "watch": null});
    let uuid = ann.submits(&json!({"task_spec": spec})).await;
    let url = worker_url(&ann).await;
    let published = ann.worker(&json!({})).await;
    published.fetches().await;
    let watch = json!({"args": ["true"], "envs": {}, "resources": [], "terminal_output": false,
        "watch": [uuid, "ExecSpawned"]});
    ann.submits(&json!({"task_spec": watch})).await;
    let watcher = ann.worker(&json!({"slots": 1})).await;
    first_poll(&watcher, &json!({})).await;
    let ask = |wait: &str| format!("/v1/workers/tasks/{uuid}/reached?target=ExecSpawned&wait={wait}");
    let reply = watcher.get(&ask("0s")).await.expect(200).json();
    assert_eq!(reply, json!({"reached": false}), "it fetches its file");
    let mut redis = connection(&url).await;
    redis::cmd("SET").arg(format!("task:{uuid}")).arg(11).query_async::<()>(&mut redis).await.unwrap();
    assert_eq!(watcher.get(&ask("20s")).await.expect(200).json(), json!({"reached": true}));
}

/// Generated passwords only work if the coordinator sets up the users itself.
#[tokio::test]
async fn unmanaged_redis_users_need_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let redis = RedisSettings {
        url: "redis://127.0.0.1:1".into(),
        worker_password: Some("for workers".into()),
        client_password: None,
        skip_acl_rules: true,
    };
    let settings = Settings {
        bind: "127.0.0.1:0".parse().unwrap(),
        keys: KeyFiles { private: place("private.pem"), public: place("public.pem"), create: true },
        redis: Some(redis),
        ..Settings::new(Database::Sqlite(place("state.db")), Objects::Directory(place("objects")))
    };
    let refused = Coordinator::start(settings, Arc::new(SystemClock), Arc::new(OsEntropy)).await.unwrap_err();
    assert!(matches!(refused, StartError::Redis(_)), "{refused:?}");
    assert!(refused.hint().unwrap().contains("redis_client_password"), "{:?}", refused.hint());
}
