//! Native agents: many tasks per request, and messages to held polls.

use std::time::Duration;

use mitosis_domain::clock::Clock as _;
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, LEASE, Someone, changed, eventually, task};

/// Registers an agent.
pub(crate) async fn agent<'a>(owner: &'a Someone<'a>, slots: u32) -> Someone<'a> {
    owner.worker(&json!({"slots": slots})).await
}

impl Someone<'_> {
    pub(crate) async fn polls(&self, want: u32, held: &[&Value], wait: &str) -> Value {
        let held: Vec<Value> = held.iter().map(|task| named(task)).collect();
        let body = json!({"want": want, "held": held, "wait": wait});
        self.post("/v1/agents/poll", &body).await.expect(200).json()
    }

    /// Reports these tasks as successful, and requests more.
    pub(crate) async fn ends(&self, tasks: &[&Value], want: u32) -> Value {
        let ended: Vec<Value> = tasks.iter().map(|task| ended(task)).collect();
        self.post("/v1/agents/report", &json!({"ended": ended, "want": want})).await.expect(200).json()
    }
}

fn named(task: &Value) -> Value {
    json!({"id": task["task"]["id"], "epoch": task["epoch"]})
}

pub(crate) fn key(task: &Value) -> Value {
    json!({"id": task["task"]["id"], "epoch": task["epoch"], "token": task["token"]})
}

fn ended(task: &Value) -> Value {
    json!({"key": key(task), "cancelled": false, "result": {"exit_status": 0, "msg": null}})
}

pub(crate) fn tasks(reply: &Value) -> Vec<Value> {
    reply["tasks"].as_array().unwrap().clone()
}

pub(crate) async fn agent_gets_and_ends_many_tasks_at_once(harness: Harness) {
    let ann = harness.user("ann").await;
    let mut uuids = Vec::new();
    for _ in 0..5 {
        uuids.push(ann.submits(&json!({})).await);
    }
    let agent = agent(&ann, 3).await;
    let given = tasks(&agent.polls(3, &[], "20s").await);
    assert_eq!(given.len(), 3);
    assert_eq!(
        (&given[0]["task"]["uuid"], &given[0]["task"]["timeout"]),
        (&json!(uuids[0]), &json!("1m 30s"))
    );
    let shown = ann.get(&format!("/workers/{}", agent.name)).await.expect(200).json();
    assert_eq!(shown["info"]["assigned_task_id"], json!(uuids[0]));

    let [first, second, third] = &given[..] else { panic!("{given:?}") };
    let reply = agent.ends(&[first, second], 9).await;
    assert_eq!(reply["verdicts"], json!(["accepted", "accepted"]));
    let rest = tasks(&reply);
    assert_eq!(rest.len(), 2);
    // A repetition gets the same reply, and no further task.
    let again = agent.ends(&[first, second], 9).await;
    assert_eq!((&again["verdicts"], &again["tasks"]), (&reply["verdicts"], &json!([])));
    agent.ends(&[third, &rest[0], &rest[1]], 0).await;
    for uuid in &uuids {
        let task = ann.task(uuid).await;
        assert_eq!((&task["state"], &task["reporter_uuid"]), (&json!("Finished"), &json!(agent.name)));
    }
}

pub(crate) async fn held_poll_returns_when_a_task_arrives(harness: Harness) {
    let ann = harness.user("ann").await;
    let agent = agent(&ann, 2).await;
    let (reply, uuid) = tokio::join!(agent.polls(2, &[], "20s"), async { ann.submits(&json!({})).await });
    assert_eq!(tasks(&reply)[0]["task"]["uuid"], json!(uuid));
}

