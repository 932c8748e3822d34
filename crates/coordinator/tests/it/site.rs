//! Lists of everything on the site, for administrators, and what ended in the last hour.

use std::time::Duration;

use serde_json::{Value, json};

use crate::agents::agent;
use crate::harness::{ADMIN, Harness};

fn texts(reply: &Value, list: &str, field: &str) -> Vec<String> {
    let entries = reply[list].as_array().unwrap().iter();
    entries.map(|entry| entry[field].as_str().unwrap().to_owned()).collect()
}

pub(crate) async fn administrator_lists_users_and_groups(harness: Harness) {
    let admin = harness.admin().await;
    for name in ["ann", "raj"] {
        harness.user(name).await;
    }
    let first = admin.get("/v1/admin/users?limit=2").await.expect(200).json();
    assert_eq!(texts(&first, "users", "username"), [ADMIN, "ann"]);
    assert!(first["users"][0]["last_login_at"].is_string() && first["users"][0]["admin"] == true, "{first}");
    let rest = admin.get(&format!("/v1/admin/users?after={}", first["next"])).await.expect(200).json();
    assert_eq!(texts(&rest, "users", "username"), ["raj"]);
    assert!(rest.get("next").is_none());
    let groups = admin.get("/v1/admin/groups").await.expect(200).json();
    assert_eq!(texts(&groups, "groups", "group_name"), [ADMIN, "ann", "raj"]);
    assert_eq!(groups["groups"][1]["members"], 1);
    admin.get("/v1/admin/users?limit=x").await.expect(400);
}

pub(crate) async fn administrator_sees_jobs_workers_and_use_of_all_groups(harness: Harness) {
    let (admin, ann) = (harness.admin().await, harness.user("ann").await);
    let jobs = json!({"jobs": [{"task": crate::harness::task("ann", &json!({}))}]});
    let job = ann.post("/v1/jobs", &jobs).await.expect(200).json()["jobs"][0]["job"].clone();
    let agent = agent(&ann, 3).await;
    let taken = agent.takes_all(1).await;
    let workers = admin.get("/v1/admin/workers").await.expect(200).json();
    let worker = &workers["workers"][0];
    assert_eq!(
        (&worker["slots"], &worker["held_tasks"], &worker["creator_username"]),
        (&json!(3), &json!(1), &json!("ann"))
    );
    assert!(worker["assigned_task_id"].is_string(), "{worker}");
    let listed = admin.get("/v1/admin/jobs?active=true").await.expect(200).json();
    assert_eq!((&listed["jobs"][0]["job"], &listed["jobs"][0]["creator"]), (&job, &json!("ann")));
    for other in ["group=raj", "creator=raj", "before=1"] {
        let listed = admin.get(&format!("/v1/admin/jobs?{other}")).await.expect(200).json();
        assert_eq!(listed["jobs"], json!([]), "{other}");
    }
    agent.reports_end(&taken, 1).await;
    let usage = admin.get("/v1/admin/usage").await.expect(200).json();
    let row = &usage["usage"][0];
    assert_eq!(
        (&row["username"], &row["group_name"], &row["failed"]),
        (&json!("ann"), &json!("ann"), &json!(1))
    );
    assert!(row["slot_seconds"].is_u64(), "{row}");
    let before = admin.get("/v1/admin/usage?until=2020-01-01T00:00:00Z").await.expect(200).json();
    assert_eq!(before["usage"], json!([]));
    admin.get("/v1/admin/usage?since=yesterday").await.expect(400);
}

pub(crate) async fn activity_counts_the_last_hour_of_own_groups(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let agent = agent(&ann, 2).await;
    let ends = async |exit_code| {
        ann.submits(&json!({})).await;
        let taken = agent.takes_all(1).await;
        agent.reports_end(&taken, exit_code).await;
    };
    let total = |reply: &Value, outcome: &str| -> u64 {
        reply["minutes"].as_array().unwrap().iter().map(|minute| minute[outcome].as_u64().unwrap()).sum()
    };
    ends(0).await;
    let first = ann.get("/v1/activity").await.expect(200).json();
    assert_eq!(first["minutes"].as_array().unwrap().len(), 60);
    assert_eq!((first["minutes"][59]["succeeded"].as_u64(), total(&first, "succeeded")), (Some(1), 1));

    ends(1).await;
    let shared = ann.get("/v1/activity").await.expect(200).json();
    assert_eq!(total(&shared, "failed"), 0, "readers share what was read a moment before");
    harness.clock.advance(Duration::from_secs(11));
    let later = ann.get("/v1/activity").await.expect(200).json();
    assert_eq!((total(&later, "succeeded"), total(&later, "failed")), (1, 1));
    let others = raj.get("/v1/activity").await.expect(200).json();
    assert_eq!((total(&others, "succeeded"), total(&others, "failed")), (0, 0));

    // Minutes that are complete are kept, and leave after an hour.
    harness.clock.advance(Duration::from_mins(30));
    let half = ann.get("/v1/activity").await.expect(200).json();
    assert_eq!((total(&half, "succeeded"), total(&half, "failed")), (1, 1));
    harness.clock.advance(Duration::from_mins(31));
    let hour = ann.get("/v1/activity").await.expect(200).json();
    assert_eq!((total(&hour, "succeeded"), total(&hour, "failed")), (0, 0));
}
