//! Tests that lost output is reported with the outcome of a task.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::home::{Home, Person, ended};

#[tokio::test]
async fn result_over_quota_is_reported_and_the_log_is_kept() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let _worker = home.worker(&coordinator.address, "1").await;
    let admin = Person::administrator(&home, &coordinator);
    admin.run_ok(&["admin", "groups", "storage-quota", "mitosis_admin", "1MB"]).await;
    let script = "head -c 3000000 /dev/urandom > $MITO_RESULT_DIR/x; echo done";
    let run = home.run(&["run", "-c", &coordinator.address, "-l", "large", "--", "sh", "-c", script]).await;
    assert_eq!((run.code, run.stdout.as_str()), (Some(74), "done\n"), "{run:?}");
    assert!(run.stderr.contains("warning: the archive of the result directory"), "{}", run.stderr);
    assert!(run.stderr.contains("quota"), "{}", run.stderr);

    let uuid = admin.run_ok(&["tasks", "query", "-l", "large", "-o", "id"]).await;
    let uuid = uuid.trim();
    let shown = admin.run_ok(&["tasks", "get", uuid]).await;
    assert!(shown.contains("warning     the archive of the result directory"), "{shown}");
    assert!(shown.contains("artifact    std-log"), "{shown}");
    let explained = admin.run_ok(&["tasks", "explain", uuid]).await;
    assert!(explained.contains("Warning: the archive of the result directory"), "{explained}");
    let waited = admin.run(&["tasks", "wait", uuid]).await;
    assert_eq!(waited.code, Some(74), "{waited:?}");
    let results = ["results", "-c", &coordinator.address, "-l", "large", "-o", "json"];
    let results = home.run(&results).await.stdout;
    assert!(results.contains(r#""code": "not_stored""#), "{results}");
}

#[tokio::test]
async fn refused_result_json_is_reported_with_the_outcome() {
    let home = Home::new();
    let script = r#"echo '{"loss": NaN}' > $MITO_RESULT_DIR/result.json"#;
    let run = home.run(&["run", "--local", "--", "sh", "-c", script]).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("mito: warning: result.json is not taken"), "{}", run.stderr);
    assert!(run.stderr.contains("JSON has no NaN"), "{}", run.stderr);
}

#[tokio::test]
async fn unwritable_stderr_does_not_change_the_exit_code() {
    let home = Home::new();
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    for (args, code) in [
        (&["client", "-c", "http://127.0.0.1:1", "login", "ann", "secret"][..], 69),
        (&["client", "--nonsense"], 2),
        (&["run", "--local", "--timeout", "1s", "--", "sleep", "61"], 124),
        (&["run", "--local", "--", "sh", "-c", "exit 7"], 7),
    ] {
        let mut command = home.mito(args);
        command.stderr(full()).env("RUST_LOG", "debug").stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let status = tokio::time::timeout(crate::home::LIMIT, child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

#[tokio::test]
async fn log_file_is_private() {
    let home = Home::new();
    let coordinator = home.coordinator_logging_to("logs/coordinator.log").await;
    let mode = |path: &str| std::fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("logs/coordinator.log"), mode("logs")), (0o600, 0o700));
    drop(coordinator);
}

#[tokio::test]
async fn two_followers_read_the_same_output() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let _worker = home.worker(&coordinator.address, "1").await;
    let admin = Person::administrator(&home, &coordinator);
    let uuid = admin.submits(&["--terminal", "--", "seq", "100000"]).await;
    admin.run_ok(&["tasks", "wait", &uuid]).await;
    let logs = (0..4).map(|_| ended(admin.command(&["tasks", "logs", &uuid])));
    for log in futures_util::future::join_all(logs).await {
        assert_eq!((log.code, log.stdout.lines().count()), (Some(0), 100_000), "{}", log.stderr);
    }
}
