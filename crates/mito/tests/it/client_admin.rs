//! Tests of `mito client admin`.

use crate::home::{Home, Person};

#[tokio::test]
async fn administrator_manages_users() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    assert_eq!(ann.run_ok(&["auth"]).await, "ann");
    assert_eq!(ann.run_ok(&["users", "my-groups"]).await, "ann\tAdmin");
    admin.expect_failure(&["admin", "users", "create", "ann", "x"], 1, &["ann"]).await;
    ann.expect_failure(&["admin", "users", "create", "raj", "raj"], 77, &["administrator"]).await;

    admin.run_ok(&["admin", "users", "change-password", "ann", "other"]).await;
    assert_eq!(ann.run(&["auth"]).await.code, Some(67), "the token of before and the old password are void");
    admin.run_ok(&["admin", "users", "change-password", "ann", "ann"]).await;
    assert_eq!(ann.run_ok(&["auth"]).await, "ann");

    admin.run_ok(&["admin", "users", "delete", "ann"]).await;
    assert_eq!(ann.run(&["auth"]).await.code, Some(77));
    admin.expect_failure(&["admin", "users", "delete", "unknown"], 66, &["unknown"]).await;
}

#[tokio::test]
async fn locked_account_is_refused_and_the_lock_is_audited() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    ann.run_ok(&["auth"]).await;
    admin.run_ok(&["admin", "users", "lock", "ann"]).await;
    assert_eq!(ann.run(&["auth"]).await.code, Some(77));
    admin.run_ok(&["admin", "users", "unlock", "ann"]).await;
    assert_eq!(ann.run_ok(&["auth"]).await, "ann");
    admin.expect_failure(&["admin", "users", "lock", "unknown"], 66, &["unknown"]).await;
    admin.expect_failure(&["admin", "users", "lock", "mitosis_admin"], 1, &["own account"]).await;

    let log = admin.run_ok(&["admin", "audit", "--limit", "50"]).await;
    for entry in ["\tmitosis_admin\tuser.state_set\tann: Locked", "user.created"] {
        assert!(log.contains(entry), "`{entry}` is not in {log}");
    }
    let newest = admin.run_ok(&["admin", "audit", "--limit", "1", "-o", "id"]).await;
    let before = admin.run_ok(&["admin", "audit", "--before", &newest, "-o", "id"]).await;
    assert!(!before.lines().any(|id| id == newest) && !before.is_empty(), "{newest}: {before}");
    ann.expect_failure(&["admin", "audit"], 77, &[]).await;
}

#[tokio::test]
async fn missing_password_without_a_terminal_is_an_error() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    for asked in [
        &["admin", "users", "create", "ann"][..],
        &["admin", "users", "change-password", "ann"],
        &["admin", "shutdown"],
        &["users", "change-password"],
    ] {
        admin.expect_failure(asked, 2, &["missing", "terminal", "hint:"]).await;
    }
}

#[tokio::test]
async fn password_change_keeps_the_session() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    ann.run_ok(&["users", "change-password", "ann", "new"]).await;
    assert_eq!(ann.run_ok(&["auth"]).await, "ann", "the kept token is the new one");
    ann.expect_failure(&["users", "change-password", "wrong", "x"], 67, &[]).await;
    ann.run_ok(&["login", "ann", "new"]).await;
}

#[tokio::test]
async fn quotas_are_changed() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    let groups = async |quota| admin.run_ok(&["admin", "users", "group-quota", "ann", quota]).await;
    assert_eq!(groups("5").await, "user ann may have 5 groups");
    assert_eq!(groups("-4").await, "user ann may have 1 groups");
    ann.expect_failure(&["groups", "create", "lab"], 77, &["quota"]).await;
    assert_eq!(groups("+1").await, "user ann may have 2 groups");
    ann.run_ok(&["groups", "create", "lab"]).await;

    let storage = async |quota| admin.run_ok(&["admin", "groups", "storage-quota", "lab", quota]).await;
    assert_eq!(storage("=1kB").await, "group lab may store 1.00 kB");
    home.write("big", &"x".repeat(2_000));
    ann.expect_failure(&["groups", "attachments", "upload", "big", "-g", "lab"], 77, &["quota"]).await;
    assert_eq!(storage("+1.5 kB").await, "group lab may store 2.50 kB");
    ann.run_ok(&["groups", "attachments", "upload", "big", "-g", "lab"]).await;
    assert!(ann.run_ok(&["groups", "get", "lab"]).await.contains("2.00 kB of 2.50 kB"));
}

#[tokio::test]
async fn secret_of_the_log_stops_the_coordinator() {
    let home = Home::new();
    let coordinator = home.coordinator_logging_to("coordinator.log").await;
    let log = home.until_written("coordinator.log", "secret=").await;
    let secret = log.split('"').nth(1).expect("the secret is quoted");
    let admin = Person::administrator(&home, &coordinator);
    admin.expect_failure(&["admin", "shutdown", "guessed"], 77, &["secret"]).await;
    admin.run_ok(&["admin", "shutdown", secret]).await;
    assert!(coordinator.service.wait().await.success());
}
