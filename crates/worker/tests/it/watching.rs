//! Tasks that wait for another one, outside the slots.

use std::time::Duration;

use mitosis_protocol::worker::FetchedTask;
use mitosis_protocol::{ExecState, Uuid};
use serde_json::{Value, json};

use crate::live::{states, until};
use crate::script::Script;

const ASKS: &str = "GET /v1/workers/tasks/";
const POLL: &str = "POST /v1/agents/poll ";
const REPORT: &str = "POST /v1/agents/report ";

/// Assigns a task that watches another one, and waits until it watches.
async fn watches(script: &Script, command: &str, change: impl FnOnce(&mut FetchedTask)) -> Value {
    let mut attempt = Value::Null;
    script.has(command, |task| {
        task.spec.watch = Some((Uuid::from_u128(0xfeed), ExecState::TaskCommitted));
        change(task);
        attempt = json!({"id": task.id, "epoch": 1, "token": 7});
    });
    script.hears(ASKS, 1).await;
    attempt
}

fn count(script: &Script, what: &str) -> usize {
    script.heard().iter().filter(|line| line.starts_with(what)).count()
}

/// Waits until the worker stops requesting the watched task.
async fn asks_no_more(script: &Script) {
    let mut asked = usize::MAX;
    for _ in 0..50 {
        let before = std::mem::replace(&mut asked, count(script, ASKS));
        if before == asked {
            return;
        }
        // As often as the worker requests the watched task.
        script.hears(POLL, count(script, POLL) + 5).await;
    }
    panic!("it does not stop asking: {:#?}", script.heard());
}

#[tokio::test]
async fn task_stopped_while_watching_ends_unstarted() {
    let script = Script::new().await;
    let _worker = script.worker(1);
    let attempt = watches(&script, "exit 1", |_| {}).await;
    script.says("stop", json!([attempt]));
    assert_eq!(script.commits(1).await, json!({"exit_status": 0, "msg": "UserCancellation"}));
    asks_no_more(&script).await;
}

#[tokio::test]
async fn task_revoked_while_watching_is_dropped() {
    let script = Script::new().await;
    let _worker = script.worker(1);
    let attempt = watches(&script, "exit 1", |_| {}).await;
    script.says("dropped", json!([attempt]));
    asks_no_more(&script).await;
    script.reaches();
    script.has("exit 7", |_| {});
    assert_eq!(script.commits(1).await["exit_status"], 7 << 8, "nothing comes before this one");
    assert!(script.bodies(REPORT).iter().all(|report| report["returned"] == json!([])));
}

#[tokio::test]
async fn draining_worker_returns_watching_tasks() {
    let script = Script::new().await;
    let worker = script.worker(2);
    let attempt = watches(&script, "exit 1", |_| {}).await;
    let pid = script.scratch().join("pid");
    script.has(&format!("touch {}; exec sleep 61", pid.display()), |_| {});
    crate::endings::appears(&pid).await;
    script.drain();
    script.hears(REPORT, 1).await;
    assert_eq!(script.bodies(REPORT)[0]["returned"], json!([attempt]));
    asks_no_more(&script).await;
    script.stop();
    worker.await.unwrap().unwrap();
}

/// By then, the task may run on another worker.
#[tokio::test]
async fn task_watching_past_its_limit_is_returned() {
    let script = Script::with_terms(600, 1).await;
    script.fails("POST /workers/heartbeat", 503, usize::MAX);
    let _worker = script.worker(1);
    let attempt = watches(&script, "true", |task| task.spec.lost_after = Some(Duration::from_secs(2))).await;
    until(
        || script.bodies(REPORT).iter().any(|report| report["returned"] == json!([attempt])),
        "it is given back",
    )
    .await;
}

#[tokio::test]
async fn states_of_a_watching_task_are_reported_to_its_end() {
    for is_there in [false, true] {
        let script = Script::new().await;
        let uuid = Uuid::from_u128(0xabba);
        let worker = script.worker(1);
        if !is_there {
            script.says("watched", json!([uuid]));
            script.hears(POLL, count(&script, POLL) + 2).await;
        }
        watches(&script, "true", |task| task.uuid = uuid).await;
        if is_there {
            script.says("watched", json!([uuid]));
        }
        until(|| states(&script).contains(&json!("Watch")), "it watches").await;
        script.reaches();
        script.commits(1).await;
        let states = states(&script);
        assert!(states.contains(&json!("ExecSpawned")), "heard of before it came: {}: {states:?}", !is_there);
        let watched = states.iter().filter(|state| **state == json!("Watch")).count();
        assert_eq!(watched, 1, "not in its slot again: {states:?}");
        script.stop();
        worker.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn follower_of_a_watching_task_is_kept() {
    let script = Script::new().await;
    let _worker = script.worker(1);
    watches(&script, "echo shown; exec sleep 61", |task| {
        task.uuid = Uuid::from_u128(0xabba);
        task.spec.terminal_output = true;
    })
    .await;
    script.says("followed", json!([Uuid::from_u128(0xabba)]));
    script.hears(POLL, count(&script, POLL) + 2).await;
    script.reaches();
    script.hears("GET /v1/workers/tasks/00000000-0000-0000-0000-00000000abba/output ", 1).await;
}

/// An earlier coordinator does not evaluate watches.
#[tokio::test]
async fn worker_evaluates_watches_for_an_old_coordinator() {
    let script = Script::new().await;
    script.lacks(ASKS);
    script.shows_watched("Finished");
    let _worker = script.worker(1);
    let finished = Some((Uuid::from_u128(0xfeed), ExecState::ExecFinished));
    watches(&script, "exit 7", |task| task.spec.watch = finished).await;
    assert_eq!(script.commits(1).await["exit_status"], 7 << 8);
}
