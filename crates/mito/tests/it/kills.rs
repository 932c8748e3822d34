//! Tests with `kill -9`: nothing is lost and nothing is repeated.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mitosis_client::UserClient;
use mitosis_protocol::task::{SubmitTaskRequest, SubmitTasksRequest};
use mitosis_protocol::worker::QueryWorkersRequest;
use mitosis_protocol::{TaskState, Uuid};
use nix::sys::signal::Signal;

use crate::home::{Home, LIMIT, POLL_INTERVAL, all_tasks, task, wait_for_count};

const TASKS: usize = 200;

/// Two hundred tasks of 0.2 s, each of which writes one line to `ran` when it starts.
fn tasks(home: &Home) -> SubmitTasksRequest {
    let log = home.path().join("ran");
    let script = format!("echo $MITO_TASK_UUID >> {}; sleep 0.2", log.display());
    let one: SubmitTaskRequest = task(&["sh", "-c", &script]);
    SubmitTasksRequest { tasks: vec![one; TASKS], idempotency_key: None }
}

/// How often each task was started.
fn starts(home: &Home) -> BTreeMap<String, usize> {
    let mut starts = BTreeMap::new();
    for line in std::fs::read_to_string(home.path().join("ran")).unwrap().lines() {
        *starts.entry(line.to_owned()).or_default() += 1;
    }
    starts
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_coordinator_loses_and_repeats_nothing() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let port = coordinator.port();
    let admin = coordinator.admin().await;
    let mut worker = home.worker(&coordinator.address, "8").await;
    admin.submit_many(&tasks(&home)).await.unwrap();
    wait_for_count(&admin, TaskState::Finished, 20).await;

    coordinator.service.kill().await;
    let coordinator = home.coordinator(port, "600s").await;
    wait_for_count(&admin, TaskState::Finished, TASKS).await;

    assert!(worker.is_running(), "the worker outlives the coordinator");
    for task in all_tasks(&admin).await {
        let result = task.result.unwrap_or_else(|| panic!("{} has no result", task.uuid));
        assert_eq!((result.exit_status.0, result.msg), (0, None));
    }
    let starts = starts(&home);
    let repeated: Vec<_> = starts.iter().filter(|(_, count)| **count != 1).collect();
    assert_eq!((starts.len(), repeated.as_slice()), (TASKS, [].as_slice()));
    drop(coordinator);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_a_killed_worker_run_on_another() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "2s").await;
    let admin = coordinator.admin().await;
    let victim = home.worker(&coordinator.address, "4").await;
    let _other = home.worker(&coordinator.address, "4").await;
    admin.submit_many(&tasks(&home)).await.unwrap();
    wait_for_count(&admin, TaskState::Finished, 20).await;

    victim.kill().await;
    wait_for_count(&admin, TaskState::Finished, TASKS).await;
    let tasks = all_tasks(&admin).await;
    assert_eq!(tasks.len(), TASKS);
    assert!(tasks.iter().all(|task| task.result.is_some_and(|result| result.exit_status.0 == 0)));
}

/// Whether a process is running, and not a zombie.
pub(crate) fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_a_killed_worker_are_killed() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = coordinator.admin().await;
    let worker = home.worker(&coordinator.address, "2").await;
    // One command that exits on SIGTERM, and one that ignores it and has started a child.
    let folder = home.path().display();
    let polite = format!("echo polite=$$ >> {folder}/ids; exec sleep 600");
    let deaf = format!(
        "trap '' TERM; sleep 601 & echo child=$! >> {folder}/ids; echo deaf=$$ >> {folder}/ids; wait; wait"
    );
    for script in [polite, deaf] {
        admin.submit(&task(&["sh", "-c", &script])).await.unwrap();
    }
    let mut ids = Vec::new();
    for name in ["polite=", "child=", "deaf="] {
        ids.push(home.until_written("ids", name).await.trim().to_owned());
    }
    assert!(ids.iter().all(|pid| lives(pid)));

    worker.kill().await;
    let deadline = Instant::now() + LIMIT;
    while ids.iter().any(|pid| lives(pid)) {
        assert!(Instant::now() < deadline, "commands outlive their worker");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_worker_returns_its_task_at_once() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = coordinator.admin().await;
    let worker = home.worker(&coordinator.address, "1").await;
    let uuid = admin.submit(&task(&["sleep", "61"])).await.unwrap().uuid;
    wait_for_count(&admin, TaskState::Running, 1).await;
    worker.signal(Signal::SIGTERM);
    assert!(worker.wait().await.success());
    assert_eq!(admin.task(uuid).await.unwrap().info.state, TaskState::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn first_signal_stops_the_coordinator_gracefully() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    coordinator.service.signal(Signal::SIGTERM);
    assert!(coordinator.service.wait().await.success());
}

/// Longer than the lease of that test, and long enough that a coordinator notices.
const ASLEEP: Duration = Duration::from_secs(7);

#[tokio::test(flavor = "multi_thread")]
async fn suspended_machine_loses_no_worker() {
    let home = Home::new();
    let (bind, lease) = (["--bind", "127.0.0.1:0"], ["--heartbeat-timeout", "4s"]);
    let log = ["--file-log", "--log-path", "coordinator.log"];
    let coordinator = home.coordinator_with(&[&bind[..], &lease, &log].concat()).await;
    let admin = coordinator.admin().await;
    let worker = home.worker(&coordinator.address, "1").await;
    let before = registered(&admin).await;

    for process in [&worker, &coordinator.service] {
        process.signal(Signal::SIGSTOP);
    }
    tokio::time::sleep(ASLEEP).await;
    // The coordinator is resumed first, and checks before the worker can send anything.
    coordinator.service.signal(Signal::SIGCONT);
    home.until_written("coordinator.log", "extended all leases").await;
    worker.signal(Signal::SIGCONT);
    admin.submit(&task(&["true"])).await.unwrap();
    wait_for_count(&admin, TaskState::Finished, 1).await;

    assert_eq!(before.len(), 1);
    assert_eq!(registered(&admin).await, before, "it did not have to register again");
}

async fn registered(user: &UserClient) -> Vec<Uuid> {
    let found = user.query_workers(&QueryWorkersRequest::default()).await.unwrap();
    found.workers.iter().map(|worker| worker.worker_id).collect()
}
