//! Tests of the guard of a worker, and of a worker whose guard is gone.

use std::time::Duration;

use mitosis_client::UserClient;
use mitosis_protocol::{TaskState, Uuid};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid};
use tokio::time::{Instant, sleep};

use crate::home::{Home, LIMIT, POLL_INTERVAL, Service, all_tasks, task, wait_for_count};
use crate::kills::lives;

/// A task that runs on the first worker until it is killed, and ends at once on another one.
fn stays_once(home: &Home) -> mitosis_protocol::task::SubmitTaskRequest {
    let folder = home.path().display();
    let script = format!("echo start=$$ >> {folder}/ids; mkdir {folder}/first && exec sleep 600; exit 0");
    task(&["sh", "-c", &script])
}

/// The process of the first start.
async fn first_start(home: &Home) -> String {
    home.until_written("ids", "start=").await.trim().to_owned()
}

/// Kills a worker and its guard, so that nothing signs off for it.
pub(crate) async fn kill_with_guard(victim: Service) {
    // In this order: a guard that dies later is not replaced any more.
    victim.signal(Signal::SIGSTOP);
    for guard in guards(&victim) {
        kill(guard, Signal::SIGKILL).unwrap();
    }
    victim.kill().await;
}

/// The guards of a worker.
fn guards(worker: &Service) -> Vec<Pid> {
    let is_guard = |pid: i32| {
        let read = |what: &str| std::fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap_or_default();
        let parent = format!("PPid:\t{}\n", worker.pid());
        read("status").contains(&parent) && read("cmdline").contains("__guard")
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|pid| is_guard(*pid)).map(Pid::from_raw).collect()
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "never {what}");
        sleep(POLL_INTERVAL).await;
    }
}

