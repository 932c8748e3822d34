//! Nobody reaches what belongs to somebody else.

use serde_json::json;

use crate::stage::{Stage, task};

pub(crate) async fn a_stranger_sees_and_touches_nothing(stage: Stage) {
    let (ann, raj) = (stage.user("ann").await, stage.user("raj").await);
    let uuid = ann.submits(&json!({})).await;
    let artifact = json!({"content_type": "result", "content_length": 5});
    ann.post(&format!("/tasks/{uuid}/artifacts"), &artifact).await.expect(200);
    let worker = ann.worker(&json!({})).await;

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
        raj.get("/groups/ann").await,
        raj.put("/groups/ann/users", &json!({"relations": {"raj": "Admin"}})).await,
        raj.get(&format!("/workers/{}", worker.name)).await,
        raj.delete(&format!("/workers/{}?op=force", worker.name)).await,
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
    let listed = raj.post("/tasks/cancel/list", &json!({"uuids": [uuid]})).await.expect(200).json();
    assert_eq!(listed["cancelled_count"], 0);
    let task = ann.task(&uuid).await;
    assert_eq!((&task["state"], &task["priority"]), (&json!("Ready"), &json!(0)));
    worker.post("/workers/heartbeat", &json!(null)).await.expect(200);
}

pub(crate) async fn a_reader_sees_and_does_not_touch_and_a_writer_does_both(stage: Stage) {
    let (ann, raj) = (stage.user("ann").await, stage.user("raj").await);
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

pub(crate) async fn a_worker_serves_the_groups_that_its_owner_may_serve(stage: Stage) {
    let (ann, raj) = (stage.user("ann").await, stage.user("raj").await);
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Write"}})).await.expect_empty();
    let uuid = ann.submits(&json!({})).await;
    let worker = raj.worker(&json!({"groups": ["ann:write"]})).await;
    assert_eq!(worker.fetches().await["uuid"], json!(uuid));
    let groups = raj.get(&format!("/workers/{}", worker.name)).await.expect(200).json()["groups"].clone();
    assert_eq!(groups, json!({"ann": "Write", "raj": "Admin"}));
}

pub(crate) async fn a_group_can_be_deleted_and_an_administrator_can_bring_it_back(stage: Stage) {
    let (admin, ann, raj) = (stage.admin().await, stage.user("ann").await, stage.user("raj").await);
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
