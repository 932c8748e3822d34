//! Tasks, for users.

use mitosis_domain::clock::Clock as _;
use serde_json::{Value, json};

use crate::harness::{Harness, task};

pub(crate) async fn submitted_task_has_the_form_of_the_contract(harness: Harness) {
    let ann = harness.user("ann").await;
    let changes = json!({"tags": ["gpu"], "labels": ["run-7"], "timeout": "20min", "priority": -5});
    let uuid = ann.submits(&changes).await;
    assert_eq!(uuid::Uuid::parse_str(&uuid).unwrap().get_version_num(), 4);
    let reply = ann.get(&format!("/tasks/{uuid}")).await.expect(200).json();
    let now = harness.clock.now();
    assert_eq!(
        reply,
        json!({
            "info": {
                "uuid": uuid, "creator_username": "ann", "group_name": "ann", "task_id": 1,
                "tags": ["gpu"], "labels": ["run-7"],
                "created_at": now,
                "updated_at": now,
                "state": "Ready", "timeout": 1200, "priority": -5,
                "spec": {"args": ["true"], "envs": {}, "resources": [], "terminal_output": false, "watch": null},
                "result": null,
                "upstream_task_uuid": null, "downstream_task_uuid": null, "reporter_uuid": null,
            },
            "artifacts": [],
        })
    );
}

pub(crate) async fn waiting_task_can_be_cancelled_once(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    ann.delete(&format!("/tasks/{uuid}")).await.expect_empty();
    let task = ann.task(&uuid).await;
    assert_eq!(task["state"], "Cancelled");
    assert_eq!(task["result"], json!({"exit_status": 0, "msg": "UserCancellation"}));
    assert_eq!(task["reporter_uuid"], Value::Null);
    ann.delete(&format!("/tasks/{uuid}")).await.expect_refused(404, "not_found");
    let worker = ann.worker(&json!({})).await;
    assert_eq!(worker.fetches().await, Value::Null);
}

pub(crate) async fn running_task_can_only_be_relabelled(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    ann.worker(&json!({})).await.fetches().await;
    ann.delete(&format!("/tasks/{uuid}")).await.expect_refused(404, "not_found");
    ann.put(&format!("/tasks/{uuid}"), &json!({"priority": 3})).await.expect(404);
    ann.put(&format!("/tasks/{uuid}/labels"), &json!({"labels": ["x"]})).await.expect_empty();
    assert_eq!(ann.task(&uuid).await["labels"], json!(["x"]));
}

pub(crate) async fn waiting_task_can_be_changed(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    ann.put(&format!("/tasks/{uuid}"), &json!({})).await.expect(400);
    ann.put(&format!("/tasks/{uuid}"), &json!({"priority": 3, "tags": ["gpu"]})).await.expect_empty();
    let task = ann.task(&uuid).await;
    assert_eq!(
        (&task["priority"], &task["tags"], &task["timeout"]),
        (&json!(3), &json!(["gpu"]), &json!(90))
    );
    assert_eq!(ann.worker(&json!({})).await.fetches().await, Value::Null);
    assert_ne!(ann.worker(&json!({"tags": ["gpu", "eu"]})).await.fetches().await, Value::Null);
}

pub(crate) async fn query_combines_its_conditions(harness: Harness) {
    let ann = harness.user("ann").await;
    for priority in [1, 5, 10] {
        ann.submits(&json!({"priority": priority, "labels": ["a", format!("p{priority}")]})).await;
    }
    let count = async |filter: Value| {
        let mut body = filter;
        body["count"] = json!(true);
        let reply = ann.post("/tasks/query", &body).await.expect(200).json();
        assert_eq!((&reply["tasks"], &reply["group_name"]), (&json!([]), &json!("ann")));
        reply["count"].as_u64().unwrap()
    };
    assert_eq!(count(json!({})).await, 3);
    assert_eq!(count(json!({"priority": ">=5"})).await, 2);
    assert_eq!(count(json!({"priority": "!=5", "labels": ["a"]})).await, 2);
    assert_eq!(count(json!({"labels": ["a", "p10"]})).await, 1);
    assert_eq!(count(json!({"labels": ["%"]})).await, 0);
    assert_eq!(count(json!({"states": ["Running"]})).await, 0);
    assert_eq!(count(json!({"exit_status": "!=0"})).await, 0);
    assert_eq!(count(json!({"creator_usernames": ["raj", "ann"], "offset": 2})).await, 3);
    let page = ann.post("/tasks/query", &json!({"limit": 2, "offset": 1, "count": false})).await.json();
    let priorities: Vec<_> = page["tasks"].as_array().unwrap().iter().map(|task| &task["priority"]).collect();
    assert_eq!((page["count"].as_u64(), priorities), (Some(2), vec![&json!(5), &json!(1)]));
}

