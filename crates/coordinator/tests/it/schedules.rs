//! Schedules: due times, jobs that overlap, stopped coordinators, changes of the clocks, and rights.

use std::time::Duration;

use mitosis_coordinator::Stop;
use mitosis_domain::clock::Clock as _;
use mitosis_protocol::Timestamp;
use serde_json::{Value, json};

use crate::agents::agent;
use crate::harness::{Answer, Harness, Someone, changed, eventually, task};

const MINUTE: Duration = Duration::from_secs(60);

/// A schedule that is due every minute.
fn schedule(group: &str, name: &str, changes: &Value) -> Value {
    let job = json!({"task": task(group, &json!({"task_spec": {"args": ["echo", name]}}))});
    changed(json!({"name": name, "cron": "* * * * *", "job": job}), changes)
}

impl Someone<'_> {
    async fn creates(&self, schedule: &Value) -> i64 {
        let info = self.post("/v1/schedules", schedule).await.expect(200).json();
        info["schedule"].as_i64().unwrap()
    }

    async fn schedule(&self, number: i64) -> Value {
        self.get(&format!("/v1/schedules/{number}")).await.expect(200).json()
    }

    async fn changes_schedule(&self, number: i64, change: &Value) {
        self.patch(&format!("/v1/schedules/{number}"), change).await.expect_empty();
    }

    /// The recorded runs, oldest first.
    async fn runs_of(&self, number: i64) -> Vec<Value> {
        let reply = self.get(&format!("/v1/schedules/{number}/runs")).await.expect(200).json();
        let mut runs = reply["runs"].as_array().unwrap().clone();
        runs.reverse();
        runs
    }

    /// Waits until a number of runs are recorded; returns the last one.
    async fn has_run(&self, number: i64, count: usize) -> Value {
        eventually("the run is recorded", async || self.runs_of(number).await.len() >= count).await;
        let mut runs = self.runs_of(number).await;
        assert_eq!(runs.len(), count, "{runs:?}");
        runs.pop().unwrap()
    }

    async fn job_of_schedule(&self, job: &Value) -> Value {
        self.get(&format!("/v1/jobs/{job}")).await.expect(200).json()
    }
}

pub(crate) async fn schedule_submits_its_job_when_it_is_due(harness: Harness) {
    let ann = harness.user("ann").await;
    let plan = json!({"factors": [{"columns": [{"name": "x", "values": {"Words": ["a", "b"]}}]}]});
    let job = json!({"task": task("ann", &json!({"task_spec": {"args": ["echo", "{x}"]}})), "plan": plan});
    let number = ann.creates(&schedule("ann", "nightly", &json!({"job": job}))).await;
    let shown = ann.schedule(number).await;
    assert_eq!(shown["next"].as_array().unwrap().len(), 5);
    assert_eq!(
        (&shown["next"][0], &shown["tasks"], &shown["parameters"]),
        (&shown["next_due"], &json!(2), &json!(["x"]))
    );
    assert_eq!(
        (&shown["overlap"], &shown["catch_up"], &shown["timezone"]),
        (&json!("skip"), &json!("one"), &json!("UTC"))
    );
    assert!(ann.runs_of(number).await.is_empty());
    harness.clock.advance(MINUTE);
    let run = ann.has_run(number, 1).await;
    assert_eq!((&run["outcome"], &run["due"]), (&json!("submitted"), &shown["next_due"]));
    let job = ann.job_of_schedule(&run["job"]).await;
    assert_eq!((&job["name"], &job["tasks"], &job["creator"]), (&json!("nightly"), &json!(2), &json!("ann")));
    let agent = agent(&ann, 2).await;
    let taken = agent.polls(2, &[], "10s").await;
    assert_eq!(taken["tasks"].as_array().unwrap().len(), 2, "{taken}");
    let after = ann.schedule(number).await;
    assert_eq!((&after["last_run"], &after["next_due"]), (&run, &shown["next"][1]));
}

pub(crate) async fn paused_schedule_submits_nothing(harness: Harness) {
    let ann = harness.user("ann").await;
    let number = ann.creates(&schedule("ann", "paused", &json!({"paused": true}))).await;
    let other = ann.creates(&schedule("ann", "other", &json!({}))).await;
    harness.clock.advance(MINUTE * 5);
    ann.has_run(other, 2).await;
    let shown = ann.schedule(number).await;
    assert_eq!(
        (&shown["paused"], &shown["next"], &shown["last_run"]),
        (&json!(true), &json!([]), &Value::Null)
    );
    ann.changes_schedule(number, &json!({"paused": false})).await;
    harness.clock.advance(MINUTE);
    let run = ann.has_run(number, 1).await;
    assert_eq!(run["outcome"], "submitted", "what was due before is not made up for");
    ann.changes_schedule(
        number,
        &json!({"cron": "0 0 1 1 *", "timezone": "europe/oslo", "overlap": "queue"}),
    )
    .await;
    let shown = ann.schedule(number).await;
    assert_eq!(
        (&shown["cron"], &shown["timezone"], &shown["overlap"]),
        (&json!("0 0 1 1 *"), &json!("Europe/Oslo"), &json!("queue"))
    );
    assert!(shown["next"][0].as_str().unwrap().ends_with("-12-31T23:00:00Z"), "{shown}");
    ann.delete(&format!("/v1/schedules/{other}")).await.expect_empty();
    ann.get(&format!("/v1/schedules/{other}")).await.expect_refused(404, "not_found");
}

