//! What is accepted, and what is refused.

use std::time::Duration;

use mitosis_domain::clock::Clock as _;
use serde_json::{Value, json};

use super::{counts, single, sweep, up_to, words};
use crate::agents::agent;
use crate::harness::{Harness, changed, task};

pub(crate) async fn job_of_a_single_task_runs(harness: Harness) {
    let ann = harness.user("ann").await;
    let job = single("ann", &json!({"name": "train-2"}));
    let reply = ann.submit_jobs(&[job]).await.expect(200).json();
    let number = reply["jobs"][0]["job"].as_i64().unwrap();
    let expected = json!([{"job": number, "name": "train-2", "tasks": 1, "group": "ann"}]);
    assert_eq!((&reply["jobs"], &reply["replayed"]), (&expected, &json!(false)));
    let waiting = ann.job(number).await;
    assert_eq!((&waiting["state"], counts(&waiting)), (&json!("waiting"), [1, 0, 0, 0, 0, 0, 0]));
    assert_eq!(
        (&waiting["task"]["task_spec"]["args"], &waiting["parameters"]),
        (&json!(["true"]), &json!([]))
    );

    let agent = agent(&ann, 1).await;
    let taken = agent.takes_all(1).await;
    let running = ann.job(number).await;
    assert_eq!((&running["state"], counts(&running)), (&json!("running"), [0, 0, 1, 0, 0, 0, 0]));
    agent.reports_end(&taken, 0).await;
    ann.ends_in(number, "succeeded").await;
    let listed = ann.job_tasks(number, &json!({})).await;
    let uuid = listed["tasks"][0]["task"]["uuid"].as_str().unwrap();
    assert_eq!((&listed["tasks"][0]["index"], &listed["tasks"][0]["attempt"]), (&json!(1), &json!(1)));
    assert_eq!(ann.state(uuid).await, "Finished", "legacy routes see an ordinary task");
    let attempts = ann.get(&format!("/v1/tasks/{uuid}/attempts")).await.expect(200).json();
    assert_eq!(attempts["attempts"].as_array().unwrap().len(), 1, "{attempts}");
    assert_eq!(
        (&attempts["attempts"][0]["outcome"], &attempts["attempts"][0]["exit_code"]),
        (&json!("succeeded"), &json!(0))
    );
}

pub(crate) async fn submission_of_jobs_can_be_repeated(harness: Harness) {
    let ann = harness.user("ann").await;
    let jobs = [single("ann", &json!({})), sweep("ann", &up_to(3), &json!({"name": "b"}))];
    let request = json!({"jobs": jobs, "idempotency_key": "k"});
    let first = ann.post("/v1/jobs", &request).await.expect(200).json();
    let again = ann.post("/v1/jobs", &request).await.expect(200).json();
    assert_eq!((&again["jobs"], &again["replayed"]), (&first["jobs"], &json!(true)));
    assert_eq!(ann.written("ann").await, 4);
    let other = json!({"jobs": [single("ann", &json!({}))], "idempotency_key": "k"});
    ann.post("/v1/jobs", &other).await.expect_refused(409, "key_reused");
    let refused = json!({"jobs": [single("ann", &json!({"needs": [{"on": {"job": 999}, "kind": "ended"}]}))], "idempotency_key": "l"});
    ann.post("/v1/jobs", &refused).await.expect_refused(404, "not_found");
    ann.post("/v1/jobs", &changed(other, &json!({"idempotency_key": "l"}))).await.expect(200);
}

