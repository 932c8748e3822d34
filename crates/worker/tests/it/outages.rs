//! A coordinator that is unreachable or fails.

use serde_json::json;

use crate::script::Script;

#[tokio::test]
async fn result_survives_every_kind_of_failed_answer() {
    let script = Script::new().await;
    script.fails("POST /workers ", 503, 2);
    script.fails("POST /v1/agents/poll ", 502, 2);
    script.fails(r#"POST /workers/tasks {"id":1,"op":{"Upload""#, 429, 2);
    script.fails("PUT /objects", 503, 2);
    script.fails("POST /v1/agents/report ", 500, 2);
    script.has("echo r > $MITO_RESULT_DIR/r; exit 4", |_| {});
    let worker = script.worker(1);
    assert_eq!(script.commits(3).await, json!({"exit_status": 1024, "msg": null}));
    assert_eq!(script.uploads().len(), 1);
    assert!(!worker.is_finished());
}

#[tokio::test]
async fn refusing_object_store_makes_the_result_incomplete() {
    let script = Script::new().await;
    script.has("echo r > $MITO_RESULT_DIR/r", |_| {});
    script.fails("PUT /objects", 403, 100);
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await, json!({"exit_status": 0, "msg": "UploadResultTimeout"}));
}

#[tokio::test]
async fn revoked_task_is_abandoned_and_the_next_one_runs() {
    let script = Script::new().await;
    script.has("echo r > $MITO_RESULT_DIR/r; exit 1", |_| {});
    script.has("exit 2", |_| {});
    script.has("exit 3", |_| {});
    script.fails("POST /workers/tasks ", 404, 1);
    script.takes_back(1);
    let _worker = script.worker(1);
    assert_eq!(script.commits(2).await["exit_status"], 768);
}

#[tokio::test]
async fn expired_lease_kills_the_command_and_registers_again() {
    let script = Script::with_lease(Some(1)).await;
    script.fails("POST /workers/heartbeat", 503, 1_000_000);
    let pid = script.scratch().join("pid");
    script.has(&format!("echo $$ > {}; exec sleep 61", pid.display()), |_| {});
    let _worker = script.worker(1);
    script.hears("POST /workers ", 2).await;
    let pid = std::fs::read_to_string(pid).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "the command lives on: {stat}");
    assert_eq!(script.reports(), Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn legacy_coordinator_without_lease_is_supported() {
    let script = Script::old().await;
    let _worker = script.worker(1);
    script.hears("GET /workers/tasks ", 3).await;
    script.has("exit 6", |_| {});
    assert_eq!(script.commits(1).await["exit_status"], 6 << 8);
}

#[tokio::test]
async fn end_is_reported_until_it_is_answered() {
    let script = Script::new().await;
    script.has("exit 5", |_| {});
    script.fails(r#"POST /v1/agents/report {"ended":[{"key":{"id":1,"#, 503, 3);
    let _worker = script.worker(1);
    assert_eq!(script.commits(4).await, json!({"exit_status": 1280, "msg": null}));
    script.has("exit 6", |_| {});
    assert_eq!(script.commits(5).await["exit_status"], 6 << 8);
}

#[tokio::test]
async fn token_is_renewed_at_half_of_its_life_also_after_an_outage() {
    let script = Script::new().await;
    script.gives_tokens_for(4);
    script.fails("POST /v1/workers/token", 503, 1);
    let worker = script.worker(1);
    script.hears("POST /workers ", 1).await;
    let registered = std::time::Instant::now();
    script.hears("POST /v1/workers/token ", 1).await;
    assert!(registered.elapsed() < std::time::Duration::from_millis(3_500), "{:?}", registered.elapsed());
    script.hears("POST /v1/workers/token ", 3).await;
    script.has("exit 6", |_| {});
    assert_eq!(script.commits(1).await["exit_status"], 6 << 8);
    assert!(!worker.is_finished());
    let registered = script.heard().iter().filter(|line| line.starts_with("POST /workers ")).count();
    assert_eq!(registered, 1);
}
