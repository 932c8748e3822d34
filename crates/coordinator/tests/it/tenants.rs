//! Isolation of groups and users.

use std::time::Duration;

use mitosis_domain::clock::Clock as _;
use mitosis_protocol::TaskState;
use mitosis_store::Store;
use mitosis_store::ops::Actor;
use mitosis_store::ops::query::TaskQuery;
use mitosis_store::ops::tasks::CANCEL_BATCH;
use serde_json::{Value, json};

use crate::harness::{Harness, task};

pub(crate) async fn outsider_sees_and_changes_nothing(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let uuid = ann.submits(&json!({})).await;
    let artifact = json!({"content_type": "result", "content_length": 5});
    ann.post(&format!("/tasks/{uuid}/artifacts"), &artifact).await.expect(200);
    let worker = ann.worker(&json!({})).await;
    let jobs = json!({"jobs": [{"task": task("ann", &json!({}))}]});
    let job = ann.post("/v1/jobs", &jobs).await.expect(200).json()["jobs"][0]["job"].clone();
    let schedule = json!({"name": "nightly", "cron": "0 3 * * *", "job": {"task": task("ann", &json!({}))}});
    let number = ann.post("/v1/schedules", &schedule).await.expect(200).json()["schedule"].clone();

    raj.post("/tasks", &task("ann", &json!({}))).await.expect_refused(403, "not_found");
    for answer in [
        raj.get(&format!("/tasks/{uuid}")).await,
        raj.put(&format!("/tasks/{uuid}"), &json!({"priority": 1})).await,
        raj.delete(&format!("/tasks/{uuid}")).await,
        raj.put(&format!("/tasks/{uuid}/labels"), &json!({"labels": []})).await,
        raj.post(&format!("/tasks/{uuid}/artifacts"), &artifact).await,
        raj.get(&format!("/tasks/{uuid}/download/artifacts/result")).await,
        raj.delete(&format!("/tasks/{uuid}/artifacts/result")).await,
        raj.get(&format!("/v1/tasks/{uuid}/output")).await,
        raj.get(&format!("/v1/tasks/{uuid}/logs")).await,
        raj.post("/v1/jobs", &jobs).await,
        raj.get(&format!("/v1/jobs/{job}")).await,
        raj.patch(&format!("/v1/jobs/{job}"), &json!({"paused": true})).await,
        raj.delete(&format!("/v1/jobs/{job}")).await,
        raj.post(&format!("/v1/jobs/{job}/tasks"), &json!({})).await,
        raj.get(&format!("/v1/jobs/{job}/states")).await,
        raj.get(&format!("/v1/jobs/{job}/attempts")).await,
        raj.post(&format!("/v1/jobs/{job}/cancel"), &json!({})).await,
        raj.post(&format!("/v1/jobs/{job}/retry"), &json!({})).await,
        raj.get(&format!("/v1/jobs/{job}/events")).await,
        raj.post("/v1/schedules", &schedule).await,
        raj.get(&format!("/v1/schedules/{number}")).await,
        raj.patch(&format!("/v1/schedules/{number}"), &json!({"paused": true})).await,
        raj.delete(&format!("/v1/schedules/{number}")).await,
        raj.post(&format!("/v1/schedules/{number}/run"), &json!({})).await,
        raj.get(&format!("/v1/schedules/{number}/runs")).await,
        raj.get("/v1/groups/ann/notify-key").await,
        raj.post("/v1/groups/ann/notify-key", &json!({})).await,
        raj.get("/v1/groups/ann/secrets").await,
        raj.put("/v1/groups/ann/secrets/TOKEN", &json!({"value": "of raj"})).await,
        raj.delete("/v1/groups/ann/secrets/TOKEN").await,
        raj.get("/groups/ann").await,
        raj.put("/groups/ann/users", &json!({"relations": {"raj": "Admin"}})).await,
        raj.get(&format!("/workers/{}", worker.name)).await,
        raj.delete(&format!("/workers/{}?op=force", worker.name)).await,
        raj.put(&format!("/v1/workers/{}/drain", worker.name), &json!({"reason": "x"})).await,
        raj.delete(&format!("/v1/workers/{}/drain", worker.name)).await,
        raj.post("/workers/query", &json!({"group_name": "ann", "count": true})).await,
        raj.post("/tasks/cancel", &json!({"group_name": "ann"})).await,
        raj.post("/workers", &json!({"tags": [], "labels": [], "groups": ["ann"]})).await,
        raj.post(
            "/admin/users",
            &json!({"username": "x", "md5_password": md5::compute("x").0, "admin": true}),
        )
        .await,
    ] {
        assert!(matches!(answer.status, 400 | 403 | 404), "{answer:?}");
    }
    for path in [
        "/tasks/ID",
        "/v1/tasks/ID/explain",
        "/v1/tasks/ID/output",
        "/v1/tasks/ID/logs",
        "/v1/tasks/ID/attempts",
        "/tasks/ID/download/artifacts/result",
    ] {
        let answer = raj.get(&path.replace("ID", &uuid)).await;
        let refused = answer.expect_refused(403, "not_found");
        assert!(!refused.text.contains("`ann`"), "{path}: the group is not named: {refused:?}");
    }
    let listed = raj.post("/tasks/cancel/list", &json!({"uuids": [uuid]})).await.expect(200).json();
    assert_eq!(listed["cancelled_count"], 0);
    let task = ann.task(&uuid).await;
    assert_eq!((&task["state"], &task["priority"]), (&json!("Ready"), &json!(0)));
    worker.post("/workers/heartbeat", &json!(null)).await.expect(200);
}

