//! Passwords, personal tokens, and their audit entries.

use std::sync::Arc;
use std::time::Duration;

use mitosis_coordinator::{
    Coordinator, Database, KeyFiles, Objects, Settings, StartError, Stop, TrustedProxies,
};
use mitosis_domain::clock::SystemClock;
use mitosis_domain::entropy::OsEntropy;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{ADMIN, Harness, Someone, eventually, task};

/// Creates a personal token. Returns it and its id.
async fn personal_token<'a>(owner: &Someone<'a>, scope: &str, lifetime: Option<&str>) -> (Someone<'a>, i64) {
    let body = json!({"name": "script", "scope": scope, "lifetime": lifetime});
    let reply = owner.post("/v1/tokens", &body).await.expect(200).json();
    let token = reply["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("mito_pat_"), "{token}");
    (owner.with(&token), reply["id"].as_i64().unwrap())
}

/// The first administrator is not created with an empty password.
#[tokio::test]
async fn empty_admin_password_is_rejected_at_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let start = async |password: &str| {
        let settings = Settings {
            bind: "127.0.0.1:0".parse().unwrap(),
            keys: KeyFiles { private: place("private.pem"), public: place("public.pem"), create: true },
            admin_password: password.into(),
            ..Settings::new(Database::Sqlite(place("state.db")), Objects::Directory(place("objects")))
        };
        Coordinator::start(settings, Arc::new(SystemClock), Arc::new(OsEntropy)).await
    };
    let refused = start("").await;
    assert!(matches!(refused, Err(StartError::EmptyAdminPassword)), "{refused:?}");
    // Once there is an administrator, the setting has no effect.
    for password in ["chosen", ""] {
        start(password).await.unwrap().stop(Stop::Now).await.unwrap();
    }
}

pub(crate) async fn personal_tokens_of_a_user_are_limited(harness: Harness) {
    let ann = harness.user("ann").await;
    let body = json!({"name": "script", "scope": "read"});
    for _ in 0..20 {
        let some = (0..50).map(|_| ann.post("/v1/tokens", &body));
        for answer in futures_util::future::join_all(some).await {
            answer.expect(200);
        }
    }
    ann.post("/v1/tokens", &body).await.expect_refused(400, "invalid_request");
    let tokens = ann.get("/v1/tokens").await.expect(200).json();
    let first = tokens["tokens"][0]["id"].as_i64().unwrap();
    ann.delete(&format!("/v1/tokens/{first}")).await.expect_empty();
    ann.post("/v1/tokens", &body).await.expect(200);
}

pub(crate) async fn password_guessing_is_throttled(harness: Harness) {
    harness.user("ann").await;
    for _ in 0..20 {
        harness.login("ann", "guess").await.expect_refused(401, "wrong_credentials");
    }
    let refused = harness.login("ann", "ann").await.expect_refused(429, "too_many_requests");
    assert!(refused.json()["hint"].as_str().unwrap().contains("wait"), "{}", refused.text);
    assert!(refused.headers.contains_key("retry-after"));
    harness.login(ADMIN, ADMIN).await.expect(200);
    harness.clock.advance(Duration::from_secs(16));
    harness.login("ann", "ann").await.expect(200);
}

/// Logs in through a proxy that sets `X-Forwarded-For`, and returns the status.
async fn login_from(harness: &Harness, address: &str, name: &str, password: &str) -> u16 {
    let body = json!({"username": name, "md5_password": md5::compute(password).0, "retain": true});
    let request = harness.request(Method::POST, "/login").header("x-forwarded-for", address).json(&body);
    request.send().await.unwrap().status().as_u16()
}

/// Sends a login without reading the response.
async fn begin_a_login(harness: &Harness, name: &str) -> tokio::net::TcpStream {
    let body = json!({"username": name, "md5_password": md5::compute("guess").0}).to_string();
    let head = "POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let mut connection = tokio::net::TcpStream::connect(harness.address()).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    connection
}

