//! Tests of Ctrl-C during `mito run`: the tasks continue on other machines, and the message says how to stop them.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::home::{Coordinator, Home, Output, Person};

/// Interrupts `mito run` with these arguments once a task has written its first line.
async fn interrupted(home: &Home, coordinator: &Coordinator, args: &[&str]) -> Output {
    let mut command = home.mito(&[&["run", "-c", &coordinator.address], args].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().expect("a task starts");
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGINT).unwrap();
    let ended = child.wait_with_output().await.unwrap();
    Output {
        code: ended.status.code(),
        stdout: first,
        stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
    }
}

/// Runs the `tasks stop` command of the message.
async fn check_stop_command(home: &Home, coordinator: &Coordinator, output: &Output, uuid: &str) {
    let command = format!("`mito client -c {} tasks stop ", coordinator.address);
    assert!(output.stderr.contains(&command), "{}", output.stderr);
    let stop = ["client", "-c", &coordinator.address, "tasks", "stop", uuid];
    let stopped = home.run(&stop).await;
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    let wait = ["client", "-c", &coordinator.address, "tasks", "wait", uuid];
    let waited = home.run(&wait).await;
    assert_eq!(waited.code, Some(125), "{waited:?}");
}

#[tokio::test]
async fn interrupted_run_explains_how_to_stop_the_task() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let _worker = home.worker(&coordinator.address, "1").await;
    Person::administrator(&home, &coordinator).run_ok(&["auth"]).await;
    let script = "echo $MITO_TASK_UUID; sleep 600";
    let output = interrupted(&home, &coordinator, &["--", "sh", "-c", script]).await;
    assert_eq!(output.code, Some(130), "{output:?}");
    assert!(output.stderr.contains(&format!("tasks stop {}` stops it", output.stdout)), "{}", output.stderr);
    check_stop_command(&home, &coordinator, &output, &output.stdout).await;
}

#[tokio::test]
async fn interrupted_sweep_cancels_waiting_and_lists_running() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let _worker = home.worker(&coordinator.address, "1").await;
    let admin = Person::administrator(&home, &coordinator);
    admin.run_ok(&["auth"]).await;
    let script = "echo $MITO_TASK_UUID; sleep 600; echo {x}";
    let output = interrupted(&home, &coordinator, &["-F", "x=1..3", "--", "sh", "-c", script]).await;
    assert_eq!(output.code, Some(130), "{output:?}");
    assert!(output.stderr.contains("cancelled 2 tasks that were waiting"), "{}", output.stderr);
    assert!(output.stderr.contains("1 task may continue"), "{}", output.stderr);
    assert!(output.stderr.contains(&format!("\n  {}\n", output.stdout)), "{}", output.stderr);
    check_stop_command(&home, &coordinator, &output, &output.stdout).await;
    admin.run_until("Found 3 tasks", &["tasks", "query", "-s", "cancelled", "--count"]).await;
}
