//! Server-sent events.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use crate::harness::{Harness, Someone, task};

/// The timeout of a test step.
const LIMIT: Duration = Duration::from_secs(30);

/// A stream that is read event by event.
pub(crate) struct Listening {
    response: reqwest::Response,
    read: String,
}

pub(crate) struct Event {
    id: String,
    data: Value,
}

impl Listening {
    pub(crate) async fn to(harness: &Harness, someone: &Someone<'_>, path: &str, last: Option<&str>) -> Self {
        let mut request = harness.request(Method::GET, path).bearer_auth(&someone.token);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no", "nginx passes it on at once");
        Self { response, read: String::new() }
    }

    /// The next event, or `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.read.find("\n\n") {
                let event: String = self.read.drain(..end + 2).collect();
                let field =
                    |name| event.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
                let Some((id, data)) = field("id:").zip(field("data:")) else { continue };
                return Some(Event { id, data: serde_json::from_str(&data).unwrap() });
            }
            let chunk = tokio::time::timeout(LIMIT, self.response.chunk()).await.expect("an event arrives");
            self.read.push_str(std::str::from_utf8(&chunk.unwrap()?).unwrap());
        }
    }

    /// The data of the next event, which needs no id, or `None` when the stream has ended.
    pub(crate) async fn next_data(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.find("\n\n") {
                let event: String = self.read.drain(..end + 2).collect();
                match event.lines().find_map(|line| line.strip_prefix("data:")) {
                    Some(data) => return Some(serde_json::from_str(data).unwrap()),
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(LIMIT, self.response.chunk()).await.expect("an event arrives");
            self.read.push_str(std::str::from_utf8(&chunk.unwrap()?).unwrap());
        }
    }

    async fn states(&mut self, count: usize) -> Vec<(String, String)> {
        let mut states = Vec::new();
        while states.len() < count {
            let event = self.next().await.expect("the stream continues").data;
            states.push((
                event["uuid"].as_str().unwrap().to_owned(),
                event["state"].as_str().unwrap().to_owned(),
            ));
        }
        states
    }
}

pub(crate) async fn stream_of_a_task_ends_with_the_task(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let mut stream = Listening::to(&harness, &ann, &format!("/v1/tasks/{uuid}/events"), None).await;
    let first = stream.next().await.unwrap();
    assert_eq!((&first.data["state"], &first.data["uuid"]), (&json!("Ready"), &json!(uuid)));
    let worker = ann.worker(&json!({})).await;
    harness.clock.advance(Duration::from_secs(1));
    let task = worker.fetches().await;
    assert_eq!(stream.next().await.unwrap().data["state"], "Running");
    harness.clock.advance(Duration::from_secs(1));
    worker.finishes(&task, 256).await;
    let last = loop {
        let event = stream.next().await.expect("the end is an event");
        if event.data["result"] != Value::Null {
            break event;
        }
    };
    assert_eq!(last.data["result"]["exit_status"], 256);
    assert!(stream.next().await.is_none(), "nothing follows");
    let path = format!("/v1/tasks/{uuid}/events");
    let mut again = Listening::to(&harness, &ann, &path, Some(&last.id)).await;
    assert!(again.next().await.is_none(), "all events were sent before");
}

pub(crate) async fn stream_of_a_group_resumes_after_an_interruption(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let mut stream = Listening::to(&harness, &ann, "/v1/events?label=mine", None).await;
    harness.clock.advance(Duration::from_secs(1));
    raj.submits(&json!({"labels": ["mine"]})).await;
    ann.submits(&json!({"labels": ["other"]})).await;
    let uuid = ann.submits(&json!({"labels": ["mine"]})).await;
    let event = stream.next().await.unwrap();
    assert_eq!((&event.data["uuid"], &event.data["state"]), (&json!(uuid), &json!("Ready")));
    drop(stream);

    harness.clock.advance(Duration::from_secs(60));
    let missed = ann.submits(&json!({"labels": ["mine"]})).await;
    harness.clock.advance(Duration::from_secs(60));
    let mut stream = Listening::to(&harness, &ann, "/v1/events?label=mine", Some(&event.id)).await;
    let mut seen = stream.states(1).await;
    // Events of the last seconds before the interruption may be repeated.
    if seen[0].0 == uuid {
        seen = stream.states(1).await;
    }
    assert_eq!(seen, [(missed, "Ready".to_owned())]);
}

