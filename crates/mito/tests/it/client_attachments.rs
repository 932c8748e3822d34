//! Tests of `mito client groups attachments`.

use crate::home::{Home, Person};

const UPLOAD: [&str; 3] = ["groups", "attachments", "upload"];
const DOWNLOAD: [&str; 3] = ["groups", "attachments", "download"];

fn read(home: &Home, name: &str) -> String {
    std::fs::read_to_string(home.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[tokio::test]
async fn file_is_uploaded_queried_and_downloaded() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    home.write("in.csv", "1,2\n");
    let first = ann.run(&[&UPLOAD[..], &["in.csv", "data/"]].concat()).await;
    assert!(first.stderr.contains("uploaded data/in.csv of group ann"), "{}", first.stderr);
    home.write("in.csv", "1,2,3\n");
    let second = ann.run(&[&UPLOAD[..], &["in.csv", "data/./x/../in.csv", "--pb"]].concat()).await;
    assert!(second.stderr.contains("replaced data/in.csv of group ann"), "{}", second.stderr);
    assert!(!second.stderr.contains('%'), "no terminal: {}", second.stderr);

    let shown = ann.run_ok(&["groups", "attachments", "get", "data/in.csv"]).await;
    assert!(shown.contains("size        6 bytes"), "{shown}");
    let found = ann.run_ok(&["groups", "attachments", "query", "-k", "in."]).await;
    assert!(found.starts_with("Found 1 attachment\n") && found.ends_with("\tdata/in.csv"), "{found}");
    assert_eq!(ann.run_ok(&["groups", "attachments", "query", "--count"]).await, "Found 1 attachment");

    assert_eq!(ann.run_ok(&[&DOWNLOAD[..], &["data/in.csv"]].concat()).await, "data/in.csv");
    assert_eq!(read(&home, "data/in.csv"), "1,2,3\n");
    assert_eq!(
        ann.run_ok(&[&DOWNLOAD[..], &["ann/data/in.csv", "-s", "-o", "data"]].concat()).await,
        "data/in.csv"
    );
    ann.run_ok(&[&DOWNLOAD[..], &["data/in.csv", "-o", "new/name.csv"]].concat()).await;
    assert_eq!(read(&home, "new/name.csv"), "1,2,3\n");
    let link = ann.run_ok(&[&DOWNLOAD[..], &["data/in.csv", "--no-download"]].concat()).await;
    assert!(link.starts_with("http") && !link.contains(char::is_whitespace), "{link}");
}

#[tokio::test]
async fn smart_key_starts_with_its_group() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let (ann, raj) = (admin.welcomes("ann").await, admin.welcomes("raj").await);
    ann.run_ok(&["groups", "create", "lab"]).await;
    ann.run_ok(&["groups", "update-user", "lab", "raj:read"]).await;
    home.write("ü b.txt", "smart");
    ann.run_ok(&[&UPLOAD[..], &["-s", "ü b.txt", "lab"]].concat()).await;
    ann.run_ok(&[&UPLOAD[..], &["-s", "ü b.txt", "lab/deep/er/"]].concat()).await;
    std::fs::remove_file(home.path().join("ü b.txt")).unwrap();

    raj.run_ok(&[&DOWNLOAD[..], &["-s", "lab/deep/er/ü b.txt"]].concat()).await;
    assert_eq!(read(&home, "ü b.txt"), "smart");
    raj.run_ok(&["groups", "attachments", "get", "-s", "lab/ü b.txt"]).await;
    raj.expect_failure(&[&UPLOAD[..], &["-s", "ü b.txt", "lab"]].concat(), 77, &[]).await;
    raj.expect_failure(&["groups", "attachments", "get", "-s", "lab"], 2, &["GROUP/KEY", "hint:"]).await;
}

#[tokio::test]
async fn empty_files_and_unusual_names_round_trip() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    for (name, text) in [("empty", ""), ("100% of it?", "x"), ("a#b&c=d+e", "y"), ("[1]{2}|^`\\", "z")] {
        home.write(name, text);
        admin.run_ok(&[&UPLOAD[..], &[name, "odd/"]].concat()).await;
        let key = format!("odd/{name}");
        assert_eq!(admin.run_ok(&[&DOWNLOAD[..], &[&key]].concat()).await, key);
        assert_eq!(read(&home, &key), text, "{name}");
    }
    assert!(admin.run_ok(&["groups", "attachments", "query", "-k", "100%"]).await.starts_with("Found 1 "));
}