pub(crate) async fn undelivered_task_is_repeated_and_foreign_one_dropped(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let agent = agent(&ann, 2).await;
    let given = tasks(&agent.polls(1, &[], "20s").await).remove(0);
    let nothing = json!({"held": [{"id": 999_999, "epoch": 1}], "resync": true, "wait": "20s"});
    let reply = agent.post("/v1/agents/poll", &nothing).await.expect(200).json();
    assert_eq!(tasks(&reply), std::slice::from_ref(&given), "the very same, with the same key");
    assert_eq!(reply["dropped"], json!([{"id": 999_999, "epoch": 1}]));
    assert_eq!(agent.ends(&[&given], 0).await["verdicts"], json!(["accepted"]));
    assert_eq!(ann.state(&uuid).await, "Finished");
}

pub(crate) async fn user_stops_a_running_task(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let uuid = ann.submits(&json!({})).await;
    let stop = format!("/v1/tasks/{uuid}/stop");
    ann.post(&stop, &json!(null)).await.expect_refused(404, "not_found");
    let agent = agent(&ann, 1).await;
    let given = tasks(&agent.polls(1, &[], "20s").await).remove(0);
    raj.post(&stop, &json!(null)).await.expect_refused(400, "not_found");
    let held = [&given];
    let (reply, _) = tokio::join!(agent.polls(0, &held, "20s"), async {
        ann.post(&stop, &json!(null)).await.expect_empty()
    });
    assert_eq!(reply["stop"], json!([named(&given)]));
    let result = json!({"exit_status": 15, "msg": "UserCancellation"});
    let ended = json!({"key": key(&given), "cancelled": true, "result": result});
    agent.post("/v1/agents/report", &json!({"ended": [ended]})).await.expect(200);
    let task = ann.task(&uuid).await;
    assert_eq!((&task["state"], &task["result"]), (&json!("Cancelled"), &result));
    ann.post(&stop, &json!(null)).await.expect_refused(404, "not_found");

    let uuid = ann.submits(&json!({})).await;
    let published = ann.worker(&json!({})).await;
    published.fetches().await;
    ann.post(&format!("/v1/tasks/{uuid}/stop"), &json!(null)).await.expect_refused(400, "invalid_request");
}

pub(crate) async fn draining_agent_is_notified_and_ends_with_its_last_task(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.submits(&json!({})).await;
    let waiting = ann.submits(&json!({"priority": -1})).await;
    let agent = agent(&ann, 1).await;
    let given = tasks(&agent.polls(1, &[], "20s").await).remove(0);
    let held = [&given];
    let (reply, _) = tokio::join!(agent.polls(0, &held, "20s"), async {
        ann.delete(&format!("/workers/{}", agent.name)).await.expect_empty()
    });
    assert_eq!((&reply["drain"], &reply["tasks"]), (&json!(true), &json!([])));
    let last = agent.ends(&[&given], 1).await;
    assert_eq!((&last["drain"], &last["verdicts"]), (&json!(true), &json!(["accepted"])));
    agent
        .post("/v1/agents/poll", &json!({"want": 1, "wait": "20s"}))
        .await
        .expect_refused(401, "worker_removed");
    assert_eq!(ann.state(&waiting).await, "Ready");
}

pub(crate) async fn held_poll_of_a_removed_agent_returns(harness: Harness) {
    let ann = harness.user("ann").await;
    let agent = agent(&ann, 1).await;
    let poll = json!({"want": 1, "wait": "20s"});
    let (held, _) = tokio::join!(agent.post("/v1/agents/poll", &poll), async {
        ann.delete(&format!("/workers/{}?op=force", agent.name)).await.expect_empty()
    });
    held.expect_refused(401, "worker_removed");
    agent.post("/v1/agents/report", &json!({"want": 1})).await.expect_refused(401, "worker_removed");
}

pub(crate) async fn lease_is_renewed_after_a_long_held_poll(harness: Harness) {
    let ann = harness.user("ann").await;
    let agent = agent(&ann, 1).await;
    let first = agent.polls(1, &[], "5500ms").await;
    assert_eq!((&first["missed_after"], &first["lease"]), (&json!("30s"), &json!("10m")));
    assert_eq!(
        agent.polls(1, &[], "1s").await["missed_after"],
        json!("30s"),
        "the first was written long ago"
    );
    assert_eq!(agent.polls(1, &[], "1s").await["missed_after"], json!(null), "that was a moment ago");
}

