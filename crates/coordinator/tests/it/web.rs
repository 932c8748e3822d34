//! The web page: its files, and its sessions in a cookie.

use std::path::Path;
use std::time::Duration;

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::harness::{ADMIN, Answer, Harness};

/// The page sends it with every request.
const OF_PAGE: (&str, &str) = ("x-mito-page", "1");

/// Sends a request with headers as a browser does.
async fn browse(
    harness: &Harness,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Answer {
    let mut request = harness.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !body.is_null() {
        request = request.json(body);
    }
    Answer::read(request).await
}

async fn log_in(harness: &Harness, body: &Value) -> Answer {
    browse(harness, Method::POST, "/v1/web/login", &[OF_PAGE], body).await
}

/// The cookie of a login, as a browser sends it.
fn cookie(answer: &Answer) -> String {
    let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

async fn logged_in(harness: &Harness, name: &str) -> String {
    cookie(&log_in(harness, &json!({"username": name, "password": name})).await.expect(200))
}

pub(crate) async fn page_is_compressed_cached_and_strict(harness: Harness) {
    let page = browse(&harness, Method::GET, "/", &[], &Value::Null).await.expect(200);
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-cache");
    let etag = page.headers[header::ETAG].to_str().unwrap();
    let known = browse(&harness, Method::GET, "/", &[("if-none-match", etag)], &Value::Null).await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));

    let script = page
        .text
        .split('"')
        .find(|word| Path::new(word).extension().is_some_and(|ending| ending == "js"))
        .unwrap()
        .trim_start_matches('.');
    for encoding in ["br", "gzip"] {
        let accepts = [("accept-encoding", encoding)];
        let file =
            harness.request(Method::GET, script).header(accepts[0].0, accepts[0].1).send().await.unwrap();
        assert_eq!(file.headers()[header::CONTENT_ENCODING], encoding);
        assert!(file.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    }
    for missing in ["/assets/none.js", "/assets/index.html", "/assets/", "/index.html", "/unknown"] {
        let answer = browse(&harness, Method::GET, missing, &[], &Value::Null).await;
        assert_eq!((answer.status, answer.text.as_str()), (404, ""), "{missing}");
    }
}

pub(crate) async fn login_sets_a_cookie_for_the_page_only(harness: Harness) {
    harness.user("ann").await;
    let login = json!({"username": "ann", "password": "ann"});
    let answer = log_in(&harness, &login).await.expect(200);
    assert_eq!(answer.json(), json!({"username": "ann", "admin": false}));
    let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(set.contains(attribute), "{set}");
    }
    assert!(!set.contains("Secure") && !answer.text.contains("token"), "{set} {}", answer.text);

    let cookie = cookie(&answer);
    let headers = [OF_PAGE, ("cookie", cookie.as_str())];
    let session = browse(&harness, Method::GET, "/v1/web/session", &headers, &Value::Null).await;
    assert_eq!(session.expect(200).json()["username"], "ann");
    let wrong = log_in(&harness, &json!({"username": "ann", "password": "raj"})).await;
    wrong.expect_refused(401, "wrong_credentials");
}

pub(crate) async fn requests_of_other_origins_are_refused(harness: Harness) {
    harness.user("ann").await;
    let cookie = logged_in(&harness, "ann").await;
    let host = harness.request(Method::GET, "/").build().unwrap().url().clone();
    let own = format!("http://{}:{}", host.host_str().unwrap(), host.port().unwrap());
    let with_cookie = ("cookie", cookie.as_str());
    let group = json!({"group_name": "lab"});
    let foreign: [&[(&str, &str)]; 7] = [
        &[],
        &[("origin", &own)],
        &[("sec-fetch-site", "same-origin")],
        &[OF_PAGE, ("sec-fetch-site", "same-site")],
        &[OF_PAGE, ("sec-fetch-site", "cross-site")],
        &[OF_PAGE, ("origin", "http://127.0.0.1:1")],
        &[OF_PAGE, ("origin", "null")],
    ];
    for headers in foreign {
        let headers = [&[with_cookie], headers].concat();
        let answer = browse(&harness, Method::POST, "/groups", &headers, &group).await;
        answer.expect_refused(403, "forbidden");
    }
    for site in ["cross-site", "same-site", "none"] {
        let headers = [with_cookie, ("sec-fetch-site", site)];
        let read = browse(&harness, Method::GET, "/auth", &headers, &Value::Null).await;
        read.expect_refused(403, "forbidden");
        let headers = [OF_PAGE, ("sec-fetch-site", site)];
        let body = json!({"username": "ann", "password": "ann"});
        let login = browse(&harness, Method::POST, "/v1/web/login", &headers, &body).await;
        assert!(!login.headers.contains_key(header::SET_COOKIE));
        login.expect_refused(403, "forbidden");
    }
    let download = [with_cookie, ("sec-fetch-site", "same-origin")];
    browse(&harness, Method::GET, "/auth", &download, &Value::Null).await.expect(200);
    let page = [with_cookie, OF_PAGE, ("origin", &own)];
    browse(&harness, Method::POST, "/groups", &page, &group).await.expect(200);
}

