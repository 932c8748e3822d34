//! Results of many tasks, and retries of failed ones.

use serde_json::{Value, json};

use crate::harness::{Harness, Someone, task};

/// Submits tasks with these exit codes as their parameter, ends them with these codes, and returns their UUIDs.
async fn sweep(ann: &Someone<'_>, codes: &[i32]) -> Vec<String> {
    let worker = ann.worker(&json!({})).await;
    let mut uuids = Vec::new();
    for code in codes {
        let spec = json!({"args": ["exit", code.to_string()], "params": {"code": code.to_string()}});
        uuids.push(ann.submits(&json!({"task_spec": spec, "labels": ["sweep"]})).await);
        worker.finishes(&worker.fetches().await, code * 256).await;
    }
    uuids
}

fn each<'a>(reply: &'a Value, list: &str, field: &str) -> Vec<&'a str> {
    reply[list].as_array().unwrap().iter().map(|row| row[field].as_str().unwrap()).collect()
}

pub(crate) async fn failed_tasks_are_retried_and_replaced_in_results(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuids = sweep(&ann, &[0, 3, 0, 4]).await;
    let filter = json!({"filter": {"labels": ["sweep"]}, "failed": true});
    let retried = ann.post("/v1/tasks/retry", &filter).await.expect(200).json();
    assert_eq!(each(&retried, "retried", "repeats_task_uuid"), [&uuids[1], &uuids[3]]);
    assert_eq!((&retried["passed_over"], &retried["next"]), (&json!([]), &json!(null)));
    let again = each(&retried, "retried", "uuid");
    let task = ann.task(again[0]).await;
    assert_eq!(
        (&task["repeats_task_uuid"], &task["state"], &task["labels"], &task["spec"]["params"]),
        (&json!(uuids[1]), &json!("Ready"), &json!(["sweep"]), &json!({"code": "3"}))
    );
    assert!(!ann.task(&uuids[0]).await.as_object().unwrap().contains_key("repeats_task_uuid"));

    let nothing = ann.post("/v1/tasks/retry", &filter).await.expect(200).json();
    assert_eq!(nothing["retried"], json!([]), "they are on their way");

    let results = ann.post("/v1/tasks/results", &json!({"labels": ["sweep"]})).await.expect(200).json();
    assert_eq!(each(&results, "results", "uuid"), [again[1], again[0], &uuids[2], &uuids[0]]);
    assert_eq!((&results["group_name"], &results["next"]), (&json!("ann"), &json!(null)));
    let last = &results["results"][3];
    assert_eq!(last["params"], json!({"code": "0"}));
    assert_eq!(
        (&last["task_id"], &last["state"], &last["result"]["exit_status"]),
        (&json!(1), &json!("Finished"), &json!(0))
    );
    assert!(last["started_at"].is_string() && last["finished_at"].is_string());
    assert!(results["results"][0].get("result").is_none(), "it has not ended");
    let all = ann.post("/v1/tasks/results", &json!({"all": true})).await.expect(200).json();
    assert_eq!(all["results"].as_array().unwrap().len(), 6);
    let failed = ann.post("/v1/tasks/results", &json!({"all": true, "failed": true})).await.json();
    assert_eq!(each(&failed, "results", "uuid"), [&uuids[3], &uuids[1]]);
}

pub(crate) async fn listed_tasks_are_retried_if_they_have_ended(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuids = sweep(&ann, &[0, 3]).await;
    let waiting = ann.submits(&json!({})).await;
    let list = json!({"uuids": [uuids[0], uuids[1], waiting]});
    let failed = json!({"uuids": [uuids[0], uuids[1], waiting], "failed": true});
    let retried = ann.post("/v1/tasks/retry", &failed).await.expect(200).json();
    assert_eq!(each(&retried, "retried", "repeats_task_uuid"), [&uuids[1]]);
    assert_eq!(retried["passed_over"], json!([uuids[0], waiting]));
    let retried = ann.post("/v1/tasks/retry", &list).await.expect(200).json();
    assert_eq!(retried["passed_over"], json!([uuids[1], waiting]));
    let again = json!({"uuids": [uuids[0], uuids[1], waiting], "again": true});
    let retried = ann.post("/v1/tasks/retry", &again).await.expect(200).json();
    assert_eq!(retried["passed_over"], json!([waiting]));
}

