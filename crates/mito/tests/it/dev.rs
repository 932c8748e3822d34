//! Tests of `mito dev`.

use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::Signal;

use crate::home::{Home, LIMIT, ended, until_there};
use crate::terminal::{ENTER, Terminal};

const DEV: [&str; 7] = ["dev", "--data", "data", "--slots", "2", "--bind", "127.0.0.1:0"];

#[tokio::test]
async fn state_survives_a_restart() {
    let home = Home::new();
    let credentials = home.path().join("data/credentials");
    let client = |address: &str, args: &[&str]| {
        let mut command = home.mito(args);
        command.env("MITO_COORDINATOR_ADDR", address.trim()).env("MITO_CREDENTIAL_PATH", &credentials);
        ended(command)
    };

    let (dev, address) = home.start(&DEV, "ready at").await;
    let run = client(&address, &["run", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]).await;
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(7), "out\n", "err\n"));
    let args = [
        "client",
        "tasks",
        "submit",
        "--terminal",
        "-l",
        "first",
        "--",
        "sh",
        "-c",
        "echo kept; echo 42 > $MITO_RESULT_DIR/answer",
    ];
    let submitted = client(&address, &args).await;
    let uuid = submitted.stdout.split_whitespace().last().expect("the UUID is the last word").to_owned();
    assert_eq!(client(&address, &["client", "tasks", "wait", &uuid]).await.code, Some(0));
    dev.signal(Signal::SIGTERM);
    assert!(dev.wait().await.success());

    let (dev, address) = home.start(&DEV, "ready at").await;
    let found = client(&address, &["client", "tasks", "query", "-l", "first", "-s", "finished"]).await;
    assert_eq!(found.stdout, format!("Found 1 task\n{uuid}\n"));
    let shown = client(&address, &["client", "tasks", "get", &uuid]).await;
    assert!(shown.stdout.contains("artifact    result") && shown.stdout.contains("artifact    std-log"));
    let got = client(&address, &["client", "tasks", "artifacts", "download", &uuid, "result"]).await;
    assert_eq!((got.code, got.stdout.as_str()), (Some(0), "result.tar.gz\n"), "{}", got.stderr);
    let archive = std::fs::File::open(home.path().join("result.tar.gz")).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["result", "result/answer"]);
    drop(dev);
}

#[tokio::test]
async fn groups_of_the_worker_are_kept() {
    let home = Home::new();
    let credentials = home.path().join("data/credentials");
    let client = async |address: &str, args: &[&str]| {
        let mut command = home.mito(&[&["client"], args].concat());
        command.env("MITO_COORDINATOR_ADDR", address.trim()).env("MITO_CREDENTIAL_PATH", &credentials);
        let output = ended(command).await;
        assert_eq!(output.code, Some(0), "{args:?}: {}", output.stderr);
        output.stdout
    };
    let (mut dev, address) = home.start(&DEV, "ready at").await;
    client(&address, &["groups", "create", "lab"]).await;
    let worker = client(&address, &["workers", "query", "-o", "id"]).await.trim().to_owned();
    client(&address, &["workers", "update-roles", &worker, "lab:write"]).await;
    // It is killed, and stopped.
    for end in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGTERM] {
        dev.signal(end);
        dev.wait().await;
        let (next, address) = home.start(&DEV, "ready at").await;
        dev = next;
        client(&address, &["tasks", "submit", "--wait", "-g", "lab", "--", "true"]).await;
    }
}

#[tokio::test]
async fn data_and_password_are_private() {
    let home = Home::new();
    let (_dev, _) = home.start(&DEV, "ready at").await;
    let mode = |path: &str| std::fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
    for secret in ["data/password", "data/credentials", "data/private.pem"] {
        assert_eq!(mode(secret), 0o600, "{secret}");
    }
    assert!(std::fs::read_to_string(home.path().join("data/password")).unwrap().len() >= 32);
}

