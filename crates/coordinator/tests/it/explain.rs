//! Explanations of a task in each of its states.

use std::time::Duration;

use mitosis_domain::clock::Clock as _;
use mitosis_protocol::{Timestamp, timestamp};
use serde_json::{Value, json};

use crate::harness::{Harness, LEASE, Someone};

/// A time as routes below `/v1` write it.
pub(crate) fn rfc3339(at: Timestamp) -> Value {
    timestamp::rfc3339::serialize(&at, serde_json::value::Serializer).unwrap()
}

impl Someone<'_> {
    /// The reply, which always has a message.
    pub(crate) async fn explained(&self, uuid: &str) -> Value {
        let answer = self.get(&format!("/v1/tasks/{uuid}/explain")).await.expect(200).json();
        assert!(answer["text"].as_str().is_some_and(|text| text.ends_with('.')), "{answer}");
        assert_eq!(answer["uuid"], uuid);
        answer
    }

    async fn why(&self, uuid: &str) -> String {
        self.explained(uuid).await["code"].as_str().unwrap().to_owned()
    }

    async fn gives_a_sign_of_life(&self) {
        self.post("/workers/heartbeat", &json!(null)).await.expect(200);
    }

    async fn lets(&self, worker: &str, group: &str, role: &str) {
        let relations = json!({"relations": {group: role}});
        self.put(&format!("/workers/{worker}/groups"), &relations).await.expect(200);
    }
}

pub(crate) async fn task_without_workers_says_what_is_missing(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.post("/groups", &json!({"group_name": "lab"})).await.expect(200);
    let uuid = ann.submits_to("lab", &json!({"tags": ["gpu", "eu"]})).await;
    let explained = ann.explained(&uuid).await;
    assert_eq!((&explained["code"], &explained["state"]), (&json!("no_worker"), &json!("Ready")));
    assert!(explained["hint"].as_str().unwrap().contains("--groups lab"), "{explained}");

    let reads = ann.worker(&json!({"tags": ["gpu", "eu"], "groups": ["lab:read"]})).await;
    assert_eq!(ann.why(&uuid).await, "role_missing");

    ann.worker(&json!({"tags": ["tpu"], "groups": ["lab"]})).await;
    let near = ann.worker(&json!({"tags": ["gpu"], "groups": ["lab"]})).await;
    ann.worker(&json!({"groups": ["lab"]})).await;
    let lacking = ann.explained(&uuid).await;
    assert_eq!(lacking["code"], "tags_missing");
    assert_eq!((&lacking["worker"], &lacking["missing_tags"]), (&json!(near.name), &json!(["eu"])));
    assert_eq!(lacking["workers"], 3, "the one with Read is none of them");

    ann.lets(&reads.name, "lab", "Write").await;
    assert_eq!(ann.why(&uuid).await, "next_in_turn");
}

pub(crate) async fn queued_task_reports_its_position(harness: Harness) {
    let ann = harness.user("ann").await;
    let worker = ann.worker(&json!({})).await;
    let first = ann.submits(&json!({})).await;
    let held = worker.fetches().await;
    let mut last = String::new();
    for _ in 0..3 {
        last = ann.submits(&json!({})).await;
    }
    ann.submits(&json!({"tags": ["gpu"], "priority": 9})).await;
    ann.submits(&json!({"priority": 5})).await;
    let waits = ann.explained(&last).await;
    assert_eq!(
        (&waits["code"], &waits["ahead"], &waits["workers"]),
        (&json!("all_busy"), &json!(3), &json!(1))
    );

    let runs = ann.explained(&first).await;
    assert_eq!((&runs["code"], &runs["worker"]), (&json!("running"), &json!(worker.name)));
    assert_eq!(runs["since"], rfc3339(harness.clock.now()));

    worker.reports(&held, &json!("Finish")).await.expect(200);
    let storing = ann.explained(&first).await;
    assert_eq!((&storing["code"], &storing["state"]), (&json!("storing"), &json!("Finished")));
    worker.reports(&held, &json!({"Commit": {"exit_status": 3 << 8, "msg": null}})).await.expect(200);
    let ended = ann.explained(&first).await;
    assert_eq!((&ended["code"], &ended["worker"]), (&json!("ended"), &json!(worker.name)));
    assert!(ended["text"].as_str().unwrap().contains("exit code 3"), "{ended}");
    assert_eq!(ann.why(&last).await, "next_in_turn");

    ann.delete(&format!("/tasks/{last}")).await.expect(200);
    let cancelled = ann.explained(&last).await;
    assert!(cancelled["text"].as_str().unwrap().contains("cancelled by a user"), "{cancelled}");
}

pub(crate) async fn task_with_only_draining_workers_says_so(harness: Harness) {
    let ann = harness.user("ann").await;
    let worker = ann.worker(&json!({})).await;
    ann.submits(&json!({})).await;
    worker.fetches().await;
    let uuid = ann.submits(&json!({})).await;
    assert_eq!(ann.why(&uuid).await, "all_busy");
    ann.delete(&format!("/workers/{}", worker.name)).await.expect(200);
    assert_eq!(ann.why(&uuid).await, "workers_draining");
    ann.worker(&json!({})).await;
    assert_eq!(ann.why(&uuid).await, "next_in_turn");
}

