//! Tests of the lists for administrators.

use serde_json::Value;

use crate::home::{ADMIN, Home, Person, ended};

#[tokio::test]
async fn administrator_lists_everything_on_the_site() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let ann = admin.welcomes("ann").await;
    let _worker = home.worker(&coordinator.address, "3").await;
    admin.run_ok(&["tasks", "submit", "--", "true"]).await;
    let uuid = admin.run_ok(&["tasks", "query", "-o", "id"]).await;
    admin.run_ok(&["tasks", "wait", &uuid]).await;
    let documents = async |list: &[&str]| {
        let args = [&["-o", "json", "admin"], list].concat();
        serde_json::from_str::<Value>(&admin.run_ok(&args).await).unwrap()
    };
    let users = documents(&["users"]).await;
    assert_eq!((&users[0]["username"], &users[1]["username"]), (&ADMIN.into(), &"ann".into()), "{users}");
    assert_eq!((&users[0]["admin"], &users[1]["admin"]), (&true.into(), &false.into()), "{users}");
    let groups = documents(&["groups"]).await;
    assert_eq!((&groups[0]["group_name"], &groups[0]["tasks"]), (&ADMIN.into(), &1.into()), "{groups}");
    assert!(groups[0]["storage_used"].is_i64() && groups[0]["storage_quota"].is_i64(), "{groups}");
    let workers = documents(&["workers"]).await;
    assert_eq!((&workers[0]["slots"], &workers[0]["held_tasks"]), (&3.into(), &0.into()), "{workers}");
    assert_eq!(documents(&["jobs"]).await, serde_json::json!([]));
    let usage = documents(&["usage", "--by", "user"]).await;
    assert_eq!((&usage[0]["username"], &usage[0]["succeeded"]), (&ADMIN.into(), &1.into()), "{usage}");
    assert!(usage[0]["slot_seconds"].is_u64() && usage[0].get("group_name").is_none(), "{usage}");
    assert_eq!(documents(&["usage", "--by", "group"]).await[0]["group_name"], ADMIN);

    // The short form shows the same.
    let mut short = home.mito(&["admin", "-c", &coordinator.address, "users", "-o", "id"]);
    short.env("MITO_USER", ADMIN).env("MITO_PASSWORD", ADMIN);
    assert_eq!(ended(short).await.stdout, "mitosis_admin\nann\n");
    for list in ["users", "groups", "jobs", "workers", "usage"] {
        ann.expect_failure(&["admin", list], 77, &["requires an administrator"]).await;
    }
}