pub(crate) async fn abandoned_logins_are_counted_and_recorded(harness: Harness) {
    let admin = harness.admin().await;
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(begin_a_login(&harness, "ann").await);
    }
    // All have arrived, and most wait to be hashed.
    let mut first = [0; 12];
    open[0].read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 401");
    drop(open);
    eventually("all are in the log", async || {
        let log = admin.get("/v1/admin/audit?limit=100").await.expect(200).json();
        let failed = |entry: &&Value| entry["action"] == "login.failed";
        log["entries"].as_array().unwrap().iter().filter(failed).count() == 20
    })
    .await;
    harness.login("ann", "guess").await.expect_refused(429, "too_many_requests");
}

pub(crate) async fn session_can_not_be_used_to_guess_the_password(harness: Harness) {
    let ann = harness.user("ann").await;
    let digest = |password: &str| json!(md5::compute(password).0);
    let guess = json!({"old_md5_password": digest("guess"), "new_md5_password": digest("new")});
    for _ in 0..20 {
        ann.post("/users/ann/password", &guess).await.expect_refused(401, "wrong_credentials");
    }
    let right = json!({"old_md5_password": digest("ann"), "new_md5_password": digest("new")});
    ann.post("/users/ann/password", &right).await.expect_refused(429, "too_many_requests");
    // The owner of the password is not locked out by the other session.
    harness.clock.advance(Duration::from_secs(1));
    let other = harness.logged_in("ann", "ann").await;
    assert_ne!(other.token, ann.token);
    other.post("/users/ann/password", &right).await.expect(200);
}

pub(crate) async fn strangers_guesses_do_not_lock_out_the_owner(mut harness: Harness) {
    harness.trusted_proxies = TrustedProxies::parse(["127.0.0.1"]).unwrap();
    harness.restart().await;
    let token = harness.user("ann").await.token;
    for _ in 0..20 {
        assert_eq!(login_from(&harness, "192.0.2.1", "ann", "guess").await, 401);
    }
    assert_eq!(login_from(&harness, "192.0.2.1", "ann", "ann").await, 429);
    assert_eq!(login_from(&harness, "192.0.2.2", "ann", "ann").await, 200, "ann is elsewhere");
    let body = json!({"username": "ann", "md5_password": md5::compute("ann").0, "retain": true});
    let request = harness.request(Method::POST, "/login").header("x-forwarded-for", "192.0.2.1");
    let known = request.bearer_auth(&token).json(&body).send().await.unwrap();
    assert_eq!(known.status(), 200, "ann's own machine is behind the stranger's address");
    let admins = harness.admin().await.token;
    let request = harness.request(Method::POST, "/login").header("x-forwarded-for", "192.0.2.1");
    let other = request.bearer_auth(admins).json(&body).send().await.unwrap();
    assert_eq!(other.status(), 429, "a token of another account proves nothing");
}

pub(crate) async fn invalid_names_are_rejected_first(harness: Harness) {
    for length in [256, 8_000] {
        for _ in 0..25 {
            let refused = harness.login(&"a".repeat(length), "x").await;
            refused.expect_refused(400, "invalid_request");
        }
    }
    harness.login(&"a".repeat(20_000), "x").await.expect_refused(413, "too_large");
    let log = harness.admin().await.get("/v1/admin/audit").await.expect(200).json();
    let failed = |entry: &&Value| entry["action"] == "login.failed";
    assert_eq!(log["entries"].as_array().unwrap().iter().find(failed), None);
}

pub(crate) async fn trusted_proxy_names_the_caller_in_the_audit_log(mut harness: Harness) {
    let last = async |harness: &Harness| {
        let log = harness.admin().await.get("/v1/admin/audit?limit=2").await.expect(200);
        log.json()["entries"][1]["address"].as_str().unwrap().to_owned()
    };
    login_from(&harness, "192.0.2.7", ADMIN, ADMIN).await;
    assert_eq!(last(&harness).await, "127.0.0.1", "no proxy is trusted by default");
    harness.trusted_proxies = TrustedProxies::parse(["127.0.0.0/8"]).unwrap();
    harness.restart().await;
    login_from(&harness, "203.0.113.5, 192.0.2.7", ADMIN, ADMIN).await;
    assert_eq!(last(&harness).await, "192.0.2.7");
}

