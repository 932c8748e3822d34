//! Accounts, quotas and the end of the service, as an administrator's commands.

use crate::home::{Home, Person};

#[tokio::test]
async fn administrator_manages_users() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    assert_eq!(ann.does(&["auth"]).await, "ann");
    assert_eq!(ann.does(&["users", "my-groups"]).await, "ann\tAdmin");
    admin.is_refused(&["admin", "users", "create", "ann", "x"], 1, &["ann"]).await;
    ann.is_refused(&["admin", "users", "create", "raj", "raj"], 77, &["administrator"]).await;

    admin.does(&["admin", "users", "change-password", "ann", "other"]).await;
    assert_eq!(
        ann.tries(&["auth"]).await.code,
        Some(67),
        "the token of before and the old password are void"
    );
    admin.does(&["admin", "users", "change-password", "ann", "ann"]).await;
    assert_eq!(ann.does(&["auth"]).await, "ann");

    admin.does(&["admin", "users", "delete", "ann"]).await;
    assert_eq!(ann.tries(&["auth"]).await.code, Some(77));
    admin.is_refused(&["admin", "users", "delete", "nobody"], 66, &["nobody"]).await;
}

#[tokio::test]
async fn locked_account_is_refused_and_the_lock_is_audited() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    ann.does(&["auth"]).await;
    admin.does(&["admin", "users", "lock", "ann"]).await;
    assert_eq!(ann.tries(&["auth"]).await.code, Some(77));
    admin.does(&["admin", "users", "unlock", "ann"]).await;
    assert_eq!(ann.does(&["auth"]).await, "ann");
    admin.is_refused(&["admin", "users", "lock", "nobody"], 66, &["nobody"]).await;
    admin.is_refused(&["admin", "users", "lock", "mitosis_admin"], 1, &["own account"]).await;

    let log = admin.does(&["admin", "audit", "--limit", "50"]).await;
    for entry in ["\tmitosis_admin\tuser.state_set\tann: Locked", "user.created"] {
        assert!(log.contains(entry), "`{entry}` is not in {log}");
    }
    let newest = admin.does(&["admin", "audit", "--limit", "1", "-o", "id"]).await;
    let before = admin.does(&["admin", "audit", "--before", &newest, "-o", "id"]).await;
    assert!(!before.lines().any(|id| id == newest) && !before.is_empty(), "{newest}: {before}");
    ann.is_refused(&["admin", "audit"], 77, &[]).await;
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
        admin.is_refused(asked, 2, &["missing", "terminal", "hint:"]).await;
    }
}

#[tokio::test]
async fn password_change_keeps_the_session() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    ann.does(&["users", "change-password", "ann", "new"]).await;
    assert_eq!(ann.does(&["auth"]).await, "ann", "the kept token is the new one");
    ann.is_refused(&["users", "change-password", "wrong", "x"], 67, &[]).await;
    ann.does(&["login", "ann", "new"]).await;
}

#[tokio::test]
async fn quotas_are_changed() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    let groups = async |quota| admin.does(&["admin", "users", "group-quota", "ann", quota]).await;
    assert_eq!(groups("5").await, "user ann may have 5 groups");
    assert_eq!(groups("-4").await, "user ann may have 1 groups");
    ann.is_refused(&["groups", "create", "lab"], 77, &["quota"]).await;
    assert_eq!(groups("+1").await, "user ann may have 2 groups");
    ann.does(&["groups", "create", "lab"]).await;

    let storage = async |quota| admin.does(&["admin", "groups", "storage-quota", "lab", quota]).await;
    assert_eq!(storage("=1kB").await, "group lab may store 1.00 kB");
    home.write("big", &"x".repeat(2_000));
    ann.is_refused(&["groups", "attachments", "upload", "big", "-g", "lab"], 77, &["quota"]).await;
    assert_eq!(storage("+1.5 kB").await, "group lab may store 2.50 kB");
    ann.does(&["groups", "attachments", "upload", "big", "-g", "lab"]).await;
    assert!(ann.does(&["groups", "get", "lab"]).await.contains("2.00 kB of 2.50 kB"));
}

#[tokio::test]
async fn secret_of_the_log_stops_the_coordinator() {
    let home = Home::new();
    let coordinator = home.coordinator_logging_to("coordinator.log").await;
    let log = home.until_written("coordinator.log", "secret=").await;
    let secret = log.split('"').nth(1).expect("the secret is quoted");
    let admin = Person::administrator(&home, &coordinator);
    admin.is_refused(&["admin", "shutdown", "guessed"], 77, &["secret"]).await;
    admin.does(&["admin", "shutdown", secret]).await;
    assert!(coordinator.service.wait().await.success());
}