pub(crate) async fn states_are_held_until_the_first_task_ends(harness: Harness) {
    let ann = harness.user("ann").await;
    let mut uuids = Vec::new();
    for _ in 0..3 {
        uuids.push(ann.submits(&json!({})).await);
    }
    let (other, worker) = (ann.worker(&json!({})).await, ann.worker(&json!({})).await);
    let first = other.fetches().await;
    let second = worker.fetches().await;
    assert_eq!((&first["uuid"], &second["uuid"]), (&json!(uuids[0]), &json!(uuids[1])));
    let request = json!({"tasks": [uuids[1], uuids[0], uuids[2]], "wait": "20s"});
    let (reply, ()) = tokio::join!(ann.post("/v1/tasks/states", &request), async {
        harness.clock.advance(Duration::from_secs(1));
        worker.finishes(&second, 256).await;
    });
    let reply = reply.expect(200).json();
    let states: Vec<_> = reply["tasks"].as_array().unwrap().iter().collect();
    assert_eq!(states.len(), 2, "the third waits: {reply}");
    assert_eq!((&states[0]["uuid"], &states[0]["state"]), (&json!(uuids[0]), &json!("Running")));
    assert_eq!((&states[1]["uuid"], &states[1]["result"]["exit_status"]), (&json!(uuids[1]), &json!(256)));
    let raj = harness.user("raj").await;
    let others = raj.post("/v1/tasks/states", &request).await.expect(200).json();
    assert_eq!(others, json!({"tasks": []}), "at once, and without the tasks of others");
    let many = json!({"tasks": vec![&uuids[0]; 1_001]});
    ann.post("/v1/tasks/states", &many).await.expect_refused(400, "invalid_request");
}

pub(crate) async fn change_with_an_earlier_time_is_sent(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    harness.clock.advance(Duration::from_secs(3));
    let mut stream = Listening::to(&harness, &ann, "/v1/events", None).await;
    // A commit in progress, or a coordinator with a slow clock.
    harness.clock.step_back(Duration::from_secs(2));
    ann.delete(&format!("/tasks/{uuid}")).await.expect(200);
    assert_eq!(stream.states(1).await, [(uuid, "Cancelled".to_owned())], "and nothing of before");
}

pub(crate) async fn streams_hide_tasks_of_others(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let uuid = ann.submits(&json!({})).await;
    raj.get("/v1/events?group=ann").await.expect_refused(403, "not_found");
    raj.get("/v1/events?group=nowhere").await.expect_refused(404, "not_found");
    raj.get(&format!("/v1/tasks/{uuid}/events")).await.expect_refused(403, "not_found");
    let request = harness.request(Method::GET, "/v1/events").bearer_auth(&ann.token);
    let refused = crate::harness::Answer::read(request.header("last-event-id", "yesterday")).await;
    refused.expect_refused(400, "invalid_request");

    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Read"}})).await.expect(200);
    let mut stream = Listening::to(&harness, &raj, "/v1/events?group=ann", None).await;
    harness.clock.advance(Duration::from_secs(1));
    let seen = ann.submits(&json!({})).await;
    assert_eq!(stream.next().await.unwrap().data["uuid"], seen.as_str());
    ann.post("/groups/ann/users/remove", &json!({"users": ["raj"]})).await.expect(200);
    ann.submits(&json!({})).await;
    assert!(stream.next().await.is_none(), "a stream ends with the membership");
}

