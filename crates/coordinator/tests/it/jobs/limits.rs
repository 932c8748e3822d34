//! Named limits of a group, its weight, and the priorities of its members.

use serde_json::json;

use super::{single, sweep, up_to};
use crate::agents::agent;
use crate::harness::{Harness, task};

pub(crate) async fn named_limit_is_shared_and_explained(harness: Harness) {
    let ann = harness.user("ann").await;
    let limits = "/v1/groups/ann/limits";
    ann.put(&format!("{limits}/licence"), &json!({"value": 3})).await.expect_empty();
    let uses = |count: u64| json!({"limits": [{"name": "licence", "uses": count}]});
    let one = ann.submits_job(&sweep("ann", &up_to(40), &uses(1))).await;
    let two = ann.submits_job(&sweep("ann", &up_to(40), &uses(2))).await;
    assert_eq!(ann.job(two).await["limits"], json!([{"name": "licence", "uses": 2}]));
    let (first, second) = (agent(&ann, 9).await, agent(&ann, 9).await);
    let taken = first.takes_all(3).await;
    let listed = ann.get(limits).await.expect(200).json();
    let expected = json!({"name": "licence", "value": 3, "in_use": 3, "jobs": [one]});
    assert_eq!(listed, json!({"limits": [expected]}));
    let waiting = ann.post(&format!("/v1/jobs/{two}/tasks"), &json!({"limit": 1})).await.expect(200).json();
    let uuid = waiting["tasks"][0]["task"]["uuid"].as_str().unwrap().to_owned();
    let explained = ann.get(&format!("/v1/tasks/{uuid}/explain")).await.expect(200).json();
    assert_eq!((&explained["code"], &explained["limit"]), (&json!("limit_reached"), &expected));
    let text = explained["text"].as_str().unwrap();
    assert!(text.contains(&format!("limit `licence`: 3 of 3 in use by job {one}")), "{text}");
    ann.delete(&format!("{limits}/licence")).await.expect_refused(400, "invalid_request");
    ann.delete(&format!("{limits}/other")).await.expect_refused(404, "not_found");
    // The next task is handed out as soon as one has ended, to whichever agent waits.
    let (next, ()) = tokio::join!(second.polls(1, &[], "20s"), async {
        first.reports_end(&taken[..1], 0).await;
    });
    assert_eq!(next["tasks"].as_array().map(Vec::len), Some(1), "{next}");
    ann.put(&format!("{limits}/licence"), &json!({"value": 1})).await.expect_empty();
    first.reports_end(&taken[1..], 0).await;
    assert!(first.takes(9).await.is_empty(), "one of one is in use");
}

pub(crate) async fn impossible_use_of_a_limit_is_refused(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.put("/v1/groups/ann/limits/licence", &json!({"value": 3})).await.expect_empty();
    for (limits, expected) in [
        (json!([{"name": "other"}]), "no limit `other`"),
        (json!([{"name": "licence", "uses": 4}]), "uses 4 of the limit `licence`, which is 3"),
        (json!([{"name": "licence", "uses": 0}]), "uses 0"),
        (json!([{"name": "licence"}, {"name": "licence"}]), "occurs twice"),
    ] {
        let refused = ann.submit_jobs(&[single("ann", &json!({"limits": limits}))]).await;
        let refused = refused.expect_refused(400, "invalid_request");
        assert!(refused.text.contains(expected), "{}", refused.text);
    }
    ann.put("/v1/groups/ann/limits/a%20b", &json!({"value": 3})).await.expect_refused(400, "invalid_request");
    let huge = json!({"value": 1_000_000_001u64});
    ann.put("/v1/groups/ann/limits/licence", &huge).await.expect_refused(400, "invalid_request");
}

pub(crate) async fn priorities_of_writers_are_bounded(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    ann.post("/groups", &json!({"group_name": "lab"})).await.expect_empty();
    ann.put("/groups/lab/users", &json!({"relations": {"raj": "Write"}})).await.expect_empty();
    let before = ann.get("/groups/lab").await.expect(200).json();
    assert!(before.get("write_priority").is_none(), "the reply is that of 0.6.8");
    let path = "/v1/groups/lab/write-priority";
    ann.put(path, &json!({"most": -1})).await.expect_refused(400, "invalid_request");
    ann.put(path, &json!({"most": 4})).await.expect_empty();
    assert_eq!(raj.get("/groups/lab").await.expect(200).json()["write_priority"], 4);
    let high = json!({"task": task("lab", &json!({"priority": 9}))});
    let refused = raj.submit_jobs(&[single("lab", &high)]).await.expect_refused(400, "invalid_request");
    assert!(refused.text.contains("priority 9 is larger than 4"), "{}", refused.text);
    let job = ann.submits_job(&single("lab", &high)).await;
    raj.change_job(job, &json!({"priority": 10})).await.expect_refused(403, "forbidden");
    raj.change_job(job, &json!({"priority": 2})).await.expect_empty();
    let legacy = raj.post("/tasks", &task("lab", &json!({"priority": 9}))).await.expect(200).json();
    let uuid = legacy["uuid"].as_str().unwrap();
    let shown = raj.get(&format!("/tasks/{uuid}")).await.expect(200).json();
    assert_eq!(shown["info"]["priority"], 4, "it is accepted with the largest priority");
}

pub(crate) async fn weight_of_a_group_is_listed(harness: Harness) {
    let admin = harness.admin().await;
    harness.user("ann").await;
    let path = "/v1/admin/groups/ann/weight";
    admin.put(path, &json!({"weight": 0})).await.expect_refused(400, "invalid_request");
    admin.put(path, &json!({"weight": 3})).await.expect_empty();
    admin.put("/v1/admin/groups/other/weight", &json!({"weight": 3})).await.expect_refused(404, "not_found");
    let listed = admin.get("/v1/admin/groups").await.expect(200).json();
    let groups = listed["groups"].as_array().unwrap();
    let weight =
        |name: &str| groups.iter().find(|group| group["group_name"] == name).unwrap()["weight"].clone();
    assert_eq!((weight("ann"), weight("mitosis_admin")), (json!(3), json!(1)));
}