pub(crate) async fn missed_agent_keeps_its_task_until_its_lease_ends(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({"timeout": "3h"})).await;
    let agent = agent(&ann, 1).await;
    let given = tasks(&agent.polls(1, &[], "20s").await).remove(0);
    harness.clock.advance(Duration::from_secs(25));
    assert_eq!(agent.polls(0, &[&given], "1s").await["missed_after"], json!("30s"));
    let worker =
        async || ann.get(&format!("/workers/{}", agent.name)).await.expect(200).json()["info"].clone();
    harness.clock.advance(Duration::from_secs(29));
    assert_eq!(worker().await["missed"], json!(null), "left out");
    harness.clock.advance(Duration::from_secs(2));
    let missed = worker().await;
    let lost_at = harness.clock.now() + LEASE - Duration::from_secs(31);
    assert_eq!((&missed["missed"], &missed["lost_at"]), (&json!(true), &json!(lost_at)));
    harness.clock.advance(LEASE.saturating_sub(Duration::from_secs(33)));
    let other = ann.worker(&json!({})).await;
    assert_eq!(ann.state(&uuid).await, "Running", "nine minutes of silence cost nothing");
    harness.clock.advance(Duration::from_secs(2));
    // Held until the task of the lost agent is requeued.
    let again = other.get("/workers/tasks?wait=20s").await.expect(200).json();
    assert_eq!(again["uuid"], json!(uuid));
}

/// The lease terms in a reply: the lease, and the time after which the worker is missed.
fn lease_terms(answer: &Answer) -> [&str; 2] {
    ["x-mito-lease", "x-mito-missed-after"].map(|name| answer.headers[name].to_str().unwrap())
}

pub(crate) async fn workers_get_their_lease_terms(harness: Harness) {
    let ann = harness.user("ann").await;
    let body = json!({"tags": [], "labels": [], "groups": []});
    for (asks, limits, by_poll) in [
        (json!({}), ["600", "400"], ["10m", "6m 40s"]),
        (json!({"slots": 1}), ["600", "30"], ["10m", "30s"]),
        (json!({"slots": 1, "lost_after": "2m"}), ["120", "30"], ["2m", "30s"]),
        (json!({"slots": 1, "lost_after": "1s"}), ["30", "30"], ["30s", "30s"]),
    ] {
        let registered = ann.post("/workers", &changed(body.clone(), &asks)).await.expect(200);
        assert_eq!(lease_terms(&registered), limits, "{asks}");
        let worker = ann.with(registered.json()["token"].as_str().unwrap());
        let heartbeat = worker.post("/workers/heartbeat", &json!(null)).await.expect(200);
        assert_eq!(lease_terms(&heartbeat), limits, "{asks}");
        let reply = worker.polls(0, &[], "1s").await;
        assert_eq!([&reply["lease"], &reply["missed_after"]], by_poll.map(|limit| json!(limit)).each_ref());
    }
    for odd in [
        json!({"lost_after": "0s"}),
        json!({"machine": {"id": "", "boot": "1"}}),
        json!({"machine": {"id": "m", "boot": "line\nline"}}),
        json!({"machine": {"id": "m".repeat(1_000), "boot": "1"}}),
    ] {
        ann.post("/workers", &changed(body.clone(), &odd)).await.expect_refused(400, "invalid_request");
    }
}