pub(crate) async fn reader_can_view_and_writer_can_change(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let uuid = ann.submits(&json!({})).await;
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Read"}})).await.expect_empty();
    raj.get(&format!("/tasks/{uuid}")).await.expect(200);
    assert_eq!(raj.get("/groups/ann").await.expect(200).json()["users_in_group"], json!(null));
    raj.post("/tasks", &task("ann", &json!({}))).await.expect_refused(403, "forbidden");
    raj.delete(&format!("/tasks/{uuid}")).await.expect_refused(403, "forbidden");
    raj.put(&format!("/tasks/{uuid}/labels"), &json!({"labels": []})).await.expect_refused(403, "forbidden");

    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Write"}})).await.expect_empty();
    raj.submits_to("ann", &json!({})).await;
    raj.delete(&format!("/tasks/{uuid}")).await.expect_empty();
    raj.put("/groups/ann/users", &json!({"relations": {"raj": "Admin"}}))
        .await
        .expect_refused(403, "forbidden");
    let members = ann.get("/groups/ann").await.json()["users_in_group"].clone();
    assert_eq!(members, json!({"ann": "Admin", "raj": "Write"}));
}

pub(crate) async fn worker_serves_the_groups_of_its_owner(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Write"}})).await.expect_empty();
    let uuid = ann.submits(&json!({})).await;
    let worker = raj.worker(&json!({"groups": ["ann:write"]})).await;
    assert_eq!(worker.fetches().await["uuid"], json!(uuid));
    let groups = raj.get(&format!("/workers/{}", worker.name)).await.expect(200).json()["groups"].clone();
    assert_eq!(groups, json!({"ann": "Write", "raj": "Admin"}));
}

pub(crate) async fn deleted_group_can_be_restored(harness: Harness) {
    let (admin, ann, raj) = (harness.admin().await, harness.user("ann").await, harness.user("raj").await);
    ann.post("/groups", &json!({"group_name": "lab"})).await.expect(200);
    ann.put("/groups/lab/users", &json!({"relations": {"raj": "Write"}})).await.expect(200);
    let uuid = raj.submits_to("lab", &json!({})).await;
    raj.delete("/v1/groups/lab").await.expect_refused(403, "forbidden");
    ann.delete("/v1/groups/ann").await.expect_refused(400, "invalid_request");
    ann.delete("/v1/groups/lab").await.expect_empty();
    for gone in [&ann, &raj] {
        gone.get("/groups/lab").await.expect_refused(403, "not_found");
        gone.post("/tasks", &task("lab", &json!({}))).await.expect_refused(403, "not_found");
    }
    let alone = json!({"relations": {"raj": "Write"}});
    admin.put("/v1/admin/groups/lab/users", &alone).await.expect_refused(400, "invalid_request");
    ann.put("/v1/admin/groups/lab/users", &alone).await.expect_refused(403, "forbidden");
    admin.put("/v1/admin/groups/lab/users", &json!({"relations": {"raj": "Admin"}})).await.expect_empty();
    assert_eq!(raj.task(&uuid).await["state"], "Cancelled");
    raj.submits_to("lab", &json!({})).await;
    ann.get("/groups/lab").await.expect_refused(403, "not_found");
}

