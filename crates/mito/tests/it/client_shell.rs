//! Tests of `mito client cmd`.

use crate::home::{Home, ended};

#[tokio::test]
async fn cmd_runs_in_the_shell_without_a_coordinator() {
    let home = Home::new();
    let cmd = async |args: &[&str]| {
        let mut command = home.mito(&[&["client", "-c", "http://127.0.0.1:1", "cmd"], args].concat());
        command.env("SHELL", "/bin/sh");
        ended(command).await
    };
    let joined = cmd(&["--", "echo", "a b", "&&", "exit", "3"]).await;
    assert_eq!((joined.code, joined.stdout.as_str()), (Some(3), "a b\n"), "{}", joined.stderr);
    let split = cmd(&["-s", "--", "echo $0-$1", "zero", "one"]).await;
    assert_eq!((split.code, split.stdout.as_str()), (Some(0), "zero-one\n"), "{}", split.stderr);
    assert_eq!(cmd(&[]).await.code, Some(2));
    assert_eq!(home.run(&["client", "exit"]).await.code, Some(0));
}