pub(crate) async fn doctor_counts_missed_workers(harness: Harness) {
    let (admin, ann) = (harness.admin().await, harness.user("ann").await);
    let agents = [agent(&ann, 1).await, agent(&ann, 1).await];
    let missed = async || admin.get("/v1/admin/doctor").await.expect(200).json()["missed_workers"].clone();
    assert_eq!(missed().await, json!(0));
    harness.clock.advance(Duration::from_secs(31));
    eventually("both are missed", async || missed().await == json!(2)).await;
    let shown = ann.get(&format!("/workers/{}", agents[0].name)).await.expect(200).json()["info"].clone();
    assert!(shown["lost_at"].is_string(), "{shown}");
    agents[0].post("/workers/heartbeat", &json!(null)).await.expect(200);
    eventually("one is heard of", async || missed().await == json!(1)).await;
    let shown = ann.get(&format!("/workers/{}", agents[0].name)).await.expect(200).json()["info"].clone();
    assert_eq!([&shown["missed"], &shown["lost_at"]], [&json!(null); 2], "{shown}");
}

pub(crate) async fn idempotent_task_of_a_missed_agent_is_requeued(harness: Harness) {
    let ann = harness.user("ann").await;
    let agent = agent(&ann, 2).await;
    let spec = json!({"timeout": "3h", "task_spec": {"args": ["true"], "envs": {}, "resources": [], "terminal_output": false,
        "watch": null, "idempotent": true}});
    let (twice, once) = (ann.submits(&spec).await, ann.submits(&json!({"timeout": "3h"})).await);
    let mut given = tasks(&agent.polls(2, &[], "20s").await);
    given.sort_by_key(|task| task["task"]["uuid"] == json!(once));
    // The first renewal is written before the next one.
    agent.polls(0, &[&given[0], &given[1]], "1s").await;
    harness.clock.advance(Duration::from_secs(31));
    let other = ann.worker(&json!({})).await;
    assert_eq!(other.get("/workers/tasks?wait=20s").await.expect(200).json()["uuid"], json!(twice));
    let reply = agent.polls(0, &[&given[0], &given[1]], "1s").await;
    assert_eq!(
        reply["dropped"].as_array().unwrap().len(),
        1,
        "the agent is notified of the lost task: {reply}"
    );
    assert_eq!(ann.state(&once).await, "Running");
}

pub(crate) async fn registration_after_a_reboot_requeues_earlier_tasks(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({"timeout": "3h"})).await;
    let on = |boot| json!({"slots": 1, "machine": {"id": "machine-1", "boot": boot}});
    let before = ann.worker(&on("1")).await;
    let held = tasks(&before.polls(1, &[], "20s").await).remove(0);
    // The first renewal is written before the next one.
    before.polls(0, &[&held], "1s").await;
    harness.clock.advance(Duration::from_secs(60));
    let after = ann.worker(&on("2")).await;
    let given = tasks(&after.polls(1, &[], "20s").await).remove(0);
    assert_eq!(given["task"]["uuid"], json!(uuid));
    let resync = json!({"want": 1, "resync": true});
    before.post("/v1/agents/poll", &resync).await.expect_refused(401, "worker_unknown");
}

pub(crate) async fn task_is_cancelled_after_five_lost_attempts(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    for died in [false, true, true, true, true, true] {
        let agent = agent(&ann, 1).await;
        tasks(&agent.polls(1, &[], "20s").await).remove(0);
        agent.delete(&format!("/workers?died={died}")).await.expect(200);
    }
    let reply = ann.explained(&uuid).await;
    assert_eq!((&reply["state"], &reply["code"]), (&json!("Cancelled"), &json!("ended")), "{reply}");
    assert_eq!(ann.task(&uuid).await["result"]["reason"], json!("workers_lost"));
}