async fn result(user: &UserClient, task: Uuid) -> Option<i32> {
    Some(user.task(task).await.unwrap().info.result?.exit_status.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn guard_returns_tasks_of_a_killed_worker() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = coordinator.admin().await;
    let victim = home.worker(&coordinator.address, "1").await;
    let uuid = admin.submit(&stays_once(&home)).await.unwrap().uuid;
    let first = first_start(&home).await;
    let _other = home.worker(&coordinator.address, "1").await;

    let killed = Instant::now();
    victim.kill().await;
    wait_for_count(&admin, TaskState::Finished, 1).await;
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    assert_eq!(result(&admin, uuid).await, Some(0));
    assert!(!lives(&first));
}

/// The guard reports that the worker died, which counts against the task.
#[tokio::test(flavor = "multi_thread")]
async fn task_that_kills_five_workers_is_cancelled() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = coordinator.admin().await;
    admin.submit(&task(&["sh", "-c", "kill -9 $PPID; exec sleep 600"])).await.unwrap();
    for _ in 0..5 {
        home.worker(&coordinator.address, "1").await.wait().await;
    }
    wait_for_count(&admin, TaskState::Cancelled, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guard_returns_tasks_after_an_outage() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let port = coordinator.port();
    let victim = home.worker(&coordinator.address, "1").await;
    let uuid = coordinator.admin().await.submit(&stays_once(&home)).await.unwrap().uuid;
    first_start(&home).await;
    coordinator.service.kill().await;
    victim.kill().await;
    // The first attempt, or a later one, fails.
    let nothing = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    drop(tokio::time::timeout(LIMIT, nothing.accept()).await.expect("it tries").unwrap());
    drop(nothing);
    let coordinator = home.coordinator(port, "600s").await;
    let back = Instant::now();
    let admin = coordinator.admin().await;
    let _other = home.worker(&coordinator.address, "1").await;
    wait_for_count(&admin, TaskState::Finished, 1).await;
    assert!(back.elapsed() < Duration::from_secs(15), "{:?}", back.elapsed());
    assert_eq!(result(&admin, uuid).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn command_of_a_stopped_worker_is_killed_before_requeue() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "3s").await;
    let admin = coordinator.admin().await;
    let stopped = home.worker(&coordinator.address, "1").await;
    let uuid = admin.submit(&stays_once(&home)).await.unwrap().uuid;
    let first = first_start(&home).await;
    let _other = home.worker(&coordinator.address, "1").await;

    stopped.signal(Signal::SIGSTOP);
    let ids = home.path().join("ids");
    let starts = || std::fs::read_to_string(&ids).unwrap().lines().count();
    until("killed by the guard", || {
        let (is_dead, starts) = (!lives(&first), starts());
        assert!(is_dead || starts == 1, "it runs twice");
        is_dead
    })
    .await;
    wait_for_count(&admin, TaskState::Finished, 1).await;
    stopped.signal(Signal::SIGCONT);
    // The worker continues, and does not take the report of its guard for the end of the task.
    let marked = home.path().join("marked").display().to_string();
    for _ in 0..4 {
        let script = format!("echo $PPID >> {marked}; sleep 0.3");
        admin.submit(&task(&["sh", "-c", &script])).await.unwrap();
    }
    wait_for_count(&admin, TaskState::Finished, 5).await;
    let by_it = std::fs::read_to_string(&marked).unwrap();
    assert!(by_it.lines().any(|parent| parent == stopped.pid().to_string()), "it takes tasks again: {by_it}");
    assert_eq!(result(&admin, uuid).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn guard_kills_at_the_limit_of_a_task_and_leaves_the_others() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "6s").await;
    let admin = coordinator.admin().await;
    let stopped = home.worker(&coordinator.address, "2").await;
    let mut commands = Vec::new();
    for (name, lost_after) in [("limited", Some(Duration::from_secs(4))), ("plain", None)] {
        let script = format!("echo start=$$ > {}; exec sleep 600", home.path().join(name).display());
        let mut new = task(&["sh", "-c", &script]);
        new.task_spec.lost_after = lost_after;
        admin.submit(&new).await.unwrap();
        commands.push(home.until_written(name, "start=").await.trim().to_owned());
    }
    stopped.signal(Signal::SIGSTOP);
    until("killed at its limit", || !lives(&commands[0])).await;
    assert!(lives(&commands[1]), "its lease has not ended");
    until("killed at the end of the lease", || !lives(&commands[1])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_guard_is_replaced() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = coordinator.admin().await;
    let victim = home.worker(&coordinator.address, "1").await;
    let uuid = admin.submit(&stays_once(&home)).await.unwrap().uuid;
    let first = first_start(&home).await;
    for _ in 0..2 {
        let [guard] = guards(&victim)[..] else { panic!("there is one guard") };
        kill(guard, Signal::SIGKILL).unwrap();
        until("replaced", || guards(&victim).iter().any(|other| *other != guard)).await;
    }
    assert!(lives(&first), "the command still runs");

    let [guard] = guards(&victim)[..] else { panic!("there is one guard") };
    let read = |what: &str| std::fs::read_to_string(format!("/proc/{guard}/{what}")).unwrap();
    assert!(read("cmdline").ends_with("__guard\0"), "{}", read("cmdline"));
    assert_eq!(read("environ"), "", "the token goes another way");
    let folder = std::fs::read_link(format!("/proc/{guard}/cwd")).unwrap();
    assert_eq!(folder, std::path::Path::new("/"), "it does not keep a file system busy");
    assert_eq!(getpgid(Some(guard)), Ok(guard), "what a terminal sends to the worker is not for it");

    let _other = home.worker(&coordinator.address, "1").await;
    let killed = Instant::now();
    victim.kill().await;
    wait_for_count(&admin, TaskState::Finished, 1).await;
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
    assert_eq!(result(&admin, uuid).await, Some(0));
    assert!(!lives(&first));
    until("ended", || !lives(&guard.to_string())).await;
}

/// The signals that a process blocks, as a bit set.
fn blocked_signals(process: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or_default()
}

/// A service manager signals all processes of a service; the guard must exit last.
#[tokio::test(flavor = "multi_thread")]
async fn guard_ignores_signals_that_end_the_worker() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = coordinator.admin().await;
    let worker = home.worker(&coordinator.address, "1").await;
    until("guarded", || !guards(&worker).is_empty()).await;
    let [guard] = guards(&worker)[..] else { panic!("there is one guard") };
    let has_blocked = || blocked_signals(guard) & (1 << (Signal::SIGUSR1 as u32 - 1)) != 0;
    until("blocking signals", has_blocked).await;
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        kill(guard, signal).unwrap();
    }
    let fds = home.path().join("fds").display().to_string();
    // Commands inherit no file descriptor of the worker, such as the table or the pipe of the guard.
    let listing = "set -- /proc/$$/fd/*; for fd; do echo ${fd##*/}; done";
    let script = format!("sleep 0.3; {listing} > {fds}");
    admin.submit(&task(&["sh", "-c", &script])).await.unwrap();
    wait_for_count(&admin, TaskState::Finished, 1).await;
    assert_eq!(guards(&worker), [guard], "it is the same");
    let open = std::fs::read_to_string(&fds).unwrap();
    // All children inherit the file descriptors of this process.
    let given = std::process::Command::new("sh").args(["-c", listing]).output().unwrap().stdout;
    assert_eq!(open, String::from_utf8(given).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_killed_with_its_guard_is_missed_at_the_end_of_its_lease() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "3s").await;
    let admin = coordinator.admin().await;
    let victim = home.worker(&coordinator.address, "1").await;
    admin.submit(&stays_once(&home)).await.unwrap();
    let first = first_start(&home).await;
    let _other = home.worker(&coordinator.address, "1").await;
    kill_with_guard(victim).await;
    wait_for_count(&admin, TaskState::Finished, 1).await;
    assert_eq!(all_tasks(&admin).await.len(), 1);
    // No process is left to kill it.
    kill(Pid::from_raw(first.parse().unwrap()), Signal::SIGKILL).unwrap();
}
