//! Tests of progress bars.

use crate::home::{ADMIN, Coordinator, Home, ended, until_there};
use crate::terminal::Terminal;

/// Starts three tasks that write partial lines once they may; the last one fails.
fn sweep<'a>(coordinator: &'a Coordinator, script: &'a str) -> [&'a str; 13] {
    ["run", "-c", &coordinator.address, "-u", ADMIN, "-F", "x=1..3", "--", "sh", "-c", script, "sh", "{x}"]
}

#[tokio::test]
async fn progress_bar_does_not_disturb_output() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let _worker = home.worker(&coordinator.address, "3").await;
    let go = home.path().join("go$1");
    let script = format!("{}; printf '<%s' $1; test $1 != 2", until_there(&go));
    let mut command = home.mito(&sweep(&coordinator, &script));
    command.env("MITO_PASSWORD", ADMIN);
    let mut terminal = Terminal::start(&command, 100);
    terminal.until("0 of 3 tasks ended, 3 running").await;
    home.write("go2", "");
    terminal.until("1 of 3 tasks ended, 2 running, 1 failed").await;
    home.write("go1", "");
    home.write("go3", "");
    for task in ["<1\r\n", "<2\r\n", "<3\r\n"] {
        terminal.until(task).await;
    }
    let (code, rest) = terminal.ends().await;
    assert_eq!(code, Some(3), "{rest}");
    assert!(rest.contains("1 of 3 tasks did not succeed [partial_failure]"), "{rest}");
}

#[tokio::test]
async fn wait_for_many_tasks_has_a_progress_bar() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = crate::home::Person::administrator(&home, &coordinator);
    for _ in 0..3 {
        admin.submits(&["-l", "few", "--", "true"]).await;
    }
    let mut terminal = Terminal::start(&admin.command(&["tasks", "wait", "label=few"]), 100);
    terminal.until("0 of 3 tasks ended").await;
    let _worker = home.worker(&coordinator.address, "1").await;
    let (code, rest) = terminal.ends().await;
    assert_eq!(code, Some(0), "{rest}");
}

#[tokio::test]
async fn pipe_or_quiet_disables_the_progress_bar() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let _worker = home.worker(&coordinator.address, "3").await;
    let mut piped = home.mito(&sweep(&coordinator, "printf '<%s' $1"));
    piped.env("MITO_PASSWORD", ADMIN);
    let piped = ended(piped).await;
    assert_eq!((piped.code, piped.stdout.as_str(), piped.stderr.as_str()), (Some(0), "<1<2<3", ""));

    let quiet = [&["run", "-q"], &sweep(&coordinator, "echo $1")[1..]].concat();
    let mut quiet = home.mito(&quiet);
    quiet.env("MITO_PASSWORD", ADMIN);
    let (code, screen) = Terminal::start(&quiet, 100).ends().await;
    assert_eq!((code, screen.as_str()), (Some(0), "1\r\n2\r\n3\r\n"));
}
