//! Complete conversations, byte for byte, as in the contract. Values that differ between runs (ids, tokens, links) are
//! replaced by names in the order of their appearance.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{ADMIN, Answer, Harness, task};

/// The recorded conversation.
struct Transcript<'a> {
    harness: &'a Harness,
    text: String,
    names: Vec<(String, String)>,
}

impl<'a> Transcript<'a> {
    fn of(harness: &'a Harness) -> Self {
        Self { harness, text: String::new(), names: Vec::new() }
    }

    /// Replaces a value by a name from now on.
    fn call(&mut self, value: &Value, name: &str) -> String {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.names.push((value.clone(), name.to_owned()));
        value
    }

    fn named(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (value, name) in self.names.iter().rev() {
            text = text.replace(value.as_str(), name);
        }
        text
    }

    /// The whole conversation, with all names replaced from the start.
    fn whole(&self) -> String {
        self.named(&self.text)
    }

    /// Sends a request, and records it with the response.
    async fn say(&mut self, token: Option<&str>, line: &str, body: Option<Value>) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let answer = self.harness.send(method, path, token, body.as_ref()).await;
        writeln!(self.text, "> {}", self.named(line)).unwrap();
        if let Some(body) = body {
            writeln!(self.text, "> {}", self.named(&body.to_string())).unwrap();
        }
        let kind =
            answer.headers.get("content-type").map_or("no content type", |kind| kind.to_str().unwrap());
        writeln!(self.text, "< {} {kind}", answer.status).unwrap();
        let shown = match answer.headers.get("x-request-id") {
            Some(id) => answer.text.replace(id.to_str().unwrap(), "REQUEST"),
            None => answer.text.clone(),
        };
        writeln!(self.text, "< {}\n", self.named(&shown)).unwrap();
        answer
    }
}

fn digest(password: &str) -> Value {
    json!(md5::compute(password).0)
}

pub(crate) async fn conversation_of_a_legacy_worker_is_unchanged(harness: Harness) {
    let mut t = Transcript::of(&harness);
    let login = json!({"username": ADMIN, "md5_password": digest(ADMIN), "retain": true});
    let token = harness.send(Method::POST, "/login", None, Some(&login)).await.json()["token"].clone();
    let user = Some(token.as_str().unwrap());
    let submitted = t.say(user, "POST /tasks", Some(task(ADMIN, &json!({"labels": ["run-7"]})))).await.json();
    let uuid = t.call(&submitted["uuid"], "TASK");

    let new = json!({"tags": [], "labels": [], "groups": [], "lifetime": null});
    let registered = harness.send(Method::POST, "/workers", user, Some(&new)).await.json();
    let worker = t.call(&registered["token"], "TOKEN");
    t.call(&registered["worker_id"], "WORKER");
    t.say(user, "POST /workers/query", Some(json!({"count": false}))).await;

    let worker = Some(worker.as_str());
    t.say(worker, "POST /workers/heartbeat", None).await;
    let task = t.say(worker, "GET /workers/tasks", None).await.json();
    let id = task["id"].clone();
    let report = |op: Value| Some(json!({"id": id, "op": op}));
    let commit = json!({"Commit": {"exit_status": 768, "msg": null}});
    t.say(worker, "POST /workers/tasks", report(commit.clone())).await;
    t.say(worker, "POST /workers/tasks", report(json!("Finish"))).await;
    let upload = json!({"Upload": {"content_type": "std-log", "content_length": 3}});
    let link = t.harness.send(Method::POST, "/workers/tasks", worker, report(upload).as_ref()).await.json();
    let put = harness.request(Method::PUT, link["url"].as_str().unwrap()).body("abc");
    Answer::read(put).await.expect(200);
    let follow_up = json!({"Submit": crate::harness::task(ADMIN, &json!({"priority": -1}))});
    t.say(worker, "POST /workers/tasks", report(follow_up)).await;
    t.say(worker, "POST /workers/tasks", report(commit.clone())).await;
    t.say(worker, "POST /workers/tasks", report(commit)).await;
    t.say(worker, "POST /workers/tasks", report(json!("Finish"))).await;

    let shown = harness.send(Method::GET, &format!("/tasks/{uuid}"), user, None).await.json();
    t.call(&shown["info"]["downstream_task_uuid"], "FOLLOW-UP");
    t.say(user, &format!("GET /tasks/{uuid}"), None).await;
    t.say(worker, "GET /workers/tasks", None).await;
    t.say(worker, "DELETE /workers", None).await;
    t.say(worker, "POST /workers/heartbeat", None).await;
    t.say(worker, "GET /workers/tasks", None).await;
    insta::assert_snapshot!("worker", t.whole());
}

