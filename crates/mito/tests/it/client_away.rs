//! Tests of commands that start while the coordinator is down.

use mitosis_protocol::TaskState;

use crate::home::{ADMIN, Home, Person, ended, wait_for_count};

#[tokio::test(flavor = "multi_thread")]
async fn wait_starts_while_the_coordinator_is_down() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let (address, port) = (coordinator.address.clone(), coordinator.port());
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&address, "1").await;
    admin.submits(&["--terminal", "--", "sh", "-c", "echo out; exit 9"]).await;
    wait_for_count(&coordinator.admin().await, TaskState::Finished, 1).await;
    // One command with the stored token, one that has to log in.
    admin.run_ok(&["auth"]).await;
    let stranger = Home::new();
    let mut logs = admin.command(&["tasks", "logs", "-f", "last"]);
    coordinator.service.kill().await;

    let said = "retrying for 5m";
    let (kept, _) = home.start(&["client", "-c", &address, "-u", ADMIN, "tasks", "wait", "last"], said).await;
    let logs = mitosis_testkit::spawn(async move { logs.output().await.unwrap() });
    let mut new =
        stranger.mito(&["client", "-c", &address, "-u", ADMIN, "--retain", "tasks", "wait", "last"]);
    new.env("MITO_PASSWORD", ADMIN);
    let new = mitosis_testkit::spawn(ended(new));
    let again = home.coordinator(port, "600s").await;
    assert_eq!(kept.wait().await.code(), Some(9));
    let new = new.await.unwrap();
    assert_eq!(new.code, Some(9), "{}", new.stderr);
    let logs = logs.await.unwrap();
    let stderr = String::from_utf8_lossy(&logs.stderr);
    assert_eq!((logs.status.code(), logs.stdout.as_slice()), (Some(0), &b"out\n"[..]), "{stderr}");
    drop(again);
}

#[tokio::test]
async fn only_wait_retries_until_its_timeout() {
    let home = Home::new();
    let client = ["client", "-c", "http://127.0.0.1:1", "-u", "ann", "tasks"];
    let wait = home.run(&[&client[..], &["wait", "last", "--timeout", "3s"]].concat()).await;
    assert_eq!((wait.code, wait.stdout.as_str()), (Some(124), ""), "{}", wait.stderr);
    assert_eq!(wait.stderr.matches("retrying").count(), 1, "it is said once: {}", wait.stderr);
    assert!(wait.stderr.contains("did not answer within 3s [timeout]\n  hint: "), "{}", wait.stderr);
    for other in [&["get", "last"][..], &["logs", "last"], &["query"]] {
        let failed = home.run(&[&client[..], other].concat()).await;
        assert_eq!(failed.code, Some(69), "{other:?}: {}", failed.stderr);
        assert!(!failed.stderr.contains("retrying"), "{other:?}: {}", failed.stderr);
    }
}