/// A browser asks before a page of another origin sends the header, and then sends no cookie.
pub(crate) async fn preflight_does_not_permit_credentials(harness: Harness) {
    let headers = [
        ("origin", "http://127.0.0.1:1"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-mito-page"),
    ];
    let answer = browse(&harness, Method::OPTIONS, "/v1/web/logout", &headers, &Value::Null).await;
    assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "{answer:?}");
}

pub(crate) async fn cookie_has_the_rights_of_its_token(harness: Harness) {
    let ann = harness.user("ann").await;
    let token =
        ann.post("/v1/tokens", &json!({"name": "x", "scope": "read"})).await.expect(200).json()["token"]
            .clone();
    let answer = log_in(&harness, &json!({"token": token})).await.expect(200);
    assert_eq!(answer.json(), json!({"username": "ann", "admin": false, "scope": "read"}));
    let cookie = cookie(&answer);
    let headers = [OF_PAGE, ("cookie", cookie.as_str())];
    browse(&harness, Method::GET, "/users/groups", &headers, &Value::Null).await.expect(200);
    let body = json!({"group_name": "lab"});
    browse(&harness, Method::POST, "/groups", &headers, &body).await.expect_refused(403, "forbidden");
    let code = browse(&harness, Method::POST, "/v1/web/login-codes", &headers, &Value::Null).await;
    code.expect_refused(403, "forbidden");
    // Workers have no cookies.
    browse(&harness, Method::GET, "/workers/tasks", &headers, &Value::Null).await.expect(400);
}

pub(crate) async fn bearer_token_precedes_the_cookie(harness: Harness) {
    let (ann, _raj) = (harness.user("ann").await, harness.user("raj").await);
    let cookie = logged_in(&harness, "raj").await;
    let bearer = format!("Bearer {}", ann.token);
    let headers = [("authorization", bearer.as_str()), ("cookie", cookie.as_str())];
    assert_eq!(browse(&harness, Method::GET, "/auth", &headers, &Value::Null).await.expect(200).text, "ann");
    let headers = [OF_PAGE, ("authorization", "Bearer nonsense"), ("cookie", cookie.as_str())];
    browse(&harness, Method::GET, "/auth", &headers, &Value::Null).await.expect_refused(401, "invalid_token");
}

pub(crate) async fn login_code_is_valid_once(harness: Harness) {
    let ann = harness.user("ann").await;
    let issue =
        async || ann.post("/v1/web/login-codes", &Value::Null).await.expect(200).json()["code"].clone();
    let code = issue().await;
    let answer = log_in(&harness, &json!({"code": code})).await.expect(200);
    assert_eq!(answer.json()["username"], "ann");
    log_in(&harness, &json!({"code": code})).await.expect_refused(401, "invalid_token");

    let late = issue().await;
    harness.clock.advance(Duration::from_secs(301));
    log_in(&harness, &json!({"code": late})).await.expect_refused(401, "invalid_token");

    let of_ended_session = issue().await;
    ann.delete("/v1/sessions").await.expect(200);
    log_in(&harness, &json!({"code": of_ended_session})).await.expect_refused(401, "invalid_token");
}

pub(crate) async fn cookie_ends_with_the_session(harness: Harness) {
    let ann = harness.user("ann").await;
    let cookie = logged_in(&harness, "ann").await;
    let headers = [OF_PAGE, ("cookie", cookie.as_str())];
    browse(&harness, Method::GET, "/auth", &headers, &Value::Null).await.expect(200);
    // A login on the page leaves other sessions as they are.
    ann.get("/auth").await.expect(200);
    let out = browse(&harness, Method::POST, "/v1/web/logout", &headers, &Value::Null).await.expect(200);
    assert!(out.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    ann.delete("/v1/sessions").await.expect(200);
    browse(&harness, Method::GET, "/auth", &headers, &Value::Null).await.expect_refused(401, "invalid_token");
    // The default password is refused as at any login.
    log_in(&harness, &json!({"username": ADMIN, "password": "wrong"}))
        .await
        .expect_refused(401, "wrong_credentials");
}

pub(crate) async fn states_of_a_job_are_compact(harness: Harness) {
    let ann = harness.user("ann").await;
    let task = crate::harness::task("ann", &json!({}));
    let jobs = json!({"jobs": [{"task": task}]});
    let job = ann.post("/v1/jobs", &jobs).await.expect(200).json()["jobs"][0]["job"].clone();
    let states = async || ann.get(&format!("/v1/jobs/{job}/states")).await.expect(200).json();
    assert_eq!(states().await, json!({"runs": [[1, "waiting"]], "next": null}));
    ann.post(&format!("/v1/jobs/{job}/cancel"), &json!({})).await.expect(200);
    assert_eq!(states().await, json!({"runs": [[1, "cancelled"]], "next": null}));
    let beyond = ann.get(&format!("/v1/jobs/{job}/states?after=7")).await.expect(200).json();
    assert_eq!(beyond, json!({"runs": [], "next": null}));
}
