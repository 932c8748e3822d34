//! Tests of `mito client tasks`.

use std::collections::BTreeSet;

use mitosis_protocol::task::{SubmitTaskRequest, SubmitTasksRequest};

use crate::home::{ADMIN, Home, Person, task};

#[tokio::test]
async fn submit_many_reports_each_task() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let task = |group: &str| {
        format!(
            r#"{{"group_name":"{group}","tags":[],"labels":["batch"],"timeout":"5min","priority":0,"task_spec":{{"args":["true"]}}}}"#
        )
    };
    home.write("good.json", &format!("[{},{}]", task(ADMIN), task(ADMIN)));
    let answer = admin.run_ok(&["tasks", "submit-many", "-f", "good.json"]).await;
    let uuids: Vec<_> = answer.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    let found = admin.run_ok(&["tasks", "query", "-l", "batch"]).await;
    assert!(uuids.len() == 2 && uuids.iter().all(|uuid| found.contains(uuid)), "{found}");

    home.write("mixed.json", &format!("[{},{}]", task("nowhere"), task(ADMIN)));
    let words = ["submitted 1 task", "1 were refused"];
    let mixed = admin.expect_failure(&["tasks", "submit-many", "-f", "mixed.json"], 3, &words).await;
    let lines: Vec<_> = mixed.stdout.lines().collect();
    assert!(lines[0].starts_with("refused: ") && lines[1].starts_with("task 3 of group"), "{lines:?}");
    assert_eq!(admin.run_ok(&["tasks", "query", "--count"]).await, "Found 3 tasks");

    home.write("broken.json", "[{\"group_name\": 1}]");
    let words = ["broken.json", "line 1", "task_spec", "hint:"];
    admin.expect_failure(&["tasks", "submit-many", "--file", "broken.json"], 1, &words).await;
}

#[tokio::test]
async fn waiting_task_can_be_changed() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    let submit = ["-t", "no-worker-has-it", "-e", "A=1,B=2", "-l", "old", "--", "false"];
    let uuid = admin.submits(&submit).await;
    let shown = admin.run_ok(&["tasks", "get", &uuid]).await;
    assert!(shown.contains("variable    B=2") && shown.contains("command     false"), "{shown}");

    admin.run_ok(&["tasks", "change", &uuid, "-p=-3", "--timeout", "20s", "--terminal"]).await;
    let shown = admin.run_ok(&["tasks", "get", &uuid]).await;
    for line in ["timeout     20s, priority -3", "command     false", "variable    A=1"] {
        assert!(shown.contains(line), "`{line}` is not in {shown}");
    }
    assert!(!shown.contains("terminal"), "that belongs to a command: {shown}");
    admin.expect_failure(&["tasks", "change", &uuid], 1, &[]).await;

    admin.run_ok(&["tasks", "update-labels", &uuid, "new", "er"]).await;
    assert_eq!(admin.run_ok(&["tasks", "query", "-l", "new,er", "--count"]).await, "Found 1 task");
    admin.run_ok(&["tasks", "update-labels", &uuid]).await;
    assert_eq!(admin.run_ok(&["tasks", "query", "-l", "new", "--count"]).await, "Found 0 tasks");

    let other = admin.submits(&["--", "true"]).await;
    admin.run_until("exit code 0", &["tasks", "get", &other]).await;
    admin.run_ok(&["tasks", "change", &uuid, "-e", "C=3", "--terminal", "--", "sh", "-c", "exit $C"]).await;
    admin.expect_failure(&["tasks", "change", &other, "-p", "1"], 66, &[]).await;
    assert!(admin.run_ok(&["tasks", "get", &uuid]).await.contains("terminal    kept"));
}

#[tokio::test]
async fn waiting_tasks_are_cancelled_by_selector_or_filter() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let mut uuids = Vec::new();
    for label in ["a", "a", "a", "b", "b"] {
        uuids.push(admin.submits(&["-l", label, "--", "true"]).await);
    }
    let unknown = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
    let pair = format!("{},{}", uuids[0], uuids[1]);
    let list = ["tasks", "cancel-list", &pair, unknown];
    let answer = admin.expect_failure(&list, 3, &["not cancelled", unknown, "hint:"]).await;
    assert_eq!(answer.stdout, "cancelled 2 tasks\n");
    assert!(!answer.stderr.contains(&uuids[0]));
    admin.expect_failure(&["tasks", "cancel-list"], 2, &["TASK"]).await;

    let many = admin.run_ok(&["tasks", "cancel-many", "-l", "b", "-s", "ready", "-c", ADMIN]).await;
    assert_eq!(many, format!("cancelled 2 tasks of group {ADMIN}"));
    let left = admin.run_ok(&["tasks", "query", "-s", "ready"]).await;
    assert_eq!(left, format!("Found 1 task\n{}", uuids[2]));
    let everything = admin.run_ok(&["tasks", "cancel-many"]).await;
    assert_eq!(everything, format!("cancelled 1 task of group {ADMIN}"));
}

#[tokio::test]
async fn explain_shows_why_a_task_waits() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let uuid = admin.submits(&["-t", "gpu", "--", "true"]).await;
    let text = admin.run_ok(&["tasks", "explain", &uuid]).await;
    assert!(text.starts_with("Ready: No worker serves the group `mitosis_admin`."), "{text}");
    assert!(text.contains("\nhint: start one with `mito worker --groups mitosis_admin`"), "{text}");

    let _worker = home.worker(&coordinator.address, "1").await;
    let text = admin.run_ok(&["tasks", "explain", &uuid]).await;
    assert!(text.contains("none has all of the tags `gpu`") && text.contains("which lacks `gpu`"), "{text}");
    admin
        .expect_failure(&["tasks", "explain", "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a"], 66, &["no task"])
        .await;
}

#[tokio::test]
async fn query_reads_all_pages() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    admin.run_ok(&["tasks", "query", "--count"]).await;
    let many = SubmitTaskRequest { labels: vec!["many".to_owned()], ..task(&["true"]) };
    let request = SubmitTasksRequest { tasks: vec![many; 10_050], idempotency_key: None };
    coordinator.admin().await.submit_many(&request).await.unwrap();
    for (options, expected) in [
        (&[][..], 10_050),
        (&["--limit", "10020"], 10_020),
        (&["--offset", "40", "--limit", "20000"], 10_010),
        (&["--limit", "7"], 7),
    ] {
        let query = [&["tasks", "query", "-l", "many"][..], options].concat();
        let ids = admin.run_ok(&[&query[..], &["-o", "id"]].concat()).await;
        let ids: BTreeSet<&str> = ids.lines().collect();
        assert_eq!(ids.len(), expected, "{options:?}");
        let shown = admin.run_ok(&query).await;
        assert!(shown.starts_with(&format!("Found {expected} tasks\n")), "{}", &shown[..40]);
    }
}
