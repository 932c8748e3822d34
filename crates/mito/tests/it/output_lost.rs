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
    for format in ["csv", "table"] {
        let results =
            home.run(&["results", "-c", &coordinator.address, "-l", "large", "-o", format]).await.stdout;
        assert!(results.contains("not_stored"), "{results}");
        assert!(
            results.contains("the archive of the result directory (`result`) is not stored"),
            "{results}"
        );
        assert!(results.contains("quota"), "{results}");
    }
}

/// The archives travel with the report, and the coordinator refuses them.
#[tokio::test]
async fn small_result_over_quota_is_reported() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let _worker = home.worker(&coordinator.address, "1").await;
    let admin = Person::administrator(&home, &coordinator);
    // Room for the log, but not for random bytes.
    admin.run_ok(&["admin", "groups", "storage-quota", "mitosis_admin", "2KB"]).await;
    let script = "head -c 20000 /dev/urandom > $MITO_RESULT_DIR/x; echo done";
    let sweep = ["run", "-c", &coordinator.address, "-l", "small", "-F", "x=1", "--", "sh", "-c", script];
    let run = home.run(&sweep).await;
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), "done\n"), "{run:?}");
    assert!(run.stderr.contains("did not succeed: exited with code 0, but not all"), "{}", run.stderr);
    assert!(run.stderr.contains("quota"), "{}", run.stderr);
    let one = home.run(&["run", "-c", &coordinator.address, "--", "sh", "-c", script]).await;
    assert_eq!(one.code, Some(74), "{one:?}");
    let uuid = admin.run_ok(&["tasks", "query", "-l", "small", "-o", "id"]).await;
    assert_eq!(admin.run_ok(&["tasks", "logs", &uuid]).await, "done");
    for verb in ["get", "explain"] {
        let shown = admin.run_ok(&["tasks", verb, &uuid]).await;
        assert!(shown.contains("quota"), "{shown}");
    }
    let results = home.run(&["results", "-c", &coordinator.address, "-l", "small", "-o", "csv"]).await.stdout;
    assert!(results.contains("quota"), "{results}");
}

/// Writes a small archive, which needs no object store, and a large one, which cannot be stored. The worker retries until
/// the task is stopped.
#[tokio::test]
async fn large_result_without_an_object_store_is_reported() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let user = "[worker]\nuser = 'mitosis_admin'\npassword = 'mitosis_admin'\nretain = true\n";
    let config = home.write("worker.toml", user);
    let worker = ["worker", "--config", config.to_str().unwrap(), "-c", &coordinator.address];
    let worker = [&worker[..], &["--slots", "1", "--file-log", "--log-path", "worker.log"]].concat();
    let _worker = home.start(&worker, "registered").await;
    let admin = Person::administrator(&home, &coordinator);
    let objects = home.path().join("objects");
    std::fs::rename(&objects, home.path().join("gone")).unwrap();
    std::fs::write(&objects, "not a directory").unwrap();
    let script = "head -c 3000000 /dev/urandom > $MITO_RESULT_DIR/x; echo done";
    let run = home.mito(&["run", "-c", &coordinator.address, "-l", "large", "--", "sh", "-c", script]);
    let run = mitosis_testkit::spawn(ended(run));
    home.until_written("worker.log", "failed to upload an archive").await;
    let uuid = admin.run_ok(&["tasks", "query", "-l", "large", "-o", "id"]).await;
    admin.run_ok(&["tasks", "stop", &uuid]).await;
    let run = run.await.unwrap();
    assert_eq!((run.code, run.stdout.as_str()), (Some(74), "done\n"), "{run:?}");
    let cause = "the archive of the result directory (`result`) is not stored: a user stopped the task; \
        the last upload failed: the object store refused the transfer";
    assert!(run.stderr.contains(cause), "{}", run.stderr);
    for verb in ["get", "explain"] {
        let shown = admin.run_ok(&["tasks", verb, &uuid]).await;
        assert!(shown.contains(cause), "{shown}");
    }
    let results = home.run(&["results", "-c", &coordinator.address, "-l", "large", "-o", "csv"]).await.stdout;
    assert!(results.contains(cause), "{results}");
    assert_eq!(admin.run_ok(&["tasks", "logs", &uuid]).await, "done", "the log needs no object store");
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
