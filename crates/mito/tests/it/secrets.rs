//! Tests of `mito secrets` and `--secret`.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::jobs::User;

const VALUE: &str = "correct-horse-battery";

/// Runs a command with this standard input, and returns its error output.
async fn with_input(mut command: Command, input: &str, code: i32) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses its arguments does not read.
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.ok();
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(!text.contains(VALUE), "{text}");
    text
}

#[tokio::test]
async fn secret_is_passed_to_commands_and_masked() {
    let (user, _worker) = User::with_worker(&[]).await;
    let set = |name: &str| user.command(&["secrets", "set", name]);
    with_input(set("TOKEN"), &format!("{VALUE}\n"), 0).await;
    with_input(set("KEY"), "-----BEGIN-----\nabcdefgh\n", 0).await;
    let warning = with_input(set("PIN"), "1234", 0).await;
    assert!(warning.contains("not masked"), "{warning}");
    let refused = with_input(set("EMPTY"), "\n", 2).await;
    assert!(refused.contains("can't be empty"), "{refused}");
    let refused = with_input(set("A-B"), "value", 2).await;
    assert!(refused.contains("can't name a secret"), "{refused}");

    let line = "run --secret TOKEN --secret PEM=KEY --secret PIN -- sh -c";
    let script = "echo \"$PIN\"; printf %.7s \"$TOKEN\"; echo \"${TOKEN#???????}\"; printf %s \"$PEM\" | sed 's/^/> /'";
    let args: Vec<&str> = line.split(' ').chain([script]).collect();
    let output = user.command(&args).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "1234\n***\n> ***\n> ***\n", "{}", String::from_utf8_lossy(&output.stderr));

    let file = user.home.write("train.sh", "#!/bin/sh\n#MITO --secret TOKEN --name train\necho $TOKEN\n");
    user.ok(&format!("submit {}", file.display())).await;
    let job = "[defaults]\nsecrets = ['TOKEN']\n[[tasks]]\nname = 'eval'\ncommand = ['sh', '-c', 'echo $TOKEN $B']\n\
               secrets = {B = 'TOKEN'}\n";
    let file = user.home.write("job.toml", job);
    user.ok(&format!("submit {}", file.display())).await;
    user.ok("wait train eval").await;
    assert_eq!(user.ok("logs train").await.trim(), "***");
    assert_eq!(user.ok("logs eval").await.trim(), "*** ***");
    user.ok("schedule add nightly @yearly --secret TOKEN -- true").await;
    for line in [
        "show train/1",
        "show eval/1 -o json",
        "ls train -o json",
        "schedule show nightly",
        "secrets ls -o json",
    ] {
        let shown = user.ok(line).await;
        assert!(shown.contains("TOKEN") || line.starts_with("ls"), "{line}: {shown}");
        assert!(!shown.contains(VALUE), "{line}: {shown}");
    }
    user.fails("submit --secret OTHER -- true", 1, &["no secret `OTHER`", "mito secrets"]).await;
    user.fails("submit --secret TOKEN -e TOKEN=1 -- true", 2, &["`TOKEN`", "secret"]).await;
}

#[tokio::test]
async fn task_whose_secret_was_removed_says_so() {
    let user = User::without_workers().await;
    with_input(user.command(&["secrets", "set", "TOKEN"]), VALUE, 0).await;
    user.ok("submit --name train --secret TOKEN -- true").await;
    user.ok("secrets rm TOKEN").await;
    user.fails("secrets rm TOKEN", 66, &["secret"]).await;
    let _worker = user.worker().await;
    user.fails("wait train", 125, &[]).await;
    let shown = user.ok("show train/1").await;
    assert!(shown.contains("the secret `TOKEN` is not available: it was removed"), "{shown}");
}