pub(crate) async fn overlapping_run_is_skipped_queued_or_replaces(harness: Harness) {
    let ann = harness.user("ann").await;
    let mut numbers = Vec::new();
    for overlap in ["skip", "queue", "replace"] {
        numbers.push(ann.creates(&schedule("ann", overlap, &json!({"overlap": overlap}))).await);
    }
    let [skip, queue, replace] = numbers[..] else { panic!("three schedules") };
    harness.clock.advance(MINUTE);
    let mut first = Vec::new();
    for number in &numbers {
        first.push(ann.has_run(*number, 1).await["job"].clone());
    }
    let agent = agent(&ann, 3).await;
    let mut taken = Vec::new();
    eventually("the first jobs run", async || {
        let want = u32::try_from(3 - taken.len()).unwrap();
        taken.extend(agent.polls(want, &[], "500ms").await["tasks"].as_array().unwrap().clone());
        taken.len() == 3
    })
    .await;
    harness.clock.advance(MINUTE);
    let skipped = ann.has_run(skip, 2).await;
    assert_eq!((&skipped["outcome"], &skipped["job"]), (&json!("skipped"), &Value::Null));
    assert!(skipped["reason"].as_str().unwrap().contains(&format!("job {}", first[0])), "{skipped}");
    for (number, before) in [(queue, &first[1]), (replace, &first[2])] {
        let run = ann.has_run(number, 2).await;
        let job = ann.job_of_schedule(&run["job"]).await;
        assert_eq!(job["state"], "blocked", "{job}");
        assert_eq!(job["needs"], json!([{"job": before, "kind": "ended", "met": false}]));
    }
    assert_eq!(ann.job_of_schedule(&first[1]).await["state"], "running");
    let replaced = ann.job_of_schedule(&first[2]).await;
    assert_eq!(replaced["stopped"], "cancelled", "{replaced}");
    let held: Vec<&Value> = taken.iter().collect();
    let reply = agent.polls(0, &held, "1s").await;
    assert_eq!(reply["stop"].as_array().map(Vec::len), Some(1), "the agent has to stop one task: {reply}");
}

pub(crate) async fn requested_run_is_submitted_at_once(harness: Harness) {
    let ann = harness.user("ann").await;
    let yearly = json!({"cron": "0 0 1 1 *", "paused": true});
    let number = ann.creates(&schedule("ann", "yearly", &yearly)).await;
    for count in 1..=2 {
        let reply = ann.post(&format!("/v1/schedules/{number}/run"), &json!({})).await.expect(200).json();
        assert_eq!(reply["tasks"], 1);
        let run = ann.has_run(number, count).await;
        assert_eq!((&run["job"], &run["requested"]), (&reply["job"], &json!(true)));
        assert_eq!(ann.job_of_schedule(&reply["job"]).await["state"], "waiting");
    }
}

pub(crate) async fn runs_are_made_up_for_after_a_stop(mut harness: Harness) {
    let (mut numbers, policies) = (Vec::new(), ["none", "one", "all"]);
    {
        let ann = harness.user("ann").await;
        for catch_up in policies {
            let changes = json!({"cron": "*/5 * * * *", "catch_up": catch_up, "overlap": "queue"});
            numbers.push(ann.creates(&schedule("ann", catch_up, &changes)).await);
        }
        // Due later than all others: its run shows that the pass has handled them.
        numbers.push(ann.creates(&schedule("ann", "skipping", &json!({"cron": "*/5 * * * *"}))).await);
    }
    harness.stop().await;
    // Between two due times, and the last one is more than a minute ago.
    let seconds = harness.clock.now().unix_seconds().unsigned_abs() % 300;
    harness.clock.advance(Duration::from_secs(3600 + 120 + 300 - seconds));
    harness.start().await;
    let ann = harness.logged_in("ann", "ann").await;
    ann.has_run(numbers[3], 2).await;
    let outcomes = async |number: i64| -> Vec<String> {
        let runs = ann.runs_of(number).await;
        runs.iter().map(|run| run["outcome"].as_str().unwrap().to_owned()).collect()
    };
    ann.has_run(numbers[0], 1).await;
    let (none, one) = (outcomes(numbers[0]).await, outcomes(numbers[1]).await);
    assert_eq!((none, one), (vec!["missed".to_owned()], vec!["missed".to_owned(), "submitted".to_owned()]));
    ann.has_run(numbers[2], 13).await;
    assert!(outcomes(numbers[2]).await.iter().all(|outcome| outcome == "submitted"));
    let missed = &ann.runs_of(numbers[1]).await[0];
    assert!(missed["until"].as_str() > missed["due"].as_str(), "{missed}");
}

