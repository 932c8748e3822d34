//! The ways in which a worker ends.

use mitosis_worker::WorkerExit;

use crate::script::Script;

/// Whether a process exists and is not a zombie.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Assigns a long task, and waits until it runs; returns its process.
async fn a_running_task(script: &Script) -> String {
    let pid = script.scratch().join("pid");
    script.has(&format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 61", pid.display()), |_| {});
    appears(&pid).await;
    std::fs::read_to_string(pid).unwrap()
}

/// Waits until a file exists.
pub(crate) async fn appears(path: &std::path::Path) {
    let there = async {
        while !path.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), there).await.unwrap();
}

#[tokio::test]
async fn stop_kills_running_tasks_signs_off_and_cleans_up() {
    let script = Script::new().await;
    let worker = script.worker(1);
    let pid = a_running_task(&script).await;
    assert!(is_alive(&pid));
    script.stop();
    assert_eq!(worker.await.unwrap().unwrap(), WorkerExit::Stopped);
    assert!(!is_alive(&pid), "the command lives on");
    assert!(script.heard().iter().any(|line| line.starts_with("DELETE /workers ")));
    assert!(script.reports().is_empty());
    let left =
        std::fs::read_dir(script.scratch()).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn removed_worker_kills_running_tasks_and_ends() {
    let script = Script::with_lease(Some(3)).await;
    let worker = script.worker(1);
    let pid = a_running_task(&script).await;
    script.fails("POST /workers/heartbeat", 401, 1);
    assert_eq!(worker.await.unwrap().unwrap(), WorkerExit::Removed);
    assert!(!is_alive(&pid), "the command lives on");
}

#[tokio::test]
async fn only_removal_or_expiry_ends_a_worker() {
    for code in ["worker_removed", "worker_expired"] {
        let script = Script::with_lease(Some(3)).await;
        script.refuses("POST /workers/heartbeat", code);
        assert_eq!(script.worker(1).await.unwrap().unwrap(), WorkerExit::Removed, "{code}");
    }
    for code in ["worker_unknown", "token_expired", "invalid_token"] {
        let script = Script::with_lease(Some(3)).await;
        script.refuses("POST /workers/heartbeat", code);
        let worker = script.worker(1);
        script.hears("POST /workers ", 2).await;
        assert!(!worker.is_finished(), "{code}");
    }
}

#[tokio::test]
async fn refused_login_ends_the_worker() {
    let script = Script::new().await;
    script.fails("POST /workers ", 403, 1);
    let refused = script.worker(2).await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("refuses"), "{refused}");
}

#[tokio::test]
async fn drain_finishes_running_tasks_and_ends() {
    for script in [Script::new().await, Script::old().await] {
        let (started, go) = (script.scratch().join("started"), script.scratch().join("go"));
        script.has(
            &format!("touch {}; until test -e {}; do sleep 0.02; done", started.display(), go.display()),
            |_| {},
        );
        let worker = script.worker(1);
        appears(&started).await;
        script.drain();
        script.has("exit 9", |_| {});
        std::fs::write(go, "").unwrap();
        assert_eq!(worker.await.unwrap().unwrap(), WorkerExit::Stopped);
        assert_eq!(script.commits(1).await["exit_status"], 0);
        assert!(script.heard().iter().any(|line| line.starts_with("DELETE /workers ")));
    }
}