pub(crate) async fn invalid_query_is_rejected(harness: Harness) {
    let ann = harness.user("ann").await;
    harness.user("raj").await;
    for wrong in [
        json!({"count": true, "priority": "about 5"}),
        json!({"count": true, "labels": []}),
        json!({"count": true, "group_name": "raj"}),
        json!({"count": true, "group_name": "unknown"}),
    ] {
        ann.post("/tasks/query", &wrong).await.expect(400);
    }
    for (count, status) in [(100, 200), (101, 400)] {
        let query = json!({"count": true, "filter": "exit!=9 ".repeat(count)});
        ann.post("/tasks/query", &query).await.expect(status);
    }
    ann.post("/tasks/query", &json!({})).await.expect_refused(422, "wrong_shape");
}

pub(crate) async fn submission_of_too_many_tasks_is_rejected(harness: Harness) {
    let ann = harness.user("ann").await;
    let most = mitosis_domain::limits::MAX_TASKS;
    let tasks = vec![task("ann", &json!({})); most + 1];
    let refused = ann.post("/tasks/submit", &json!({"tasks": tasks})).await;
    assert!(refused.expect_refused(400, "invalid_request").text.contains("at most 100000 tasks"));
    let count = ann.post("/tasks/query", &json!({"count": true})).await.json()["count"].clone();
    assert_eq!(count, 0);
}

pub(crate) async fn batch_has_one_outcome_per_task_and_can_be_repeated(harness: Harness) {
    let ann = harness.user("ann").await;
    let good = task("ann", &json!({}));
    let bad = task("unknown", &json!({}));
    let body = json!({"tasks": [good, bad, good], "idempotency_key": "k1"});
    let first = ann.post("/tasks/submit", &body).await.expect(200).json();
    let results = first["results"].as_array().unwrap();
    assert_eq!(results[0]["Ok"]["task_id"], 1);
    assert!(results[1]["Err"]["msg"].as_str().unwrap().contains("unknown"));
    assert!(results[2]["Ok"]["uuid"].is_string());
    assert!(first.get("replayed").is_none(), "{first}");
    let again = ann.post("/tasks/submit", &body).await.expect(200).json();
    assert_eq!((&again["results"], &again["replayed"]), (&first["results"], &json!(true)));
    let other = json!({"tasks": [good], "idempotency_key": "k1"});
    ann.post("/tasks/submit", &other).await.expect_refused(409, "key_reused");
    let count = ann.post("/tasks/query", &json!({"count": true})).await.json()["count"].clone();
    assert_eq!(count, 2);
    ann.post("/tasks/submit", &json!({"tasks": []})).await.expect(400);
}

pub(crate) async fn rejected_task_can_be_resubmitted_with_its_key(harness: Harness) {
    let ann = harness.user("ann").await;
    let (mine, lab) = (task("ann", &json!({})), task("lab", &json!({})));
    let alone = json!({"tasks": [lab], "idempotency_key": "alone"});
    let mixed = json!({"tasks": [lab, mine], "idempotency_key": "mixed"});
    let submit = async |body: &Value| ann.post("/tasks/submit", body).await.expect(200).json();
    assert!(submit(&alone).await["results"][0]["Err"].is_object());
    let first = submit(&mixed).await["results"][1]["Ok"].clone();
    ann.post("/groups", &json!({"group_name": "lab"})).await.expect(200);
    let accepted = submit(&alone).await;
    assert!(accepted["results"][0]["Ok"].is_object() && accepted.get("replayed").is_none(), "{accepted}");
    let repeated = submit(&mixed).await;
    assert!(repeated["results"][0]["Ok"].is_object(), "{repeated}");
    assert_eq!((&repeated["results"][1]["Ok"], &repeated["replayed"]), (&first, &json!(true)));
    assert_eq!(submit(&mixed).await["results"], repeated["results"]);
}

pub(crate) async fn cancellation_by_filter_selects_only_matches(harness: Harness) {
    let ann = harness.user("ann").await;
    let keep = ann.submits(&json!({"labels": ["keep"]})).await;
    ann.submits(&json!({"labels": ["drop"]})).await;
    let cancel = async |body: Value| {
        ann.post("/tasks/cancel", &body).await.expect(200).json()["cancelled_count"].clone()
    };
    assert_eq!(cancel(json!({"states": ["Finished"]})).await, 0);
    assert_eq!(cancel(json!({"labels": ["drop"]})).await, 1);
    assert_eq!(ann.state(&keep).await, "Ready");
    let unknown = uuid::Uuid::nil().to_string();
    let reply = ann.post("/tasks/cancel/list", &json!({"uuids": [keep, unknown]})).await.expect(200).json();
    assert_eq!(reply, json!({"cancelled_count": 1, "failed_uuids": [unknown]}));
}