pub(crate) async fn default_password_counts_on_this_machine_only(mut harness: Harness) {
    assert_eq!(harness.login(ADMIN, ADMIN).await.status, 200);
    // A program on this machine forwards requests of others.
    assert_eq!(login_from(&harness, "192.0.2.7", ADMIN, ADMIN).await, 403);
    assert_eq!(login_from(&harness, "127.0.0.1", ADMIN, ADMIN).await, 403, "the proxy is not trusted");
    harness.trusted_proxies = TrustedProxies::parse(["127.0.0.0/8"]).unwrap();
    harness.restart().await;
    assert_eq!(login_from(&harness, "192.0.2.7", ADMIN, ADMIN).await, 403);
    assert_eq!(login_from(&harness, "127.0.0.1", ADMIN, ADMIN).await, 200);
    harness.user("ann").await;
    assert_eq!(login_from(&harness, "192.0.2.7", "ann", "ann").await, 200, "it is about one password");
}

/// With a public address there is a proxy, and every request comes from this machine.
pub(crate) async fn default_password_does_not_count_under_a_public_address(mut harness: Harness) {
    harness.public_url = Some("https://mito.example".parse().unwrap());
    harness.restart().await;
    harness.login(ADMIN, ADMIN).await.expect_refused(403, "forbidden");
    harness.trusted_proxies = TrustedProxies::parse(["192.0.2.1"]).unwrap();
    harness.restart().await;
    harness.login(ADMIN, ADMIN).await.expect(200);
}

pub(crate) async fn links_begin_with_what_a_trusted_proxy_says(mut harness: Harness) {
    let link = async |harness: &Harness| {
        let ann = harness.admin().await;
        let body = json!({"key": "x", "content_length": 1});
        let request =
            harness.request(Method::POST, "/groups/mitosis_admin/attachments").bearer_auth(&ann.token);
        let forwarded = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "mito.example"),
            ("x-forwarded-prefix", "/lab"),
        ];
        let request = forwarded
            .iter()
            .fold(request.json(&body), |request, (name, value)| request.header(*name, *value));
        let reply: Value = request.send().await.unwrap().json().await.unwrap();
        reply["url"].as_str().unwrap().to_owned()
    };
    let own = link(&harness).await;
    assert!(own.starts_with("http://127.0.0.1:"), "{own}");
    harness.trusted_proxies = TrustedProxies::parse(["127.0.0.1"]).unwrap();
    harness.restart().await;
    let theirs = link(&harness).await;
    assert!(theirs.starts_with("https://mito.example/lab/v1/objects/"), "{theirs}");
}

pub(crate) async fn links_begin_with_the_address_that_a_client_of_ours_used(mut harness: Harness) {
    harness.user("ann").await;
    let link = async |harness: &Harness, used: &str| {
        let ann = harness.logged_in("ann", "ann").await;
        let request = harness.request(Method::POST, "/groups/ann/attachments").bearer_auth(&ann.token);
        let request = request.header("x-mito-address", used).json(&json!({"key": "x", "content_length": 1}));
        let reply: Value = request.send().await.unwrap().json().await.unwrap();
        reply["url"].as_str().unwrap().to_owned()
    };
    for (used, begins) in [
        ("https://mito.example:8443/lab/", "https://mito.example:8443/lab/v1/objects/"),
        ("https://user:secret@mito.example", "http://127.0.0.1:"),
        ("https://mito.example/?x=1", "http://127.0.0.1:"),
        ("https://mito.example/#x", "http://127.0.0.1:"),
        ("javascript:alert(1)", "http://127.0.0.1:"),
        ("ftp://mito.example", "http://127.0.0.1:"),
        ("nothing", "http://127.0.0.1:"),
    ] {
        let link = link(&harness, used).await;
        assert!(link.starts_with(begins), "{used}: {link}");
    }
    harness.public_url = Some("https://public.example/lab".parse().unwrap());
    harness.restart().await;
    let link = link(&harness, "https://mito.example").await;
    assert!(link.starts_with("https://public.example/lab/v1/objects/"), "{link}");
}