pub(crate) async fn clock_that_is_set_back_repeats_no_run(harness: Harness) {
    let seconds = harness.clock.now().unix_seconds().unsigned_abs() % 60;
    harness.clock.advance(Duration::from_secs(65 - seconds));
    let ann = harness.user("ann").await;
    let number = ann.creates(&schedule("ann", "nightly", &json!({"overlap": "queue"}))).await;
    harness.clock.advance(MINUTE);
    let first = ann.has_run(number, 1).await;
    // The time of the first run comes once more, for both.
    harness.clock.step_back(MINUTE / 2);
    let other = ann.creates(&schedule("ann", "other", &json!({}))).await;
    harness.clock.step_forward(MINUTE / 2);
    assert_eq!(ann.has_run(other, 1).await["due"], first["due"]);
    ann.has_run(number, 1).await;
    harness.clock.advance(MINUTE);
    let second = ann.has_run(number, 2).await;
    assert!(second["due"].as_str() > first["due"].as_str(), "{first} {second}");
}

pub(crate) async fn run_without_the_right_is_recorded_as_refused(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Write"}})).await.expect_empty();
    let number = raj.creates(&schedule("ann", "nightly", &json!({"overlap": "queue"}))).await;
    ann.delete("/groups/ann/users?users=raj").await.expect_empty();
    harness.clock.advance(MINUTE);
    let run = ann.has_run(number, 1).await;
    assert_eq!((&run["outcome"], &run["job"]), (&json!("refused"), &Value::Null));
    let path = format!("/v1/schedules/{number}/run");
    let refused = ann.post(&path, &json!({})).await.expect_refused(403, "forbidden");
    assert!(refused.text.contains("raj"), "{refused:?}");
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Write"}})).await.expect_empty();
    harness.clock.advance(MINUTE);
    assert_eq!(ann.has_run(number, 3).await["outcome"], "submitted");
}

pub(crate) async fn schedule_of_others_is_like_none(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let hers = ann.creates(&schedule("ann", "nightly", &json!({}))).await;
    let all = async |number: i64| -> Vec<Answer> {
        let path = format!("/v1/schedules/{number}");
        vec![
            raj.get(&path).await,
            raj.get(&format!("{path}/runs")).await,
            raj.patch(&path, &json!({"paused": true})).await,
            raj.post(&format!("{path}/run"), &json!({})).await,
            raj.delete(&path).await,
        ]
    };
    for (seen, none) in all(hers).await.into_iter().zip(all(999_999).await) {
        let message = |answer: Answer, number: i64| -> String {
            let body: Value = answer.expect_refused(404, "not_found").json();
            body["msg"].as_str().unwrap().replace(&number.to_string(), "N")
        };
        assert_eq!(message(seen, hers), message(none, 999_999));
    }
    let listed = raj.post("/v1/schedules/query", &json!({})).await.expect(200).json();
    assert_eq!(listed, json!({"schedules": [], "next": null}));
    raj.post("/v1/schedules/query", &json!({"group": "ann"})).await.expect_refused(403, "not_found");
    raj.post("/v1/schedules", &schedule("ann", "other", &json!({}))).await.expect_refused(403, "not_found");
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Read"}})).await.expect_empty();
    let listed = raj.post("/v1/schedules/query", &json!({"name": "nightly"})).await.expect(200).json();
    assert_eq!(listed["schedules"][0]["schedule"], json!(hers));
    raj.patch(&format!("/v1/schedules/{hers}"), &json!({"paused": true}))
        .await
        .expect_refused(403, "forbidden");
}

