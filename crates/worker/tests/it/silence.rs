//! How long a worker continues when it can't reach the coordinator.

use std::path::Path;
use std::time::Duration;

use mitosis_protocol::worker::FetchedTask;
use serde_json::json;

use crate::endings::{appears, is_alive};
use crate::script::Script;

/// Assigns a long task, and waits until it runs; returns its process.
async fn runs(script: &Script, name: &str, change: impl FnOnce(&mut FetchedTask)) -> String {
    let pid = script.scratch().join(name);
    script.has(&format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 61", pid.display()), change);
    appears(&pid).await;
    std::fs::read_to_string(pid).unwrap()
}

/// Advances the runtime's clock by `seconds`, while real sockets and processes make progress.
async fn pass(seconds: u32) {
    for _ in 0..seconds {
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

async fn ends(pid: &str) {
    let ended = async {
        while is_alive(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
}

#[tokio::test]
async fn outage_kills_commands_only_when_the_lease_expires() {
    let script = Script::with_terms(600, 30).await;
    let _worker = script.worker(1);
    let pid = runs(&script, "pid", |task| task.timeout = Duration::from_hours(1)).await;
    for call in ["POST /workers/heartbeat", "POST /v1/agents/"] {
        script.fails(call, 503, usize::MAX);
    }
    tokio::time::pause();
    pass(9 * 60).await;
    assert!(is_alive(&pid), "killed within nine minutes");
    pass(45).await;
    assert!(is_alive(&pid), "killed long before the end of the lease");
    pass(10).await;
    tokio::time::resume();
    ends(&pid).await;
    script.hears("POST /workers ", 2).await;
    assert_eq!(script.reports(), Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn polls_alone_keep_a_worker_alive() {
    let script = Script::with_terms(2, 1).await;
    script.renews_by_polls();
    script.fails("POST /workers/heartbeat", 503, usize::MAX);
    script.has("sleep 3; exit 7", |_| {});
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await["exit_status"], 7 << 8);
    assert_eq!(script.heard().iter().filter(|line| line.starts_with("POST /workers ")).count(), 1);
}

#[tokio::test]
async fn attempt_past_its_limit_is_killed_alone_and_returned() {
    let script = Script::with_terms(600, 1).await;
    let _worker = script.worker(3);
    script.fails("POST /workers/heartbeat", 503, usize::MAX);
    let limit = |task: &mut FetchedTask| task.spec.lost_after = Some(Duration::from_secs(2));
    let neighbour = runs(&script, "neighbour", |_| {}).await;
    let repeatable = runs(&script, "idempotent", |task| {
        limit(task);
        task.spec.idempotent = true;
    })
    .await;
    let mut given_back = json!([]);
    let limited = runs(&script, "limited", |task| {
        limit(task);
        given_back = json!([{"id": task.id, "epoch": 1, "token": 7}]);
    })
    .await;
    ends(&limited).await;
    script.hears("POST /v1/agents/report ", 1).await;
    assert_eq!(script.bodies("POST /v1/agents/report ")[0]["returned"], given_back);
    assert!(is_alive(&neighbour) && is_alive(&repeatable));
    let registered = script.heard().iter().filter(|line| line.starts_with("POST /workers ")).count();
    assert_eq!(registered, 1);
}

#[tokio::test]
async fn heartbeat_interval_follows_the_missed_time() {
    let script = Script::with_terms(600, 1).await;
    let _worker = script.worker(1);
    script.hears("POST /workers/heartbeat", 3).await;
    let polls = script.bodies("POST /v1/agents/poll ");
    assert!(polls.iter().all(|poll| poll["wait"] == "1s"), "{polls:?}");
}

#[tokio::test]
async fn registration_names_a_machine_with_an_id() {
    let script = Script::new().await;
    let _worker = script.worker(1);
    script.hears("POST /workers ", 1).await;
    let machine = &script.bodies("POST /workers ")[0]["machine"];
    let has_id = |path| std::fs::read_to_string(path).is_ok_and(|id| !id.trim().is_empty());
    match has_id(Path::new("/etc/machine-id")) {
        true => assert_eq!(machine["id"].as_str().unwrap().len(), 64),
        false => assert!(machine.is_null()),
    }
}