/// An agent cancels a request when it needs another one, and a reply that was sent meanwhile is lost.
pub(crate) async fn lost_message_to_an_agent_is_repeated(harness: Harness) {
    let ann = harness.user("ann").await;
    let agent = agent(&ann, 1).await;
    let uuid = ann.submits(&json!({})).await;
    let given = tasks(&agent.polls(1, &[], "20s").await).remove(0);
    let held = json!([named(&given)]);
    let ask = async |heard: u64, wait: &str| {
        let body = json!({"held": held, "heard": heard, "wait": wait});
        agent.post("/v1/agents/poll", &body).await.expect(200).json()
    };
    assert_eq!(ask(0, "0s").await["number"], json!(null));
    ann.post(&format!("/v1/tasks/{uuid}/stop"), &json!(null)).await.expect_empty();
    for _ in 0..2 {
        assert_eq!(ask(0, "5s").await["stop"], held, "it is repeated until it is acknowledged");
    }
    let number = ask(0, "5s").await["number"].as_u64().unwrap();
    assert_eq!(ask(number, "0s").await["stop"], json!([]));
}

pub(crate) async fn steps_and_stops_of_clocks_cost_no_worker_its_task(mut harness: Harness) {
    harness.standstill = Duration::from_secs(10);
    harness.restart().await;
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({"timeout": "3h"})).await;
    let agent = agent(&ann, 1).await;
    let given = tasks(&agent.polls(1, &[], "20s").await).remove(0);
    let hour = Duration::from_secs(3_600);
    for step in 0..4 {
        match step {
            0 | 2 => harness.clock.step_forward(hour),
            1 => harness.clock.step_back(hour * 2),
            // Nothing ran in the meantime.
            _ => harness.clock.advance(hour),
        }
        // Longer than the period of a pass.
        agent.polls(0, &[&given], "1500ms").await;
        assert_eq!(ann.state(&uuid).await, "Running", "after step {step}");
    }
    let info = ann.get(&format!("/workers/{}", agent.name)).await.expect(200).json()["info"].clone();
    assert_eq!(info["missed"], json!(null), "{info}");
    // Longer than the lifetime of a token.
    harness.clock.step_forward(hour * 24 * 30);
    agent.polls(0, &[&given], "1500ms").await;
}

pub(crate) async fn task_assigned_to_an_abandoned_request_is_requeued(harness: Harness) {
    let ann = harness.user("ann").await;
    let gone = agent(&ann, 1).await;
    for _ in 0..20 {
        let poll = json!({"want": 1, "wait": "20s"});
        let given_up = tokio::time::timeout(Duration::from_millis(5), gone.post("/v1/agents/poll", &poll));
        let (_, uuid) = tokio::join!(given_up, async { ann.submits(&json!({})).await });
        let other = ann.worker(&json!({})).await;
        // Either the agent never got the task, or it requests a comparison and gets the task again.
        let resync = json!({"held": [], "resync": true, "want": 1, "wait": "20s"});
        let reply = gone.post("/v1/agents/poll", &resync).await.expect(200).json();
        assert_eq!(tasks(&reply)[0]["task"]["uuid"], json!(uuid));
        gone.ends(&[&tasks(&reply)[0]], 0).await;
        assert_eq!(other.fetches().await, Value::Null);
    }
}

pub(crate) async fn new_tags_apply_to_a_held_poll(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({"tags": ["gpu"]})).await;
    let agent = agent(&ann, 1).await;
    let (reply, _) = tokio::join!(agent.polls(1, &[], "20s"), async {
        ann.put(&format!("/workers/{}/tags", agent.name), &json!({"tags": ["gpu"]})).await.expect_empty()
    });
    assert_eq!(tasks(&reply)[0]["task"]["uuid"], json!(uuid));
}

pub(crate) async fn agent_is_notified_of_followers(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let agent = agent(&ann, 1).await;
    let given = tasks(&agent.polls(1, &[], "20s").await).remove(0);
    let (follow, channel) =
        (format!("/v1/tasks/{uuid}/output?wait=20s"), format!("/v1/workers/tasks/{uuid}/output"));
    let (seen, _) = tokio::join!(ann.get(&follow), async {
        let reply = agent.polls(0, &[&given], "20s").await;
        assert_eq!(reply["followed"], json!([uuid]));
        let demand = agent.get(&format!("{channel}?wait=20s")).await.expect(200).json();
        assert_eq!(demand["stdout"], 0);
        let chunk = json!({"stdout_offset": 0, "stdout": "aGVsbG8=", "stderr_offset": 0, "stderr": ""});
        agent.post(&channel, &chunk).await.expect(200)
    });
    assert_eq!(seen.expect(200).json()["stdout"], "aGVsbG8=");
}

