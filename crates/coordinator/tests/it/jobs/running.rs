//! Tasks are written late, and run in order.

use mitosis_coordinator::Stop;
use serde_json::{Value, json};

use super::{argument, counts, single, sweep, up_to, words};
use crate::agents::agent;
use crate::harness::{Harness, changed, eventually, task};

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

pub(crate) async fn tasks_of_a_sweep_are_written_late_and_run_in_order(harness: Harness) {
    let ann = harness.user("ann").await;
    let first = ann.submits_job(&sweep("ann", &up_to(5_000), &json!({}))).await;
    let second = ann.submits_job(&sweep("ann", &up_to(100), &json!({}))).await;
    assert!(ann.written("ann").await <= 4_100, "only the first tasks are written");
    let shown = ann.job(first).await;
    assert_eq!((&shown["tasks"], counts(&shown)), (&json!(5_000), [5_000, 0, 0, 0, 0, 0, 0]));
    let agent = agent(&ann, 500).await;
    let order = agent.runs(5_100, 500).await;
    assert_eq!(order[..5_000], numbers(1..=5_000));
    assert_eq!(order[5_000..], numbers(1..=100), "the second job follows");
    for (job, tasks) in [(first, 5_000), (second, 100)] {
        ann.ends_in(job, "succeeded").await;
        assert_eq!(counts(&ann.job(job).await), [0, 0, 0, tasks, 0, 0, 0]);
    }
}

pub(crate) async fn listed_tasks_include_those_that_are_not_written(harness: Harness) {
    let ann = harness.user("ann").await;
    let job = ann.submits_job(&sweep("ann", &up_to(6_000), &json!({}))).await;
    let agent = agent(&ann, 3).await;
    let taken = agent.takes_all(3).await;
    agent.reports_end(&taken[..1], 1).await;
    agent.reports_end(&taken[1..2], 0).await;
    let indices = |page: &Value| -> Vec<u64> {
        page["tasks"].as_array().unwrap().iter().map(|task| task["index"].as_u64().unwrap()).collect()
    };
    let (mut listed, mut after) = (Vec::new(), json!(null));
    loop {
        let page = ann.job_tasks(job, &json!({"limit": 2_500, "after": after})).await;
        listed.extend(indices(&page));
        after = page["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert!(listed.into_iter().eq(1..=6_000), "each index once");
    let last = ann.job_tasks(job, &json!({"indices": [[6_000, 6_000]]})).await["tasks"][0].clone();
    assert_eq!(
        last,
        json!({"index": 6_000, "state": "waiting", "parameters": [["x", "6000"]], "attempt": 0})
    );
    let of_state = async |state: &str| indices(&ann.job_tasks(job, &json!({"states": [state]})).await);
    assert_eq!(of_state("failed").await, [1]);
    assert_eq!(of_state("succeeded").await, [2]);
    assert_eq!(of_state("running").await, [3]);
    assert_eq!(of_state("waiting").await.len(), 5_997);
    assert!(of_state("cancelled").await.is_empty());
    let some = json!({"indices": [[5_000, 5_001], [1, 4]], "states": ["waiting"]});
    assert_eq!(indices(&ann.job_tasks(job, &some).await), [4, 5_000, 5_001]);
    assert_eq!(counts(&ann.job(job).await), [5_997, 0, 1, 1, 1, 0, 0]);

    ann.cancel_job(job, &json!({})).await;
    assert_eq!(of_state("cancelled").await.len(), 5_997);
    assert!(of_state("waiting").await.is_empty());
    for odd in [json!([[0, 3]]), json!([[4, 3]])] {
        let answer = ann.post(&format!("/v1/jobs/{job}/tasks"), &json!({"indices": odd})).await;
        answer.expect_refused(400, "invalid_request");
    }
    let beyond = json!({"indices": [[6_001, 7_000]]});
    ann.post(&format!("/v1/jobs/{job}/tasks"), &beyond).await.expect_refused(404, "not_found");
    ann.post(&format!("/v1/jobs/{job}/cancel"), &beyond).await.expect_refused(404, "not_found");
}

/// The first tasks and a sample are checked at the submission; a later one is invalid.
pub(crate) async fn job_with_an_invalid_later_task_is_cancelled(harness: Harness) {
    let ann = harness.user("ann").await;
    let mut values = vec!["a"; 30_000];
    values[2_500] = "";
    let task = task("ann", &json!({"labels": ["{x}"]}));
    let job = changed(sweep("ann", &words(&values), &json!({})), &json!({"task": task}));
    let job = ann.submits_job(&job).await;
    let agent = agent(&ann, 1).await;
    let taken = agent.takes_all(1).await;
    eventually("the job is stopped", async || ann.job(job).await["stopped"] == "cancelled").await;
    agent.reports_end(&taken, 0).await;
    ann.ends_in(job, "cancelled").await;
    assert_eq!(counts(&ann.job(job).await), [0, 0, 0, 1, 0, 0, 29_999]);
}

pub(crate) async fn job_continues_after_a_restart(mut harness: Harness) {
    let job = {
        let ann = harness.user("ann").await;
        let job = ann.submits_job(&sweep("ann", &up_to(5_000), &json!({}))).await;
        let agent = agent(&ann, 500).await;
        assert_eq!(agent.runs(1_500, 500).await, numbers(1..=1_500));
        job
    };
    harness.stop().await;
    harness.start().await;
    let ann = harness.logged_in("ann", "ann").await;
    let agent = agent(&ann, 500).await;
    assert_eq!(agent.runs(3_500, 500).await, numbers(1_501..=5_000));
    ann.ends_in(job, "succeeded").await;
}

/// Both plan the same job, and one of them crashes.
pub(crate) async fn coordinators_plan_the_same_job(harness: Harness) {
    let (other, address) = harness.another().await;
    let ann = harness.user("ann").await;
    let job = ann.submits_job(&sweep("ann", &up_to(20_000), &json!({}))).await;
    let worker = agent(&ann, 1_000).await;
    let mut order = worker.runs(6_000, 1_000).await;
    // Tasks of the other coordinator are taken by an agent there, so both get hints.
    for _ in 0..4 {
        let poll = json!({"want": 1_000, "held": [], "wait": "10s"});
        let taken = worker.post(&format!("{address}/v1/agents/poll"), &poll).await.expect(200).json();
        let taken = taken["tasks"].as_array().unwrap().clone();
        order.extend(taken.iter().map(argument));
        worker.reports_end(&taken, 0).await;
    }
    other.stop(Stop::Now).await.unwrap();
    order.extend(worker.runs(20_000 - order.len(), 1_000).await);
    assert_eq!(order, numbers(1..=20_000), "each task once, in order");
    ann.ends_in(job, "succeeded").await;
    assert_eq!(counts(&ann.job(job).await), [0, 0, 0, 20_000, 0, 0, 0]);
    let last = ann.submits_job(&single("ann", &json!({}))).await;
    worker.runs(1, 1).await;
    ann.ends_in(last, "succeeded").await;
}
