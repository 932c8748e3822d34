//! Tests of `mito client tasks artifacts`.

use crate::home::{ADMIN, Home, Person, ended};

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
async fn archives_are_extracted_into_folders_named_by_parameters() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "2").await;
    let script = "echo $1 > $MITO_RESULT_DIR/seed";
    let sweep =
        ["run", "-c", &coordinator.address, "-u", ADMIN, "-l", "sweep", "-F", "lr=0.1", "-F", "seed=1..3"];
    let mut sweep = home.mito(&[&sweep[..], &["--", "sh", "-c", script, "sh", "{seed}"]].concat());
    sweep.env("MITO_PASSWORD", ADMIN);
    assert_eq!(ended(sweep).await.code, Some(0));
    let plain = admin.submits(&["-l", "plain", "--", "sh", "-c", "echo 4 > $MITO_RESULT_DIR/seed"]).await;
    admin.run_ok(&["tasks", "wait", &plain]).await;

    let many = ["tasks", "artifacts", "download-many", "result", "-l", "sweep", "-o", "all", "--extract"];
    let mut shown: Vec<_> = admin.run_ok(&many).await.lines().map(str::to_owned).collect();
    shown.sort_unstable();
    assert_eq!(shown, ["all/lr=0.1,seed=1", "all/lr=0.1,seed=2", "all/lr=0.1,seed=3"]);
    let list = ["tasks", "artifacts", "download-list", "result", &plain, "-o", "all", "--extract"];
    assert_eq!(admin.run_ok(&list).await, format!("all/{ADMIN}-4"));
    let read = |file: &str| std::fs::read_to_string(home.path().join("all").join(file)).unwrap();
    assert_eq!(read("lr=0.1,seed=2/result/seed"), "2\n");
    assert_eq!(read(&format!("{ADMIN}-4/result/seed")), "4\n");

    home.write("all/lr=0.1,seed=2/result/seed", "mine");
    std::fs::remove_dir_all(home.path().join("all/lr=0.1,seed=1")).unwrap();
    let words =
        ["all/lr=0.1,seed=2 exists, and is not changed", "all/lr=0.1,seed=3 exists", "not downloaded"];
    let again = admin.expect_failure(&many, 3, &words).await;
    assert_eq!(again.stdout, "all/lr=0.1,seed=1\n");
    assert_eq!(
        (read("lr=0.1,seed=1/result/seed"), read("lr=0.1,seed=2/result/seed")),
        ("1\n".into(), "mine".into())
    );
    let left = std::fs::read_dir(home.path().join("all")).unwrap().count();
    assert_eq!(left, 4, "nothing else is left behind");

    home.write("broken.tar.gz", "not an archive");
    admin.run_ok(&["tasks", "artifacts", "upload", "broken.tar.gz", &plain, "exec-log"]).await;
    let broken = ["tasks", "artifacts", "download-list", "exec-log", &plain, "-o", "broken", "--extract"];
    admin.expect_failure(&broken, 3, &["cannot extract broken/"]).await;
    assert_eq!(std::fs::read_dir(home.path().join("broken")).unwrap().count(), 0);
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
