//! Pause, limits, cancellation, retries and removal.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mitosis_domain::clock::Clock as _;
use serde_json::{Value, json};

use super::{argument, counts, single, sweep, up_to};
use crate::agents::{agent, key};
use crate::harness::{Harness, eventually};

pub(crate) async fn paused_job_starts_no_task(harness: Harness) {
    let ann = harness.user("ann").await;
    let paused = json!({"options": {"paused": true}});
    let job = ann.submits_job(&sweep("ann", &up_to(5), &paused)).await;
    assert_eq!((ann.job_state(job).await.as_str(), ann.written("ann").await), ("paused", 0));
    let agent = agent(&ann, 5).await;
    assert!(agent.takes(5).await.is_empty());
    ann.change_job(job, &json!({"paused": false})).await.expect_empty();
    let taken = agent.takes_all(2).await;
    ann.change_job(job, &json!({"paused": true})).await.expect_empty();
    assert!(agent.takes(5).await.is_empty());
    agent.reports_end(&taken, 0).await;
    let shown = ann.job(job).await;
    assert_eq!((&shown["state"], &shown["paused"]), (&json!("paused"), &json!(true)));
    assert_eq!(counts(&shown), [3, 0, 0, 2, 0, 0, 0]);
    ann.change_job(job, &json!({"paused": false})).await.expect_empty();
    agent.runs(3, 5).await;
    ann.ends_in(job, "succeeded").await;
    ann.change_job(job, &json!({})).await.expect_refused(400, "invalid_request");
}

pub(crate) async fn priority_of_a_job_can_be_changed(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.submits_job(&sweep("ann", &up_to(2), &json!({}))).await;
    let urgent = ann.submits_job(&sweep("ann", &json!({"Words": ["a", "b"]}), &json!({}))).await;
    ann.change_job(urgent, &json!({"priority": 5})).await.expect_empty();
    assert_eq!(ann.job(urgent).await["priority"], 5);
    let agent = agent(&ann, 1).await;
    assert_eq!(agent.runs(4, 1).await, ["a", "b", "1", "2"]);
}

pub(crate) async fn cancelled_job_of_a_million_tasks_ends_quickly(harness: Harness) {
    let ann = harness.user("ann").await;
    let begun = Instant::now();
    let job = ann.submits_job(&sweep("ann", &up_to(1_000_000), &json!({}))).await;
    let reply = ann.cancel_job(job, &json!({})).await;
    assert_eq!(reply, json!({"cancelled": 1_000_000, "stopping": 0, "unstoppable": 0}));
    ann.ends_in(job, "cancelled").await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let shown = ann.job(job).await;
    assert_eq!((counts(&shown), &shown["stopped"]), ([0, 0, 0, 0, 0, 0, 1_000_000], &json!("cancelled")));
    assert!(ann.written("ann").await <= 4_000);
    assert_eq!(ann.cancel_job(job, &json!({})).await["cancelled"], 0, "it has ended");
}

pub(crate) async fn selected_tasks_are_cancelled_and_stopped(harness: Harness) {
    let ann = harness.user("ann").await;
    let job = ann.submits_job(&sweep("ann", &up_to(5_000), &json!({}))).await;
    let agent = agent(&ann, 2).await;
    let taken = agent.takes_all(2).await;
    let waiting =
        ann.cancel_job(job, &json!({"indices": [[1, 4], [4_999, 5_000]], "states": ["waiting"]})).await;
    assert_eq!(waiting, json!({"cancelled": 4, "stopping": 0, "unstoppable": 0}));
    let held: Vec<&Value> = taken.iter().collect();
    let first = json!({"indices": [[1, 1]]});
    let (reply, stopped) = tokio::join!(agent.polls(0, &held, "20s"), ann.cancel_job(job, &first));
    assert_eq!(stopped, json!({"cancelled": 0, "stopping": 1, "unstoppable": 0}));
    assert_eq!(reply["stop"], json!([{"id": taken[0]["task"]["id"], "epoch": taken[0]["epoch"]}]));
    let result = json!({"exit_status": 15, "msg": "UserCancellation"});
    let ended = json!({"key": key(&taken[0]), "cancelled": true, "result": result});
    agent.post("/v1/agents/report", &json!({"ended": [ended]})).await.expect(200);
    agent.reports_end(&taken[1..], 0).await;
    let order = agent.runs(4_994, 500).await;
    assert!(order.into_iter().eq((5..=4_998).map(|number: u64| number.to_string())));
    ann.ends_in(job, "cancelled").await;
    assert_eq!(counts(&ann.job(job).await), [0, 0, 0, 4_995, 0, 0, 5]);
}

