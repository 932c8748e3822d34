//! Invalid requests.

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Answer, Harness, Someone, task};

pub(crate) async fn list_of_keys_is_deduplicated_and_limited(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.post("/groups/ann/attachments", &json!({"key": "x", "content_length": 0})).await.expect(200);
    let links = "/groups/ann/download/attachments/list";
    let keys = vec!["x"; 100_000];
    let reply = ann.post(links, &json!({"keys": keys})).await.expect(200).json();
    assert_eq!(reply["downloads"].as_array().unwrap().len(), 1);
    let keys: Vec<_> = (0..10_001).map(|number| number.to_string()).collect();
    for list in [links, "/groups/ann/delete/attachments/list"] {
        ann.post(list, &json!({"keys": keys})).await.expect_refused(400, "invalid_request");
    }
}

pub(crate) async fn unknown_routes_and_methods_reply_without_a_body(harness: Harness) {
    for path in ["/nowhere", "/groups/", "//groups", "/tasks/x/y/z"] {
        let answer = harness.send(Method::GET, path, None, None).await.expect(404);
        assert_eq!(answer.text, "", "{path}");
    }
    let admin = harness.admin().await;
    let answer = admin.delete("/login").await.expect(405);
    assert_eq!((answer.text.as_str(), &answer.headers["allow"]), ("", &"POST".parse().unwrap()));
}

pub(crate) async fn body_of_a_wrong_type_or_form_is_rejected(harness: Harness) {
    let admin = harness.admin().await;
    let send = |content_type: &'static str, body: &'static str| {
        let request = harness.request(Method::POST, "/tasks").bearer_auth(&admin.token);
        Answer::read(request.header("content-type", content_type).body(body))
    };
    send("text/plain", "{}").await.expect_refused(415, "not_json");
    send("application/json", "{").await.expect_refused(400, "invalid_request");
    send("application/json", "{}").await.expect_refused(422, "wrong_shape");
    send("application/problem+json", "[]").await.expect_refused(422, "wrong_shape");
    admin
        .post("/tasks", &task("mitosis_admin", &json!({"timeout": 90})))
        .await
        .expect_refused(422, "wrong_shape");
    admin
        .post("/tasks", &task("mitosis_admin", &json!({"timeout": "90"})))
        .await
        .expect_refused(422, "wrong_shape");
    let deep = format!("{{\"x\": {}", "[".repeat(200));
    send("application/json", Box::leak(deep.into_boxed_str())).await.expect(400);
}

pub(crate) async fn huge_body_is_rejected_with_a_response(harness: Harness) {
    let admin = harness.admin().await;
    let body = vec![b' '; 64 << 20];
    let mut connection = tokio::net::TcpStream::connect(harness.address()).await.unwrap();
    let head = format!(
        "POST /tasks HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        admin.token,
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&body).await.expect("the whole body is taken");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("too_large"), "{answer}");
}

pub(crate) async fn invalid_task_is_rejected_at_submission(harness: Harness) {
    let admin = harness.admin().await;
    let spec = |changes: serde_json::Value| {
        let mut spec = json!({"args": ["true"]});
        for (key, value) in changes.as_object().unwrap() {
            spec[key] = value.clone();
        }
        json!({"task_spec": spec})
    };
    let file = |path: &str| json!([{"remote_file": {"Attachment": {"key": "a"}}, "local_path": path}]);
    for (changes, word) in [
        (spec(json!({"args": ["x".repeat(200 * 1024)]})), "attachment"),
        (spec(json!({"args": ["a\u{0}b"]})), "NUL"),
        (spec(json!({"envs": {"A=B": "c"}})), "name"),
        (spec(json!({"resources": file("/etc/passwd")})), "relative"),
        (spec(json!({"resources": file("a/../../b")})), "relative"),
        (json!({"timeout": "9223372036854775808s"}), "timeout"),
        (json!({"tags": ["x".repeat(300)]}), ""),
    ] {
        let refused = admin
            .post("/tasks", &task("mitosis_admin", &changes))
            .await
            .expect_refused(400, "invalid_request");
        assert!(refused.text.contains(word), "`{word}` is not in {}", refused.text);
    }
    let count = admin.post("/tasks/query", &json!({"count": true})).await.json()["count"].clone();
    assert_eq!(count, 0);
}