pub(crate) async fn invalid_schedules_are_refused(harness: Harness) {
    let ann = harness.user("ann").await;
    let job = |changes: &Value| changed(json!({"task": task("ann", &json!({}))}), changes);
    for (changes, part) in [
        (json!({"cron": "* * *"}), "3 fields instead of 5"),
        (json!({"cron": "61 * * * *"}), "is not a cron expression"),
        (json!({"cron": "0 0 30 2 *"}), "no time matches"),
        (json!({"timezone": "Oslo"}), "no time zone `Oslo`"),
        (json!({"name": "a b"}), "name"),
        (json!({"name": "12"}), "name"),
        (
            json!({"job": job(&json!({"needs": [{"on": {"job": 1}, "kind": "ended"}]}))}),
            "can't need other jobs",
        ),
        (json!({"job": job(&json!({"options": {"start_after": "2099-01-01T00:00:00Z"}}))}), "start_after"),
        (json!({"job": job(&json!({"options": {"max_running": 0}}))}), "max_running"),
    ] {
        let refused = ann.post("/v1/schedules", &schedule("ann", "nightly", &changes)).await;
        let refused = refused.expect_refused(400, "invalid_request");
        assert!(refused.text.contains(part), "{refused:?}");
    }
    let odd = ann.post("/v1/schedules", &schedule("ann", "nightly", &json!({"overlap": "Skip"}))).await;
    assert!(odd.status == 400 || odd.status == 422, "{odd:?}");
    let number = ann.creates(&schedule("ann", "nightly", &json!({}))).await;
    let again = ann.post("/v1/schedules", &schedule("ann", "nightly", &json!({}))).await;
    again.expect_refused(409, "name_taken");
    let path = format!("/v1/schedules/{number}");
    ann.patch(&path, &json!({})).await.expect_refused(400, "invalid_request");
    ann.patch(&path, &json!({"cron": "no"})).await.expect_refused(400, "invalid_request");
    assert_eq!(ann.schedule(number).await["cron"], "* * * * *");
}

/// The clocks in Oslo skip 02:00 to 03:00 on 30 March 2031, and repeat it on 26 October.
pub(crate) async fn runs_follow_the_clocks_of_their_zone(harness: Harness) {
    let zone = |cron: &str| {
        let queue = json!({"cron": cron, "timezone": "Europe/Oslo", "overlap": "queue", "catch_up": "all"});
        schedule("ann", &format!("s-{}", cron.replace([' ', '*'], "-")), &queue)
    };
    for (night, expected) in [
        ("2031-03-29T20:00:00Z", ["2031-03-30T01:00:00Z", "2031-03-31T00:30:00Z"]),
        ("2031-10-25T20:00:00Z", ["2031-10-26T00:30:00Z", "2031-10-27T01:30:00Z"]),
    ] {
        let until = Timestamp::parse(night).unwrap();
        let now = harness.clock.now();
        harness.clock.advance(until.since(now));
        // Tokens have expired.
        let ann = match harness.login("ann", "ann").await.status {
            200 => harness.logged_in("ann", "ann").await,
            _ => harness.user("ann").await,
        };
        let daily = ann.creates(&zone("30 2 * * *")).await;
        let hourly = ann.creates(&zone("0 * * * *")).await;
        let last = ann.creates(&zone("30 6 * * *")).await;
        harness.clock.advance(MINUTE * 60 * 35);
        eventually("the last runs are recorded", async || ann.runs_of(last).await.len() >= 2).await;
        eventually("the hourly runs are recorded", async || ann.runs_of(hourly).await.len() >= 35).await;
        eventually("the daily runs are recorded", async || ann.runs_of(daily).await.len() >= 2).await;
        let due: Vec<Value> = ann.runs_of(daily).await.iter().map(|run| run["due"].clone()).collect();
        assert_eq!(due, expected);
        assert_eq!(ann.runs_of(hourly).await.len(), 35, "one for each hour that passes");
        for number in [daily, hourly, last] {
            ann.delete(&format!("/v1/schedules/{number}")).await.expect_empty();
        }
    }
}

/// Two coordinators run, and one of them crashes.
pub(crate) async fn coordinators_handle_each_due_time_once(harness: Harness) {
    let (other, _) = harness.another().await;
    let ann = harness.user("ann").await;
    let mut numbers = Vec::new();
    for place in 0..20 {
        numbers.push(ann.creates(&schedule("ann", &format!("s{place}"), &json!({"overlap": "queue"}))).await);
    }
    for count in 1..=5 {
        harness.clock.advance(MINUTE);
        for number in &numbers {
            ann.has_run(*number, count).await;
        }
    }
    other.stop(Stop::Now).await.unwrap();
    harness.clock.advance(MINUTE);
    for number in &numbers {
        ann.has_run(*number, 6).await;
        let runs = ann.runs_of(*number).await;
        let mut due: Vec<&str> = runs.iter().map(|run| run["due"].as_str().unwrap()).collect();
        due.dedup();
        assert_eq!(due.len(), 6, "{runs:?}");
        assert!(runs.iter().all(|run| run["outcome"] == "submitted"), "{runs:?}");
    }
    let jobs = ann.post("/v1/jobs/query", &json!({"group": "ann"})).await.expect(200).json();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 120);
}
