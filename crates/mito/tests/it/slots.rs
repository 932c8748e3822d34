//! Tests that a failure in one slot does not affect the worker. The worker runs as another user, since root has all
//! permissions.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use mitosis_client::UserClient;
use mitosis_protocol::worker::QueryWorkersRequest;
use mitosis_protocol::{TaskState, Uuid};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use tokio::process::Command;
use tokio::time::Instant;

use crate::home::{Coordinator, Home, LIMIT, POLL_INTERVAL, Service, task, until_there, wait_for_count};

/// A user that nothing else on this machine runs as.
const USER: u32 = 61_234;

/// A coordinator and, beside it, a worker without privileges, with two slots of which one is busy.
struct Neighbours {
    home: Home,
    _coordinator: Coordinator,
    admin: UserClient,
    worker: Service,
    registered: Uuid,
}

impl Neighbours {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(options: &[&str]) -> Self {
        let home = Home::new();
        let coordinator = home.coordinator(0, "600s").await;
        let admin = coordinator.admin().await;
        let config =
            home.write("worker.toml", "[worker]\nuser = 'mitosis_admin'\npassword = 'mitosis_admin'\n");
        let own = home.path().join("own");
        std::fs::create_dir(&own).unwrap();
        std::fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        let mito = home.mito(&["worker", "--config"]);
        let mut command = match geteuid().is_root() {
            true => {
                for path in [&own, &config] {
                    chown(path, Some(USER), Some(USER)).unwrap();
                }
                let mut command = Command::new("setpriv");
                let user = USER.to_string();
                command
                    .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
                    .arg(mito.as_std().get_program());
                command.args(mito.as_std().get_args());
                command
            }
            false => mito,
        };
        command
            .arg(&config)
            .args(["-c", &coordinator.address, "--slots", "2", "--file-log", "--log-path", "worker.log"])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &own)
            .env("AWS_SECRET_ACCESS_KEY", "s3cret")
            .env("LD_LIBRARY_PATH", "/opt/lib")
            .args(options)
            .current_dir(&own)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let (worker, _) = Service::start(command, "registered").await;
        let go = until_there(&own.join("go"));
        admin.submit(&task(&["sh", "-c", &format!("echo $$ >> starts; {go}")])).await.unwrap();
        wait_for_count(&admin, TaskState::Running, 1).await;
        let found = admin.query_workers(&QueryWorkersRequest::default()).await.unwrap();
        let registered = found.workers[0].worker_id;
        Self { home, _coordinator: coordinator, admin, worker, registered }
    }

    fn own(&self) -> PathBuf {
        self.home.path().join("own")
    }

    async fn submit(&self, script: &str) {
        self.admin.submit(&task(&["sh", "-c", script])).await.unwrap();
    }

    async fn finished(&self, wanted: usize) {
        wait_for_count(&self.admin, TaskState::Finished, wanted).await;
    }

    /// The task in the other slot ends normally, in the same registration.
    async fn are_undisturbed(self, finished: usize) {
        let found = self.admin.query_workers(&QueryWorkersRequest::default()).await.unwrap();
        let ids: Vec<Uuid> = found.workers.iter().map(|worker| worker.worker_id).collect();
        assert_eq!(ids, [self.registered], "it did not have to register again");
        std::fs::write(self.own().join("go"), "").unwrap();
        self.finished(finished + 1).await;
        let starts = std::fs::read_to_string(self.own().join("starts")).unwrap();
        assert_eq!(starts.lines().count(), 1, "the neighbour was started once");
        self.worker.signal(Signal::SIGTERM);
        assert!(self.worker.wait().await.success());
        let left: Vec<_> = directories(&self.home.path().join("own/.cache/mitosis"));
        assert_eq!(left, Vec::<PathBuf>::new(), "nothing is left behind");
    }
}

fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir() && path.file_name().is_some_and(|name| name != "manager")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_leftovers_are_removed() {
    let these = Neighbours::new().await;
    for spoil in [
        "mkdir -p $MITO_RESULT_DIR/c/d; touch $MITO_RESULT_DIR/c/f; chmod -R a-w $MITO_RESULT_DIR/c",
        "chmod 500 $(dirname $MITO_RESULT_DIR)",
        "chmod 0 $MITO_RESULT_DIR $MITO_EXEC_DIR",
        "chmod 500 $(dirname $(dirname $MITO_RESULT_DIR))",
    ] {
        these.submit(spoil).await;
        these
            .submit("echo r > $MITO_RESULT_DIR/r; echo e > $MITO_EXEC_DIR/e; test ! -e $MITO_RESULT_DIR/c")
            .await;
    }
    these.finished(8).await;
    let tasks = crate::home::all_tasks(&these.admin).await;
    let codes: Vec<_> = tasks.iter().filter_map(|task| Some(task.result.as_ref()?.exit_status.0)).collect();
    assert_eq!(codes, [0; 8]);
    these.are_undisturbed(8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slot_with_leftovers_of_another_user_uses_a_new_directory() {
    if !geteuid().is_root() {
        return;
    }
    let these = Neighbours::new().await;
    let there = until_there(&these.own().join("spoiled"));
    these.submit(&format!("echo \"result=$MITO_RESULT_DIR\" >> ids; {there}")).await;
    let result = these.home.until_written("own/ids", "result=").await;
    let foreign = Path::new(result.trim()).join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("file"), "").unwrap();
    std::fs::write(these.own().join("spoiled"), "").unwrap();
    these.finished(1).await;
    these.submit("echo \"next=$MITO_RESULT_DIR\" >> ids; echo r > $MITO_RESULT_DIR/r").await;
    these.finished(2).await;
    let next = these.home.until_written("own/ids", "next=").await;
    assert_ne!(next, result);
    std::fs::remove_dir_all(foreign).unwrap();
    these.are_undisturbed(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn command_cannot_read_secrets_of_its_worker_or_the_guard() {
    let these = Neighbours::new().await;
    let script = "env > env; cat /proc/$PPID/environ > environ; \
        for process in /proc/[0-9]*; do \
        grep -qxz __guard $process/cmdline && echo guard >> seen && cat $process/environ >> environ && \
        (: < $process/mem) && echo guard >> opened; done; (: < /proc/$PPID/mem) && echo worker >> opened; \
        test -s seen && test ! -s environ && test ! -e opened";
    these.submit(script).await;
    these.finished(1).await;
    let tasks = crate::home::all_tasks(&these.admin).await;
    let codes: Vec<_> = tasks.iter().filter_map(|task| Some(task.result.as_ref()?.exit_status.0)).collect();
    assert_eq!(codes, [0]);
    let env = std::fs::read_to_string(these.own().join("env")).unwrap();
    assert!(env.contains("LD_LIBRARY_PATH=/opt/lib\n") && !env.contains("s3cret"), "{env}");
    these.are_undisturbed(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn list_replaces_the_inherited_variables() {
    let these = Neighbours::with(&["--pass-env", "AWS_*"]).await;
    these.submit("env > env").await;
    these.finished(1).await;
    let env = std::fs::read_to_string(these.own().join("env")).unwrap();
    let has = |name: &str| env.lines().any(|line| line.starts_with(name));
    assert!(has("AWS_SECRET_ACCESS_KEY=") && has("PATH=") && has("MITO_RESULT_DIR="), "{env}");
    assert!(!has("LD_LIBRARY_PATH="), "{env}");
    these.are_undisturbed(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slot_without_a_process_returns_its_task_and_rests() {
    let these = Neighbours::new().await;
    for (number, limit) in ["nproc", "nofile"].into_iter().enumerate() {
        these.limit(limit, "1");
        these.submit(&format!("echo {limit} >> late")).await;
        these.says_so_many_times("takes no tasks", number + 1).await;
        these.limit(limit, "1024");
        these.finished(number + 1).await;
    }
    these.are_undisturbed(2).await;
}

impl Neighbours {
    /// Changes a limit of the worker while it runs.
    fn limit(&self, what: &str, most: &str) {
        let (id, limit) = (self.worker.pid().to_string(), format!("--{what}={most}:"));
        let mut words = vec!["prlimit", "--pid", &id, &limit];
        let user = USER.to_string();
        if geteuid().is_root() {
            words.splice(0..0, ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"]);
        }
        assert!(std::process::Command::new(words[0]).args(&words[1..]).status().unwrap().success());
    }

    async fn says_so_many_times(&self, mark: &str, times: usize) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let log = std::fs::read_to_string(self.own().join("worker.log")).unwrap();
            if log.matches(mark).count() >= times {
                return;
            }
            assert!(Instant::now() < deadline, "never `{mark}`: {log}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}