pub(crate) async fn body_beyond_the_limit_is_rejected(harness: Harness) {
    let admin = harness.admin().await;
    let huge = json!({"task_spec": {"args": ["x".repeat(5 * 1024 * 1024)]}});
    admin.post("/tasks", &task("mitosis_admin", &huge)).await.expect_refused(413, "too_large");
    admin.submits(&json!({})).await;
}

pub(crate) async fn names_are_letters_digits_dashes_and_underscores(harness: Harness) {
    let admin = harness.admin().await;
    for name in ["", "a b", "a/b", "ä", "a\u{0}", &"x".repeat(256)] {
        admin.post("/groups", &json!({"group_name": name})).await.expect(400);
    }
    admin.post("/groups", &json!({"group_name": "x".repeat(255)})).await.expect_empty();
}

pub(crate) async fn unknown_input_is_ignored_and_cors_allows_all(harness: Harness) {
    let admin = harness.admin().await;
    let answer = admin.get("/users/groups?op=force").await.expect(200);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(answer.headers["access-control-expose-headers"], "*");
    admin.post("/tasks", &task("mitosis_admin", &json!({"colour": "green"}))).await.expect(200);
}

/// The visible state of the group of the administrator. No request below may change it.
async fn picture(admin: &Someone<'_>) -> String {
    let tasks = admin.post("/tasks/query", &json!({"count": false})).await.expect(200).text;
    let files = admin
        .post("/groups/mitosis_admin/attachments/query", &json!({"count": false}))
        .await
        .expect(200)
        .text;
    let group = admin.get("/groups/mitosis_admin").await.expect(200).text;
    format!("{tasks}{files}{group}")
}

pub(crate) async fn odd_texts_are_rejected_or_match_nothing(harness: Harness) {
    let admin = harness.admin().await;
    admin.submits(&json!({"labels": ["a_c", "100%"]})).await;
    admin
        .post("/groups/mitosis_admin/attachments", &json!({"key": "a_c", "content_length": 1}))
        .await
        .expect(200);
    let before = picture(&admin).await;
    let long = "x".repeat(1 << 20);
    for odd in [
        "\u{0}",
        "a\u{0}b",
        "",
        "..",
        "/",
        "%",
        "\u{feff}",
        "\u{202e}",
        "😀",
        "'; DROP TABLE task; --",
        &long,
    ] {
        for (path, body) in [
            ("/tasks/query", json!({"count": true, "group_name": odd})),
            ("/tasks/cancel", json!({"creator_usernames": [odd]})),
            ("/tasks/cancel", json!({"labels": [odd]})),
            ("/tasks/cancel", json!({"tags": [odd]})),
            ("/workers/shutdown", json!({"op": "Force", "tags": [odd], "labels": [odd]})),
            ("/workers/query", json!({"count": true, "creator_username": odd})),
            ("/groups/mitosis_admin/delete/attachments", json!({"key": odd})),
            ("/groups/mitosis_admin/delete/attachments/list", json!({"keys": [odd]})),
            ("/groups/mitosis_admin/users/remove", json!({"users": [odd]})),
            ("/login", json!({"username": odd, "md5_password": md5::compute(odd).0})),
            ("/admin/users", json!({"username": odd, "md5_password": md5::compute(odd).0, "admin": true})),
            ("/workers", json!({"tags": [], "labels": [], "groups": [odd], "lifetime": odd})),
        ] {
            let answer = admin.post(path, &body).await;
            assert!(answer.status < 500, "{path} {odd:.20?}: {answer:?}");
        }
        let put = json!({"relations": {odd: "Admin"}});
        let answer = admin.put("/groups/mitosis_admin/users", &put).await;
        assert_eq!(answer.status, 400, "{odd:.20?}: {answer:?}");
        assert_eq!(picture(&admin).await, before, "{odd:.20?}");
    }
    for path in [
        "/tasks/%00",
        "/groups/%00",
        "/groups/mitosis_admin/attachments/%00",
        "/groups/%2e%2e%2fadmin",
        "/workers/%ff",
    ] {
        let answer = admin.get(path).await;
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
    }
}

