//! Commands that leave unusual files behind, and outputs that can't be stored.

use std::time::Duration;

use mitosis_protocol::task::{RemoteFile, ResourceDownload};
use mitosis_protocol::{ExecState, Uuid};
use serde_json::{Value, json};

use crate::script::Script;
use crate::tasks::unpacked;

/// The warnings in the report of the last ended task.
fn warnings(script: &Script) -> Value {
    let reports = script.bodies("POST /v1/agents/report ");
    let ended = reports.iter().rev().find_map(|report| report["ended"].as_array()?.last().cloned());
    ended.unwrap_or_default()["warnings"].take()
}

#[tokio::test]
async fn fifo_instead_of_a_file_does_not_block_the_slot() {
    let script = Script::new().await;
    script.has("mkfifo $MITO_RESULT_DIR/result.json", |_| {});
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await, json!({"exit_status": 0, "msg": null}));
    let found = warnings(&script);
    assert_eq!(found[0]["code"], "data_refused", "{found}");
    assert!(found[0]["text"].as_str().unwrap().ends_with("it is not a regular file"), "{found}");
    assert_eq!(found[1]["code"], "left_out", "{found}");

    script.has("mkfifo $MITO_NEW_TASK", |_| {});
    assert_eq!(script.commits(2).await, json!({"exit_status": 0, "msg": "SubmitNewTaskFailed"}));
    assert_eq!(warnings(&script)[0]["code"], "follow_up_refused");
}

#[tokio::test]
async fn link_instead_of_a_file_is_not_followed() {
    let script = Script::new().await;
    let secret = script.scratch().join("secret.json");
    std::fs::write(&secret, r#"{"secret": 1}"#).unwrap();
    let link = |name: &str| format!("ln -s {} {name}", secret.display());
    script.has(&link("$MITO_RESULT_DIR/result.json"), |_| {});
    let _worker = script.worker(1);
    script.commits(1).await;
    assert_eq!(warnings(&script)[0]["code"], "data_refused");
    script.has(&link("$MITO_NEW_TASK"), |_| {});
    assert_eq!(script.commits(2).await["msg"], "SubmitNewTaskFailed");
}

#[tokio::test]
async fn output_survives_a_command_that_replaces_its_files() {
    let script = Script::new().await;
    let replaces = "cd $(dirname $MITO_RESULT_DIR); echo kept; rm stdout.log stderr.log; mkfifo stdout.log";
    script.has(replaces, |task| task.spec.terminal_output = true);
    let _worker = script.worker(1);
    script.commits(1).await;
    assert_eq!(unpacked(&script.uploads()[0].1)["std-log/stdout.log"], "kept\n");
}

#[tokio::test]
async fn quota_loss_gives_a_warning_and_the_log_is_stored_first() {
    let script = Script::new().await;
    script.has("echo out; echo r > $MITO_RESULT_DIR/r; exit 4", |task| task.spec.terminal_output = true);
    script.fails(r#"POST /workers/tasks {"id":1,"op":{"Upload":{"content_type":"result""#, 403, 1);
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await, json!({"exit_status": 1024, "msg": null}));
    assert_eq!(script.uploads()[0].0, "/objects/std-log");
    let found = warnings(&script);
    assert_eq!(
        (&found[0]["code"], &found[0]["artifact"]),
        (&json!("not_stored"), &json!("result")),
        "{found}"
    );
}

#[tokio::test]
async fn legacy_coordinator_receives_a_loss_as_message() {
    let script = Script::old().await;
    script.has("echo r > $MITO_RESULT_DIR/r; echo e > $MITO_EXEC_DIR/e", |_| {});
    script.fails(r#"POST /workers/tasks {"id":1,"op":{"Upload""#, 403, 2);
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await, json!({"exit_status": 0, "msg": "UploadResultTimeout"}));
}

#[tokio::test]
async fn stop_takes_effect_while_outputs_are_stored() {
    let script = Script::new().await;
    script.has("echo r > $MITO_RESULT_DIR/r; exit 3", |_| {});
    script.fails("PUT /objects", 503, 1_000_000);
    let _worker = script.worker(1);
    script.hears("PUT /objects", 2).await;
    script.says("stop", json!([{"id": 1, "epoch": 1}]));
    assert_eq!(script.commits(1).await, json!({"exit_status": 768, "msg": "UploadResultTimeout"}));
    let text = warnings(&script)[0]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("a user stopped the task; the last upload failed: "), "{text}");
    assert!(text.contains("(status 503)"), "{text}");
}

#[tokio::test]
async fn task_revoked_while_outputs_are_stored_leaves_its_slot() {
    let script = Script::new().await;
    script.has("echo r > $MITO_RESULT_DIR/r; exit 3", |_| {});
    script.fails("PUT /objects", 503, 1_000_000);
    let _worker = script.worker(1);
    script.hears("PUT /objects", 2).await;
    script.says("dropped", json!([{"id": 1, "epoch": 1}]));
    script.has("exit 5", |_| {});
    assert_eq!(script.commits(1).await["exit_status"], 1280);
}

#[tokio::test]
async fn expired_legacy_lease_ends_the_storing_of_outputs() {
    let script = Script::with_lease(Some(1)).await;
    script.has("echo r > $MITO_RESULT_DIR/r", |_| {});
    script.fails("PUT /objects", 503, 1_000_000);
    script.fails("POST /workers/heartbeat", 503, 1_000_000);
    let _worker = script.worker(1);
    script.hears("PUT /objects", 1).await;
    script.hears("POST /workers ", 2).await;
    assert_eq!(script.reports().iter().filter(|op| op.get("Commit").is_some()).count(), 0);
}

#[tokio::test]
async fn watching_precedes_resources_and_counts_against_the_timeout() {
    let script = Script::new().await;
    script.has("true", |task| {
        task.timeout = Duration::from_millis(300);
        task.spec.watch = Some((Uuid::from_u128(99), ExecState::TaskCommitted));
        let key = "in.csv".to_owned();
        let remote_file = RemoteFile::Attachment { key };
        task.spec.resources.push(ResourceDownload { remote_file, local_path: "in.csv".to_owned() });
    });
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await, json!({"exit_status": 0, "msg": "WatchTimeout"}));
    let heard = script.heard();
    assert!(!heard.iter().any(|line| line.contains("in.csv")), "{heard:#?}");
}
