//! The diagnostic routes of a coordinator.

use std::time::Duration;

use mitosis_domain::clock::Clock as _;
use mitosis_protocol::doctor::PROBE;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::explain::rfc3339;
use crate::harness::{ADMIN, Answer, Harness, Someone};

/// The timeout of a test step.
const LIMIT: Duration = Duration::from_secs(30);

async fn doctor(someone: &Someone<'_>) -> Value {
    someone.get("/v1/doctor").await.expect(200).json()
}

fn link<'a>(reply: &'a Value, which: &str) -> &'a str {
    reply["probe"][which].as_str().unwrap()
}

pub(crate) async fn probe_links_are_limited_and_not_charged(harness: Harness) {
    let ann = harness.user("ann").await;
    let reply = doctor(&ann).await;
    assert_eq!(reply["now"], rfc3339(harness.clock.now()));
    assert_eq!(reply["schema"], reply["schema_known"]);
    for _ in 0..2 {
        assert_eq!(ann.uploads(link(&reply, "upload"), PROBE).await, 200);
    }
    assert_eq!(ann.downloads(link(&reply, "download")).await.expect(200).text.as_bytes(), PROBE);
    assert!(!ann.uploads(link(&reply, "upload"), &[b'x'; 1000]).await.is_success());
    assert!(!ann.uploads(link(&reply, "download"), PROBE).await.is_success());
    assert_eq!(ann.get("/groups/ann").await.expect(200).json()["storage_used"], json!(0));
}

pub(crate) async fn probe_links_expire_after_a_minute(harness: Harness) {
    let ann = harness.user("ann").await;
    let reply = doctor(&ann).await;
    assert_eq!(ann.uploads(link(&reply, "upload"), PROBE).await, 200);
    harness.clock.advance(Duration::from_secs(61));
    assert_eq!(ann.uploads(link(&reply, "upload"), PROBE).await, 403);
    ann.downloads(link(&reply, "download")).await.expect(403);
}

pub(crate) async fn doctor_reports_the_default_password(harness: Harness) {
    let admin = harness.admin().await;
    let body = json!({"username": "chief", "md5_password": md5::compute("chief").0, "admin": true});
    admin.post("/admin/users", &body).await.expect(200);
    let chief = harness.logged_in("chief", "chief").await;
    let default = async || {
        let reply = chief.get("/v1/admin/doctor").await.expect(200).json();
        reply.get("default_password_of").cloned()
    };
    assert_eq!(default().await, Some(json!(ADMIN)));
    let audit = chief.get("/v1/admin/audit?limit=1000").await.expect(200).text;
    assert!(!audit.contains("login.failed"), "asking is no login: {audit}");

    let state = format!("/admin/users/{ADMIN}/state");
    chief.post(&state, &json!({"state": "Locked"})).await.expect(200);
    assert_eq!(default().await, None, "it is not accepted");
    chief.post(&state, &json!({"state": "Active"})).await.expect(200);
    assert_eq!(default().await, Some(json!(ADMIN)));
    let new = json!({"new_md5_password": md5::compute("better").0});
    chief.post(&format!("/admin/users/{ADMIN}/password"), &new).await.expect(200);
    assert_eq!(default().await, None);
}

pub(crate) async fn doctor_reports_the_state_of_redis(harness: Harness) {
    let admin = harness.admin().await;
    let until = async |wanted: Value| {
        let deadline = Instant::now() + LIMIT;
        loop {
            let reply = admin.get("/v1/admin/doctor").await.expect(200).json();
            if reply["redis"] == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{reply} for {wanted}");
            sleep(Duration::from_millis(50)).await;
        }
    };
    until(json!({"contact": "connected"})).await;

    let url = harness.redis().await.url();
    let mut master = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut batch = redis::pipe();
    batch.cmd("ACL").arg("SETUSER").arg("default").arg("-acl").ignore();
    batch.cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes").ignore();
    batch.query_async::<()>(&mut master).await.unwrap();
    until(json!({"contact": "refused", "code": "NOPERM"})).await;

    harness.redis().await.kill().unwrap();
    until(json!({"contact": "unreachable"})).await;
    harness.redis().await.restart().await.unwrap();
    until(json!({"contact": "connected"})).await;
}

