//! Jobs that wait for others.

use serde_json::{Value, json};

use super::{counts, single, sweep, up_to};
use crate::agents::agent;
use crate::harness::{Harness, Someone, eventually};

fn after(jobs: &[i64], kind: &str) -> Value {
    let needs: Vec<Value> = jobs.iter().map(|job| json!({"on": {"job": job}, "kind": kind})).collect();
    json!({"needs": needs})
}

/// The numbers of a chain of jobs in one submission, each of which needs the success of the one before.
async fn chain(ann: &Someone<'_>, length: usize) -> Vec<i64> {
    let jobs: Vec<Value> = (0..length)
        .map(|position| match position {
            0 => single("ann", &json!({})),
            _ => {
                let need = json!({"on": {"position": position - 1}, "kind": "succeeded"});
                single("ann", &json!({"needs": [need]}))
            }
        })
        .collect();
    let reply = ann.submit_jobs(&jobs).await.expect(200).json();
    reply["jobs"].as_array().unwrap().iter().map(|job| job["job"].as_i64().unwrap()).collect()
}

pub(crate) async fn chain_of_jobs_runs_in_order(harness: Harness) {
    let ann = harness.user("ann").await;
    let [first, second, third] = chain(&ann, 3).await[..] else { panic!("three jobs") };
    let shown = ann.job(second).await;
    assert_eq!((&shown["state"], counts(&shown)), (&json!("blocked"), [0, 1, 0, 0, 0, 0, 0]));
    assert_eq!(shown["needs"], json!([{"job": first, "kind": "succeeded", "met": false}]));
    let agent = agent(&ann, 3).await;
    for job in [first, second, third] {
        let taken = agent.takes_all(1).await;
        assert!(agent.takes(2).await.is_empty(), "the next one waits for it");
        assert_eq!(ann.job_state(job).await, "running");
        agent.reports_end(&taken, 0).await;
        ann.ends_in(job, "succeeded").await;
    }
    assert_eq!(ann.job(second).await["needs"][0]["met"], true);
}

pub(crate) async fn job_that_needs_an_end_runs_after_a_failure(harness: Harness) {
    let ann = harness.user("ann").await;
    let failing = ann.submits_job(&sweep("ann", &up_to(2), &json!({}))).await;
    let any = ann.submits_job(&single("ann", &after(&[failing], "ended"))).await;
    let strict = ann.submits_job(&single("ann", &after(&[failing], "succeeded"))).await;
    let agent = agent(&ann, 2).await;
    let taken = agent.takes_all(2).await;
    agent.reports_end(&taken[..1], 1).await;
    agent.reports_end(&taken[1..], 0).await;
    ann.ends_in(failing, "failed").await;
    agent.runs(1, 2).await;
    ann.ends_in(any, "succeeded").await;
    ann.ends_in(strict, "cancelled").await;
    // Jobs that have ended are met, or fail the new one, at once.
    let late = ann.submits_job(&single("ann", &after(&[failing], "ended"))).await;
    agent.runs(1, 2).await;
    ann.ends_in(late, "succeeded").await;
    let late = ann.submits_job(&single("ann", &after(&[any, failing], "succeeded"))).await;
    ann.ends_in(late, "cancelled").await;
}

pub(crate) async fn failure_is_passed_on_with_its_cause(harness: Harness) {
    let ann = harness.user("ann").await;
    let [first, second, third] = chain(&ann, 3).await[..] else { panic!("three jobs") };
    let agent = agent(&ann, 1).await;
    let taken = agent.takes_all(1).await;
    agent.reports_end(&taken, 1).await;
    for (job, cause) in [(second, first), (third, second)] {
        ann.ends_in(job, "cancelled").await;
        let shown = ann.job(job).await;
        assert_eq!((&shown["stopped"], &shown["stopped_by"]), (&json!("dependency_failed"), &json!(cause)));
        assert_eq!(counts(&shown), [0, 0, 0, 0, 0, 0, 1]);
    }
    // A retry of the cause gives all of them another chance.
    assert_eq!(ann.retry_job(first, &json!({})).await["retried"], 1);
    eventually("the others wait again", async || ann.job_state(third).await == "blocked").await;
    agent.runs(3, 1).await;
    ann.ends_in(third, "succeeded").await;
}

