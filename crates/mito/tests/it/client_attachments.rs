//! Files that groups share with their tasks.

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
    let first = ann.tries(&[&UPLOAD[..], &["in.csv", "data/"]].concat()).await;
    assert!(first.stderr.contains("uploaded data/in.csv of group ann"), "{}", first.stderr);
    home.write("in.csv", "1,2,3\n");
    let second = ann.tries(&[&UPLOAD[..], &["in.csv", "data/./x/../in.csv", "--pb"]].concat()).await;
    assert!(second.stderr.contains("replaced data/in.csv of group ann"), "{}", second.stderr);
    assert!(!second.stderr.contains('%'), "nobody watches: {}", second.stderr);

    let shown = ann.does(&["groups", "attachments", "get", "data/in.csv"]).await;
    assert!(shown.contains("size        6 bytes"), "{shown}");
    let found = ann.does(&["groups", "attachments", "query", "-k", "in."]).await;
    assert!(found.starts_with("Found 1 attachment\n") && found.ends_with("\tdata/in.csv"), "{found}");
    assert_eq!(ann.does(&["groups", "attachments", "query", "--count"]).await, "Found 1 attachment");

    assert_eq!(ann.does(&[&DOWNLOAD[..], &["data/in.csv"]].concat()).await, "data/in.csv");
    assert_eq!(read(&home, "data/in.csv"), "1,2,3\n");
    assert_eq!(
        ann.does(&[&DOWNLOAD[..], &["ann/data/in.csv", "-s", "-o", "data"]].concat()).await,
        "data/in.csv"
    );
    ann.does(&[&DOWNLOAD[..], &["data/in.csv", "-o", "new/name.csv"]].concat()).await;
    assert_eq!(read(&home, "new/name.csv"), "1,2,3\n");
    let link = ann.does(&[&DOWNLOAD[..], &["data/in.csv", "--no-download"]].concat()).await;
    assert!(link.starts_with("http") && !link.contains(char::is_whitespace), "{link}");
}

#[tokio::test]
async fn smart_key_starts_with_its_group() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let (ann, raj) = (admin.welcomes("ann").await, admin.welcomes("raj").await);
    ann.does(&["groups", "create", "lab"]).await;
    ann.does(&["groups", "update-user", "lab", "raj:read"]).await;
    home.write("ü b.txt", "smart");
    ann.does(&[&UPLOAD[..], &["-s", "ü b.txt", "lab"]].concat()).await;
    ann.does(&[&UPLOAD[..], &["-s", "ü b.txt", "lab/deep/er/"]].concat()).await;
    std::fs::remove_file(home.path().join("ü b.txt")).unwrap();

    raj.does(&[&DOWNLOAD[..], &["-s", "lab/deep/er/ü b.txt"]].concat()).await;
    assert_eq!(read(&home, "ü b.txt"), "smart");
    raj.does(&["groups", "attachments", "get", "-s", "lab/ü b.txt"]).await;
    raj.is_refused(&[&UPLOAD[..], &["-s", "ü b.txt", "lab"]].concat(), 77, &[]).await;
    raj.is_refused(&["groups", "attachments", "get", "-s", "lab"], 2, &["GROUP/KEY", "hint:"]).await;
}

#[tokio::test]
async fn empty_files_and_unusual_names_round_trip() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    for (name, text) in [("empty", ""), ("100% of it?", "x"), ("a#b&c=d+e", "y"), ("[1]{2}|^`\\", "z")] {
        home.write(name, text);
        admin.does(&[&UPLOAD[..], &[name, "odd/"]].concat()).await;
        let key = format!("odd/{name}");
        assert_eq!(admin.does(&[&DOWNLOAD[..], &[&key]].concat()).await, key);
        assert_eq!(read(&home, &key), text, "{name}");
    }
    assert!(admin.does(&["groups", "attachments", "query", "-k", "100%"]).await.starts_with("Found 1 "));
}

#[tokio::test]
async fn many_downloads_with_equal_names_stay_apart() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    for key in ["a/x", "b/x", "c/y"] {
        home.write("file", key);
        ann.does(&[&UPLOAD[..], &["file", key]].concat()).await;
    }
    let many = ["groups", "attachments", "download-many", "-o", "all", "--concurrent", "2"];
    assert_eq!(ann.does(&many).await.lines().count(), 3);
    for (name, text) in [("all/a/x", "a/x"), ("all/b/x", "b/x"), ("all/y", "c/y")] {
        assert_eq!(read(&home, name), text);
    }
    let links = ["groups", "attachments", "download-many", "-k", "x", "--limit", "1", "--no-download"];
    assert!(ann.does(&links).await.contains("/x http"));

    let list = ["groups", "attachments", "download-list", "c/y", "gone", "-o", "some"];
    let answer = ann.is_refused(&list, 3, &["do not exist: gone", "hint:"]).await;
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
    ann.does(&[&UPLOAD[..], &["file"]].concat()).await;
    ann.is_refused(&["groups", "attachments", "delete", "file"], 1, &["hour"]).await;
    let list = ["groups", "attachments", "delete-list", "file", "gone"];
    let answer = ann.is_refused(&list, 3, &["not deleted", "file", "gone", "hint:"]).await;
    assert_eq!(answer.stdout, "deleted 0 attachments of group ann\n");
    let many = ann.does(&["groups", "attachments", "delete-many", "-k", "file"]).await;
    assert_eq!(many, "deleted 0 attachments of group ann");

    let delete = ["admin", "groups", "attachments", "delete", "file", "-g", "ann"];
    assert_eq!(ann.tries(&delete).await.code, Some(77));
    admin.does(&delete).await;
    admin.is_refused(&delete, 66, &[]).await;
    ann.is_refused(&["groups", "attachments", "get", "file"], 66, &[]).await;
}

#[tokio::test]
async fn unreadable_file_is_refused_before_any_request() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    std::fs::create_dir(home.path().join("folder")).unwrap();
    admin.is_refused(&[&UPLOAD[..], &["folder"]].concat(), 2, &["is a directory", "tar"]).await;
    admin.is_refused(&[&UPLOAD[..], &["missing"]].concat(), 66, &["no such file: missing"]).await;
    assert_eq!(admin.does(&["groups", "attachments", "query"]).await, "Found 0 attachments");
}

#[tokio::test]
async fn missing_resource_is_named() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    home.write("there", "text");
    admin.does(&["groups", "attachments", "upload", "there"]).await;
    let files = ["-r", "attachment=there:a", "attachment=nowhere.csv:b"];
    let submit = [&["tasks", "submit", "--wait"][..], &files, &["--", "true"]].concat();
    let words = ["not started: a resource does not exist (attachment nowhere.csv of group mitosis_admin)"];
    admin.is_refused(&submit, 125, &words).await;
    for command in ["get", "explain"] {
        let answer = admin.tries(&["tasks", command, "last"]).await;
        assert_eq!(answer.code, Some(0));
        assert!(answer.stderr.contains(words[0]), "{command}: {}", answer.stderr);
    }
    for wrong in ["../x", "a/../../x"] {
        let words = [wrong, "leads out of the group"];
        admin.is_refused(&["groups", "attachments", "upload", "there", wrong], 2, &words).await;
        admin.is_refused(&["groups", "attachments", "download", wrong], 2, &words).await;
        let resource = format!("attachment={wrong}:x");
        admin.is_refused(&["tasks", "submit", "-r", &resource, "--", "true"], 2, &words).await;
    }
}
