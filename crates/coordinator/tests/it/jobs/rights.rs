//! Who may see and change jobs.

use serde_json::{Value, json};

use super::single;
use crate::harness::{Answer, Harness, Someone};

/// The replies to all requests about a job that need only View.
async fn reads(caller: &Someone<'_>, job: i64) -> Vec<(&'static str, Answer)> {
    let path = |rest: &str| format!("/v1/jobs/{job}{rest}");
    vec![
        ("get", caller.get(&path("")).await),
        ("tasks", caller.post(&path("/tasks"), &json!({})).await),
        ("events", caller.get(&path("/events")).await),
    ]
}

/// The replies to all requests that change a job.
async fn writes(caller: &Someone<'_>, job: i64) -> Vec<(&'static str, Answer)> {
    let path = |rest: &str| format!("/v1/jobs/{job}{rest}");
    vec![
        ("change", caller.patch(&path(""), &json!({"paused": true})).await),
        ("cancel", caller.post(&path("/cancel"), &json!({})).await),
        ("retry", caller.post(&path("/retry"), &json!({})).await),
        ("delete", caller.delete(&path("")).await),
    ]
}

pub(crate) async fn job_of_others_is_like_none(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let hers = ann.submits_job(&single("ann", &json!({}))).await;
    let message = |answer: Answer, job: i64| -> String {
        let body: Value = answer.expect_refused(404, "not_found").json();
        body["msg"].as_str().unwrap().replace(&job.to_string(), "N")
    };
    let mut of_hers = reads(&raj, hers).await;
    of_hers.extend(writes(&raj, hers).await);
    let mut of_none = reads(&raj, 999_999).await;
    of_none.extend(writes(&raj, 999_999).await);
    for ((what, seen), (_, none)) in of_hers.into_iter().zip(of_none) {
        assert_eq!(message(seen, hers), message(none, 999_999), "{what}");
    }
    let listed = raj.post("/v1/jobs/query", &json!({"jobs": [hers]})).await.expect(200).json();
    assert_eq!(listed["jobs"], json!([]));
    raj.post("/v1/jobs/query", &json!({"group": "ann"})).await.expect_refused(403, "not_found");
    raj.submit_jobs(&[single("ann", &json!({}))]).await.expect_refused(403, "not_found");
    let shown = ann.job(hers).await;
    assert_eq!((&shown["state"], &shown["paused"]), (&json!("waiting"), &json!(false)));
}

pub(crate) async fn reader_can_view_jobs_and_writer_can_change_them(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let job = ann.submits_job(&single("ann", &json!({}))).await;
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Read"}})).await.expect_empty();
    let path = format!("/v1/jobs/{job}");
    raj.get(&path).await.expect(200);
    raj.post(&format!("{path}/tasks"), &json!({})).await.expect(200);
    let listed = raj.post("/v1/jobs/query", &json!({})).await.expect(200).json();
    assert_eq!(listed["jobs"][0]["job"], json!(job));
    raj.submit_jobs(&[single("ann", &json!({}))]).await.expect_refused(403, "forbidden");
    for (what, answer) in writes(&raj, job).await {
        let answer = answer.expect_refused(403, "forbidden");
        assert!(answer.text.contains("role"), "{what}: {answer:?}");
    }
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Write"}})).await.expect_empty();
    raj.change_job(job, &json!({"paused": true})).await.expect_empty();
    assert_eq!(raj.cancel_job(job, &json!({})).await["cancelled"], 1);
    ann.ends_in(job, "cancelled").await;
    assert_eq!(ann.job(job).await["creator"], "ann");
}