pub(crate) async fn background_tasks_and_their_last_passes_are_reported(harness: Harness) {
    let admin = harness.admin().await;
    let deadline = Instant::now() + LIMIT;
    loop {
        let reply = admin.get("/v1/admin/doctor").await.expect(200).json();
        let tasks = reply["background"].as_array().unwrap();
        let task = |name| tasks.iter().find(|task| task["name"] == name).unwrap_or(&Value::Null);
        let pass = &task("retention")["last_pass"];
        if pass["failures_in_a_row"] == 0 && pass["at"].is_string() {
            assert_eq!(task("exchange-batcher")["failing"], false, "{reply}");
            break;
        }
        assert!(Instant::now() < deadline, "{reply}");
        sleep(Duration::from_millis(20)).await;
    }
    let health = harness.send(Method::GET, "/health", None, None).await.expect(200).json();
    assert_eq!(health["parts"]["background"], "ok");
}

pub(crate) async fn metrics_count_requests_and_tasks(harness: Harness) {
    let admin = harness.admin().await;
    let worker = admin.worker(&json!({})).await;
    admin.submits(&json!({})).await;
    let task = worker.fetches().await;
    worker.finishes(&task, 0).await;
    let answer = admin.get("/metrics").await.expect(200);
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    for line in [
        "mitosis_tasks_claimed_total 1",
        "mitosis_tasks_completed_total 1",
        r#"mitosis_http_requests_total{method="POST",route="/tasks",status="200"} 1"#,
        r#"mitosis_background_task_failing{task="exchange-batcher"} 0"#,
    ] {
        assert!(answer.text.lines().any(|found| found == line), "{line} is not in {}", answer.text);
    }
}

/// The metrics, line by line.
async fn metrics(harness: &Harness) -> Vec<String> {
    let answer = harness.admin().await.get("/metrics").await.expect(200);
    answer.text.lines().map(str::to_owned).collect()
}

pub(crate) async fn metrics_time_operations_by_name(harness: Harness) {
    let admin = harness.admin().await;
    let worker = admin.worker(&json!({})).await;
    admin.submits(&json!({})).await;
    let task = worker.fetches().await;
    worker.finishes(&task, 0).await;
    let lines = metrics(&harness).await;
    for operation in
        ["submit", "claim_or_resume", "complete", "register_worker", "monitor_leases", "queue_depth"]
    {
        let counted = format!("mitosis_store_operation_seconds_count{{operation=\"{operation}\"}} ");
        assert!(lines.iter().any(|line| line.starts_with(&counted)), "{counted} is not in {lines:#?}");
    }
    for line in lines.iter().filter(|line| line.starts_with("mitosis_store_operation_seconds_count")) {
        let name = line.split('"').nth(1).unwrap();
        assert!(name.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_'), "{line}");
    }
}

pub(crate) async fn metrics_show_the_queue_of_each_group(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.submits(&json!({})).await;
    ann.submits(&json!({"tags": ["gpu"]})).await;
    let lines = metrics(&harness).await;
    for line in [r#"mitosis_ready_tasks{group="ann"} 2"#, r#"mitosis_ready_tasks{group="other"} 0"#] {
        assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:#?}");
    }
    // The next scrape shares the numbers.
    ann.submits(&json!({})).await;
    let again = metrics(&harness).await;
    assert!(again.contains(&r#"mitosis_ready_tasks{group="ann"} 2"#.to_owned()), "{again:#?}");
}

pub(crate) async fn metrics_count_errors_of_the_object_store(mut harness: Harness) {
    harness.lose_objects();
    harness.send(Method::GET, "/health", None, None).await.expect(503);
    let lines = metrics(&harness).await;
    let counted =
        |line: &&String| line.starts_with("mitosis_object_store_errors_total{operation=\"check\",kind=");
    let count = lines.iter().find(counted).unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(count.ends_with(" 1"), "{count}");
}

pub(crate) async fn resumed_task_is_claimed_once(harness: Harness) {
    let admin = harness.admin().await;
    let worker = admin.worker(&json!({})).await;
    admin.submits(&json!({})).await;
    let task = worker.fetches().await;
    assert_eq!(worker.fetches().await, task);
    let lines = metrics(&harness).await;
    assert!(lines.contains(&"mitosis_tasks_claimed_total 1".to_owned()), "{lines:#?}");
}

pub(crate) async fn own_address_serves_metrics_alone_and_without_a_token(mut harness: Harness) {
    harness.metrics_addr = Some("127.0.0.1:0".parse().unwrap());
    harness.restart().await;
    let address = harness.metrics_address();
    let get = async |path: &str| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Answer::read(client.get(format!("http://{address}{path}"))).await
    };
    let answer = get("/metrics").await.expect(200);
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    assert!(answer.text.contains("mitosis_ready_tasks{"), "{}", answer.text);
    for other in ["/health", "/", "/v1/admin/doctor", "/openapi.json"] {
        assert_eq!(get(other).await.status, 404, "{other}");
    }
    harness.send(Method::GET, "/metrics", None, None).await.expect(400);
}
