//! Requests that make no sense.

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::stage::{Answer, Stage, task};

pub(crate) async fn routes_and_methods_that_do_not_exist_answer_without_a_body(stage: Stage) {
    for path in ["/nowhere", "/groups/", "//groups", "/tasks/x/y/z"] {
        let answer = stage.send(Method::GET, path, None, None).await.expect(404);
        assert_eq!(answer.text, "", "{path}");
    }
    let admin = stage.admin().await;
    let answer = admin.delete("/login").await.expect(405);
    assert_eq!((answer.text.as_str(), &answer.headers["allow"]), ("", &"POST".parse().unwrap()));
}

pub(crate) async fn a_body_that_is_not_json_or_of_the_wrong_shape_is_refused(stage: Stage) {
    let admin = stage.admin().await;
    let send = |content_type: &'static str, body: &'static str| {
        let request = stage.request(Method::POST, "/tasks").bearer_auth(&admin.token);
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

pub(crate) async fn a_body_that_is_far_too_long_is_refused_with_an_answer(stage: Stage) {
    let admin = stage.admin().await;
    let body = vec![b' '; 64 << 20];
    let mut connection = tokio::net::TcpStream::connect(stage.address()).await.unwrap();
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

pub(crate) async fn a_task_that_could_never_run_is_refused_when_it_is_submitted(stage: Stage) {
    let admin = stage.admin().await;
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

pub(crate) async fn a_body_over_the_limit_is_refused_and_the_service_goes_on(stage: Stage) {
    let admin = stage.admin().await;
    let huge = json!({"task_spec": {"args": ["x".repeat(5 * 1024 * 1024)]}});
    admin.post("/tasks", &task("mitosis_admin", &huge)).await.expect_refused(413, "too_large");
    admin.submits(&json!({})).await;
}

pub(crate) async fn names_are_letters_digits_dashes_and_underscores(stage: Stage) {
    let admin = stage.admin().await;
    for name in ["", "a b", "a/b", "ä", "a\u{0}", &"x".repeat(256)] {
        admin.post("/groups", &json!({"group_name": name})).await.expect(400);
    }
    admin.post("/groups", &json!({"group_name": "x".repeat(255)})).await.expect_empty();
}

pub(crate) async fn unknown_arguments_and_fields_are_ignored_and_every_origin_may_ask(stage: Stage) {
    let admin = stage.admin().await;
    let answer = admin.get("/users/groups?op=force").await.expect(200);
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(answer.headers["access-control-expose-headers"], "*");
    admin.post("/tasks", &task("mitosis_admin", &json!({"colour": "green"}))).await.expect(200);
}
