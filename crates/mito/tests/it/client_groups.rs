//! Groups and who belongs to them.

use crate::home::{Home, Person};

#[tokio::test]
async fn members_come_and_go_with_the_roles_they_are_given() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let (ann, raj) = (admin.welcomes("ann").await, admin.welcomes("raj").await);
    ann.does(&["groups", "create", "lab"]).await;
    raj.is_refused(&["groups", "get", "lab"], 77, &[]).await;

    ann.does(&["groups", "update-user", "lab", "raj:read", "mitosis_admin:WRITE"]).await;
    let seen_by_ann = ann.does(&["groups", "get", "lab"]).await;
    for line in ["group       lab", "creator     ann", "member      raj Read", "member      ann Admin"] {
        assert!(seen_by_ann.contains(line), "`{line}` is not in {seen_by_ann}");
    }
    let seen_by_raj = raj.does(&["groups", "get", "lab"]).await;
    assert!(seen_by_raj.contains("storage     0 B of") && !seen_by_raj.contains("member"), "{seen_by_raj}");
    assert_eq!(raj.does(&["users", "groups"]).await, "lab\tRead\nraj\tAdmin");
    raj.is_refused(&["groups", "update-user", "lab", "raj:admin"], 77, &[]).await;

    ann.does(&["groups", "remove-user", "lab", "raj", "mitosis_admin"]).await;
    raj.is_refused(&["groups", "get", "lab"], 77, &[]).await;
}

#[tokio::test]
async fn mistakes_about_groups_are_told_apart() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    ann.does(&["groups", "create", "lab"]).await;
    ann.is_refused(&["groups", "create", "lab"], 1, &["lab"]).await;
    ann.is_refused(&["groups", "create", "not a name"], 1, &[]).await;
    ann.is_refused(&["groups", "get", "nowhere"], 66, &["nowhere"]).await;
    ann.is_refused(&["groups", "get", "lab/attachments"], 66, &[]).await;
    ann.is_refused(&["groups", "update-user", "lab"], 2, &["USER:ROLE", "hint:"]).await;
    ann.is_refused(&["groups", "remove-user", "lab"], 2, &["USER"]).await;
    let nonsense = ann.tries(&["groups", "update-user", "lab", "raj:owner"]).await;
    assert_eq!(nonsense.code, Some(2));
    assert!(nonsense.stderr.contains("read, write or admin"), "{}", nonsense.stderr);
}