pub(crate) async fn no_more_tasks_run_than_a_job_allows(harness: Harness) {
    let ann = harness.user("ann").await;
    let limit = json!({"options": {"max_running": 3}});
    let job = ann.submits_job(&sweep("ann", &up_to(40), &limit)).await;
    let agent = agent(&ann, 10).await;
    let (mut held, mut ended) = (Vec::new(), 0);
    while ended < 20 {
        held.extend(agent.takes_all(3 - held.len()).await);
        assert!(agent.takes(10).await.is_empty(), "three run already");
        agent.reports_end(&held[..1], 0).await;
        held.remove(0);
        ended += 1;
    }
    ann.change_job(job, &json!({"max_running": 0})).await.expect_empty();
    held.extend(agent.takes_all(18).await);
    assert_eq!(counts(&ann.job(job).await), [0, 0, 20, 20, 0, 0, 0]);
    agent.reports_end(&held, 0).await;
    ann.ends_in(job, "succeeded").await;
}

pub(crate) async fn failures_beyond_the_limit_cancel_the_rest(harness: Harness) {
    let ann = harness.user("ann").await;
    let limit = json!({"options": {"max_failures": 1}});
    let job = ann.submits_job(&sweep("ann", &up_to(10_000), &limit)).await;
    let agent = agent(&ann, 3).await;
    let taken = agent.takes_all(3).await;
    agent.reports_end(&taken[..1], 1).await;
    assert_eq!(ann.job(job).await["stopped"], json!(null), "one may fail");
    agent.reports_end(&taken[1..2], 1).await;
    eventually("the job is stopped", async || ann.job(job).await["stopped"] == "max_failures").await;
    eventually("nothing waits", async || counts(&ann.job(job).await)[0] == 0).await;
    assert!(agent.takes(3).await.is_empty());
    assert_eq!(ann.job_state(job).await, "running", "a task runs");
    agent.reports_end(&taken[2..], 0).await;
    ann.ends_in(job, "failed").await;
    assert_eq!(counts(&ann.job(job).await), [0, 0, 0, 1, 2, 0, 9_997]);

    // A retry of the whole job continues it.
    let retried = ann.retry_job(job, &json!({})).await;
    assert_eq!(retried, json!({"retried": 9_999, "more": false}));
    let shown = ann.job(job).await;
    assert_eq!((counts(&shown), &shown["stopped"]), ([9_999, 0, 0, 1, 0, 0, 0], &json!(null)));
    let order: BTreeSet<u64> =
        agent.runs(9_999, 1_000).await.iter().map(|number| number.parse().unwrap()).collect();
    assert_eq!((order.len(), order.contains(&3)), (9_999, false), "each remaining task once");
    ann.ends_in(job, "succeeded").await;
}

