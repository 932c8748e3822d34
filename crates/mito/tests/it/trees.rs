//! Tests that all processes of an attempt end with it, also those that left its process group.

use std::time::Duration;

use mitosis_protocol::TaskState;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use crate::home::{Coordinator, Home, LIMIT, POLL_INTERVAL, Service, task, wait_for_count};

/// How long processes may outlive their attempt.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// A worker with a task of two hundred processes: children, double-forked ones, and whole sessions of their own.
struct Tree {
    _home: Home,
    coordinator: Coordinator,
    worker: Service,
    uuid: mitosis_protocol::Uuid,
    name: String,
}

/// The processes with this word in their command line. Zombies have no command line.
fn processes(word: &str) -> Vec<Pid> {
    let command_line = |pid: &i32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|pid| String::from_utf8_lossy(&command_line(pid)).contains(word)).map(Pid::from_raw).collect()
}

fn count(word: &str) -> usize {
    processes(word).len()
}

async fn gone(word: &str, within: Duration) {
    let start = Instant::now();
    while count(word) > 0 {
        assert!(start.elapsed() < within, "{} processes are left after {:?}", count(word), start.elapsed());
        sleep(POLL_INTERVAL).await;
    }
}

impl Tree {
    async fn new(timeout: Duration) -> Self {
        let home = Home::new();
        let coordinator = home.coordinator(0, "600s").await;
        let worker = home.worker(&coordinator.address, "2").await;
        let name = format!("600.{:07}", std::process::id());
        let script = format!(
            "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40
             do
               sleep {name} &
               (sleep {name} &)
               setsid sh -c 'sleep {name} & sleep {name}' &
             done
             (env -i setsid sleep {name} &)
             sleep {name}"
        );
        let mut new = task(&["sh", "-c", &script]);
        new.timeout = timeout;
        let uuid = coordinator.admin().await.submit(&new).await.unwrap().uuid;
        let start = Instant::now();
        while count(&name) < 200 {
            assert!(start.elapsed() < LIMIT, "{} processes", count(&name));
            sleep(POLL_INTERVAL).await;
        }
        Self { _home: home, coordinator, worker, uuid, name }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_task_leaves_no_process() {
    let tree = Tree::new(Duration::from_hours(1)).await;
    let admin = tree.coordinator.admin().await;
    let neighbour = admin.submit(&task(&["sleep", "61"])).await.unwrap().uuid;
    wait_for_count(&admin, TaskState::Running, 2).await;
    admin.stop_task(tree.uuid).await.unwrap();
    gone(&tree.name, GONE_WITHIN).await;
    wait_for_count(&admin, TaskState::Cancelled, 1).await;
    assert_eq!(admin.task(neighbour).await.unwrap().info.state, TaskState::Running);
    // The worker reaps what it has adopted.
    let children = || {
        let parent = format!("PPid:\t{}\n", tree.worker.pid());
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let status = entries.filter_map(|it| std::fs::read_to_string(it.path().join("status")).ok());
        status.filter(|it| it.contains(&parent) && it.contains("State:\tZ")).count()
    };
    let start = Instant::now();
    while children() > 0 {
        assert!(start.elapsed() < LIMIT, "zombies are left");
        sleep(POLL_INTERVAL).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timeout_leaves_no_process() {
    let tree = Tree::new(Duration::from_secs(6)).await;
    wait_for_count(&tree.coordinator.admin().await, TaskState::Cancelled, 1).await;
    gone(&tree.name, POLL_INTERVAL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_worker_leaves_no_process() {
    let tree = Tree::new(Duration::from_hours(1)).await;
    tree.worker.signal(Signal::SIGTERM);
    gone(&tree.name, GONE_WITHIN).await;
    assert!(tree.worker.wait().await.success());
}

/// The guard can't find a process that has left its group, its parents and its environment; without a worker, only
/// a control group holds it.
#[tokio::test(flavor = "multi_thread")]
async fn killed_worker_leaves_no_process() {
    let tree = Tree::new(Duration::from_hours(1)).await;
    tree.worker.kill().await;
    let start = Instant::now();
    while count(&tree.name) > 1 {
        assert!(start.elapsed() < GONE_WITHIN, "{} processes are left", count(&tree.name));
        sleep(POLL_INTERVAL).await;
    }
    for pid in processes(&tree.name) {
        kill(pid, Signal::SIGKILL).unwrap();
    }
}
