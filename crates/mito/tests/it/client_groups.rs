//! Tests of `mito client groups`.

use crate::home::{Home, Person};

#[tokio::test]
async fn members_are_added_with_roles_and_removed() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let (ann, raj) = (admin.welcomes("ann").await, admin.welcomes("raj").await);
    ann.run_ok(&["groups", "create", "lab"]).await;
    raj.expect_failure(&["groups", "get", "lab"], 66, &["[not_found]"]).await;

    ann.run_ok(&["groups", "update-user", "lab", "raj:read", "mitosis_admin:WRITE"]).await;
    let seen_by_ann = ann.run_ok(&["groups", "get", "lab"]).await;
    for line in ["group       lab", "creator     ann", "member      raj Read", "member      ann Admin"] {
        assert!(seen_by_ann.contains(line), "`{line}` is not in {seen_by_ann}");
    }
    let seen_by_raj = raj.run_ok(&["groups", "get", "lab"]).await;
    assert!(seen_by_raj.contains("storage     0 B of") && !seen_by_raj.contains("member"), "{seen_by_raj}");
    assert_eq!(raj.run_ok(&["users", "groups"]).await, "lab\tRead\nraj\tAdmin");
    raj.expect_failure(&["groups", "update-user", "lab", "raj:admin"], 77, &[]).await;

    ann.run_ok(&["groups", "remove-user", "lab", "raj", "mitosis_admin"]).await;
    raj.expect_failure(&["groups", "get", "lab"], 66, &["[not_found]"]).await;
    let output = ann.run(&["groups", "remove-user", "lab", "raj"]).await;
    assert_eq!((output.code, output.stderr.trim()), (Some(0), "not a member of group lab: raj"));
}

#[tokio::test]
async fn deleted_group_is_restored_by_an_administrator() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    ann.run_ok(&["groups", "create", "lab"]).await;
    ann.run_ok(&["groups", "delete", "lab"]).await;
    ann.expect_failure(&["groups", "get", "lab"], 66, &[]).await;
    ann.expect_failure(&["groups", "delete", "ann"], 1, &["personal group"]).await;
    ann.expect_failure(&["admin", "groups", "restore", "lab", "ann:admin"], 77, &[]).await;
    admin.expect_failure(&["admin", "groups", "restore", "lab"], 2, &["USER:ROLE"]).await;
    admin.run_ok(&["admin", "groups", "restore", "lab", "ann:admin"]).await;
    assert!(ann.run_ok(&["groups", "get", "lab"]).await.contains("member      ann Admin"));
}

#[tokio::test]
async fn missing_group_or_user_exits_with_66_everywhere() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let ann = Person::administrator(&home, &coordinator).welcomes("ann").await;
    ann.run_ok(&["groups", "create", "lab"]).await;
    for args in [
        &["groups", "get", "nowhere"][..],
        &["groups", "get", "mitosis_admin"],
        &["groups", "delete", "nowhere"],
        &["groups", "update-user", "nowhere", "ann:read"],
        &["groups", "update-user", "lab", "unknown:read"],
        &["groups", "remove-user", "lab", "unknown"],
        &["groups", "attachments", "query", "-g", "nowhere"],
        &["tasks", "submit", "-g", "nowhere", "--", "true"],
        &["tasks", "submit", "-g", "mitosis_admin", "--", "true"],
        &["tasks", "query", "-g", "nowhere"],
        &["tasks", "query", "-g", "mitosis_admin"],
        &["tasks", "cancel-many", "-g", "nowhere"],
        &["workers", "query", "-g", "nowhere"],
        &["workers", "cancel-many", "-g", "mitosis_admin"],
    ] {
        ann.expect_failure(args, 66, &["[not_found]", "hint: "]).await;
    }
    for args in [&["run", "-g", "nowhere", "--", "true"][..], &["submit", "-g", "nowhere", "--", "true"]] {
        let output =
            home.run(&[&args[..1], &["-c", &coordinator.address, "-u", "ann"], &args[1..]].concat()).await;
        assert!(output.code == Some(66) && output.stderr.contains("not_found"), "{args:?}: {output:?}");
    }
}

#[tokio::test]
async fn group_errors_are_distinguished() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    ann.run_ok(&["groups", "create", "lab"]).await;
    ann.expect_failure(&["groups", "create", "lab"], 1, &["lab"]).await;
    ann.expect_failure(&["groups", "create", "not a name"], 1, &[]).await;
    ann.expect_failure(&["groups", "get", "nowhere"], 66, &["nowhere"]).await;
    ann.expect_failure(&["groups", "get", "lab/attachments"], 66, &[]).await;
    ann.expect_failure(&["groups", "update-user", "lab"], 2, &["USER:ROLE", "hint:"]).await;
    ann.expect_failure(&["groups", "remove-user", "lab"], 2, &["USER"]).await;
    let nonsense = ann.run(&["groups", "update-user", "lab", "raj:owner"]).await;
    assert_eq!(nonsense.code, Some(2));
    assert!(nonsense.stderr.contains("read, write or admin"), "{}", nonsense.stderr);
}
