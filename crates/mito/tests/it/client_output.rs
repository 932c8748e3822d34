//! Tests of output formats.

use crate::home::{ADMIN, Home, Person};

#[tokio::test]
async fn all_formats_have_the_same_results() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let uuid = admin.run_ok(&["tasks", "submit", "-o", "id", "-l", "a,b", "--", "echo", "x, y"]).await;
    assert_eq!(admin.run_ok(&["-o", "id", "tasks", "query"]).await, uuid);
    let csv = admin.run_ok(&["tasks", "query", "-o", "csv"]).await;
    let (header, row) = csv.split_once('\n').unwrap();
    assert!(
        header.starts_with("uuid,group_name,task_id,") && row.starts_with(&format!("{uuid},{ADMIN},1,")),
        "{csv}"
    );
    assert!(row.contains(",a b,") && row.contains(",\"echo x, y\","), "{csv}");
    let json: serde_json::Value =
        serde_json::from_str(&admin.run_ok(&["tasks", "query", "-o", "json"]).await).unwrap();
    let line: serde_json::Value =
        serde_json::from_str(&admin.run_ok(&["tasks", "query", "-o", "jsonl"]).await).unwrap();
    assert_eq!(json[0], line);
    assert_eq!((&line["uuid"], &line["exit_code"]), (&uuid.as_str().into(), &serde_json::Value::Null));
    let one: serde_json::Value =
        serde_json::from_str(&admin.run_ok(&["tasks", "get", &uuid, "-o", "json"]).await).unwrap();
    assert_eq!((&one["spec"]["args"][1], &one["artifacts"]), (&"x, y".into(), &serde_json::json!([])));
    let yaml = admin.run_ok(&["tasks", "get", &uuid, "--format", "yaml"]).await;
    assert!(yaml.lines().any(|line| line == format!("uuid: \"{uuid}\"")), "{yaml}");
    let table = admin.run_ok(&["tasks", "query", "-o", "table"]).await;
    assert!(
        table.starts_with(&format!("{ADMIN}-1\tReady\t\ta b\t")) && table.ends_with(&format!("\t{uuid}")),
        "{table}"
    );

    assert_eq!(admin.run_ok(&["tasks", "query", "--count", "-o", "csv"]).await, "count\n1");
    let cancelled = admin.run_ok(&["tasks", "cancel-many", "-o", "jsonl"]).await;
    assert_eq!(cancelled, format!(r#"{{"count":1,"group_name":"{ADMIN}","failed":[]}}"#));
    assert_eq!(admin.run_ok(&["auth", "-o", "json"]).await, "{\n  \"username\": \"mitosis_admin\"\n}");
}

#[tokio::test]
async fn download_target_keeps_its_short_option() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    home.write("in", "text");
    admin.run_ok(&["groups", "attachments", "upload", "in", "k"]).await;
    let download = ["groups", "attachments", "download", "k", "-o", "out", "--format", "jsonl"];
    assert_eq!(admin.run_ok(&download).await, r#"{"of":"k","path":"out","size":4}"#);
    assert_eq!(std::fs::read_to_string(home.path().join("out")).unwrap(), "text");
}

#[tokio::test]
async fn text_of_other_users_is_escaped() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let uuid = admin.submits(&["--", "printf", "\u{1b}[2J\nb"]).await;
    let shown = admin.run_ok(&["tasks", "get", &uuid]).await;
    assert!(shown.contains("command     printf $'\\u001b[2J\\nb'\n"), "{shown}");
    let refused = admin.expect_failure(&["groups", "get", "\u{1b}]0;x\u{7}"], 66, &["[not_found]"]).await;
    assert!(!refused.stderr.contains('\u{1b}'), "{}", refused.stderr);
    let json = admin.run_ok(&["tasks", "get", &uuid, "-o", "json"]).await;
    assert!(json.contains("\\u001b[2J"), "{json}");
}

#[tokio::test]
async fn quiet_keeps_results_and_errors() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let said = admin.run(&["groups", "create", "lab"]).await;
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", "created group lab\n"));
    let quiet = admin.run(&["groups", "create", "lab2", "-q"]).await;
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (Some(0), "", ""));
    assert_eq!(admin.run_ok(&["-q", "auth"]).await, ADMIN);
    admin.expect_failure(&["groups", "create", "lab", "-q"], 1, &["lab", "[name_taken]"]).await;
}
