//! Secrets of groups: who sets them, who may use them, and which worker gets a value.

use std::time::Duration;

use mitosis_coordinator::Stop;
use serde_json::{Value, json};

use crate::agents::{agent, tasks};
use crate::harness::{Answer, Harness, Someone, task};

const VALUE: &str = "correct horse battery staple";

fn using(secrets: &Value) -> Value {
    json!({"task_spec": {"args": ["true"], "envs": {"A": "1"}, "secrets": secrets}})
}

impl Someone<'_> {
    async fn sets_secret(&self, group: &str, name: &str, value: &str) -> Answer {
        self.put(&format!("/v1/groups/{group}/secrets/{name}"), &json!({"value": value})).await
    }

    /// The next task of an agent that masks secrets.
    async fn takes_with_secrets(&self) -> Value {
        let poll = json!({"want": 1, "knows_surroundings": true, "knows_secrets": true, "wait": "20s"});
        tasks(&self.post("/v1/agents/poll", &poll).await.expect(200).json())[0]["task"].clone()
    }
}

pub(crate) async fn secret_is_listed_and_its_value_never_returned(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Admin"}})).await.expect_empty();
    ann.sets_secret("ann", "TOKEN", VALUE).await.expect_empty();
    ann.sets_secret("ann", "KEY", "old value").await.expect_empty();
    harness.clock.advance(Duration::from_secs(60));
    raj.sets_secret("ann", "KEY", VALUE).await.expect_empty();
    let listed = raj.get("/v1/groups/ann/secrets").await.expect(200).json();
    let secrets = listed["secrets"].as_array().unwrap();
    let of = |at: usize| (&secrets[at]["name"], &secrets[at]["set_by"]);
    assert_eq!(
        (secrets.len(), of(0), of(1)),
        (2, (&json!("KEY"), &json!("raj")), (&json!("TOKEN"), &json!("ann")))
    );
    assert!(secrets[0]["set_at"].as_str().unwrap() > secrets[1]["set_at"].as_str().unwrap());

    let uuid = ann.submits(&using(&json!({"PASSWORD": "TOKEN"}))).await;
    agent(&ann, 1).await.takes_with_secrets().await;
    let admin = harness.admin().await;
    for answer in [
        ann.get("/v1/groups/ann/secrets").await,
        ann.get(&format!("/tasks/{uuid}")).await,
        ann.post("/tasks/query", &json!({"count": false})).await,
        ann.get(&format!("/v1/tasks/{uuid}/explain")).await,
        admin.get("/v1/admin/audit").await,
    ] {
        let answer = answer.expect(200);
        assert!(!answer.text.contains(VALUE), "{answer:?}");
    }
    assert_eq!(ann.task(&uuid).await["spec"]["secrets"], json!({"PASSWORD": "TOKEN"}));
    let audit = admin.get("/v1/admin/audit").await.text;
    assert!(audit.contains("group.secret_set") && audit.contains("ann: KEY"), "{audit}");
}

pub(crate) async fn invalid_secret_is_refused(harness: Harness) {
    let ann = harness.user("ann").await;
    let long = "x".repeat(32 * 1024 + 1);
    for (name, value, problem) in [
        ("A-B", "value", "can't name a secret"),
        ("2A", "value", "can't name a secret"),
        ("A", "", "can't be empty"),
        ("A", "a\0b", "NUL"),
        ("A", &*long, "at most 32768 bytes"),
    ] {
        let refused = ann.sets_secret("ann", name, value).await.expect_refused(400, "invalid_request");
        assert!(refused.text.contains(problem), "{}", refused.text);
    }
    ann.delete("/v1/groups/ann/secrets/A").await.expect_refused(404, "not_found");
}

pub(crate) async fn unknown_secret_is_refused_at_submission(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    raj.sets_secret("raj", "TOKEN", VALUE).await.expect_empty();
    let waiting = ann.submits(&json!({})).await;
    let request = task("ann", &using(&json!({"A_B": "TOKEN"})));
    let schedule = json!({"name": "nightly", "cron": "0 3 * * *", "job": {"task": request}});
    for answer in [
        ann.post("/tasks", &request).await,
        ann.post("/v1/jobs", &json!({"jobs": [{"task": request}]})).await,
        ann.post("/v1/schedules", &schedule).await,
        ann.put(&format!("/tasks/{waiting}"), &json!({"task_spec": request["task_spec"]})).await,
    ] {
        let refused = answer.expect_refused(400, "invalid_request");
        assert!(
            refused.text.contains("no secret `TOKEN`") && refused.text.contains("mito secrets"),
            "{refused:?}"
        );
    }
    let many = ann.post("/tasks/submit", &json!({"tasks": [request]})).await.expect(200);
    assert!(many.text.contains("no secret `TOKEN`"), "{many:?}");
    let twice = task("ann", &using(&json!({"A": "TOKEN"})));
    let refused = ann.post("/tasks", &twice).await.expect_refused(400, "invalid_request");
    assert!(refused.text.contains("the variable `A` has a value"), "{refused:?}");

    ann.sets_secret("ann", "TOKEN", VALUE).await.expect_empty();
    for answer in [
        ann.post("/tasks", &request).await,
        ann.post("/v1/jobs", &json!({"jobs": [{"task": request}]})).await,
        ann.post("/v1/schedules", &schedule).await,
        ann.put(&format!("/tasks/{waiting}"), &json!({"task_spec": request["task_spec"]})).await,
    ] {
        assert!(matches!(answer.status, 200 | 204), "{answer:?}");
    }
}