#[tokio::test]
async fn second_instance_on_the_same_data_is_refused() {
    let home = Home::new();
    let (mut first, address) = home.start(&DEV, "ready at ").await;
    let second = home.run(&DEV).await;
    assert_eq!(second.code, Some(1));
    let (sentence, hint) = second.stderr.split_once("\n  hint: ").unwrap();
    assert!(
        sentence.contains(&format!("mitosis is already running on this data, at {address} (process ")),
        "{sentence}"
    );
    let id = sentence.split_once("(process ").unwrap().1.split_once(')').unwrap().0;
    let stop = format!("`mito dev stop --data {}`", home.path().join("data").display());
    assert!(hint.contains(&stop) && hint.contains("a different --data"), "{hint}");
    assert!(first.is_running());

    // The command in the hint works.
    let line = hint.split('`').nth(1).unwrap();
    let mut shell = tokio::process::Command::new("sh");
    let script = format!("{line}; exec \"$0\" client auth");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_mito")]).env_clear().env("HOME", home.path());
    let output = ended(shell).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "mitosis_admin\n"), "{}", output.stderr);
    std::process::Command::new("kill").arg(id).status().unwrap();
    assert!(first.wait().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_worker_is_replaced() {
    let home = Home::new();
    let (_dev, address) = home.start(&DEV, "ready at").await;
    let credentials = home.path().join("data/credentials");
    let client = async |args: &[&str]| {
        let mut command = home.mito(args);
        command.env("MITO_COORDINATOR_ADDR", address.trim()).env("MITO_CREDENTIAL_PATH", &credentials);
        let output = ended(command).await;
        assert_eq!(output.code, Some(0), "{args:?}: {}", output.stderr);
        output.stdout
    };
    client(&["run", "--", "true"]).await;
    let worker = client(&["client", "workers", "query", "-o", "id"]).await;
    client(&["client", "workers", "cancel", "--force", worker.trim()]).await;
    client(&["run", "--", "true"]).await;
    assert_ne!(client(&["client", "workers", "query", "-o", "id"]).await, worker);
}

/// The folder in which a running instance registers.
fn registrations(home: &Home) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(home.path().join(".local/state/mitosis"));
    entries.map_or_else(|_| Vec::new(), |all| all.map(|entry| entry.unwrap().path()).collect())
}

#[tokio::test]
async fn running_instance_is_found_without_a_configured_address() {
    let home = Home::new();
    let lost = home.run(&["client", "auth"]).await;
    assert!(lost.stderr.contains("start `mito dev`"), "{}", lost.stderr);
    let (dev, address) = home.start(&DEV, "ready at ").await;
    let mode = std::fs::metadata(&registrations(&home)[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let run = home.run(&["run", "--", "echo", "hello"]).await;
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), "hello\n", ""));
    let shown = home.run(&["config", "show", "--origin"]).await;
    assert!(shown.stdout.contains("the running `mito dev` of"), "{}{}", shown.stdout, shown.stderr);
    let doctor = home.run(&["doctor"]).await;
    assert!(doctor.stdout.contains("from the running `mito dev` of"), "{}", doctor.stdout);

    // Everything that is configured has precedence.
    let elsewhere = ["-c", "http://127.0.0.1:9", "auth"];
    assert_eq!(home.run(&[&["client"], &elsewhere[..]].concat()).await.code, Some(69));
    let mut configured = home.mito(&["client", "auth"]);
    configured.env("MITO_COORDINATOR_ADDR", "http://127.0.0.1:9");
    assert_eq!(ended(configured).await.code, Some(69));
    let mut with_token = home.mito(&["client", "auth"]);
    with_token.env("MITO_TOKEN", "mito_pat_of_another_coordinator");
    assert!(!ended(with_token).await.stderr.contains(&address));

    // A file that is left by a killed process is removed.
    dev.kill().await;
    assert_eq!(registrations(&home).len(), 1);
    assert_ne!(home.run(&["client", "auth"]).await.code, Some(0));
    assert!(registrations(&home).is_empty());
}

#[tokio::test]
async fn several_running_instances_are_an_error_that_lists_them() {
    let home = Home::new();
    let (_one, first) = home.start(&DEV, "ready at ").await;
    let other = ["dev", "--data", "other", "--bind", "127.0.0.1:0"];
    let (_two, second) = home.start(&other, "ready at ").await;
    let run = home.run(&["client", "auth"]).await;
    assert_eq!(run.code, Some(78));
    assert!(run.stderr.contains(&first) && run.stderr.contains(&second), "{}", run.stderr);
    let line = run.stderr.split('`').find(|part| part.starts_with("export ")).expect("a command");
    let mut shell = tokio::process::Command::new("sh");
    let script = format!("{line}; exec \"$0\" client auth");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_mito")]).env_clear().env("HOME", home.path());
    assert_eq!(ended(shell).await.stdout, "mitosis_admin\n");
    let stop = home.run(&["dev", "stop"]).await;
    assert_eq!(stop.code, Some(78));
    assert!(stop.stderr.contains("`mito dev stop --data "), "{}", stop.stderr);
    let stop = home.run(&["dev", "stop", "--data", "other"]).await;
    assert_eq!(stop.code, Some(0), "{}", stop.stderr);
    assert_eq!(home.run(&["client", "auth"]).await.code, Some(0));
}