pub(crate) async fn announced_artifact_of_an_agent_must_exist(harness: Harness) {
    let ann = harness.user("ann").await;
    let (there, missing) = (ann.submits(&json!({})).await, ann.submits(&json!({})).await);
    let agent = agent(&ann, 2).await;
    let given = tasks(&agent.polls(2, &[], "20s").await);
    let mut ended = Vec::new();
    for (task, bytes) in given.iter().zip([Some(b"bytes"), None]) {
        let upload = json!({"Upload": {"content_type": "result", "content_length": 5}});
        let report = json!({"id": task["task"]["id"], "op": upload, "attempt": key(task)});
        let url = agent.post("/workers/tasks", &report).await.expect(200).json()["url"].clone();
        if let Some(bytes) = bytes {
            assert!(agent.uploads(url.as_str().unwrap(), bytes).await.is_success());
        }
        let mut one = self::ended(task);
        one["left_archives"] = json!(true);
        ended.push(one);
    }
    agent.post("/v1/agents/report", &json!({"ended": ended})).await.expect(200);
    let kept = ann.get(&format!("/tasks/{there}/download/artifacts/result")).await.expect(200).json();
    assert_eq!(ann.downloads(kept["url"].as_str().unwrap()).await.text, "bytes");
    assert_eq!(ann.task(&missing).await["result"]["msg"], json!("UploadResultTimeout"));
    assert_eq!(ann.task(&there).await["result"]["msg"], Value::Null);
}

pub(crate) async fn invalid_reports_of_an_agent_are_rejected(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let agent = agent(&ann, 1).await;
    let given = tasks(&agent.polls(1, &[], "20s").await).remove(0);
    for data in [json!([1]), json!({"x": "\u{0}"}), json!({"x": "y".repeat(20_000)}), json!(7)] {
        let mut one = ended(&given);
        one["data"] = data;
        agent
            .post("/v1/agents/report", &json!({"ended": [one]}))
            .await
            .expect_refused(400, "invalid_request");
    }
    let many: Vec<Value> = (0..1_001).map(|_| key(&given)).collect();
    agent.post("/v1/agents/report", &json!({"returned": many})).await.expect_refused(400, "invalid_request");
    assert_eq!(ann.state(&uuid).await, "Running");
    for slots in [0, 5_000] {
        let body = json!({"tags": [], "labels": [], "groups": [], "slots": slots});
        ann.post("/workers", &body).await.expect_refused(400, "invalid_request");
    }
}

pub(crate) async fn warnings_of_a_task_are_limited(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let agent = agent(&ann, 1).await;
    let given = tasks(&agent.polls(1, &[], "20s").await).remove(0);
    let mut one = ended(&given);
    one["warnings"] = json!(vec![json!({"code": "left_out", "text": "x".repeat(5_000)}); 40]);
    agent.post("/v1/agents/report", &json!({"ended": [one]})).await.expect(200);
    let warnings = ann.task(&uuid).await["warnings"].as_array().unwrap().clone();
    assert_eq!(warnings.len(), 16);
    assert!(warnings.iter().all(|warning| warning["text"].as_str().unwrap().len() < 510));
}

