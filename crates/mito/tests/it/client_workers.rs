//! Tests of `mito client workers`.

use crate::home::{ADMIN, Home, Person, until_there};

/// The only worker.
async fn only_worker(person: &Person<'_>) -> String {
    let found = person.run_until("Found 1 worker", &["workers", "query"]).await;
    found.lines().last().unwrap().to_owned()
}

#[tokio::test]
async fn added_tag_starts_a_waiting_task() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    let worker = only_worker(&admin).await;
    let task = admin.submits(&["-t", "gpu", "--", "true"]).await;

    admin.run_ok(&["workers", "update-tags", &worker, "gpu,big"]).await;
    admin.run_ok(&["workers", "update-labels", &worker, "shelf-3"]).await;
    admin.run_until("exit code 0", &["tasks", "get", &task]).await;
    let verbose = ["workers", "query", "-t", "gpu", "-l", "shelf-3", "-r", "admin", "--creator", ADMIN, "-v"];
    let shown = admin.run_ok(&verbose).await;
    for line in ["labels      shelf-3", "state       Normal", "group       mitosis_admin"] {
        assert!(shown.contains(line), "`{line}` is not in {shown}");
    }
    let by = admin.run_ok(&["tasks", "query", "--reporter-uuid", &worker]).await;
    assert!(by.ends_with(&task), "{by}");
    assert_eq!(admin.run_ok(&["workers", "query", "-r", "READ", "--count"]).await, "Found 0 workers");
}

#[tokio::test]
async fn groups_of_a_worker_are_added_and_removed() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    let _worker = home.worker(&coordinator.address, "1").await;
    let worker = only_worker(&admin).await;
    let task = ann.submits(&["--", "true"]).await;
    ann.expect_failure(&["workers", "update-tags", &worker, "mine"], 77, &[]).await;

    // Only a user who may run tasks for a group can assign a worker to it.
    admin.expect_failure(&["workers", "update-roles", &worker, "ann:write"], 66, &[]).await;
    ann.run_ok(&["groups", "update-user", "ann", "mitosis_admin:write"]).await;
    admin.run_ok(&["workers", "update-roles", &worker, "ann:write"]).await;
    ann.run_until("exit code 0", &["tasks", "get", &task]).await;
    assert_eq!(ann.run_ok(&["workers", "query"]).await, format!("Found 1 worker\n{worker}"));
    assert!(admin.run_ok(&["workers", "get", &worker]).await.contains("group       ann Write"));
    admin.run_ok(&["workers", "remove-roles", &worker, "ann"]).await;
    assert_eq!(ann.run_ok(&["workers", "query"]).await, "Found 0 workers");
    admin.expect_failure(&["workers", "remove-roles", &worker], 2, &["GROUP"]).await;
}

#[tokio::test]
async fn worker_stops_gracefully_or_at_once() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "3s").await;
    let admin = Person::administrator(&home, &coordinator);

    let busy = home.worker(&coordinator.address, "1").await;
    let worker = only_worker(&admin).await;
    let path = home.path().join("done");
    let wait = until_there(&path);
    let task = admin.submits(&["--", "sh", "-c", &wait]).await;
    admin.run_until("Running", &["tasks", "get", &task]).await;
    admin.run_ok(&["workers", "cancel", &worker]).await;
    assert!(admin.run_ok(&["workers", "get", &worker]).await.contains("GracefulShutdown"));
    admin.run_ok(&["workers", "cancel-list", &worker, "--force"]).await;
    admin.run_until("Ready", &["tasks", "get", &task]).await;
    busy.wait().await;

    let second = home.worker(&coordinator.address, "1").await;
    admin.run_until("Running", &["tasks", "get", &task]).await;
    let stopped = admin.run_ok(&["workers", "cancel-many", "-g", ADMIN]).await;
    assert_eq!(stopped, format!("stopped 1 worker of group {ADMIN}"));
    std::fs::write(path, "").unwrap();
    admin.run_until("exit code 0", &["tasks", "get", &task]).await;
    second.wait().await;

    let third = home.worker(&coordinator.address, "1").await;
    let worker = only_worker(&admin).await;
    admin.run_ok(&["admin", "workers", "cancel", &worker, "-f"]).await;
    third.wait().await;
    admin.expect_failure(&["workers", "cancel", &worker], 66, &[]).await;
    let list = admin
        .expect_failure(&["workers", "cancel-list", &worker], 3, &["not stopped", &worker, "hint:"])
        .await;
    assert_eq!(list.stdout, "stopped 0 workers\n");
}

#[tokio::test]
async fn unknown_group_or_role_of_a_worker_is_refused() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let credentials = ["-c", &coordinator.address, "-u", ADMIN, "-p", ADMIN];
    for (group, code, words) in [
        ("mitosis_admin:wirte", 2, ["invalid role `wirte`", "`mitosis_admin:write`"]),
        ("nowhere", 66, ["group `nowhere` does not exist", "users groups"]),
    ] {
        let ended = home.run(&[&["worker", "--groups", group][..], &credentials].concat()).await;
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(words.iter().all(|word| ended.stderr.contains(word)), "{}", ended.stderr);
    }
}