/// A submission, and a part of the message that refuses it.
type Refused = (Value, &'static str);

pub(crate) async fn invalid_jobs_are_refused(harness: Harness) {
    let ann = harness.user("ann").await;
    let now = harness.clock.now();
    let (past, soon) = (now - Duration::from_secs(1), now + Duration::from_secs(60));
    let named = |name: &str| single("ann", &json!({"name": name}));
    let options = |options: Value| single("ann", &json!({"options": options}));
    let needs = |needs: Value| single("ann", &json!({"needs": needs}));
    let plan = |plan: Value| changed(sweep("ann", &up_to(2), &json!({})), &json!({"plan": plan}));
    let of_task = |changes: Value| json!({"task": task("ann", &changes)});
    let labelled = |values: &Value| {
        let task = task("ann", &json!({"labels": ["{x}"]}));
        changed(sweep("ann", values, &json!({})), &json!({"task": task}))
    };
    let mut late = vec!["a"; 100];
    late[70] = "";
    let long = "x".repeat(130_000);
    let refused: Vec<Refused> = vec![
        (named(""), "can't be empty"),
        (named("last"), "newest job"),
        (named("2b"), "begins with a letter"),
        (named("a b"), "can only contain"),
        (named(&"a".repeat(101)), "at most 100"),
        (options(json!({"max_running": 0})), "max_running is 0"),
        (options(json!({"expires_at": past})), "has passed"),
        (options(json!({"expires_at": soon, "start_after": soon})), "not later than start_after"),
        (needs(json!([{"on": {"position": 0}, "kind": "ended"}])), "does not come before it"),
        (needs(json!([{"on": {"position": 7}, "kind": "ended"}])), "does not come before it"),
        (needs(json!(vec![json!({"on": {"job": 1}, "kind": "ended"}); 20_001])), "at most 20000 jobs"),
        (plan(json!("moon")), "invalid plan"),
        (plan(json!({"factors": [{"columns": [{"name": "x", "values": {"Words": []}}]}]})), "no values"),
        (sweep("ann", &up_to(10_000_001), &json!({})), "10000000"),
        (sweep("ann", &up_to(u64::MAX), &json!({})), "invalid plan"),
        (labelled(&words(&late)), "task 71: "),
        (sweep("ann", &words(&[&long, "\0"]), &json!({})), "NUL"),
        (of_task(json!({"labels": [""]})), "can't be empty"),
        (of_task(json!({"task_spec": {"args": ["true\0"]}})), "NUL"),
    ];
    for (job, part) in refused {
        let text = job.to_string();
        let shown = text.chars().take(200).collect::<String>();
        let answer = ann.submit_jobs(&[job]).await;
        assert!(answer.text.contains(part), "{shown}: {answer:?}");
        answer.expect_refused(400, "invalid_request");
    }
    ann.submit_jobs(&[]).await.expect_refused(400, "invalid_request");
    ann.submit_jobs(&vec![json!({"task": task("ann", &json!({}))}); 20_001])
        .await
        .expect_refused(400, "invalid_request");
    let both = [named("fine"), named("bad name")];
    let answer = ann.submit_jobs(&both).await.expect_refused(400, "invalid_request");
    assert!(answer.text.contains("jobs[1]: "), "{answer:?}");
    let half = || sweep("ann", &up_to(6_000_000), &json!({}));
    ann.submit_jobs(&[half(), half()]).await.expect_refused(400, "invalid_request");
    ann.submit_jobs(&[single("moon", &json!({}))]).await.expect_refused(404, "not_found");
    assert_eq!(ann.written("ann").await, 0, "nothing was accepted");
    assert_eq!(ann.post("/v1/jobs/query", &json!({})).await.expect(200).json()["jobs"], json!([]));
}

pub(crate) async fn many_jobs_are_submitted_at_once(harness: Harness) {
    let ann = harness.user("ann").await;
    let jobs: Vec<Value> = (0..500).map(|at| single("ann", &json!({"name": format!("j{at}")}))).collect();
    let reply = ann.submit_jobs(&jobs).await.expect(200).json();
    let numbers: Vec<i64> =
        reply["jobs"].as_array().unwrap().iter().map(|job| job["job"].as_i64().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.len() == 500);
    let agent = agent(&ann, 500).await;
    agent.runs(500, 200).await;
    for number in [numbers[0], numbers[499]] {
        ann.ends_in(number, "succeeded").await;
    }
    let page = async |before: Value| {
        let request = json!({"limit": 300, "before": before});
        ann.post("/v1/jobs/query", &request).await.expect(200).json()
    };
    let first = page(json!(null)).await;
    let second = page(first["next"].clone()).await;
    let listed: Vec<i64> = [&first, &second]
        .iter()
        .flat_map(|page| page["jobs"].as_array().unwrap())
        .map(|job| job["job"].as_i64().unwrap())
        .collect();
    assert!(listed.iter().rev().eq(&numbers), "newest first");
    assert_eq!(second["next"], json!(null));
    let query = async |request: Value| {
        let reply = ann.post("/v1/jobs/query", &request).await.expect(200).json();
        reply["jobs"].as_array().unwrap().iter().map(|job| job["job"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(query(json!({"name": "j7"})).await, [numbers[7]]);
    assert_eq!(query(json!({"jobs": [numbers[3], 999_999]})).await, [numbers[3]]);
    assert_eq!(query(json!({"group": "ann", "creator": "ann", "limit": 1})).await, [numbers[499]]);
    assert!(query(json!({"creator": "raj"})).await.is_empty());
}