pub(crate) async fn stream_resumes_on_another_coordinator(harness: Harness) {
    let ann = harness.user("ann").await;
    let (other, address) = harness.another().await;
    let mut there = Listening::to(&harness, &ann, &format!("{address}/v1/events"), None).await;
    harness.clock.advance(Duration::from_secs(1));
    let uuid = ann.submits(&json!({})).await;
    let event = there.next().await.unwrap();
    assert_eq!((&event.data["uuid"], &event.data["state"]), (&json!(uuid), &json!("Ready")));
    other.stop(mitosis_coordinator::Stop::Now).await.unwrap();

    harness.clock.advance(Duration::from_secs(60));
    let worker = ann.worker(&json!({})).await;
    let task = worker.fetches().await;
    worker.finishes(&task, 0).await;
    let mut here = Listening::to(&harness, &ann, "/v1/events", Some(&event.id)).await;
    let mut seen = here.next().await.unwrap().data;
    if seen["state"] == "Ready" {
        seen = here.next().await.unwrap().data;
    }
    assert_eq!((&seen["uuid"], &seen["result"]["exit_status"]), (&json!(uuid), &json!(0)));
}

pub(crate) async fn many_streams_share_each_look_for_changes(mut harness: Harness) {
    const STREAMS_OF_EACH: usize = 50;
    const CHANGES: usize = 100;
    let before = {
        let mut users = Vec::new();
        for name in ["ann", "raj", "eva", "tom"] {
            users.push(harness.user(name).await);
        }
        let mut streams = Vec::new();
        for user in &users {
            for _ in 0..STREAMS_OF_EACH {
                streams.push(Listening::to(&harness, user, "/v1/events", None).await);
            }
        }
        let before = harness.postgres().await.transactions().await.unwrap();
        for _ in 0..CHANGES {
            users[0].submits(&json!({})).await;
        }
        for stream in streams.iter_mut().take(STREAMS_OF_EACH) {
            assert_eq!(stream.states(CHANGES).await.len(), CHANGES, "each of the group is served");
        }
        before
    };
    harness.stop().await;
    let after = harness.postgres().await.transactions().await.unwrap();
    // A submission takes about ten transactions; 200 queries per change would be 40,000 and more. The start of the
    // streams may be included.
    assert!(after - before < 8_000, "{} transactions", after - before);
}

pub(crate) async fn stream_covers_groups_joined_later(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let mut stream = Listening::to(&harness, &raj, "/v1/events", None).await;
    harness.clock.advance(Duration::from_secs(1));
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Read"}})).await.expect(200);
    let uuid = ann.submits(&json!({})).await;
    assert_eq!(stream.states(1).await, [(uuid, "Ready".to_owned())]);
}

pub(crate) async fn slow_stream_misses_nothing(harness: Harness) {
    const BATCHES: usize = 70;
    const TASKS: usize = 200;
    // A long name makes long events, which fill the buffers of the connection.
    let name = "ann".repeat(70);
    let ann = harness.user(&name).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(harness.address().parse().unwrap()).await.unwrap();
    let head = format!("GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", ann.token);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.read_exact(&mut [0; 64]).await.unwrap();
    let mut other = Listening::to(&harness, &ann, "/v1/events", None).await;
    let tasks = vec![task(&name, &json!({})); TASKS];
    let mut submitted = BTreeSet::new();
    for _ in 0..BATCHES {
        harness.clock.advance(Duration::from_secs(1));
        let reply = ann.post("/tasks/submit", &json!({"tasks": tasks})).await.expect(200).json();
        let uuids = reply["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["Ok"]["uuid"].as_str().unwrap().to_owned());
        submitted.extend(uuids);
        // One by one, so that each causes a query.
        other.states(TASKS).await;
    }
    let (mut heard, mut text) = (BTreeSet::new(), Vec::new());
    let end = tokio::time::Instant::now() + LIMIT;
    while heard.len() < BATCHES * TASKS {
        tokio::time::timeout_at(end, stream.read_buf(&mut text)).await.expect("all events arrive").unwrap();
        let whole = text.iter().rposition(|byte| *byte == b'\n').unwrap_or_default();
        let events: Vec<u8> = text.drain(..whole).collect();
        let events = String::from_utf8_lossy(&events);
        heard.extend(events.split("\"uuid\":\"").skip(1).map(|rest| rest[..36].to_owned()));
    }
    assert_eq!(heard, submitted);
}