pub(crate) async fn keys_outside_their_group_are_rejected(harness: Harness) {
    let admin = harness.admin().await;
    let before = picture(&admin).await;
    for key in ["../x", "a/../../x", "/etc/passwd", "a//b", "a/./b", "a/", "..", "", "a\u{0}", "a\nb"] {
        let body = json!({"key": key, "content_length": 1});
        admin.post("/groups/mitosis_admin/attachments", &body).await.expect_refused(400, "invalid_request");
    }
    assert_eq!(picture(&admin).await, before);
}

pub(crate) async fn wildcards_match_literally(harness: Harness) {
    let admin = harness.admin().await;
    for key in ["abc", "a_c", "a%c"] {
        admin
            .post("/groups/mitosis_admin/attachments", &json!({"key": key, "content_length": 1}))
            .await
            .expect(200);
    }
    for (key, found) in [("_", 1), ("%", 1), ("a", 3), ("a_c", 1)] {
        let query = json!({"key": key, "count": true});
        let reply = admin.post("/groups/mitosis_admin/attachments/query", &query).await.expect(200);
        assert_eq!(reply.json()["count"], found, "{key}");
    }
}

pub(crate) async fn numbers_out_of_range_are_rejected_or_capped(harness: Harness) {
    let admin = harness.admin().await;
    admin.submits(&json!({})).await;
    for (field, number) in
        [("limit", json!(-1)), ("offset", json!(-1)), ("limit", json!(1.5)), ("limit", json!("1"))]
    {
        admin
            .post("/tasks/query", &json!({"count": false, field: number}))
            .await
            .expect_refused(422, "wrong_shape");
    }
    for field in ["limit", "offset"] {
        let reply =
            admin.post("/tasks/query", &json!({"count": false, field: u64::MAX})).await.expect(200).json();
        assert_eq!(reply["count"], u8::from(field == "limit"));
    }
    for priority in [json!(2_147_483_648_i64), json!(-2_147_483_649_i64)] {
        admin
            .post("/tasks", &task("mitosis_admin", &json!({"priority": priority})))
            .await
            .expect_refused(422, "wrong_shape");
    }
    for length in [json!(-1), json!(u64::MAX)] {
        let body = json!({"key": "k", "content_length": length});
        let refused = admin.post("/groups/mitosis_admin/attachments", &body).await;
        assert!(matches!(refused.status, 400 | 422), "{refused:?}");
    }
}

pub(crate) async fn lists_are_deduplicated_and_limited(harness: Harness) {
    let admin = harness.admin().await;
    let uuid = admin.submits(&json!({"tags": ["a", "a", "b"], "labels": ["x", "x"]})).await;
    let shown = admin.task(&uuid).await;
    assert_eq!((&shown["tags"], &shown["labels"]), (&json!(["a", "b"]), &json!(["x"])));
    let twice = admin.post("/tasks/cancel/list", &json!({"uuids": [uuid, uuid]})).await.expect(200).json();
    assert_eq!(twice["cancelled_count"], 1);
    let many = vec!["3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a"; 100_000];
    let refused = admin.post("/tasks/cancel/list", &json!({"uuids": many})).await;
    refused.expect_refused(413, "too_large");
    admin.post("/tasks/cancel/list", &json!({"uuids": []})).await.expect_refused(400, "invalid_request");
    let deep = "[".repeat(200) + &"]".repeat(200);
    let request = harness.request(Method::POST, "/tasks").bearer_auth(&admin.token);
    let answer = Answer::read(request.header("content-type", "application/json").body(deep)).await;
    assert!((400..500).contains(&answer.status), "{answer:?}");
}