pub(crate) async fn conversation_of_a_legacy_client_is_unchanged(harness: Harness) {
    let mut t = Transcript::of(&harness);
    t.say(None, "GET /auth", None).await;
    t.say(Some("nonsense"), "GET /auth", None).await;
    let wrong = json!({"username": "ann", "md5_password": digest("x")});
    t.say(None, "POST /login", Some(wrong)).await;
    let login = json!({"username": ADMIN, "md5_password": digest(ADMIN)});
    let token = harness.send(Method::POST, "/login", None, Some(&login)).await.json()["token"].clone();
    let user = Some(token.as_str().unwrap());
    t.say(user, "GET /auth", None).await;
    t.say(user, "GET /redis", None).await;
    t.say(user, "GET /users/groups", None).await;
    t.say(user, "POST /groups", Some(json!({"group_name": "lab"}))).await;
    t.say(user, "POST /groups", Some(json!({"group_name": "lab"}))).await;
    t.say(user, "POST /groups", Some(json!({"group_name": "a b"}))).await;
    t.say(user, "GET /groups/lab", None).await;
    t.say(user, "GET /groups/nowhere", None).await;
    t.say(user, "PUT /groups/lab/users", Some(json!({"relations": {"ann": "Write"}}))).await;
    let account = json!({"username": "ann", "md5_password": digest("ann"), "admin": false});
    t.say(user, "POST /admin/users", Some(account)).await;
    t.say(user, "PUT /groups/lab/users", Some(json!({"relations": {"ann": "WRITE"}}))).await;
    t.say(user, "GET /groups/lab", None).await;
    t.say(user, "DELETE /groups/lab/users?users=ann", None).await;
    t.say(user, "POST /admin/users/ann/group-quota", Some(json!({"group_quota": "+2"}))).await;
    t.say(user, "POST /admin/groups/lab/storage-quota", Some(json!({"storage_quota": "=1.5 GiB"}))).await;
    t.say(user, "POST /admin/users/ann/state", Some(json!({"state": "Locked"}))).await;
    t.say(user, "DELETE /admin/users/ann", None).await;
    t.say(user, "POST /tasks", Some(json!({"group_name": "lab"}))).await;
    let batch = json!({"tasks": [task("lab", &json!({})), task("nowhere", &json!({}))]});
    let outcome = harness.send(Method::POST, "/tasks/submit", user, Some(&batch)).await.json();
    let uuid = t.call(&outcome["results"][0]["Ok"]["uuid"], "TASK");
    let query = json!({"group_name": "lab", "priority": ">=-3", "count": false});
    t.say(user, "POST /tasks/query", Some(query)).await;
    t.say(user, "POST /tasks/query", Some(json!({"group_name": "lab", "count": true}))).await;
    t.say(user, "POST /tasks/query", Some(json!({"group_name": "lab"}))).await;
    t.say(user, "POST /tasks/query", Some(json!({"priority": "5!", "count": true}))).await;
    t.say(user, &format!("PUT /tasks/{uuid}"), Some(json!({}))).await;
    t.say(user, &format!("PUT /tasks/{uuid}"), Some(json!({"priority": 5}))).await;
    t.say(user, &format!("DELETE /tasks/{uuid}"), None).await;
    t.say(user, &format!("DELETE /tasks/{uuid}"), None).await;
    t.say(user, &format!("GET /tasks/{uuid}"), None).await;
    t.say(user, "GET /tasks/42", None).await;
    t.say(user, "POST /groups/lab/attachments/query", Some(json!({"count": false}))).await;
    t.say(user, "GET /groups/lab/attachments/a/b", None).await;
    t.say(user, "GET /nowhere", None).await;
    t.say(user, "PUT /groups", None).await;
    insta::assert_snapshot!("client", t.whole());
}