/// A worker that does not know secrets gets them as variables, also one of the published version.
pub(crate) async fn only_the_holder_gets_the_value(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Write"}})).await.expect_empty();
    ann.sets_secret("ann", "TOKEN", VALUE).await.expect_empty();
    raj.sets_secret("raj", "TOKEN", "of raj").await.expect_empty();
    for _ in 0..3 {
        raj.submits_to("ann", &using(&json!({"PASSWORD": "TOKEN"}))).await;
    }
    let newer = agent(&ann, 1).await.takes_with_secrets().await;
    assert_eq!(newer["secrets"], json!({"PASSWORD": VALUE}));
    assert_eq!(
        (&newer["spec"]["envs"], &newer["spec"]["secrets"]),
        (&json!({"A": "1"}), &json!({"PASSWORD": "TOKEN"}))
    );
    let older = tasks(&agent(&ann, 1).await.polls(1, &[], "20s").await)[0]["task"].clone();
    let legacy = ann.worker(&json!({})).await;
    let fetched = legacy.fetches().await;
    for fetched in [&older, &fetched, &legacy.fetches().await] {
        assert_eq!(fetched["spec"]["envs"], json!({"A": "1", "PASSWORD": VALUE}));
        assert_eq!([&fetched["secrets"], &fetched["spec"]["secrets"]], [&json!(null); 2]);
    }
    let uuid = fetched["uuid"].as_str().unwrap();
    let seen = legacy.get(&format!("/workers/tasks/{uuid}")).await.expect(200);
    assert!(!seen.text.contains(VALUE), "{seen:?}");
}

pub(crate) async fn changed_secret_applies_to_the_next_assignment(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.sets_secret("ann", "TOKEN", "first").await.expect_empty();
    ann.submits(&using(&json!({"TOKEN": "TOKEN", "AGAIN": "TOKEN"}))).await;
    ann.sets_secret("ann", "TOKEN", VALUE).await.expect_empty();
    let given = agent(&ann, 1).await.takes_with_secrets().await;
    assert_eq!(given["secrets"], json!({"TOKEN": VALUE, "AGAIN": VALUE}));
}

pub(crate) async fn removed_secret_ends_the_attempt(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.sets_secret("ann", "TOKEN", VALUE).await.expect_empty();
    let mut uuids = Vec::new();
    for _ in 0..3 {
        uuids.push(ann.submits(&using(&json!({"TOKEN": "TOKEN"}))).await);
    }
    ann.delete("/v1/groups/ann/secrets/TOKEN").await.expect_empty();
    let agent = agent(&ann, 1).await;
    assert_eq!(tasks(&agent.polls(1, &[], "20s").await), Vec::<Value>::new());
    let report = agent.post("/v1/agents/report", &json!({"want": 1})).await.expect(200).json();
    assert_eq!(report["tasks"], json!([]));
    let legacy = ann.worker(&json!({})).await;
    assert_eq!(legacy.fetches().await, json!(null));
    for uuid in &uuids {
        let ended = ann.task(uuid).await;
        assert_eq!(
            (&ended["state"], &ended["result"]["msg"]),
            (&json!("Cancelled"), &json!("ResourceNotFound"))
        );
        assert_eq!(ended["warnings"][0]["code"], "secret_unavailable");
        let text = ended["warnings"][0]["text"].as_str().unwrap();
        assert_eq!(text, "the secret `TOKEN` is not available: it was removed from the group");
    }
    // The workers are free for other tasks.
    let other = ann.submits(&json!({})).await;
    assert_eq!(legacy.fetches().await["uuid"], json!(other));
}

/// The key is derived from the private key, which all coordinators share.
pub(crate) async fn secret_needs_the_private_key_of_the_coordinator(mut harness: Harness) {
    {
        let ann = harness.user("ann").await;
        ann.sets_secret("ann", "TOKEN", VALUE).await.expect_empty();
        ann.submits(&using(&json!({"TOKEN": "TOKEN"}))).await;
    }
    harness.restart().await;
    {
        let ann = harness.logged_in("ann", "ann").await;
        let given = agent(&ann, 1).await.takes_with_secrets().await;
        assert_eq!(given["secrets"], json!({"TOKEN": VALUE}));
        ann.submits(&using(&json!({"TOKEN": "TOKEN"}))).await;
    }
    harness.stop().await;
    for file in ["private.pem", "public.pem"] {
        std::fs::remove_file(harness.folder.path().join(file)).unwrap();
    }
    harness.start().await;
    let ann = harness.logged_in("ann", "ann").await;
    let refused = ann.post("/tasks", &task("ann", &using(&json!({"TOKEN": "TOKEN"})))).await;
    let refused = refused.expect_refused(400, "invalid_request");
    assert!(refused.text.contains("encrypted with another key"), "{refused:?}");
    assert!(tasks(&agent(&ann, 1).await.polls(1, &[], "20s").await).is_empty());
    ann.sets_secret("ann", "TOKEN", VALUE).await.expect_empty();
    ann.submits(&using(&json!({"TOKEN": "TOKEN"}))).await;
    let given = agent(&ann, 1).await.takes_with_secrets().await;
    assert_eq!(given["secrets"], json!({"TOKEN": VALUE}));
}

pub(crate) async fn coordinators_of_a_cluster_share_secrets(harness: Harness) {
    let (running, there) = harness.another().await;
    let ann = harness.user("ann").await;
    ann.sets_secret("ann", "TOKEN", VALUE).await.expect_empty();
    ann.submits(&using(&json!({"TOKEN": "TOKEN"}))).await;
    let agent = agent(&ann, 1).await;
    let poll = json!({"want": 1, "knows_secrets": true, "wait": "20s"});
    let given = agent.post(&format!("{there}/v1/agents/poll"), &poll).await.expect(200).json();
    assert_eq!(tasks(&given)[0]["task"]["secrets"], json!({"TOKEN": VALUE}));
    running.stop(Stop::Gracefully).await.unwrap();
}