pub(crate) async fn next_page_starts_after_the_last_row(harness: Harness) {
    let ann = harness.user("ann").await;
    let mut submitted = Vec::new();
    for _ in 0..5 {
        submitted.insert(0, ann.submits(&json!({})).await);
    }
    let (mut seen, mut before) = (Vec::new(), Value::Null);
    loop {
        let query = json!({"count": false, "limit": 2, "before": before});
        let page = ann.post("/tasks/query", &query).await.expect(200).json();
        let rows: Vec<String> = page["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["uuid"].as_str().unwrap().to_owned())
            .collect();
        let Some(last) = rows.last() else { break };
        before = json!(last);
        ann.submits(&json!({"labels": ["meanwhile"]})).await;
        seen.extend(rows);
    }
    assert_eq!(seen, submitted);
}

pub(crate) async fn filter_text_narrows_the_filter_fields(harness: Harness) {
    let ann = harness.user("ann").await;
    let urgent = ann.submits(&json!({"labels": ["a", "b"], "priority": 7})).await;
    let other = ann.submits(&json!({"labels": ["a"], "priority": 1})).await;
    let find = async |body: Value| {
        let found = ann.post("/tasks/query", &body).await.expect(200).json();
        let uuids =
            found["tasks"].as_array().unwrap().iter().map(|task| task["uuid"].as_str().unwrap().to_owned());
        uuids.collect::<Vec<_>>()
    };
    for (filter, labels, expected) in [
        ("state=ready created>-1h", json!(null), vec![&other, &urgent]),
        ("priority>=5 label=b group=ann", json!(["a"]), vec![&urgent]),
        ("priority<5", json!(["b"]), vec![]),
        ("state=running", json!(null), vec![]),
        ("exit!=0", json!(null), vec![]),
    ] {
        let body = json!({"filter": filter, "labels": labels, "count": false});
        assert_eq!(find(body).await.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
    let wrong = json!({"filter": "state=ready colour=red", "count": false});
    let refused = ann.post("/tasks/query", &wrong).await.expect(400).json();
    assert!(refused["msg"].as_str().unwrap().contains("`colour=red`"), "{refused}");
    assert!(refused["hint"].as_str().unwrap().contains("the keys are"), "{refused}");
    let two_groups = json!({"filter": "group=lab", "group_name": "ann"});
    ann.post("/tasks/cancel", &two_groups).await.expect_refused(400, "invalid_request");
    ann.post("/tasks/cancel", &json!({"filter": "group=lab"})).await.expect_refused(400, "not_found");
    let cancelled = ann.post("/tasks/cancel", &json!({"filter": "priority<5"})).await.expect(200).json();
    assert_eq!(cancelled, json!({"cancelled_count": 1, "group_name": "ann"}));
    assert_eq!(ann.task(&urgent).await["state"], "Ready");
}

pub(crate) async fn members_find_tasks_by_short_names(harness: Harness) {
    let (ann, bob) = (harness.user("ann").await, harness.user("bob").await);
    ann.get("/v1/tasks/find?selector=last").await.expect_refused(404, "not_found");
    let first = ann.submits(&json!({})).await;
    let second = ann.submits(&json!({})).await;
    for (selector, expected) in [
        (first.as_str(), &first),
        (&first[..18], &first),
        ("ann-1", &first),
        ("ann/2", &second),
        ("last", &second),
    ] {
        let found = ann.get(&format!("/v1/tasks/find?selector={selector}")).await.expect(200).json();
        assert_eq!(found["uuid"], json!(expected), "{selector}");
    }
    for (selector, status, code) in [
        ("ann-3", 404, "not_found"),
        // No UUID of version 4 starts like this.
        ("00000000-0000-0000", 404, "not_found"),
        ("nowhere-1", 404, "not_found"),
        ("x", 400, "invalid_request"),
    ] {
        ann.get(&format!("/v1/tasks/find?selector={selector}")).await.expect_refused(status, code);
    }
    bob.get(&format!("/v1/tasks/find?selector={first}")).await.expect_refused(403, "not_found");
    bob.get("/v1/tasks/find?selector=ann-1").await.expect_refused(403, "not_found");
    bob.get(&format!("/v1/tasks/find?selector={}", &first[..18])).await.expect_refused(404, "not_found");
}
