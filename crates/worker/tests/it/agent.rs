//! The agent protocol.

use serde_json::{Value, json};

use crate::script::Script;

const POLL: &str = "POST /v1/agents/poll ";
const REPORT: &str = "POST /v1/agents/report ";

#[tokio::test]
async fn short_tasks_are_fetched_and_reported_in_batches() {
    let script = Script::new().await;
    // Tasks that end meanwhile are collected for the next report.
    script.thinks(std::time::Duration::from_millis(50));
    for _ in 0..200 {
        script.has("", |task| task.spec.args = vec!["true".to_owned()]);
    }
    let _worker = script.worker(2);
    script.commits(200).await;
    let reports = script.bodies(REPORT);
    let ended: Vec<i64> = reports
        .iter()
        .flat_map(|report| report["ended"].as_array().unwrap())
        .map(|ended| ended["key"]["id"].as_i64().unwrap())
        .collect();
    let mut different = ended.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!((ended.len(), different.len()), (200, 200), "each is reported once");
    assert!(reports.len() < 150, "{} requests for 200 tasks", reports.len());
    let registered = script.heard().iter().filter(|line| line.starts_with("POST /workers ")).count();
    assert_eq!(registered, 1, "one worker, however many slots");
}

#[tokio::test]
async fn task_stopped_by_a_user_is_cancelled() {
    let script = Script::new().await;
    let started = script.scratch().join("started");
    script.has(&format!("touch {}; exec sleep 61", started.display()), |_| {});
    let _worker = script.worker(1);
    crate::endings::appears(&started).await;
    script.says("stop", json!([{"id": 1, "epoch": 1}]));
    assert_eq!(script.commits(1).await, json!({"exit_status": 15, "msg": "UserCancellation"}));
    assert!(script.reports().contains(&json!("Cancel")));
}

#[tokio::test]
async fn revoked_task_is_killed_and_not_reported() {
    let script = Script::new().await;
    let started = script.scratch().join("started");
    script.has(&format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 61", started.display()), |_| {});
    let _worker = script.worker(1);
    crate::endings::appears(&started).await;
    script.says("dropped", json!([{"id": 1, "epoch": 1}]));
    script.has("exit 7", |_| {});
    assert_eq!(script.commits(1).await["exit_status"], 7 << 8, "the next one runs in its place");
    assert!(!crate::endings::is_alive(&std::fs::read_to_string(started).unwrap()));
    let ended =
        script.bodies(REPORT).iter().flat_map(|report| report["ended"].as_array().unwrap().clone()).count();
    assert_eq!(ended, 1);
}

#[tokio::test]
async fn drain_by_the_coordinator_finishes_running_tasks() {
    let script = Script::new().await;
    let folder = script.scratch().to_owned();
    let (started, go) = (folder.join("started"), folder.join("go"));
    script.has(
        &format!("touch {}; until test -e {}; do sleep 0.02; done", started.display(), go.display()),
        |_| {},
    );
    let worker = script.worker(1);
    crate::endings::appears(&started).await;
    script.says("drain", json!(true));
    // From the first poll that contains the drain, no more tasks are requested.
    let knows = |poll: &Value| poll["draining"] == true;
    loop {
        if script.bodies(POLL).iter().any(knows) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    std::fs::write(go, "").unwrap();
    assert_eq!(script.commits(1).await["exit_status"], 0);
    assert!(script.bodies(POLL).iter().filter(|poll| knows(poll)).all(|poll| poll["want"] == 0));
    // The coordinator removes the worker with its last task.
    script.fails("POST /v1/agents/", 401, 1);
    assert_eq!(worker.await.unwrap().unwrap(), mitosis_worker::WorkerExit::Removed);
}

#[tokio::test]
async fn small_result_is_reported_with_the_end() {
    let script = Script::new().await;
    script.has(r#"echo '{ "loss": 0.25 }' > $MITO_RESULT_DIR/result.json"#, |_| {});
    script.has("echo '[' > $MITO_RESULT_DIR/result.json", |_| {});
    let _worker = script.worker(1);
    script.commits(2).await;
    let ended: Vec<Value> =
        script.bodies(REPORT).iter().flat_map(|report| report["ended"].as_array().unwrap().clone()).collect();
    assert_eq!((&ended[0]["data"], &ended[0]["left_archives"]), (&json!({"loss": 0.25}), &json!(true)));
    assert_eq!(ended[1]["data"], Value::Null, "what can't be read is left out");
}

#[tokio::test]
async fn lost_answer_makes_the_agent_resend_what_it_holds() {
    let script = Script::new().await;
    let (started, go) = (script.scratch().join("started"), script.scratch().join("go"));
    script.has(
        &format!("touch {}; until test -e {}; do sleep 0.02; done", started.display(), go.display()),
        |_| {},
    );
    let _worker = script.worker(2);
    crate::endings::appears(&started).await;
    script.fails(POLL.trim_end(), 502, 1);
    let doubts = |poll: &Value| poll["resync"] == true && poll["held"] == json!([{"id": 1, "epoch": 1}]);
    loop {
        if script.bodies(POLL).iter().any(doubts) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    std::fs::write(go, "").unwrap();
    script.commits(1).await;
}

#[tokio::test]
async fn output_is_sent_only_to_a_follower() {
    let script = Script::new().await;
    let started = script.scratch().join("started");
    let go = script.scratch().join("go");
    script.has(
        &format!(
            "echo hello; touch {}; until test -e {}; do sleep 0.02; done",
            started.display(),
            go.display()
        ),
        |task| task.spec.terminal_output = true,
    );
    let _worker = script.worker(1);
    crate::endings::appears(&started).await;
    script.hears(POLL, 3).await;
    let asks = |line: &String| line.contains("/output ");
    assert!(!script.heard().iter().any(asks));
    script.says("followed", json!(["00000000-0000-0000-0000-000000000001"]));
    script.hears("GET /v1/workers/tasks/00000000-0000-0000-0000-000000000001/output ", 1).await;
    std::fs::write(go, "").unwrap();
    script.commits(1).await;
}