#[tokio::test]
async fn many_downloads_with_equal_names_stay_apart() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    for key in ["a/x", "b/x", "c/y"] {
        home.write("file", key);
        ann.run_ok(&[&UPLOAD[..], &["file", key]].concat()).await;
    }
    let many = ["groups", "attachments", "download-many", "-o", "all", "--concurrent", "2"];
    assert_eq!(ann.run_ok(&many).await.lines().count(), 3);
    for (name, text) in [("all/a/x", "a/x"), ("all/b/x", "b/x"), ("all/y", "c/y")] {
        assert_eq!(read(&home, name), text);
    }
    let links = ["groups", "attachments", "download-many", "-k", "x", "--limit", "1", "--no-download"];
    assert!(ann.run_ok(&links).await.contains("/x http"));

    let list = ["groups", "attachments", "download-list", "c/y", "gone", "-o", "some"];
    let answer = ann.expect_failure(&list, 3, &["do not exist: gone", "hint:"]).await;
    assert_eq!(answer.stdout, "some/y\n", "what does exist has come");
    assert_eq!(read(&home, "some/y"), "c/y");
}

#[tokio::test]
async fn recent_file_is_deleted_only_by_an_administrator() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    home.write("file", "text");
    ann.run_ok(&[&UPLOAD[..], &["file"]].concat()).await;
    ann.expect_failure(&["groups", "attachments", "delete", "file"], 1, &["hour"]).await;
    let list = ["groups", "attachments", "delete-list", "file", "gone"];
    let answer = ann.expect_failure(&list, 3, &["not deleted", "file", "gone", "hint:"]).await;
    assert_eq!(answer.stdout, "deleted 0 attachments of group ann\n");
    let many = ann.run_ok(&["groups", "attachments", "delete-many", "-k", "file"]).await;
    assert_eq!(many, "deleted 0 attachments of group ann");

    let delete = ["admin", "groups", "attachments", "delete", "file", "-g", "ann"];
    assert_eq!(ann.run(&delete).await.code, Some(77));
    admin.run_ok(&delete).await;
    admin.expect_failure(&delete, 66, &[]).await;
    ann.expect_failure(&["groups", "attachments", "get", "file"], 66, &[]).await;
}

#[tokio::test]
async fn unreadable_file_is_refused_before_any_request() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    std::fs::create_dir(home.path().join("folder")).unwrap();
    admin.expect_failure(&[&UPLOAD[..], &["folder"]].concat(), 2, &["is a directory", "tar"]).await;
    admin.expect_failure(&[&UPLOAD[..], &["missing"]].concat(), 66, &["no such file: missing"]).await;
    assert_eq!(admin.run_ok(&["groups", "attachments", "query"]).await, "Found 0 attachments");
}

#[tokio::test]
async fn missing_resource_is_named() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    home.write("there", "text");
    admin.run_ok(&["groups", "attachments", "upload", "there"]).await;
    let files = ["-r", "attachment=there:a", "attachment=nowhere.csv:b"];
    let submit = [&["tasks", "submit", "--wait"][..], &files, &["--", "true"]].concat();
    let words = ["not started: a resource does not exist (attachment nowhere.csv of group mitosis_admin)"];
    admin.expect_failure(&submit, 125, &words).await;
    for command in ["get", "explain"] {
        let answer = admin.run(&["tasks", command, "last"]).await;
        assert_eq!(answer.code, Some(0));
        assert!(answer.stderr.contains(words[0]), "{command}: {}", answer.stderr);
    }
    for wrong in ["../x", "a/../../x"] {
        let words = [wrong, "leads out of the group"];
        admin.expect_failure(&["groups", "attachments", "upload", "there", wrong], 2, &words).await;
        admin.expect_failure(&["groups", "attachments", "download", wrong], 2, &words).await;
        let resource = format!("attachment={wrong}:x");
        admin.expect_failure(&["tasks", "submit", "-r", &resource, "--", "true"], 2, &words).await;
    }
}
