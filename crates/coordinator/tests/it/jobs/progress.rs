//! Streams of the progress of jobs, and waiting for their end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{counts, single, sweep, up_to};
use crate::agents::agent;
use crate::events::Listening;
use crate::harness::Harness;

pub(crate) async fn stream_of_a_job_ends_with_the_job(harness: Harness) {
    let ann = harness.user("ann").await;
    let job = ann.submits_job(&sweep("ann", &up_to(300), &json!({}))).await;
    let path = format!("/v1/jobs/{job}/events");
    let mut stream = Listening::to(&harness, &ann, &path, None).await;
    let first = stream.next_data().await.unwrap();
    assert_eq!((&first["state"], counts(&first)), (&json!("waiting"), [300, 0, 0, 0, 0, 0, 0]));
    let begun = Instant::now();
    let agent = agent(&ann, 10).await;
    let running = async {
        agent.runs(300, 10).await;
    };
    let read = async {
        let mut events: Vec<Value> = Vec::new();
        while let Some(event) = stream.next_data().await {
            events.push(event);
        }
        events
    };
    let ((), events) = tokio::join!(running, read);
    let most = begun.elapsed().as_millis() / 250 + 2;
    assert!(events.len() as u128 <= most, "{} events in {:?}", events.len(), begun.elapsed());
    let succeeded: Vec<u64> = events.iter().map(|event| counts(event)[3]).collect();
    assert!(succeeded.is_sorted(), "{succeeded:?}");
    let last = events.last().unwrap();
    assert_eq!((&last["state"], counts(last)), (&json!("succeeded"), [0, 0, 0, 300, 0, 0, 0]));
    assert!(last["ended_at"].is_string());
    let mut late = Listening::to(&harness, &ann, &path, None).await;
    assert_eq!(late.next_data().await.unwrap()["state"], "succeeded");
    assert!(late.next_data().await.is_none(), "nothing follows");
}

pub(crate) async fn stream_of_a_job_shows_changes_of_the_job(harness: Harness) {
    let ann = harness.user("ann").await;
    let job = ann.submits_job(&sweep("ann", &up_to(3), &json!({}))).await;
    let mut stream = Listening::to(&harness, &ann, &format!("/v1/jobs/{job}/events"), None).await;
    stream.next_data().await.unwrap();
    ann.change_job(job, &json!({"paused": true, "priority": 4})).await.expect_empty();
    let paused = stream.next_data().await.unwrap();
    assert_eq!((&paused["state"], &paused["priority"]), (&json!("paused"), &json!(4)));
    ann.cancel_job(job, &json!({})).await;
    let last = loop {
        let event = stream.next_data().await.expect("the end is an event");
        if event["ended_at"].is_string() {
            break event;
        }
    };
    assert_eq!((&last["state"], &last["stopped"]), (&json!("cancelled"), &json!("cancelled")));
    assert!(stream.next_data().await.is_none());
}

pub(crate) async fn stream_of_a_job_ends_with_the_membership(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Read"}})).await.expect_empty();
    let job = ann.submits_job(&single("ann", &json!({}))).await;
    let mut stream = Listening::to(&harness, &raj, &format!("/v1/jobs/{job}/events"), None).await;
    stream.next_data().await.unwrap();
    ann.delete("/groups/ann/users?users=raj").await.expect(200);
    assert!(stream.next_data().await.is_none());
}

pub(crate) async fn waiting_request_returns_when_a_job_ends(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let first = ann.submits_job(&single("ann", &json!({}))).await;
    let second = ann.submits_job(&single("ann", &json!({}))).await;
    let agent = agent(&ann, 2).await;
    let taken = agent.takes_all(2).await;
    let request = json!({"jobs": [first, second, 999_999], "wait": "20s"});
    let begun = Instant::now();
    let (reply, ()) = tokio::join!(ann.post("/v1/jobs/wait", &request), agent.reports_end(&taken[..1], 0));
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let jobs = reply.expect(200).json()["jobs"].clone();
    let states: Vec<_> =
        jobs.as_array().unwrap().iter().map(|job| (job["job"].clone(), job["state"].clone())).collect();
    let expected = [(json!(second), json!("running")), (json!(first), json!("succeeded"))];
    assert_eq!(states, expected);

    let begun = Instant::now();
    let hidden = raj.post("/v1/jobs/wait", &json!({"jobs": [second], "wait": "20s"})).await;
    assert_eq!(hidden.expect(200).json(), json!({"jobs": []}), "at once, and without the jobs of others");
    let short = json!({"jobs": [second], "wait": "300ms"});
    let reply = ann.post("/v1/jobs/wait", &short).await.expect(200).json();
    assert_eq!(reply["jobs"][0]["state"], "running");
    let plain = ann.post("/v1/jobs/wait", &json!({"jobs": [second]})).await.expect(200).json();
    assert_eq!(plain["jobs"][0]["state"], "running");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    for odd in [json!({"jobs": []}), json!({"jobs": vec![first; 1_001]})] {
        ann.post("/v1/jobs/wait", &odd).await.expect_refused(400, "invalid_request");
    }
}