/// A task is submitted to one coordinator, runs through another, and is stopped through the first.
pub(crate) async fn coordinators_of_one_database_act_as_one(harness: Harness) {
    let ann = harness.user("ann").await;
    let (running, there) = harness.another().await;
    let agent = agent(&ann, 1).await;
    let poll =
        async |body: Value| agent.post(&format!("{there}/v1/agents/poll"), &body).await.expect(200).json();
    let (reply, uuid) =
        tokio::join!(poll(json!({"want": 1, "wait": "20s"})), async { ann.submits(&json!({})).await });
    let given = tasks(&reply).remove(0);
    assert_eq!(given["task"]["uuid"], json!(uuid));
    let (reply, _) = tokio::join!(poll(json!({"held": [named(&given)], "wait": "20s"})), async {
        // The other coordinator is notified while it holds the request.
        ann.post(&format!("/v1/tasks/{uuid}/stop"), &json!(null)).await.expect_empty()
    });
    assert_eq!(reply["stop"], json!([named(&given)]));
    // A follower of one coordinator gets the output that the agent sends to the other.
    let channel = format!("{there}/v1/workers/tasks/{uuid}/output");
    let follow = format!("/v1/tasks/{uuid}/output?stdout=2&wait=20s");
    let (seen, ()) = tokio::join!(ann.get(&follow), async {
        let reply = poll(json!({"held": [named(&given)], "wait": "20s"})).await;
        assert_eq!(reply["followed"], json!([uuid]));
        let demand = agent.get(&format!("{channel}?wait=20s")).await.expect(200).json();
        assert_eq!(demand["stdout"], 2);
        let chunk = json!({"stdout_offset": 2, "stdout": "aGVsbG8=", "stderr_offset": 0, "stderr": ""});
        agent.post(&channel, &chunk).await.expect(200);
    });
    assert_eq!(seen.expect(200).json()["stdout"], "aGVsbG8=");
    let report = json!({"ended": [ended(&given)]});
    agent.post(&format!("{there}/v1/agents/report"), &report).await.expect(200);
    assert_eq!(ann.state(&uuid).await, "Finished");
    running.stop(mitosis_coordinator::Stop::Gracefully).await.unwrap();
}

/// A worker that ignores a part of the specification would run the task in a wrong way.
pub(crate) async fn surroundings_of_a_task_are_translated_for_older_workers(harness: Harness) {
    let ann = harness.user("ann").await;
    let spec = json!({"args": ["pwd"], "directory": {"Require": "/data"}, "files": {"a": "x"}, "stdin": "a"});
    for _ in 0..3 {
        ann.submits(&json!({"task_spec": spec})).await;
    }
    let agent = agent(&ann, 2).await;
    let spec_of = |reply: &Value| tasks(reply)[0]["task"]["spec"].clone();
    let older = spec_of(&agent.polls(1, &[], "20s").await);
    let poll = json!({"want": 1, "knows_surroundings": true, "wait": "20s"});
    let newer = spec_of(&agent.post("/v1/agents/poll", &poll).await.expect(200).json());
    let legacy = ann.worker(&json!({})).await.fetches().await["spec"].clone();
    for key in ["args", "directory", "files", "stdin"] {
        assert_eq!(newer[key], spec[key], "{key}");
    }
    for spec in [older, legacy] {
        let args: Vec<&str> =
            spec["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
        assert_eq!((args[0], &args[3..]), ("/bin/sh", &["sh", "a", "x", "a", "/data", "pwd"][..]));
        let keys: Vec<&String> = spec.as_object().unwrap().keys().collect();
        assert!(!keys.iter().any(|key| ["directory", "files", "stdin"].contains(&key.as_str())), "{keys:?}");
    }
    for (spec, problem) in [
        (json!({"args": [], "directory": {"Prefer": "data"}}), "absolute path"),
        (json!({"args": [], "stdin": "a"}), "neither one of `files`"),
        (json!({"args": [], "files": {"../a": ""}}), "local_path"),
    ] {
        let body = task(&ann.name, &json!({"task_spec": spec}));
        let refusal = ann.post("/tasks", &body).await.expect(400).json();
        assert!(refusal["msg"].as_str().unwrap().contains(problem), "{refusal}");
    }
}
