//! Tests of `mito client tasks artifacts`.

use crate::home::{Home, Person};

#[tokio::test]
async fn archives_of_many_tasks_are_downloaded() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "2").await;
    let mut uuids = Vec::new();
    for _ in 0..3 {
        uuids.push(admin.submits(&["-l", "run", "--", "sh", "-c", "echo 1 > $MITO_RESULT_DIR/one"]).await);
    }
    let nothing = admin.submits(&["-l", "other", "--", "true"]).await;
    admin.run_until("Found 4", &["tasks", "query", "-e", "0", "--count"]).await;

    let many =
        ["tasks", "artifacts", "download-many", "result", "-l", "run", "-o", "all", "--concurrent", "2"];
    assert_eq!(admin.run_ok(&many).await.lines().count(), 3);
    for uuid in &uuids {
        assert!(home.path().join(format!("all/{uuid}.tar.gz")).is_file(), "{uuid}");
    }
    let list = ["tasks", "artifacts", "download-list", "RESULT", &uuids[0], &nothing, "-o", "some"];
    let answer = admin.expect_failure(&list, 3, &["have no result", &nothing, "hint:"]).await;
    assert_eq!(answer.stdout, format!("some/{}.tar.gz\n", uuids[0]));
    let links = ["tasks", "artifacts", "download-list", "result", &uuids[1], "--no-download"];
    assert!(admin.run_ok(&links).await.starts_with(&format!("{} http", uuids[1])));
    let bad = admin.run(&["tasks", "artifacts", "download-many", "trousers"]).await;
    assert_eq!(bad.code, Some(2));
    assert!(bad.stderr.contains("result, exec-log or std-log"), "{}", bad.stderr);
}

#[tokio::test]
async fn artifact_is_replaced_by_a_user_and_deleted() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    let uuid = ann.submits(&["--", "true"]).await;
    let artifacts = async |args: &[&str]| ann.run(&[&["tasks", "artifacts"], args].concat()).await;
    home.write("made.tar.gz", "first");
    let first = artifacts(&["upload", "made.tar.gz", &uuid, "exec-log"]).await;
    assert!(first.stderr.contains("uploaded the exec-log"), "{}", first.stderr);
    home.write("made.tar.gz", "second");
    let second = artifacts(&["upload", "made.tar.gz", &uuid, "exec", "--pb"]).await;
    assert!(second.stderr.contains("replaced the exec-log"), "{}", second.stderr);
    assert_eq!(artifacts(&["download", &uuid, "execlog"]).await.stdout, "exec-log.tar.gz\n");
    assert_eq!(std::fs::read_to_string(home.path().join("exec-log.tar.gz")).unwrap(), "second");

    ann.expect_failure(&["tasks", "artifacts", "delete", &uuid, "exec-log"], 1, &["hour"]).await;
    assert_eq!(artifacts(&["delete-many", "exec-log"]).await.stdout, "deleted 0 artifacts\n");
    ann.expect_failure(&["tasks", "artifacts", "delete-list", "exec-log", &uuid], 3, &["not deleted", &uuid])
        .await;
    let delete = ["admin", "tasks", "artifacts", "delete", &uuid, "exec-log"];
    assert_eq!(ann.run(&delete).await.code, Some(77));
    admin.run_ok(&delete).await;
    ann.expect_failure(&["tasks", "artifacts", "download", &uuid, "exec-log"], 66, &[]).await;
}