pub(crate) async fn personal_token_is_limited_to_its_scope(harness: Harness) {
    let (admin, ann) = (harness.admin().await, harness.user("ann").await);
    let uuid = ann.submits(&json!({})).await;
    let (reader, _) = personal_token(&ann, "read", None).await;
    let (writer, _) = personal_token(&ann, "write", None).await;

    reader.get(&format!("/tasks/{uuid}")).await.expect(200);
    reader.post("/tasks/query", &json!({"count": true})).await.expect(200);
    reader.post("/tasks/download/artifacts", &json!({"content_type": "result"})).await.expect(200);
    reader.post("/tasks", &task("ann", &json!({}))).await.expect_refused(403, "forbidden");
    reader.delete(&format!("/tasks/{uuid}")).await.expect_refused(403, "forbidden");
    reader.put("/groups/ann/users", &json!({"relations": {}})).await.expect_refused(403, "forbidden");

    writer.post("/tasks", &task("ann", &json!({}))).await.expect(200);
    writer.post("/v1/tokens", &json!({"name": "x", "scope": "read"})).await.expect_refused(403, "forbidden");
    let passwords =
        json!({"old_md5_password": md5::compute("ann").0, "new_md5_password": md5::compute("x").0});
    writer.post("/users/ann/password", &passwords).await.expect_refused(403, "forbidden");

    ann.post("/v1/tokens", &json!({"name": "x", "scope": "admin"})).await.expect_refused(403, "forbidden");
    let state = json!({"state": "Locked"});
    let (of_admin, _) = personal_token(&admin, "write", None).await;
    of_admin.post("/admin/users/ann/state", &state).await.expect_refused(403, "forbidden");
    let (of_admin, _) = personal_token(&admin, "admin", None).await;
    of_admin.post("/admin/users/ann/state", &state).await.expect(200);
    reader.get(&format!("/tasks/{uuid}")).await.expect_refused(403, "account_not_active");
}

pub(crate) async fn personal_token_ends_when_revoked_or_expired(harness: Harness) {
    let ann = harness.user("ann").await;
    let (kept, id) = personal_token(&ann, "read", None).await;
    let (short, _) = personal_token(&ann, "read", Some("1h")).await;
    let relogin = json!({"username": "ann", "md5_password": md5::compute("ann").0});
    let token = harness.send(reqwest::Method::POST, "/login", None, Some(&relogin)).await.expect(200).json();
    ann.get("/auth").await.expect_refused(401, "invalid_token");
    let ann = ann.with(token["token"].as_str().unwrap());
    for token in [&kept, &short] {
        assert_eq!(token.get("/auth").await.expect(200).text, "ann");
    }
    harness.clock.advance(Duration::from_secs(3600));
    short.get("/auth").await.expect_refused(401, "invalid_token");
    kept.get("/auth").await.expect(200);

    let listed = ann.get("/v1/tokens").await.expect(200);
    assert_eq!(listed.json()["tokens"].as_array().unwrap().len(), 2);
    assert!(!listed.text.contains(&kept.token[9..]), "a token is shown once");
    harness.user("raj").await.delete(&format!("/v1/tokens/{id}")).await.expect_refused(404, "not_found");
    ann.delete(&format!("/v1/tokens/{id}")).await.expect_empty();
    kept.get("/auth").await.expect_refused(401, "invalid_token");
    ann.with("mito_pat_guess").get("/auth").await.expect_refused(401, "invalid_token");
}

pub(crate) async fn a_worker_renews_its_token_within_what_it_was_granted(mut harness: Harness) {
    // Longer than the test: only tokens expire.
    harness.lease = Duration::from_hours(24 * 30);
    harness.restart().await;
    let harness = harness;
    let ann = harness.user("ann").await;
    let day = Duration::from_hours(24);
    let renewed = async |worker: &Someone<'_>| {
        let body = json!({"lifetime": "1000y"});
        let reply = worker.post("/v1/workers/token", &body).await.expect(200).json();
        reply["token"].as_str().unwrap().to_owned()
    };
    let lives = async |worker: &Someone<'_>, status| {
        worker.post("/workers/heartbeat", &Value::Null).await.expect(status);
    };
    let short = ann.worker(&json!({"lifetime": "1h"})).await;
    let unbounded = ann.worker(&json!({})).await;
    let of_short = short.with(&renewed(&short).await);
    harness.clock.advance(Duration::from_secs(3599));
    lives(&of_short, 200).await;
    harness.clock.advance(Duration::from_secs(62));
    lives(&short, 401).await;
    lives(&of_short, 401).await;

    // Without a lifetime, it can be renewed forever, for seven days at a time.
    harness.clock.advance(6 * day);
    let of_unbounded = unbounded.with(&renewed(&unbounded).await);
    harness.clock.advance(6 * day);
    lives(&unbounded, 401).await;
    lives(&of_unbounded, 200).await;
    harness.clock.advance(day + Duration::from_secs(62));
    lives(&of_unbounded, 401).await;
    let ann = harness.logged_in("ann", "ann").await;
    ann.post("/v1/workers/token", &json!({})).await.expect_refused(401, "invalid_token");
}

