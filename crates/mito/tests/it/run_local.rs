//! Tests of `mito run --local`.

use std::time::Instant;

use nix::sys::signal::Signal;

use crate::home::{Home, ended};

#[tokio::test]
async fn first_run_prints_output_and_leaves_no_files() {
    let home = Home::new();
    let output = home.run(&["run", "--local", "--", "echo", "hello from mitosis"]).await;
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (Some(0), "hello from mitosis\n", "")
    );
    let left: Vec<_> = walk(home.path()).into_iter().filter(|path| path.is_file()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn leftovers_of_a_killed_run_are_removed_by_the_next() {
    let home = Home::new();
    let left = home.path().join(".cache/mitosis/local/0f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("state.db"), "x").unwrap();
    let machine = nix::unistd::gethostname().unwrap();
    std::fs::write(left.join(".in-use"), machine.to_str().unwrap()).unwrap();
    let output = home.run(&["run", "--local", "--", "true"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(!left.exists());
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn streams_and_exit_code_are_those_of_the_command() {
    let output =
        Home::new().run(&["run", "--local", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]).await;
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(7), "out\n", "err\n"));
}

#[tokio::test]
async fn signal_gives_the_exit_code_of_a_shell() {
    let output = Home::new().run(&["run", "--local", "--", "sh", "-c", "kill -TERM $$"]).await;
    assert_eq!(output.code, Some(143));
}

#[tokio::test]
async fn timeout_kills_the_process_group_and_keeps_output() {
    let home = Home::new();
    let script = "sleep 61 & echo $! > child; echo before; wait";
    let output = home.run(&["run", "--local", "--timeout", "1s", "--", "sh", "-c", script]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(124), "before\n"));
    assert!(output.stderr.contains("timeout"), "{}", output.stderr);
    let child = std::fs::read_to_string(home.path().join("child")).unwrap();
    assert!(!is_alive(child.trim()), "the child of the command lives on");
}

/// Whether no process is left, except a zombie.
fn is_alive(id: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}

#[tokio::test]
async fn background_processes_end_with_the_command() {
    let home = Home::new();
    let script = "sleep 61 >/dev/null 2>&1 & echo $! > child";
    let output = home.run(&["run", "--local", "--", "sh", "-c", script]).await;
    assert_eq!(output.code, Some(0));
    let child = std::fs::read_to_string(home.path().join("child")).unwrap();
    assert!(!is_alive(child.trim()), "what the command started lives on");
}

#[tokio::test]
async fn command_inherits_variables_but_no_secrets() {
    let home = Home::new();
    let mut command = home.mito(&["run", "--local", "-e", "A=x,y=z", "-e", "B=", "--", "env"]);
    command.env("MITO_PASSWORD", "hunter2").env("OTHER", "kept");
    let output = ended(command).await;
    let has = |line: &str| output.stdout.lines().any(|seen| seen == line);
    assert!(has("A=x,y=z") && has("B=") && has("OTHER=kept"), "{}", output.stdout);
    assert!(output.stdout.contains("MITO_TASK_UUID=") && !output.stdout.contains("hunter2"));
}

#[tokio::test]
async fn output_is_shown_live() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let home = Home::new();
    // The command ends only after its first line was seen here.
    let script = "echo first; while [ ! -e seen ]; do sleep 0.05; done; echo second";
    let mut command = home.mito(&["run", "--local", "--", "sh", "-c", script]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "first");
    home.write("seen", "");
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "second");
    assert_eq!(lines.next_line().await.unwrap(), None);
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn binary_output_arrives_unchanged() {
    let home = Home::new();
    let bytes: Vec<u8> =
        (0..3_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(home.path().join("bytes"), &bytes).unwrap();
    let output = home.mito(&["run", "--local", "--", "cat", "bytes"]).output().await.unwrap();
    assert!(output.status.success() && output.stdout == bytes);
}

#[tokio::test]
async fn interrupt_ends_the_command() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let home = Home::new();
    let mut command = home.mito(&["run", "--local", "--", "sh", "-c", "echo $$; sleep 61"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let group = BufReader::new(child.stdout.take().unwrap()).lines().next_line().await.unwrap().unwrap();
    let started = Instant::now();
    let id = nix::unistd::Pid::from_raw(child.id().unwrap().try_into().unwrap());
    nix::sys::signal::kill(id, Signal::SIGINT).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    assert!(!is_alive(&group), "the command lives on after {:?}", started.elapsed());
}
