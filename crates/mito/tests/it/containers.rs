//! Tests as the first process of a container, and on a separate file system. They are skipped where the kernel does
//! not allow namespaces.

use std::path::Path;
use std::process::Stdio;

use mitosis_client::{Client, EarlierTokens, UserClient};
use mitosis_protocol::TaskState;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::SecretString;
use tokio::process::Command;
use tokio::time::{Duration, Instant, sleep};

use crate::home::{ADMIN, Home, LIMIT, POLL_INTERVAL, Service, all_tasks, task, until_there, wait_for_count};

/// `unshare` with these options and a `mito` command; none where that is not allowed.
fn apart(home: &Home, options: &[&str], args: &[&str]) -> Option<Command> {
    let user = ["--user", "--map-root-user"];
    let probe = std::process::Command::new("unshare")
        .args(user)
        .args(options)
        .arg("true")
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let mito = home.mito(args);
    let mut command = Command::new("unshare");
    command.args(user).args(options).arg(mito.as_std().get_program()).args(args);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", home.path())
        .current_dir(home.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    probe.then_some(command)
}

async fn admin_of_dev(home: &Home, address: &str) -> UserClient {
    let password = std::fs::read_to_string(home.path().join("data/password")).unwrap();
    let client = Client::new(address.trim()).unwrap();
    let token =
        client.login(ADMIN, &SecretString::from(password.trim()), EarlierTokens::Retain).await.unwrap();
    client.with_user_token(token)
}

/// The only child of a process.
fn child(of: Pid) -> Pid {
    let children = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap();
    Pid::from_raw(children.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn container_init_reaps_and_forwards_signals() {
    let home = Home::new();
    let dev = ["dev", "--data", "data", "--slots", "1", "--bind", "127.0.0.1:0"];
    let namespaces = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let Some(command) = apart(&home, &namespaces, &dev) else { return };
    let (system, address) = Service::start(command, "ready at").await;
    let admin = admin_of_dev(&home, &address).await;

    let begun = Instant::now();
    for _ in 0..4 {
        // One process that stays in the process group, and one that leaves it and ends later.
        let script = "sleep 600 & setsid sleep 0.01 & exit 0";
        admin.submit(&task(&["sh", "-c", script])).await.unwrap();
    }
    wait_for_count(&admin, TaskState::Finished, 4).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "each waited for a zombie: {:?}", begun.elapsed());
    let deadline = Instant::now() + LIMIT;
    let mut asked = 4;
    loop {
        admin
            .submit(&task(&["sh", "-c", "! grep -l '^State:.Z' /proc/[0-9]*/status > /dev/null"]))
            .await
            .unwrap();
        asked += 1;
        wait_for_count(&admin, TaskState::Finished, asked).await;
        let found = all_tasks(&admin).await;
        let last = found.iter().max_by_key(|task| task.created_at).unwrap();
        if last.result.as_ref().unwrap().exit_status.0 == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "processes that have ended are not reaped");
        sleep(POLL_INTERVAL).await;
    }

    kill(child(system.pid()), Signal::SIGTERM).unwrap();
    assert!(system.wait().await.success());
}

fn is_full(folder: &Path) -> String {
    format!(
        "until test \"$(df --output=avail {} | tail -n 1)\" -lt 900; do sleep 0.05; done",
        folder.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_without_disk_space_takes_no_tasks() {
    let home = Home::new();
    let cache = home.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = coordinator.admin().await;
    let config = home.write("worker.toml", "[worker]\nuser = 'mitosis_admin'\npassword = 'mitosis_admin'\n");
    let script = format!("mount -t tmpfs -o size=4m tmpfs {} && exec \"$@\"", cache.display());
    let args = [
        "worker",
        "--config",
        config.to_str().unwrap(),
        "-c",
        &coordinator.address,
        "--slots",
        "2",
        "--file-log",
        "--log-path",
        "worker.log",
    ];
    let Some(command) = apart(&home, &["--mount"], &args) else { return };
    // `unshare … mito …` becomes `unshare … sh -c '… exec mito' sh mito …`.
    let mut words: Vec<_> = command.as_std().get_args().map(ToOwned::to_owned).collect();
    words.splice(3..3, ["sh", "-c", &script, "sh"].map(Into::into));
    let mut command = home.mito(&[]);
    let mut apart = Command::new("unshare");
    apart.args(words).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", home.path());
    apart.env("XDG_CACHE_HOME", &cache).current_dir(home.path()).stdin(Stdio::null()).kill_on_drop(true);
    std::mem::swap(&mut command, &mut apart);
    let (_worker, _) = Service::start(command, "registered").await;

    let (fill, go) = (cache.join("fill"), home.path().join("go"));
    let filler = format!(
        "head -c 8000000 /dev/zero > {0}; {1}; {2}; rm {0}",
        fill.display(),
        is_full(&cache),
        until_there(&go)
    );
    admin.submit(&task(&["sh", "-c", &filler])).await.unwrap();
    home.until_written("worker.log", "takes no tasks").await;
    let second = admin.submit(&task(&["true"])).await.unwrap().uuid;
    // Otherwise it would have been taken at once.
    for _ in 0..20 {
        sleep(POLL_INTERVAL).await;
        assert_eq!(admin.task(second).await.unwrap().info.state, TaskState::Ready);
    }
    std::fs::write(go, "").unwrap();
    wait_for_count(&admin, TaskState::Finished, 2).await;
}