pub(crate) async fn expired_worker_token_is_reported_and_may_sign_off(harness: Harness) {
    let ann = harness.user("ann").await;
    let (uuid, worker) = (ann.submits(&json!({})).await, ann.worker(&json!({})).await);
    worker.fetches().await;
    // Heartbeats in between keep the lease; only the token expires.
    let token = worker.post("/v1/workers/token", &json!({"lifetime": "10min"})).await.expect(200).json();
    let short = worker.with(token["token"].as_str().unwrap());
    harness.clock.advance(Duration::from_secs(595));
    worker.post("/workers/heartbeat", &Value::Null).await.expect(200);
    harness.clock.advance(Duration::from_secs(100));
    short.post("/workers/heartbeat", &Value::Null).await.expect_refused(401, "token_expired");
    assert_eq!(ann.state(&uuid).await, "Running");
    short.delete("/workers").await.expect(200);
    assert_eq!(ann.state(&uuid).await, "Ready");
    short.post("/workers/heartbeat", &Value::Null).await.expect_refused(401, "token_expired");
    worker.post("/workers/heartbeat", &Value::Null).await.expect_refused(401, "worker_unknown");
}

pub(crate) async fn logins_and_administration_are_audited(harness: Harness) {
    let admin = harness.admin().await;
    let ann = harness.user("ann").await;
    harness.login("ann", "hunter2").await.expect(401);
    harness.login("not a name: hunter2", "x").await.expect(401);
    admin.post("/admin/users/ann/group-quota", &json!({"group_quota": "+1"})).await.expect(200);
    admin.delete("/admin/users/ann").await.expect(200);

    let log = admin.get("/v1/admin/audit?limit=6").await.expect(200);
    let entries = log.json()["entries"].clone();
    let recorded: Vec<_> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| format!("{} {} {}", entry["actor"], entry["action"], entry["target"]).replace('"', ""))
        .collect();
    assert_eq!(
        recorded,
        [
            "mitosis_admin user.state_set ann: Deleted",
            "mitosis_admin user.group_quota_set ann: 9",
            "? login.failed ",
            "ann login.failed ",
            "ann login.succeeded ",
            "mitosis_admin user.created ann (user)",
        ]
    );
    assert_eq!(entries[2]["address"], "127.0.0.1");
    assert!(!log.text.contains("hunter2"));
    let before = entries[5]["id"].as_i64().unwrap();
    let earlier = admin.get(&format!("/v1/admin/audit?before={before}")).await.expect(200).json();
    assert!(earlier["entries"].as_array().unwrap().iter().all(|entry| entry["id"].as_i64() < Some(before)));
    ann.get("/v1/admin/audit").await.expect_refused(403, "forbidden");
}

pub(crate) async fn only_a_trusted_proxy_gives_a_request_its_id(mut harness: Harness) {
    let id = async |harness: &Harness, id: &str| {
        let request = harness.request(Method::GET, "/auth").header("x-request-id", id);
        let answer = request.send().await.unwrap();
        let header = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["request_id"], header);
        header
    };
    assert_ne!(id(&harness, "from-anybody").await, "from-anybody");
    harness.trusted_proxies = TrustedProxies::parse(["127.0.0.1"]).unwrap();
    harness.restart().await;
    assert_eq!(id(&harness, "5e6f-nginx").await, "5e6f-nginx");
    for unusable in ["with space", "", &"x".repeat(129)] {
        assert_ne!(id(&harness, unusable).await, unusable);
    }
}
