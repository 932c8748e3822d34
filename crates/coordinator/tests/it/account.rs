//! Logins, and the account of the caller.

use reqwest::Method;
use serde_json::json;

use crate::harness::{ADMIN, Harness};

pub(crate) async fn health_reports_each_part(mut harness: Harness) {
    let well = harness.send(Method::GET, "/health", None, None).await.expect(200).json();
    assert_eq!(well["status"], "ok");
    harness.lose_objects();
    let ill = harness.send(Method::GET, "/health", None, None).await.expect(503);
    assert_ne!(ill.json()["status"], "ok");
    assert!(ill.text.contains("objects"), "{}", ill.text);
}

pub(crate) async fn auth_returns_the_bare_name(harness: Harness) {
    let answer = harness.admin().await.get("/auth").await.expect(200);
    assert_eq!(answer.text, ADMIN);
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
}

pub(crate) async fn wrong_password_and_unknown_name_get_the_same_reply(harness: Harness) {
    let wrong = harness.login(ADMIN, "wrong").await.expect_refused(401, "wrong_credentials").json();
    let unknown = harness.login("unknown", "wrong").await.expect_refused(401, "wrong_credentials").json();
    assert_eq!(wrong["msg"], unknown["msg"]);
}

pub(crate) async fn login_without_retain_ends_other_sessions(harness: Harness) {
    let (first, second) = (harness.admin().await, harness.admin().await);
    first.get("/auth").await.expect(200);
    second.get("/auth").await.expect(200);
    let body = json!({"username": ADMIN, "md5_password": md5::compute(ADMIN).0});
    let reply = harness.send(Method::POST, "/login", None, Some(&body)).await.expect(200).json();
    first.get("/auth").await.expect_refused(401, "invalid_token");
    let token = reply["token"].as_str().unwrap();
    harness.send(Method::GET, "/auth", Some(token), None).await.expect(200);
}

pub(crate) async fn sessions_of_a_user_end_together(harness: Harness) {
    let (first, second, ann) = (harness.admin().await, harness.admin().await, harness.user("ann").await);
    let token = json!({"name": "ci", "scope": "read", "lifetime": "1h"});
    let token = first.post("/v1/tokens", &token).await.expect(200).json()["token"].clone();
    let token = token.as_str().unwrap();
    let refused = harness.send(Method::DELETE, "/v1/sessions", Some(token), None).await;
    refused.expect_refused(403, "forbidden");
    first.delete("/v1/sessions").await.expect_empty();
    for ended in [&first, &second] {
        ended.get("/auth").await.expect_refused(401, "invalid_token");
        ended.delete("/v1/sessions").await.expect_refused(401, "invalid_token");
    }
    ann.get("/auth").await.expect(200);
    harness.send(Method::GET, "/auth", Some(token), None).await.expect(200);
    harness.admin().await.get("/auth").await.expect(200);
}

pub(crate) async fn password_change_ends_sessions_and_returns_a_token(harness: Harness) {
    let ann = harness.user("ann").await;
    let body = json!({"old_md5_password": md5::compute("ann").0, "new_md5_password": md5::compute("new").0});
    ann.post("/users/raj/password", &body).await.expect(401);
    let reply = ann.post("/users/ann/password", &body).await.expect(200).json();
    ann.get("/auth").await.expect_refused(401, "invalid_token");
    harness.send(Method::GET, "/auth", reply["token"].as_str(), None).await.expect(200);
    harness.login("ann", "ann").await.expect(401);
    harness.login("ann", "new").await.expect(200);
}

pub(crate) async fn missing_damaged_or_expired_token_is_rejected(harness: Harness) {
    let admin = harness.admin().await;
    harness.send(Method::GET, "/auth", None, None).await.expect_refused(400, "missing_token");
    harness.send(Method::GET, "/auth", Some("nonsense"), None).await.expect_refused(401, "invalid_token");
    let mut damaged = admin.token.clone();
    damaged.truncate(damaged.len() - 8);
    harness.send(Method::GET, "/auth", Some(&damaged), None).await.expect_refused(401, "invalid_token");
    let worker = admin.worker(&json!({})).await;
    worker.get("/auth").await.expect_refused(401, "invalid_token");
    admin.get("/workers/tasks").await.expect_refused(401, "invalid_token");
    harness.clock.advance(std::time::Duration::from_hours(7 * 24));
    admin.get("/auth").await.expect_refused(401, "invalid_token");
}

pub(crate) async fn token_outlives_a_restart(mut harness: Harness) {
    let token = harness.admin().await.token;
    harness.restart().await;
    harness.send(Method::GET, "/auth", Some(&token), None).await.expect(200);
}

pub(crate) async fn user_has_a_personal_group_and_may_create_seven_more(harness: Harness) {
    let ann = harness.user("ann").await;
    assert_eq!(ann.get("/users/groups").await.json(), json!({"groups": {"ann": "Admin"}}));
    for number in 1..=7 {
        ann.post("/groups", &json!({"group_name": format!("lab{number}")})).await.expect_empty();
    }
    ann.post("/groups", &json!({"group_name": "lab8"})).await.expect_refused(403, "quota_exceeded");
    harness
        .user("raj")
        .await
        .post("/groups", &json!({"group_name": "lab1"}))
        .await
        .expect_refused(409, "name_taken");
}

pub(crate) async fn http2_with_prior_knowledge_is_served(harness: Harness) {
    let http2 = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}/health", harness.address());
    let asked = (0..8).map(|_| http2.get(&url).send());
    for answer in futures_util::future::join_all(asked).await {
        let answer = answer.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
    }
    let by_default = reqwest::get(&url).await.unwrap();
    assert_eq!(by_default.version(), reqwest::Version::HTTP_11);
}