pub(crate) async fn retry_can_be_repeated(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuids = sweep(&ann, &[3]).await;
    let request = json!({"uuids": uuids, "again": true, "idempotency_key": "k"});
    let first = ann.post("/v1/tasks/retry", &request).await.expect(200).json();
    assert_eq!(ann.post("/v1/tasks/retry", &request).await.expect(200).json(), first);
    let other = json!({"uuids": uuids, "idempotency_key": "k"});
    ann.post("/v1/tasks/retry", &other).await.expect_refused(409, "key_reused");
    let count = ann.post("/tasks/query", &json!({"count": true})).await.json()["count"].clone();
    assert_eq!(count, 2);
}

pub(crate) async fn retry_requires_a_list_or_a_filter(harness: Harness) {
    let ann = harness.user("ann").await;
    for wrong in [
        json!({}),
        json!({"failed": true}),
        json!({"uuids": []}),
        json!({"uuids": [uuid::Uuid::nil()], "filter": {}}),
        json!({"uuids": vec![uuid::Uuid::nil(); 10_001]}),
        json!({"filter": {"labels": []}}),
        json!({"filter": {"group_name": "unknown"}}),
    ] {
        ann.post("/v1/tasks/retry", &wrong).await.expect(400);
    }
    ann.post("/v1/tasks/results", &json!({"exit_status": "bad"})).await.expect(400);
    ann.post("/v1/tasks/results", &json!({"before": uuid::Uuid::nil()})).await.expect(404);
}

pub(crate) async fn results_are_paginated(harness: Harness) {
    let ann = harness.user("ann").await;
    let mut expected = sweep(&ann, &[0, 1, 0, 1, 0]).await;
    expected.reverse();
    let (mut seen, mut before) = (Vec::new(), json!(null));
    loop {
        let page = json!({"limit": 2, "before": before});
        let page = ann.post("/v1/tasks/results", &page).await.expect(200).json();
        seen.extend(each(&page, "results", "uuid").into_iter().map(str::to_owned));
        before = page["next"].clone();
        if before.is_null() {
            break;
        }
    }
    assert_eq!(seen, expected);
}

pub(crate) async fn bulk_operations_process_all_tasks(harness: Harness) {
    // More than fit into one transaction.
    const MANY: usize = 5_001;
    let ann = harness.user("ann").await;
    let tasks = vec![task("ann", &json!({})); MANY];
    let submitted = ann.post("/tasks/submit", &json!({"tasks": tasks})).await.expect(200).json();
    let filter = json!({"group_name": "ann", "states": ["Ready"]});
    let cancelled = ann.post("/tasks/cancel", &filter).await.expect(200).json();
    assert_eq!(cancelled["cancelled_count"], MANY);

    let results = submitted["results"].as_array().unwrap();
    let uuids: Vec<&Value> = results.iter().map(|result| &result["Ok"]["uuid"]).collect();
    let request = json!({"uuids": uuids, "idempotency_key": "k"});
    let first = ann.post("/v1/tasks/retry", &request).await.expect(200).json();
    let again = each(&first, "retried", "uuid");
    assert_eq!(again.len(), MANY);
    assert!(ann.post("/v1/tasks/retry", &request).await.expect(200).json() == first, "a replay");

    let cancelled = ann.post("/tasks/cancel/list", &json!({"uuids": again})).await.expect(200).json();
    assert_eq!((&cancelled["cancelled_count"], &cancelled["failed_uuids"]), (&json!(MANY), &json!([])));
}
