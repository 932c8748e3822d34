//! Tests of `--notify` and `--notify-command`.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::home::{ADMIN, Coordinator, Home, LIMIT, POLL_INTERVAL, ended};
use crate::jobs::User;

/// Accepts one request; returns it.
async fn accept(listener: &TcpListener) -> String {
    let (mut stream, _) = tokio::time::timeout(LIMIT, listener.accept()).await.expect("in time").unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"}}") {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the request ends early");
    }
    let reply = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
    stream.write_all(reply).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn end_of_a_job_is_sent_to_an_allowed_receiver() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let url = format!("{origin}/c0ffee");
    let (user, _worker) = User::with_worker(&["--notify-allow", &origin]).await;
    let refusal = ["https://elsewhere.example", "`notify_allow`"];
    user.fails("submit --notify https://elsewhere.example/x -- true", 77, &refusal).await;
    user.fails("submit --notify elsewhere -- true", 2, &["https://"]).await;

    user.ok(&format!("run --notify {url} -- true")).await;
    let request = accept(&listener).await;
    assert!(request.starts_with("POST /c0ffee ") && request.contains("webhook-signature: v1,"), "{request}");

    let script = format!("#!/bin/sh\n#MITO --notify {url} --notify-on failure\nexit 3\n");
    let script = user.home.write("train.sh", &script);
    user.ok(&format!("submit --name train {}", script.display())).await;
    let request = accept(&listener).await;
    assert!(request.contains("(train): failed, 0 of 1 task succeeded"), "{request}");
    let end = Instant::now() + LIMIT;
    loop {
        let shown = user.ok("show train").await;
        assert!(!shown.contains("c0ffee"), "{shown}");
        if shown.contains(&format!("{origin}: delivered after 1 attempt")) {
            break;
        }
        assert!(Instant::now() < end, "{shown}");
        sleep(POLL_INTERVAL).await;
    }

    let job = format!("[[tasks]]\nname = 'eval'\ncommand = 'true'\nnotify = '{url}'\n");
    let file = user.home.write("job.toml", &job);
    user.ok(&format!("submit {}", file.display())).await;
    let request = accept(&listener).await;
    assert!(request.contains("(eval): succeeded"), "{request}");
    let key = user.ok("groups notify-key mitosis_admin").await;
    assert!(key.starts_with("whsec_"), "{key}");
}

fn id(request: &str) -> &str {
    request.lines().find_map(|line| line.strip_prefix("webhook-id: ")).expect("an id")
}

/// The process dies after the answer of the receiver, before it has recorded that.
#[tokio::test]
async fn notification_is_sent_again_after_a_crash() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let home = Home::new();
    let options = ["--bind", "127.0.0.1:0", "--notify-allow", &url];
    let crash = [("MITOSIS_CRASH_POINT", Path::new("notify.record:before"))];
    let Coordinator { service, address } = home.coordinator_in(&options, &crash).await;
    for args in [&["submit", "--notify", &url, "--", "true"][..], &["cancel", "last"]] {
        let mut command = home.mito(args);
        command.env("MITO_COORDINATOR_ADDR", &address).env("MITO_RETAIN", "true");
        command.env("MITO_USER", ADMIN).env("MITO_PASSWORD", ADMIN);
        let output = ended(command).await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
    }
    let first = accept(&listener).await;
    assert!(!service.wait().await.success(), "it has crashed");
    let _again = home.coordinator_with(&options).await;
    let second = accept(&listener).await;
    assert_eq!(id(&first), id(&second));
    assert!(first.contains("cancelled"), "{first}");
}

#[tokio::test]
async fn local_command_gets_the_outcome_and_changes_no_exit_code() {
    let user = User::of_dev().await;
    let command = "echo \"$MITO_STATE $MITO_SUCCEEDED/$MITO_TASKS job:$MITO_JOB.\"; exit 9";
    let run = async |args: &[&str]| ended(user.command(args)).await;
    let task = run(&["run", "--notify-command", command, "--", "sh", "-c", "exit 3"]).await;
    assert_eq!((task.code, &*task.stdout), (Some(3), ""), "{}", task.stderr);
    assert!(task.stderr.contains("failed 0/1 job:.") && task.stderr.contains("warning"), "{}", task.stderr);
    let sweep = run(&["run", "--notify-command", command, "-F", "x=1..3", "--", "true"]).await;
    assert_eq!(sweep.code, Some(0), "{}", sweep.stderr);
    assert!(sweep.stderr.contains("succeeded 3/3"), "{}", sweep.stderr);
    run(&["submit", "--name", "parts", "-F", "x=0..1", "--", "sh", "-c", "exit {x}"]).await;
    let wait = run(&["wait", "parts", "--notify-command", command]).await;
    assert_eq!(wait.code, Some(123), "{}", wait.stderr);
    assert!(wait.stderr.contains("failed 1/2 job:1."), "{}", wait.stderr);
}
