//! Tests of `tasks submit --watch`: a client task waits for a server task.

use std::time::Duration;

use tokio::time::Instant;

use crate::home::{Home, Person};

/// Much longer than the test takes, and much shorter than the server runs.
const LIMIT_OF_WATCH: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn client_task_runs_as_soon_as_its_server_task_is_spawned() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "2").await;
    let server = admin.submits(&["--", "sleep", "60"]).await;
    let begun = Instant::now();
    let client = admin.submits(&["--watch", &format!("{server},ExecSpawned"), "--", "true"]).await;
    admin.run_until("Finished", &["tasks", "get", &client]).await;
    assert!(begun.elapsed() < LIMIT_OF_WATCH, "{:?}", begun.elapsed());
    assert!(admin.run_ok(&["tasks", "get", &server]).await.contains("Running"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slot_worker_runs_what_the_task_before_it_watches() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let first = admin.submits(&["--", "sleep", "1"]).await;
    let watch = format!("{first},TaskCommitted");
    // More tasks than a worker lets watch at once, all before the tasks that they watch.
    let mut watching = Vec::new();
    for _ in 0..18 {
        watching.push(admin.submits(&["-p", "9", "--watch", &watch, "--", "true"]).await);
    }
    let begun = Instant::now();
    let _worker = home.worker(&coordinator.address, "1").await;
    for task in &watching {
        admin.run_until("Finished", &["tasks", "get", task]).await;
    }
    assert!(begun.elapsed() < LIMIT_OF_WATCH * 2, "{:?}", begun.elapsed());
}

/// The archive does not exist when the worker takes the task that needs it.
#[tokio::test(flavor = "multi_thread")]
async fn artifact_of_the_watched_task_is_fetched_after_the_wait() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let make = "sleep 1; echo made >$MITO_RESULT_DIR/made";
    let first = admin.submits(&["--", "sh", "-c", make]).await;
    let (watch, archive) = (format!("{first},TaskCommitted"), format!("artifact={first}:result:made.tar.gz"));
    let read = "tar xzf $MITO_RESOURCE_DIR/made.tar.gz -O | grep made";
    let watching =
        admin.submits(&["-p", "9", "--watch", &watch, "-r", &archive, "--", "sh", "-c", read]).await;
    let _worker = home.worker(&coordinator.address, "1").await;
    admin.run_ok(&["tasks", "wait", &first, &watching]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_task_without_a_slot_times_out_and_stops() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let first = admin.submits(&["--", "sleep", "60"]).await;
    let watch = format!("{first},TaskCommitted");
    let late = admin.submits(&["-p", "9", "--timeout", "1s", "--watch", &watch, "--", "true"]).await;
    let stopped = admin.submits(&["-p", "9", "--watch", &watch, "--", "true"]).await;
    let _worker = home.worker(&coordinator.address, "1").await;
    admin.run_until("Running", &["tasks", "get", &first]).await;
    admin.run_ok(&["tasks", "stop", &stopped]).await;
    admin.run_until("UserCancellation", &["tasks", "get", &stopped]).await;
    admin.run_until("WatchTimeout", &["tasks", "get", &late]).await;
    assert!(admin.run_ok(&["tasks", "get", &first]).await.contains("Running"));
}