pub(crate) async fn deleted_group_has_no_waiting_tasks(harness: Harness) {
    let (admin, ann) = (harness.admin().await, harness.user("ann").await);
    ann.post("/groups", &json!({"group_name": "lab"})).await.expect(200);
    let tasks = vec![task("lab", &json!({})); usize::try_from(CANCEL_BATCH).unwrap() + 1];
    ann.post("/tasks/submit", &json!({"tasks": tasks})).await.expect(200);
    ann.delete("/v1/groups/lab").await.expect_empty();
    admin.put("/v1/admin/groups/lab/users", &json!({"relations": {"ann": "Admin"}})).await.expect_empty();
    let waiting = json!({"group_name": "lab", "states": ["Ready"], "count": true});
    assert_eq!(ann.post("/tasks/query", &waiting).await.expect(200).json()["count"], 0);
}

/// Deletes a group with one batch of its waiting tasks, as after a crash of the request.
pub(crate) async fn deletion_that_a_crash_cut_off_is_finished(mut harness: Harness) {
    let ann = harness.user("ann").await;
    ann.post("/groups", &json!({"group_name": "lab"})).await.expect(200);
    let tasks = vec![task("lab", &json!({})); usize::try_from(CANCEL_BATCH).unwrap() + 1];
    ann.post("/tasks/submit", &json!({"tasks": tasks})).await.expect(200);
    harness.stop().await;
    let store = harness.store().await;
    let lab = store.group("lab").await.unwrap().unwrap().id;
    let deleted = store.delete_group(Actor::System, lab, harness.clock.now()).await.unwrap();
    deleted.discard("a pass of the coordinator continues the deletion");
    let waiting = TaskQuery { states: Some(vec![TaskState::Ready]), ..TaskQuery::all_of(lab) };
    let count = async |store: &dyn Store| {
        store.count_tasks(&waiting, 10, Duration::from_secs(5)).await.unwrap().at_least
    };
    assert_eq!(count(&*store).await, 1);
    store.close().await;
    drop(store);

    harness.start().await;
    // Its passes end before it stops.
    harness.restart().await;
    harness.stop().await;
    let store = harness.store().await;
    assert_eq!(count(&*store).await, 0);
    store.close().await;
}

pub(crate) async fn worker_is_added_only_to_groups_its_user_serves(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let spec = json!({"args": ["true"], "envs": {"API_KEY": "ann-secret"}});
    let uuid = ann.submits(&json!({"task_spec": spec})).await;
    let worker = raj.worker(&json!({})).await;
    let path = format!("/workers/{}/groups", worker.name);
    for role in ["Read", "Write", "Admin"] {
        let relations = json!({"relations": {"ann": role, "raj": "Admin"}});
        raj.put(&path, &relations).await.expect_refused(403, "not_found");
    }
    raj.put(&path, &json!({"relations": {"nowhere": "Write"}})).await.expect_refused(400, "not_found");
    assert_eq!(worker.fetches().await, Value::Null);

    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Read"}})).await.expect(200);
    raj.put(&path, &json!({"relations": {"ann": "Write"}})).await.expect_refused(403, "forbidden");
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Write"}})).await.expect(200);
    raj.put(&path, &json!({"relations": {"ann": "Write"}})).await.expect_empty();
    assert_eq!(worker.fetches().await["uuid"], json!(uuid));
}

pub(crate) async fn task_reaches_only_what_its_creator_reaches(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let secret = ann.submits(&json!({})).await;
    let archive = json!({"content_type": "result", "content_length": 5});
    ann.post(&format!("/tasks/{secret}/artifacts"), &archive).await.expect(200);
    ann.post("/groups/ann/attachments", &json!({"key": "in", "content_length": 1})).await.expect(200);
    let own = raj.submits(&json!({})).await;
    let worker = raj.worker(&json!({})).await;
    assert_eq!(worker.fetches().await["uuid"], json!(own));
    let waiting = raj.submits(&json!({})).await;
    let nowhere = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
    let fetch = |uuid: &str| {
        let remote_file = json!({"Artifact": {"uuid": uuid, "content_type": "result"}});
        json!({"args": ["true"], "resources": [{"remote_file": remote_file, "local_path": "x"}]})
    };
    let watch = |uuid: &str| json!({"args": ["true"], "watch": [uuid, "TaskCommitted"]});
    for (uuid, status, code) in [(secret.as_str(), 403, "forbidden"), (nowhere, 404, "not_found")] {
        for spec in [fetch(uuid), watch(uuid)] {
            let body = task("raj", &json!({"task_spec": spec}));
            raj.post("/tasks", &body).await.expect_refused(status, code);
            let path = format!("/tasks/{waiting}");
            raj.put(&path, &json!({"task_spec": spec})).await.expect_refused(status, code);
            let many = json!({"tasks": [body, task("raj", &json!({}))]});
            let results = raj.post("/tasks/submit", &many).await.expect(200).json()["results"].clone();
            assert_eq!(results[0]["Err"]["code"], code, "{results}");
            assert!(results[1]["Ok"].is_object(), "the other one is accepted: {results}");
        }
    }
    // The task that the worker holds has no references.
    for path in [
        format!("/workers/tasks/{secret}"),
        format!("/workers/tasks/{secret}/artifacts/result"),
        format!("/workers/tasks/{secret}/attachments/in"),
        format!("/workers/tasks/{waiting}/attachments/in"),
    ] {
        worker.get(&path).await.expect_refused(403, "forbidden");
    }
}