pub(crate) async fn task_of_a_silent_worker_says_when_it_is_requeued(harness: Harness) {
    let ann = harness.user("ann").await;
    let worker = ann.worker(&json!({})).await;
    let uuid = ann.submits(&json!({"timeout": "3h"})).await;
    let begun = harness.clock.now();
    worker.fetches().await;
    let idle = ann.worker(&json!({"tags": ["gpu"]})).await;
    let waiting = ann.submits(&json!({"tags": ["gpu"]})).await;

    // The first lease of the coordinator has passed, so that this does not count as a start.
    for _ in 0..3 {
        harness.clock.advance(LEASE / 2);
        worker.gives_a_sign_of_life().await;
        idle.gives_a_sign_of_life().await;
    }
    let heard = harness.clock.now();
    harness.clock.advance(LEASE / 2);
    assert_eq!(ann.why(&uuid).await, "running");
    assert_eq!(ann.why(&waiting).await, "next_in_turn");
    harness.clock.advance(LEASE / 4);
    let lost = ann.explained(&uuid).await;
    assert_eq!((&lost["code"], &lost["state"]), (&json!("worker_lost"), &json!("Running")));
    assert_eq!((&lost["since"], &lost["until"]), (&rfc3339(heard), &rfc3339(heard + LEASE)));
    assert_eq!(ann.why(&waiting).await, "workers_silent");

    worker.gives_a_sign_of_life().await;
    let back = ann.explained(&uuid).await;
    assert_eq!((&back["code"], &back["since"]), (&json!("running"), &rfc3339(begun)));
}

pub(crate) async fn after_a_start_a_task_waits_for_workers_to_come_back(mut harness: Harness) {
    let (held, waiting, token, patient) = {
        let ann = harness.user("ann").await;
        let worker = ann.worker(&json!({})).await;
        let held = ann.submits(&json!({})).await;
        worker.fetches().await;
        ann.worker(&json!({"tags": ["gpu"]})).await;
        let waiting = ann.submits(&json!({"tags": ["gpu"]})).await;
        let patient = ann.submits(&json!({})).await;
        (held, waiting, worker.token, patient)
    };
    harness.clock.advance(Duration::from_secs(60));
    harness.restart().await;
    harness.clock.advance(Duration::from_secs(5));
    let ann = harness.logged_in("ann", "ann").await;
    for uuid in [&held, &waiting, &patient] {
        let waits = ann.explained(uuid).await;
        assert_eq!(waits["code"], "coordinator_just_started");
        assert!(waits["text"].as_str().unwrap().contains("started 5s ago"), "{waits}");
    }
    ann.with(&token).gives_a_sign_of_life().await;
    assert_eq!(ann.why(&held).await, "running");
    assert_eq!(ann.why(&patient).await, "all_busy");
    assert_eq!(ann.why(&waiting).await, "coordinator_just_started");
}

pub(crate) async fn pending_task_names_its_upstream(harness: Harness) {
    let ann = harness.user("ann").await;
    let worker = ann.worker(&json!({})).await;
    let upstream = ann.submits(&json!({})).await;
    let task = worker.fetches().await;
    worker.reports(&task, &json!("Finish")).await.expect(200);
    let next = crate::harness::task("ann", &json!({}));
    worker.reports(&task, &json!({"Submit": next})).await.expect(200);
    let follow_up = ann.task(&upstream).await["downstream_task_uuid"].as_str().unwrap().to_owned();
    let waits = ann.explained(&follow_up).await;
    assert_eq!((&waits["code"], &waits["task"]), (&json!("waits_for_upstream"), &json!(upstream)));
    worker.reports(&task, &json!({"Commit": {"exit_status": 0, "msg": null}})).await.expect(200);
    assert_eq!(ann.why(&follow_up).await, "next_in_turn");
    worker.finishes(&worker.fetches().await, 0).await;

    let watched = ann.submits(&json!({"tags": ["gpu"]})).await;
    let spec = json!({"args": ["true"], "watch": [watched, "TaskCommitted"]});
    let watching = ann.submits(&json!({"task_spec": spec})).await;
    assert_eq!(worker.fetches().await["uuid"], json!(watching));
    let waits = ann.explained(&watching).await;
    assert_eq!((&waits["code"], &waits["task"]), (&json!("waits_for_watched"), &json!(watched)));
    assert!(waits["text"].as_str().unwrap().contains("which is Ready"), "{waits}");
    ann.delete(&format!("/tasks/{watched}")).await.expect(200);
    assert_eq!(ann.why(&watching).await, "running");
}

pub(crate) async fn watched_task_is_hidden_after_leaving_its_group(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let secret = raj.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    raj.put("/groups/raj/users", &json!({"relations": {"ann": "Read"}})).await.expect(200);
    let spec = json!({"args": ["true"], "watch": [secret, "TaskCommitted"]});
    let uuid = ann.submits(&json!({"task_spec": spec})).await;
    worker.fetches().await;
    let text = async || ann.explained(&uuid).await["text"].as_str().unwrap().to_owned();
    assert!(text().await.contains("Ready"), "{}", text().await);
    raj.delete("/groups/raj/users?users=ann").await.expect_empty();
    let before = text().await;
    assert!(!before.contains("Ready"), "{before}");
    raj.get(&format!("/v1/tasks/{}/explain", ann.submits(&json!({})).await))
        .await
        .expect_refused(403, "not_found");
}