pub(crate) async fn failed_tasks_run_again_as_further_attempts(harness: Harness) {
    let ann = harness.user("ann").await;
    let job = ann.submits_job(&sweep("ann", &up_to(4), &json!({}))).await;
    let agent = agent(&ann, 4).await;
    let taken = agent.takes_all(4).await;
    agent.reports_end(&taken[..2], 7).await;
    agent.reports_end(&taken[2..], 0).await;
    ann.ends_in(job, "failed").await;
    let retried = ann.retry_job(job, &json!({"indices": [[2, 4]]})).await;
    assert_eq!(retried["retried"], 1, "of these, one has failed");
    let shown = ann.job(job).await;
    assert_eq!((counts(&shown), &shown["ended_at"]), ([1, 0, 0, 2, 1, 0, 0], &json!(null)));
    assert_eq!(agent.runs(1, 4).await, ["2"]);
    ann.ends_in(job, "failed").await;
    let listed = ann.job_tasks(job, &json!({"indices": [[2, 2]]})).await["tasks"][0].clone();
    assert_eq!((&listed["attempt"], &listed["task"]["state"]), (&json!(2), &json!("Finished")));
    let path = format!("/v1/tasks/{}/attempts", listed["task"]["uuid"].as_str().unwrap());
    let attempts = ann.get(&path).await.expect(200).json()["attempts"].clone();
    let outcomes: Vec<_> = attempts.as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect();
    assert_eq!(outcomes, ["failed", "succeeded"], "{attempts}");
    assert_eq!((&attempts[0]["exit_code"], &attempts[0]["attempt"]), (&json!(7), &json!(1)));
    assert_eq!(attempts[0]["worker"], json!(agent.name));
}

/// The job stays stopped, so its other tasks are not written.
pub(crate) async fn part_of_a_stopped_job_runs_again(harness: Harness) {
    let ann = harness.user("ann").await;
    let limit = json!({"options": {"max_running": 1}});
    let job = ann.submits_job(&sweep("ann", &up_to(5), &limit)).await;
    ann.cancel_job(job, &json!({})).await;
    ann.ends_in(job, "cancelled").await;
    assert_eq!(ann.retry_job(job, &json!({"indices": [[1, 1]]})).await["retried"], 1);
    let agent = agent(&ann, 2).await;
    assert_eq!(agent.runs(1, 2).await, ["1"]);
    ann.ends_in(job, "cancelled").await;
    assert_eq!(counts(&ann.job(job).await), [0, 0, 0, 1, 0, 0, 4]);
}

pub(crate) async fn ended_job_can_be_deleted(harness: Harness) {
    let ann = harness.user("ann").await;
    let job = ann.submits_job(&sweep("ann", &up_to(3), &json!({}))).await;
    let path = format!("/v1/jobs/{job}");
    ann.delete(&path).await.expect_refused(400, "invalid_request");
    agent(&ann, 3).await.runs(3, 3).await;
    ann.ends_in(job, "succeeded").await;
    let removed = ann.delete(&path).await.expect(200).json();
    assert_eq!((&removed["tasks"], &removed["more"]), (&json!(3), &json!(false)));
    ann.get(&path).await.expect_refused(404, "not_found");
    assert_eq!(ann.written("ann").await, 0);
}

/// The clock moves in steps, so the pass over all jobs notices that the time has come.
pub(crate) async fn job_starts_and_expires_at_its_time(harness: Harness) {
    let ann = harness.user("ann").await;
    let after = |seconds| harness.clock.now() + Duration::from_secs(seconds);
    let options = json!({"options": {"start_after": after(3_600), "expires_at": after(7_200)}});
    let job = ann.submits_job(&sweep("ann", &up_to(3), &options)).await;
    let shown = ann.job(job).await;
    assert_eq!((&shown["state"], counts(&shown)), (&json!("blocked"), [0, 3, 0, 0, 0, 0, 0]));
    harness.clock.advance(Duration::from_secs(3_590));
    let agent = agent(&ann, 1).await;
    assert!(agent.takes(1).await.is_empty());
    harness.clock.advance(Duration::from_secs(11));
    let taken = agent.takes_all(1).await;
    assert_eq!(argument(&taken[0]), "1");
    agent.reports_end(&taken, 0).await;
    harness.clock.advance(Duration::from_secs(3_600));
    eventually("the job expires", async || ann.job(job).await["stopped"] == "expired").await;
    ann.ends_in(job, "cancelled").await;
    assert_eq!(counts(&ann.job(job).await), [0, 0, 0, 1, 0, 0, 2]);
    let past = json!({"options": {"start_after": after(0)}});
    let due = ann.submits_job(&single("ann", &past)).await;
    assert_eq!(ann.job_state(due).await, "waiting");
}