pub(crate) async fn needed_job_must_be_visible(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let hers = ann.submits_job(&single("ann", &json!({}))).await;
    let unknown = raj.submit_jobs(&[single("raj", &after(&[999_999], "ended"))]).await;
    let unknown = unknown.expect_refused(404, "not_found").json();
    let hidden = raj.submit_jobs(&[single("raj", &after(&[hers], "ended"))]).await;
    let hidden = hidden.expect_refused(404, "not_found").json();
    let message = |body: &Value, job: i64| body["msg"].as_str().unwrap().replace(&job.to_string(), "N");
    assert_eq!(message(&unknown, 999_999), message(&hidden, hers));
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Read"}})).await.expect_empty();
    raj.submits_job(&single("raj", &after(&[hers], "ended"))).await;
}

pub(crate) async fn task_runs_after_that_with_its_index(harness: Harness) {
    let ann = harness.user("ann").await;
    let first = sweep("ann", &up_to(3), &json!({}));
    let on = json!({"position": 0});
    let needs = json!({
        "needs": [{"on": on, "kind": "each"}],
        "resources": [{"from": on, "content_type": "result", "local_path": "data/"}],
    });
    let reply = ann.submit_jobs(&[first, sweep("ann", &up_to(3), &needs)]).await.expect(200).json();
    let [first, second] = [0, 1].map(|at| reply["jobs"][at]["job"].as_i64().unwrap());
    assert_eq!(counts(&ann.job(second).await), [0, 3, 0, 0, 0, 0, 0]);
    let agent = agent(&ann, 3).await;
    let taken = agent.takes_all(3).await;
    agent.reports_end(&taken[1..2], 0).await;
    let released = agent.takes_all(1).await;
    let resource = &released[0]["task"]["spec"]["resources"][0];
    assert_eq!(resource["local_path"], "data/result.tar.gz");
    assert_eq!(resource["remote_file"]["Artifact"]["uuid"], taken[1]["task"]["uuid"]);
    let tasks = ann.job_tasks(second, &json!({})).await;
    assert_eq!(tasks["tasks"][0]["task"]["state"], "Pending");
    let uuid = tasks["tasks"][0]["task"]["uuid"].as_str().unwrap();
    let explained = ann.get(&format!("/v1/tasks/{uuid}/explain")).await.expect(200).json();
    assert_eq!(
        (&explained["code"], &explained["needed_task"]),
        (&json!("waits_for_task"), &json!(format!("{first}/1")))
    );
    assert_eq!(counts(&ann.job(second).await), [0, 2, 1, 0, 0, 0, 0]);
    agent.reports_end(&taken[..1], 1).await;
    agent.reports_end(&taken[2..], 0).await;
    agent.reports_end(&released, 0).await;
    agent.runs(1, 3).await;
    ann.ends_in(second, "cancelled").await;
    assert_eq!(counts(&ann.job(second).await), [0, 0, 0, 2, 0, 0, 1]);
    assert_eq!(ann.retry_job(first, &json!({})).await["retried"], 1);
    agent.runs(2, 1).await;
    ann.ends_in(second, "succeeded").await;
}

pub(crate) async fn jobs_that_need_tasks_fit_each_other(harness: Harness) {
    let ann = harness.user("ann").await;
    let existing = ann.submits_job(&sweep("ann", &up_to(3), &json!({}))).await;
    let refused = async |jobs: &[Value], words: &str| {
        let body = ann.submit_jobs(jobs).await.expect_refused(400, "invalid_request").json();
        let message = body["msg"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    };
    let unequal = format!("it needs job {existing} task by task, but has 2 tasks, and job {existing} has 3");
    refused(&[sweep("ann", &up_to(2), &after(&[existing], "each"))], &unequal).await;
    let on = json!({"position": 0});
    let each = json!({"needs": [{"on": on, "kind": "each"}]});
    let both = [sweep("ann", &up_to(3), &json!({})), single("ann", &each)];
    refused(&both, "needs jobs[0] task by task, but has 1 task, and jobs[0] has 3").await;
    let twice = json!({"needs": [{"on": on, "kind": "each"}, {"on": on, "kind": "ended"}]});
    let both = [single("ann", &json!({})), single("ann", &twice)];
    refused(&both, "needs jobs[0] twice").await;
    let itself = json!({"needs": [{"on": {"position": 1}, "kind": "each"}]});
    refused(&[both[0].clone(), single("ann", &itself)], "does not come before it").await;
    let from = json!({"job": existing});
    let fetching = json!({"resources": [{"from": from, "content_type": "result", "local_path": "a"}]});
    refused(&[single("ann", &fetching)], "which has 3 tasks").await;
    let outside = json!({"resources": [{"from": from, "content_type": "result", "local_path": "../a"}]});
    refused(&[single("ann", &outside)], "../a").await;
}
