//! Tests of `mito manager`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use mitosis_protocol::TaskState;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::{Instant, sleep};

use crate::home::{Coordinator, Home, LIMIT, Output, POLL_INTERVAL, Person, ended, task, wait_for_count};

/// A home with a coordinator. Its supervisor is stopped at the end.
struct Kept {
    home: Home,
    coordinator: Coordinator,
}

/// A line of `status`.
#[derive(Debug)]
struct Line {
    number: u32,
    pid: Option<i32>,
    state: String,
    restarts: u32,
}

impl Kept {
    async fn new() -> Self {
        let home = Home::new();
        let coordinator = home.coordinator(0, "600s").await;
        Self { home, coordinator }
    }

    /// `mito manager` with these arguments.
    async fn manager(&self, args: &[&str]) -> Output {
        self.home.run(&[&["manager"], args].concat()).await
    }

    async fn spawn(&self, count: &str) -> Output {
        let address = &self.coordinator.address;
        self.manager(&["spawn", count, "-c", address, "-u", "mitosis_admin", "-p", "mitosis_admin"]).await
    }

    async fn status(&self) -> (Vec<Line>, usize) {
        let output = self.manager(&["status"]).await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let (table, total) = output.stdout.trim_end().rsplit_once("Total: ").unwrap();
        let lines = table.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = words.first()?.parse().ok()?;
            // The time has one or two words; the other fields are before and after it.
            let restarts = words[3..].iter().find_map(|word| word.parse().ok())?;
            Some(Line { number, pid: words[1].parse().ok(), state: words[2].to_owned(), restarts })
        });
        (lines.collect(), total.parse().unwrap())
    }

    async fn until(&self, what: &str, is_so: impl Fn(&[Line]) -> bool) -> Vec<Line> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let (lines, _) = self.status().await;
            if is_so(&lines) {
                return lines;
            }
            assert!(Instant::now() < deadline, "never {what}: {lines:?}");
            sleep(POLL_INTERVAL).await;
        }
    }

    /// The only parent of these processes.
    fn supervisor(lines: &[Line]) -> i32 {
        let parents: BTreeSet<i32> = lines.iter().filter_map(|line| line.pid).map(parent).collect();
        assert_eq!(parents.len(), 1, "{lines:?} have parents {parents:?}");
        parents.into_iter().next().unwrap()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mito"));
        let killed = command.args(["manager", "kill"]).env_clear().env("HOME", self.home.path()).output();
        assert!(std::thread::panicking() || killed.unwrap().status.success());
    }
}

fn parent(pid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap()
}

fn words(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().replace('\0', " ")
}

