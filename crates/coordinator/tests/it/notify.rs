//! Notifications about ended jobs, sent to a receiver on this machine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mitosis_coordinator::{AllowedReceivers, Stop};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::agents::agent;
use crate::harness::{Harness, Someone, changed, eventually, task};

/// Longer than the first waits before a repetition.
const WAIT: Duration = Duration::from_secs(11);

/// What the receiver does with a request.
#[derive(Debug, Clone, Copy)]
enum Reaction {
    Status(u16),
    /// It answers never.
    Hang,
}

/// A request.
#[derive(Debug, Clone)]
struct Request {
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Request {
    fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether one of its signatures is that of a key.
    fn is_signed_with(&self, key: &str) -> bool {
        let key = STANDARD.decode(key.strip_prefix("whsec_").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let text = format!("{}.{}.{}", self.id(), self.headers["webhook-timestamp"], self.body);
        self.headers["webhook-signature"].split(' ').any(|signature| {
            let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
            hmac::verify(&key, text.as_bytes(), &tag).is_ok()
        })
    }
}

/// A receiver. It accepts what it has no other reaction for.
#[derive(Clone)]
struct Receiver {
    origin: String,
    requests: Arc<Mutex<Vec<Request>>>,
    reactions: Arc<Mutex<VecDeque<Reaction>>>,
}

impl Receiver {
    async fn start(reactions: &[Reaction]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            origin: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
            reactions: Arc::new(Mutex::new(reactions.iter().copied().collect())),
        };
        let serving = receiver.clone();
        mitosis_testkit::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                mitosis_testkit::spawn(serving.clone().serve(stream));
            }
        });
        receiver
    }

    /// Answers one request, and closes the connection.
    async fn serve(self, mut stream: TcpStream) {
        let Some(request) = read(&mut stream).await else { return };
        self.requests.lock().unwrap().push(request);
        let reaction = self.reactions.lock().unwrap().pop_front().unwrap_or(Reaction::Status(204));
        match reaction {
            Reaction::Status(status) => {
                let location = format!("location: {}/elsewhere\r\n", self.origin);
                let head = format!(
                    "HTTP/1.1 {status} X\r\n{location}content-length: 0\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all(head.as_bytes()).await;
            }
            Reaction::Hang => {
                // Until the coordinator closes the connection.
                let _ = stream.read_u8().await;
            }
        }
    }

    fn url(&self) -> String {
        format!("{}/jobs?key=c0ffee", self.origin)
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    async fn has_got(&self, count: usize) -> Vec<Request> {
        let end = tokio::time::Instant::now() + Duration::from_secs(20);
        while self.requests().len() < count {
            assert!(tokio::time::Instant::now() < end, "{} of {count} requests", self.requests().len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.requests()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    while bytes.len() < end + 4 + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    Some(Request { path, headers, body: String::from_utf8(bytes[end + 4..].to_vec()).ok()? })
}

/// A harness whose coordinators may send to a receiver.
async fn allowing(mut harness: Harness, receiver: &Receiver) -> Harness {
    harness.notify_allow = AllowedReceivers::parse([&*receiver.origin]).unwrap();
    harness.restart().await;
    harness
}

fn job(url: &str, changes: &Value) -> Value {
    changed(json!({"name": "train", "task": task("ann", &json!({})), "notify": [{"url": url}]}), changes)
}

impl Someone<'_> {
    /// Submits a job, and cancels it.
    async fn ends_a_job(&self, job: &Value) -> i64 {
        let number = self.submits_job(job).await;
        self.cancel_job(number, &json!({})).await;
        number
    }

    async fn notifications(&self, job: i64) -> Vec<Value> {
        self.job(job).await["notifications"].as_array().cloned().unwrap_or_default()
    }

    async fn has_notification(&self, job: i64, state: &str) -> Value {
        eventually("the notification has the state", async || {
            self.notifications(job).await.first().is_some_and(|first| first["state"] == state)
        })
        .await;
        self.notifications(job).await.remove(0)
    }

    /// Waits until the last error of the only notification contains a text.
    async fn has_error(&self, job: i64, text: &str) {
        eventually("the error is recorded", async || {
            let notifications = self.notifications(job).await;
            let error = notifications.first().and_then(|notification| notification["last_error"].as_str());
            error.is_some_and(|error| error.contains(text))
        })
        .await;
    }

    async fn notify_key(&self) -> String {
        let reply = self.get("/v1/groups/ann/notify-key").await.expect(200).json();
        reply["key"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn notification_is_repeated_until_it_is_delivered(harness: Harness) {
    use Reaction::{Hang, Status};
    let receiver = Receiver::start(&[Status(500), Status(500), Hang]).await;
    let harness = allowing(harness, &receiver).await;
    let ann = harness.user("ann").await;
    let number = ann.submits_job(&job(&receiver.url(), &json!({}))).await;
    let planned = json!({"to": receiver.origin, "on": "end", "state": "planned", "attempts": 0});
    assert_eq!(ann.notifications(number).await, [planned]);
    let agent = agent(&ann, 1).await;
    let taken = agent.takes_all(1).await;
    agent.reports_end(&taken, 0).await;
    for (count, error) in [(1, "status 500"), (2, "status 500"), (3, "did not answer within 10 seconds")] {
        receiver.has_got(count).await;
        let end = tokio::time::Instant::now() + Duration::from_secs(15);
        let waiting = loop {
            let shown = ann.notifications(number).await.remove(0);
            if shown["last_error"].as_str().is_some_and(|text| text.contains(error))
                && shown["attempts"] == count
            {
                break shown;
            }
            assert!(tokio::time::Instant::now() < end, "{shown}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(waiting["state"], "waiting", "{waiting}");
        assert!(waiting["next_attempt_at"].is_string(), "{waiting}");
        let doctor = harness.admin().await.get("/v1/admin/doctor").await.expect(200).json();
        assert_eq!(
            (&doctor["notifications"]["waiting"], &doctor["notifications"]["failing"]),
            (&json!(1), &json!(1))
        );
        harness.clock.advance(WAIT * (1 << count));
    }
    let delivered = ann.has_notification(number, "delivered").await;
    assert_eq!(delivered["attempts"], 4, "{delivered}");
    assert!(!ann.job(number).await.to_string().contains("c0ffee"), "the URL may be a credential");
    let requests = receiver.has_got(4).await;
    let key = ann.notify_key().await;
    for request in &requests {
        assert_eq!((&*request.path, request.id()), ("/jobs?key=c0ffee", requests[0].id()));
        assert!(request.is_signed_with(&key), "{request:?}");
        assert_eq!(request.body, requests[0].body);
    }
    assert_ne!(requests[0].headers["webhook-timestamp"], requests[3].headers["webhook-timestamp"]);
    let body = requests[0].json();
    assert_eq!(body["type"], "job.ended");
    assert_eq!(body["text"], format!("job {number} (train): succeeded, 1 of 1 task succeeded"));
    let data = &body["data"];
    assert_eq!(
        (&data["state"], &data["counts"]["succeeded"], &data["group"]),
        (&json!("succeeded"), &json!(1), &json!("ann"))
    );
    assert_eq!(data["ended_at"], ann.job(number).await["ended_at"]);
    let metrics = harness.admin().await.get("/metrics").await.expect(200).text;
    for line in [r#"outcome="failed"} 3"#, r#"outcome="delivered"} 1"#] {
        assert!(metrics.contains(&format!("mitosis_notifications_total{{{line}")), "{line}");
    }
}

pub(crate) async fn receiver_has_to_be_allowed(mut harness: Harness) {
    let (receiver, other) = (Receiver::start(&[]).await, Receiver::start(&[]).await);
    {
        let ann = harness.user("ann").await;
        let refused = ann.post("/v1/jobs", &json!({"jobs": [job(&receiver.url(), &json!({}))]})).await;
        let hint = refused.expect_refused(403, "forbidden").json();
        assert!(hint["hint"].as_str().unwrap().contains("`notify_allow`"), "{hint}");
        assert!(!hint.to_string().contains("c0ffee"), "{hint}");
    }
    harness = allowing(harness, &receiver).await;
    let number = {
        let ann = harness.logged_in("ann", "ann").await;
        let refuse = async |notify: Value, status, code| {
            let jobs = json!({"jobs": [job("", &json!({"notify": notify}))]});
            ann.post("/v1/jobs", &jobs).await.expect_refused(status, code);
        };
        refuse(json!([{"url": other.url()}]), 403, "forbidden").await;
        refuse(json!([{"url": receiver.url().replace("127.0.0.1", "localhost")}]), 403, "forbidden").await;
        refuse(json!([{"url": "ftp://example.org"}]), 400, "invalid_request").await;
        refuse(json!([{"url": receiver.url().replace("//", "//ann:x@")}]), 400, "invalid_request").await;
        let many = vec![json!({"url": receiver.url()}); 11];
        refuse(json!(many), 400, "invalid_request").await;
        let schedule = json!({"name": "nightly", "cron": "0 3 * * *", "job": job(&other.url(), &json!({}))});
        ann.post("/v1/schedules", &schedule).await.expect_refused(403, "forbidden");
        ann.submits_job(&job(&receiver.url(), &json!({}))).await
    };
    // The permission is taken back before the job ends.
    harness = allowing(harness, &other).await;
    let ann = harness.logged_in("ann", "ann").await;
    ann.cancel_job(number, &json!({})).await;
    ann.has_error(number, "`notify_allow`").await;
    assert!(receiver.requests().is_empty() && other.requests().is_empty());
}

pub(crate) async fn redirect_and_gone_receiver_are_failures(harness: Harness) {
    let receiver = Receiver::start(&[Reaction::Status(302), Reaction::Status(410)]).await;
    let harness = allowing(harness, &receiver).await;
    let ann = harness.user("ann").await;
    let number = ann.ends_a_job(&job(&receiver.url(), &json!({}))).await;
    ann.has_error(number, "redirect").await;
    harness.clock.advance(WAIT);
    let failed = ann.has_notification(number, "failed").await;
    assert!(failed["last_error"].as_str().unwrap().contains("410"), "{failed}");
    assert!(receiver.requests().iter().all(|request| request.path == "/jobs?key=c0ffee"));
    harness.clock.advance(Duration::from_hours(2));
    let other = ann.ends_a_job(&job(&receiver.url(), &json!({}))).await;
    ann.has_notification(other, "delivered").await;
    assert_eq!(receiver.requests().len(), 3, "it is not sent again");
}

/// The receiver has got the request, and the coordinator stops before it has recorded that.
pub(crate) async fn notification_after_a_stop_has_the_same_id(harness: Harness) {
    let receiver = Receiver::start(&[Reaction::Hang]).await;
    let mut harness = allowing(harness, &receiver).await;
    let number = {
        let ann = harness.user("ann").await;
        let number = ann.ends_a_job(&job(&receiver.url(), &json!({}))).await;
        receiver.has_got(1).await;
        number
    };
    harness.stop().await;
    harness.clock.advance(Duration::from_secs(61));
    harness.public_url = Some("https://mito.example/lab/".parse().unwrap());
    harness.start().await;
    let ann = harness.logged_in("ann", "ann").await;
    ann.has_notification(number, "delivered").await;
    let requests = receiver.requests();
    assert_eq!((requests.len(), requests[0].id()), (2, requests[1].id()));
    assert_eq!(requests[0].json()["data"]["state"], "cancelled");
    let link = format!("https://mito.example/lab/v1/jobs/{number}");
    assert_eq!(requests[1].json()["data"]["url"], link);
}

pub(crate) async fn schedule_notifies_of_its_jobs(harness: Harness) {
    let receiver = Receiver::start(&[]).await;
    let harness = allowing(harness, &receiver).await;
    let ann = harness.user("ann").await;
    let notify = json!({"notify": [{"url": receiver.url(), "on": "failure"}]});
    let schedule = json!({"name": "nightly", "cron": "0 0 1 1 *", "job": job("", &notify)});
    let number = ann.post("/v1/schedules", &schedule).await.expect(200).json()["schedule"].clone();
    for status in [0, 1] {
        ann.post(&format!("/v1/schedules/{number}/run"), &json!({})).await.expect(200);
        let agent = agent(&ann, 1).await;
        let taken = agent.takes_all(1).await;
        agent.reports_end(&taken, status).await;
    }
    let requests = receiver.has_got(1).await;
    assert_eq!(requests[0].json()["data"]["state"], "failed");
    assert_eq!(requests[0].json()["data"]["name"], "nightly");
    assert!(!ann.get(&format!("/v1/schedules/{number}")).await.expect(200).text.contains("c0ffee"));
}

pub(crate) async fn key_of_a_group_signs_and_can_be_replaced(harness: Harness) {
    let receiver = Receiver::start(&[]).await;
    let harness = allowing(harness, &receiver).await;
    let ann = harness.user("ann").await;
    let first = ann.notify_key().await;
    assert_eq!(ann.notify_key().await, first);
    let replaced = ann.post("/v1/groups/ann/notify-key", &json!({})).await.expect(200).json();
    let second = ann.notify_key().await;
    assert_eq!((&replaced["key"], second != first), (&json!(second), true));
    ann.ends_a_job(&job(&receiver.url(), &json!({}))).await;
    let request = receiver.has_got(1).await.remove(0);
    assert!(request.is_signed_with(&first) && request.is_signed_with(&second), "both for a day");
    harness.clock.advance(Duration::from_hours(25));
    ann.ends_a_job(&job(&receiver.url(), &json!({}))).await;
    let request = receiver.has_got(2).await.remove(1);
    assert!(!request.is_signed_with(&first) && request.is_signed_with(&second));
    let audit = harness.admin().await.get("/v1/admin/audit").await.expect(200).text;
    assert!(
        audit.contains("group.notify_key_read") && audit.contains("group.notify_key_replaced"),
        "{audit}"
    );
    assert!(!audit.contains("whsec_"), "{audit}");
}

pub(crate) async fn coordinators_send_each_notification_once(harness: Harness) {
    let receiver = Receiver::start(&[]).await;
    let harness = allowing(harness, &receiver).await;
    let (other, _) = harness.another().await;
    let ann = harness.user("ann").await;
    let jobs: Vec<Value> = (0..40).map(|_| job(&receiver.url(), &json!({}))).collect();
    let reply = ann.post("/v1/jobs", &json!({"jobs": jobs})).await.expect(200).json();
    for submitted in reply["jobs"].as_array().unwrap() {
        ann.cancel_job(submitted["job"].as_i64().unwrap(), &json!({})).await;
    }
    let admin = harness.admin().await;
    receiver.has_got(40).await;
    eventually("all are recorded", async || {
        admin.get("/v1/admin/doctor").await.expect(200).json()["notifications"]["waiting"] == 0
    })
    .await;
    let requests = receiver.requests();
    let ids: BTreeSet<&str> = requests.iter().map(Request::id).collect();
    assert_eq!((requests.len(), ids.len()), (40, 40));
    other.stop(Stop::Gracefully).await.unwrap();
}