/// Stops an instance in the background, also if the test fails.
struct Detached<'a>(&'a Home);

impl Drop for Detached<'_> {
    fn drop(&mut self) {
        let mut stop = std::process::Command::new(env!("CARGO_BIN_EXE_mito"));
        stop.args(["dev", "stop", "--force"]).env_clear().env("HOME", self.0.path());
        drop(stop.output());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn detached_instance_is_shown_and_stopped() {
    let home = Home::new();
    let none = home.run(&["dev", "status"]).await;
    assert_eq!((none.code, none.stderr.as_str()), (Some(1), "`mito dev` is not running\n"));
    assert_eq!(home.run(&["dev", "stop"]).await.code, Some(66));
    let detach = [&DEV[..], &["--detach"]].concat();
    let started = home.run(&detach).await;
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    let _stop = Detached(&home);
    for part in ["ready at", "  export MITO_COORDINATOR_ADDR=", "dev.log"] {
        assert!(started.stdout.contains(part), "{}", started.stdout);
    }
    assert!(!started.stdout.contains("\nready\n"), "{}", started.stdout);
    let second = home.run(&detach).await;
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("already running on this data"), "{}", second.stderr);
    let status = home.run(&["dev", "status", "-o", "json"]).await;
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!((&status[0]["running_tasks"], &status[0]["log"].is_string()), (&0.into(), &true), "{status}");

    // A running task is not interrupted without a word.
    let file = home.path().join("never");
    let submit = home.run(&["submit", "--", "sh", "-c", &until_there(&file)]).await;
    assert_eq!(submit.code, Some(0), "{}", submit.stderr);
    let deadline = tokio::time::Instant::now() + LIMIT;
    while !home.run(&["dev", "status"]).await.stdout.contains("running     1") {
        assert!(tokio::time::Instant::now() < deadline, "the task does not run");
    }
    let refused = home.run(&["dev", "stop"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("1 running task") && refused.stderr.contains("--force"),
        "{}",
        refused.stderr
    );
    let mut terminal = Terminal::start(&home.mito(&["dev", "stop"]), 120);
    terminal.until("Stop? [y/N] ").await;
    terminal.types(&["n", ENTER]);
    assert_eq!(terminal.ends().await.0, Some(1));
    assert_eq!(home.run(&["dev", "status"]).await.code, Some(0));
    let mut terminal = Terminal::start(&home.mito(&["dev", "stop"]), 120);
    terminal.until("Stop? [y/N] ").await;
    terminal.types(&["y", ENTER]);
    let (code, screen) = terminal.ends().await;
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(home.run(&["dev", "status"]).await.code, Some(1));
    home.until_written("data/dev.log", "stopping 1 running task").await;
}

#[tokio::test]
async fn failed_start_in_the_background_is_reported() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let failed = home.run(&["dev", "--detach", "--data", "data", "--bind", &bind]).await;
    assert_ne!(failed.code, Some(0));
    assert!(failed.stderr.contains(&bind), "{}", failed.stderr);
    assert!(registrations(&home).is_empty());
}

#[tokio::test]
async fn end_with_running_tasks_says_so() {
    let home = Home::new();
    let (dev, _) = home.start(&DEV, "ready at").await;
    let file = home.path().join("never");
    let submit = home.run(&["submit", "--", "sh", "-c", &until_there(&file)]).await;
    assert_eq!(submit.code, Some(0), "{}", submit.stderr);
    let deadline = tokio::time::Instant::now() + LIMIT;
    while !home.run(&["dev", "status"]).await.stdout.contains("running     1") {
        assert!(tokio::time::Instant::now() < deadline, "the task does not run");
    }
    let said = dev.ends_with(Signal::SIGINT).await;
    assert!(said.contains("stopping 1 running task, which runs again"), "{said}");
}