/// Whether there is a process that has not ended.
fn runs(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn until_gone(pid: i32) {
    let deadline = Instant::now() + LIMIT;
    while runs(pid) {
        assert!(Instant::now() < deadline, "process {pid} does not end: {}", words(pid));
        sleep(POLL_INTERVAL).await;
    }
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn spawned_workers_run_tasks_and_hide_the_password() {
    let kept = Kept::new().await;
    let spawned = kept.spawn("3").await;
    assert_eq!(spawned.code, Some(0), "{}", spawned.stderr);
    assert!(spawned.stdout.ends_with("Total: 3\n"), "{}", spawned.stdout);
    let admin = kept.coordinator.admin().await;
    admin.submit(&task(&["true"])).await.unwrap();
    wait_for_count(&admin, TaskState::Finished, 1).await;

    let (lines, total) = kept.status().await;
    assert_eq!((lines.len(), total), (3, 3));
    assert!(lines.iter().all(|line| line.state == "running" && line.restarts == 0), "{lines:?}");
    let pids: Vec<i32> = lines.iter().filter_map(|line| line.pid).collect();
    let json: serde_json::Value =
        serde_json::from_str(&kept.manager(&["status", "-o", "json"]).await.stdout).unwrap();
    let reported: Vec<_> =
        json.as_array().unwrap().iter().map(|worker| worker["pid"].as_i64().unwrap()).collect();
    assert_eq!(reported, pids.iter().map(|pid| i64::from(*pid)).collect::<Vec<_>>());
    let supervisor = Kept::supervisor(&lines);
    for pid in &pids {
        assert!(words(*pid).contains("mito worker ") && !words(*pid).contains("password"), "{}", words(*pid));
        // The user name equals the password, and appears once.
        assert_eq!(words(*pid).matches("mitosis_admin").count(), 1, "{}", words(*pid));
    }
    assert!(!words(supervisor).contains("mitosis_admin"), "{}", words(supervisor));
    assert!(!fs::read_to_string(format!("/proc/{supervisor}/environ")).unwrap().contains("MITO_"));

    let killed = kept.manager(&["kill"]).await;
    assert_eq!((killed.code, killed.stdout.as_str()), (Some(0), "stopped 3 workers\n"), "{}", killed.stderr);
    for pid in pids {
        assert!(!runs(pid), "`kill` answers when they have ended");
    }
    until_gone(supervisor).await;
    assert_eq!(kept.status().await.1, 0);
    let again = kept.manager(&["kill"]).await;
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), "no workers were running\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_worker_restarts_and_stopped_one_does_not() {
    let kept = Kept::new().await;
    kept.spawn("2").await;
    let before = kept.until("two", |lines| lines.iter().all(|line| line.state == "running")).await;
    signal(before[0].pid.unwrap(), Signal::SIGKILL);
    let after = kept.until("restarted", |lines| lines[0].restarts == 1 && lines[0].state == "running").await;
    assert_ne!(before[0].pid, after[0].pid);
    assert_eq!((after[1].pid, after[1].restarts), (before[1].pid, 0));

    // It logs this when it handles signals; earlier, the outcome would be the same.
    kept.home.until_written(&log_of(&kept, 2), "registered").await;
    signal(after[1].pid.unwrap(), Signal::SIGTERM);
    let ended = kept.until("ended", |lines| lines[1].state == "ended").await;
    assert_eq!((ended[1].pid, ended[1].restarts), (None, 0));
    assert_eq!(kept.status().await.1, 1);
}

/// The path of a worker's log, from the home.
fn log_of(kept: &Kept, number: u32) -> String {
    let folder = kept.home.path().join(".cache/mitosis/manager");
    let machine = fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    format!(".cache/mitosis/manager/{}/worker-{number}.log", machine.file_name().to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_worker_is_not_restarted() {
    let kept = Kept::new().await;
    kept.spawn("1").await;
    let said = kept.home.until_written(&log_of(&kept, 1), "registered worker=").await;
    Person::administrator(&kept.home, &kept.coordinator).run_ok(&["workers", "cancel", said.trim()]).await;
    let lines = kept.until("ended", |lines| lines[0].state == "ended").await;
    assert_eq!(lines[0].restarts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_spawns_share_one_supervisor() {
    let kept = Kept::new().await;
    let (a, b, c, d) = tokio::join!(kept.spawn("1"), kept.spawn("1"), kept.spawn("1"), kept.spawn("1"));
    for output in [a, b, c, d] {
        assert_eq!(output.code, Some(0), "{}", output.stderr);
    }
    let (lines, total) = kept.status().await;
    assert_eq!(total, 4);
    assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    Kept::supervisor(&lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_supervisor_ends_its_workers() {
    let kept = Kept::new().await;
    kept.spawn("2").await;
    let (lines, _) = kept.status().await;
    let supervisor = Kept::supervisor(&lines);
    signal(supervisor, Signal::SIGKILL);
    for line in &lines {
        until_gone(line.pid.unwrap()).await;
    }
    assert_eq!(kept.status().await.1, 0, "a socket without an owner is no supervisor");
    let spawned = kept.spawn("1").await;
    assert!(spawned.stdout.ends_with("Total: 1\n"), "{}{}", spawned.stdout, spawned.stderr);
    assert_ne!(Kept::supervisor(&kept.status().await.0), supervisor);
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_affects_only_managed_workers() {
    let kept = Kept::new().await;
    let mut own = kept.home.worker(&kept.coordinator.address, "1").await;
    kept.spawn("2").await;
    let one = kept.manager(&["kill", "2"]).await;
    assert_eq!((one.code, one.stdout.as_str()), (Some(0), "stopped 1 worker\n"));
    let (lines, total) = kept.status().await;
    assert_eq!((total, lines[0].state.as_str(), lines[1].state.as_str()), (1, "running", "ended"));
    let unknown = kept.manager(&["kill", "1", "7"]).await;
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(1), "stopped 1 worker\n"));
    let output = kept.manager(&["kill", "7"]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{}", output.stderr);
    assert!(unknown.stderr.contains("no worker with number 7"), "{}", unknown.stderr);
    kept.manager(&["kill"]).await;
    assert!(own.is_running());
}

#[tokio::test(flavor = "multi_thread")]
async fn common_errors_are_reported_before_workers_start() {
    let kept = Kept::new().await;
    let address = kept.coordinator.address.clone();
    let wrong = kept.manager(&["spawn", "2", "-c", &address, "-u", "mitosis_admin", "-p", "wrong"]).await;
    assert_eq!(wrong.code, Some(1), "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("wrong\""), "{}", wrong.stderr);
    let slots = kept.manager(&["spawn", "2", "-c", &address, "--slots", "0"]).await;
    assert_eq!(slots.code, Some(1), "{}", slots.stderr);
    let nonsense = kept.manager(&["spawn", "two"]).await;
    assert_eq!(nonsense.code, Some(2), "{}", nonsense.stderr);
    let none = kept.manager(&["spawn", "0"]).await;
    assert_eq!(none.code, Some(0));
    assert!(none.stderr.contains("0 workers requested"), "{}", none.stderr);
    assert!(!kept.home.path().join(".cache/mitosis/manager").exists(), "nothing was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_can_start_before_their_coordinator() {
    let kept = Kept::new().await;
    let unreachable = "http://127.0.0.1:1";
    let spawned =
        kept.manager(&["spawn", "1", "-c", unreachable, "-u", "mitosis_admin", "-p", "mitosis_admin"]).await;
    assert_eq!(spawned.code, Some(0), "{}", spawned.stderr);
    assert!(spawned.stderr.contains("the workers will wait for it"), "{}", spawned.stderr);
    kept.home.until_written(&log_of(&kept, 1), "retrying").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manager_logs_show_and_follow_output() {
    let kept = Kept::new().await;
    kept.spawn("2").await;
    for number in [1, 2] {
        kept.home.until_written(&log_of(&kept, number), "registered").await;
    }
    let all = kept.manager(&["logs"]).await.stdout;
    for start in ["1 | ", "2 | ", "manager | "] {
        assert!(all.lines().any(|line| line.starts_with(start)), "{start} is not in {all}");
    }
    let mut follow = kept.home.mito(&["manager", "logs", "2", "-f", "-n", "1"]);
    let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().unwrap().contains("registered"));
    let (workers, _) = kept.status().await;
    signal(workers[1].pid.unwrap(), Signal::SIGTERM);
    let added =
        tokio::time::timeout(LIMIT, lines.next_line()).await.expect("the log is followed").unwrap().unwrap();
    assert!(added.contains("SIGTERM"), "{added}");
    follow.kill().await.unwrap();

    let unknown = ended(kept.home.mito(&["manager", "logs", "9"])).await;
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("worker 9 has no log"), "{}", unknown.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_units_are_installed_and_removed() {
    let kept = Kept::new().await;
    let install = ["systemd", "install", "-c", &kept.coordinator.address, "-u", "mitosis_admin"];
    let with_password = [&install[..], &["-p", "mitosis_admin", "-t", "50%", "--slots", "2"]].concat();
    let shown = kept.manager(&[&with_password[..], &["--print"]].concat()).await;
    let unit = kept.home.path().join(".config/systemd/user/mito-worker@.service");
    assert!(shown.stdout.contains("\nExecStart=") && !unit.exists(), "{}{}", shown.stdout, shown.stderr);

    let installed = kept.manager(&with_password).await;
    assert_eq!(installed.code, Some(0), "{}", installed.stderr);
    assert!(installed.stderr.contains("systemctl --user enable --now mito-worker@1"), "{}", installed.stderr);
    let text = fs::read_to_string(&unit).unwrap();
    assert!(text.contains(r#""--slots=2""#) && text.contains(r#""--tags=50%%""#), "{text}");
    assert!(!text.contains("password"), "{text}");
    let variables = kept.home.path().join(".config/mitosis/mito-worker.env");
    assert_eq!(variables.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let secrets = fs::read_to_string(variables).unwrap();
    assert!(secrets.contains(r#"MITO_PASSWORD="\"mitosis_admin\"""#), "{secrets}");
    systemd_takes(&unit, &kept.home);

    let links = unit.with_file_name("default.target.wants");
    fs::create_dir(&links).unwrap();
    std::os::unix::fs::symlink(&unit, links.join("mito-worker@3.service")).unwrap();
    let refused = kept.manager(&["systemd", "uninstall"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("still enabled: mito-worker@3"), "{}", refused.stderr);
    fs::remove_dir_all(links).unwrap();
    let removed = kept.manager(&["systemd", "uninstall"]).await;
    assert_eq!((removed.code, removed.stdout.lines().count()), (Some(0), 2), "{}", removed.stderr);
    assert!(!unit.exists());
    assert_eq!(kept.manager(&["systemd", "uninstall"]).await.code, Some(1));
}

/// Verifies the unit, if systemd is installed.
fn systemd_takes(unit: &std::path::Path, home: &Home) {
    let mut command = std::process::Command::new("systemd-analyze");
    command.args(["--user", "verify"]).arg(unit).env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path());
    match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        checked => {
            let checked = checked.unwrap();
            let said = String::from_utf8_lossy(&checked.stderr);
            assert!(checked.status.success() && !said.contains("mito-worker"), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_worker_finishes_and_is_not_restarted() {
    let kept = Kept::new().await;
    kept.spawn("1").await;
    let admin = kept.coordinator.admin().await;
    let may_end = kept.home.path().join("may-end");
    let until_it_may = format!("until test -e {}; do sleep 0.02; done", may_end.display());
    admin.submit(&task(&["sh", "-c", &until_it_may])).await.unwrap();
    wait_for_count(&admin, TaskState::Running, 1).await;

    let drain = kept.manager(&["drain"]).await;
    assert_eq!((drain.code, drain.stdout.as_str()), (Some(0), "draining 1 worker\n"), "{}", drain.stderr);
    let (lines, total) = kept.status().await;
    assert_eq!((lines[0].state.as_str(), total), ("draining", 1));
    assert!(runs(lines[0].pid.unwrap()));
    kept.home.until_written(&log_of(&kept, 1), "asked to drain").await;
    admin.submit(&task(&["true"])).await.unwrap();
    fs::write(may_end, "").unwrap();
    let lines = kept.until("ended", |lines| lines[0].state == "ended").await;
    assert_eq!(lines[0].restarts, 0);
    wait_for_count(&admin, TaskState::Finished, 1).await;
    wait_for_count(&admin, TaskState::Ready, 1).await;

    let again = kept.manager(&["drain", "all"]).await;
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), "no workers were running\n"));
    let unknown = kept.manager(&["drain", "7"]).await;
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(1), ""));
    assert!(unknown.stderr.contains("no worker with number 7"), "{}", unknown.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_can_wait_and_affects_only_its_workers() {
    let kept = Kept::new().await;
    kept.spawn("2").await;
    let drain = kept.manager(&["drain", "2", "--wait"]).await;
    assert_eq!((drain.code, drain.stdout.as_str()), (Some(0), "drained 1 worker\n"), "{}", drain.stderr);
    let (lines, total) = kept.status().await;
    assert_eq!((lines[0].state.as_str(), lines[1].state.as_str(), total), ("running", "ended", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn spawned_workers_inherit_no_file_locks() {
    let kept = Kept::new().await;
    let script = "exec 9> lock; flock -n 9 || exit 9; exec \"$@\"";
    let spawn = ["manager", "spawn", "1", "-c", &kept.coordinator.address, "-u", "mitosis_admin"];
    for _ in 0..2 {
        let mito = kept.home.mito(&spawn);
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(mito.as_std().get_program()).args(mito.as_std().get_args());
        shell.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", kept.home.path());
        shell.env("MITO_PASSWORD", "mitosis_admin").current_dir(kept.home.path());
        let spawned = ended(shell).await;
        assert_eq!(spawned.code, Some(0), "{}", spawned.stderr);
    }
}
