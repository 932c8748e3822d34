//! Tests of `mito client tasks logs`.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::home::{ADMIN, Home, LIMIT, Person, ended, until_there};

#[tokio::test]
async fn logs_keep_the_two_streams_apart() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    let script = "echo out; echo err >&2; printf end; exit 3";
    let uuid = admin.submits(&["--terminal", "--", "sh", "-c", script]).await;
    admin.run(&["tasks", "wait", &uuid]).await;
    let logs = admin.run(&["tasks", "logs", &uuid[..8]]).await;
    assert_eq!((logs.code, logs.stdout.as_str(), logs.stderr.as_str()), (Some(0), "out\nend", "err\n"));
    assert_eq!(
        admin.run(&["tasks", "logs", "last", "-f"]).await.stdout,
        "out\nend",
        "there is no more to come"
    );
    assert!(!home.path().join(".cache/mitosis/follow").exists(), "no file was needed");
}

#[tokio::test]
async fn logs_follow_a_task_to_its_end() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    let go = home.path().join("go");
    let script = format!("echo first; {}; echo second", until_there(&go));
    let uuid = admin.submits(&["--terminal", "--", "sh", "-c", &script]).await;
    admin.run_until("Running", &["tasks", "get", &uuid]).await;
    assert_eq!(admin.run_until("first", &["tasks", "logs", &uuid]).await, "first");
    let mut following =
        admin.command(&["tasks", "logs", "-f", &uuid]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = async || tokio::time::timeout(LIMIT, lines.next_line()).await.unwrap().unwrap();
    assert_eq!(next().await.as_deref(), Some("first"));
    std::fs::write(go, "").unwrap();
    assert_eq!((next().await.as_deref(), next().await), (Some("second"), None));
    assert!(following.wait().await.unwrap().success());
}

#[tokio::test]
async fn logs_of_a_task_that_never_ran_are_an_error() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let unkept = admin.submits(&["--", "true"]).await;
    for args in [&["tasks", "logs", &unkept][..], &["tasks", "logs", "-f", &unkept]] {
        admin.expect_failure(args, 66, &["not kept", "--terminal"]).await;
    }
    let uuid = admin.submits(&["--terminal", "--", "true"]).await;
    admin.expect_failure(&["tasks", "logs", &uuid], 1, &["it is Ready", "explain"]).await;
    admin.run_ok(&["tasks", "cancel", &uuid]).await;
    admin.expect_failure(&["tasks", "logs", &uuid], 66, &["no output", "tasks get"]).await;
    admin.expect_failure(&["tasks", "logs", "mitosis_admin-9"], 66, &["[not_found]"]).await;
}

#[tokio::test]
async fn full_local_disk_does_not_hide_the_outcome() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let _worker = home.worker(&coordinator.address, "1").await;
    // The directory can't be created.
    let blocked = home.write("blocked", "");
    let long = "head -c 200000 /dev/urandom";
    for (script, code) in [(format!("{long}; exit 7"), 7), (long.to_owned(), 1)] {
        let args = ["run", "-c", &coordinator.address, "-u", ADMIN, "--", "sh", "-c", &script];
        let mut run = home.mito(&args);
        run.env("MITO_PASSWORD", ADMIN).env("TMPDIR", &blocked);
        let run = ended(run).await;
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        assert!(run.stderr.contains("cannot create the directory"), "{}", run.stderr);
        assert_eq!(run.stderr.contains("the command exited with code 0"), code == 1, "{}", run.stderr);
    }
}

#[tokio::test]
async fn output_lost_on_the_worker_does_not_hide_the_outcome() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    // A kernel file has no size.
    let script = r#"ln -s /proc/self/status "$MITO_RESULT_DIR/answer"; exit $1"#;
    for (ended, code) in [("7", 7), ("0", 74)] {
        let submit = ["tasks", "submit", "--wait", "--", "sh", "-c", script, "sh", ended];
        let words = ["not all of its output could be stored"];
        let refusal = admin.expect_failure(&submit, code, &words).await;
        assert_eq!(refusal.stderr.contains("exited with code 0"), ended == "0", "{}", refusal.stderr);
        let shown = admin.run_ok(&["tasks", "get", "last"]).await;
        assert!(shown.contains(&format!("result      exit code {ended}")), "{shown}");
        assert!(
            shown.contains("warning     files are not stored as the task left them: result/answer"),
            "{shown}"
        );
    }
}