pub(crate) async fn worker_sees_only_the_state_of_a_watched_task(harness: Harness) {
    let ann = harness.user("ann").await;
    let spec = json!({"args": ["true"], "envs": {"API_KEY": "secret-key"}});
    let secret = json!({"task_spec": spec, "labels": ["secret-label"], "tags": ["secret-tag"]});
    let watched = ann.submits(&secret).await;
    let watch = json!({"args": ["true"], "watch": [watched, "TaskCommitted"]});
    ann.submits(&json!({"task_spec": watch})).await;
    let worker = ann.worker(&json!({})).await;
    worker.fetches().await;
    let path = format!("/workers/tasks/{watched}");
    let seen = worker.get(&path).await.expect(200);
    assert!(!seen.text.contains("secret"), "{}", seen.text);
    assert_eq!(
        (&seen.json()["info"]["state"], &seen.json()["info"]["result"]),
        (&json!("Ready"), &json!(null))
    );
    ann.delete(&format!("/tasks/{watched}")).await.expect_empty();
    let seen = worker.get(&path).await.expect(200).json();
    assert_eq!(seen["info"]["state"], "Cancelled");
    assert_eq!(seen["info"]["result"]["msg"], "UserCancellation");
    // Legacy workers require all fields.
    let whole = ann.get(&format!("/tasks/{watched}")).await.expect(200).json();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&seen), keys(&whole));
    assert_eq!(keys(&seen["info"]), keys(&whole["info"]));
    assert_eq!(keys(&seen["info"]["spec"]), keys(&whole["info"]["spec"]));
}

pub(crate) async fn worker_of_two_groups_shows_each_its_own_task(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Write"}})).await.expect(200);
    let worker = raj.worker(&json!({"groups": ["ann"], "slots": 2})).await;
    let path = format!("/workers/{}", worker.name);
    let assigned = async |someone: &crate::harness::Someone<'_>, group: &str| {
        let shown = someone.get(&path).await.expect(200).json()["info"]["assigned_task_id"].clone();
        let query = json!({"group_name": group, "count": false});
        let listed = someone.post("/workers/query", &query).await.expect(200).json();
        assert_eq!(listed["workers"][0]["assigned_task_id"], shown);
        shown
    };
    let his = raj.submits(&json!({})).await;
    worker.fetches().await;
    assert_eq!(assigned(&ann, "ann").await, Value::Null, "it is a task of a group that ann is not in");
    assert_eq!(assigned(&raj, "raj").await, json!(his));
    let hers = ann.submits(&json!({})).await;
    let poll = json!({"want": 1, "wait": "20s"});
    worker.post("/v1/agents/poll", &poll).await.expect(200);
    assert_eq!(assigned(&ann, "ann").await, json!(hers));
    assert_eq!(assigned(&raj, "raj").await, json!(his));
}

pub(crate) async fn group_named_download_is_an_ordinary_group(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.post("/groups", &json!({"group_name": "download"})).await.expect(200);
    let reply = ann.post("/v1/tokens", &json!({"name": "x", "scope": "read"})).await.expect(200).json();
    let reader = ann.with(reply["token"].as_str().unwrap());
    let upload = json!({"key": "x", "content_length": 1});
    reader.post("/groups/download/attachments", &upload).await.expect_refused(403, "forbidden");
    let users = json!({"users": ["ann"]});
    reader.post("/groups/download/users/remove", &users).await.expect_refused(403, "forbidden");
    reader.post("/v1/tasks/results", &json!({})).await.expect(200);
    reader.post("/tasks/query", &json!({"count": true})).await.expect(200);
    reader.post("/workers/query", &json!({"count": true})).await.expect(200);
}
