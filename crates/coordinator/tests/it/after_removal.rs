//! Effects of the end of a membership, an account, a password, a session or a token.

use std::time::Duration;

use mitosis_coordinator::Stop;
use reqwest::Method;
use serde_json::{Value, json};

use crate::events::Listening;
use crate::harness::{Answer, Harness, Someone, task};

/// The time after which a change applies everywhere.
const IN_FORCE: Duration = Duration::from_secs(5);

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(IN_FORCE, future).await.unwrap_or_else(|_| panic!("{what} within {IN_FORCE:?}"))
}

/// A group `lab` of ann with the member raj, and a worker of raj that serves it.
async fn lab<'a>(ann: &Someone<'_>, raj: &'a Someone<'a>) -> Someone<'a> {
    ann.post("/groups", &json!({"group_name": "lab"})).await.expect(200);
    ann.put("/groups/lab/users", &json!({"relations": {"raj": "Write"}})).await.expect(200);
    raj.worker(&json!({"groups": ["lab"]})).await
}

pub(crate) async fn workers_of_a_removed_member_leave_the_group(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let worker = lab(&ann, &raj).await;
    let uuid = ann.submits_to("lab", &json!({})).await;
    let held = worker.fetches().await;
    assert_eq!(held["uuid"], json!(uuid));
    ann.delete("/groups/lab/users?users=raj").await.expect_empty();
    assert_eq!(ann.state(&uuid).await, "Ready", "it is given back");
    worker.reports(&held, &json!("Finish")).await.expect_refused(404, "lease_lost");
    assert_eq!(worker.fetches().await, Value::Null);
    assert_eq!(ann.get("/groups/lab").await.expect(200).json()["worker_count"], 0);
    worker.get(&format!("/workers/tasks/{uuid}/attachments/x")).await.expect_refused(403, "forbidden");
    worker.post("/workers/heartbeat", &json!(null)).await.expect(200);
}

pub(crate) async fn group_admin_removes_any_worker(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let worker = lab(&ann, &raj).await;
    let uuid = ann.submits_to("lab", &json!({})).await;
    let held = worker.fetches().await;
    ann.delete(&format!("/workers/{}?op=force", worker.name)).await.expect_refused(403, "forbidden");
    ann.delete(&format!("/workers/{}/groups?groups=raj", worker.name)).await.expect_refused(403, "forbidden");
    ann.delete(&format!("/workers/{}/groups?groups=lab", worker.name)).await.expect_empty();
    assert_eq!(ann.state(&uuid).await, "Ready");
    worker.reports(&held, &json!("Finish")).await.expect_refused(404, "lease_lost");
    assert_eq!(worker.fetches().await, Value::Null);
}

pub(crate) async fn agent_of_a_removed_member_drops_its_task(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    lab(&ann, &raj).await;
    let agent = raj.worker(&json!({"groups": ["lab"], "slots": 1})).await;
    ann.submits_to("lab", &json!({})).await;
    let poll = async |held: Value| {
        let body = json!({"want": 1, "held": held, "wait": "20s"});
        agent.post("/v1/agents/poll", &body).await.expect(200).json()
    };
    let given = poll(json!([])).await["tasks"][0].clone();
    let named = json!([{"id": given["task"]["id"], "epoch": given["epoch"]}]);
    // The renewal and the comparison of the first poll are done.
    let body = json!({"held": named, "wait": "0s"});
    agent.post("/v1/agents/poll", &body).await.expect(200);
    let (reply, _) = soon("a held request is answered", async {
        tokio::join!(poll(named.clone()), async {
            ann.delete("/groups/lab/users?users=raj").await.expect_empty()
        })
    })
    .await;
    assert_eq!(reply["dropped"], named);
}

pub(crate) async fn held_requests_of_a_locked_owner_end_everywhere(harness: Harness) {
    let (admin, ann) = (harness.admin().await, harness.user("ann").await);
    let (running, there) = harness.another().await;
    let agent = ann.worker(&json!({"slots": 1})).await;
    let published = ann.worker(&json!({})).await;
    let poll = format!("{there}/v1/agents/poll");
    // A poll of an agent without free slots is held until there is a message.
    let busy = ann.worker(&json!({"slots": 1})).await;
    ann.submits(&json!({})).await;
    let given =
        busy.post(&poll, &json!({"want": 1, "wait": "20s"})).await.expect(200).json()["tasks"][0].clone();
    let held = json!([{"id": given["task"]["id"], "epoch": given["epoch"]}]);
    let held = json!({"want": 0, "held": held, "wait": "20s"});
    // The renewal and the comparison of the first poll are done.
    busy.post(&poll, &json!({"want": 0, "held": held["held"], "wait": "0s"})).await.expect(200);
    agent.post(&poll, &json!({"want": 1, "wait": "0s"})).await.expect(200);
    let lock = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        admin.post("/admin/users/ann/state", &json!({"state": "Locked"})).await.expect(200)
    };
    soon("held requests are answered", async {
        let (body, fetch) = (json!({"want": 1, "wait": "20s"}), format!("{there}/workers/tasks?wait=20s"));
        let (agent, busy, published, _) =
            tokio::join!(agent.post(&poll, &body), busy.post(&poll, &held), published.get(&fetch), lock);
        agent.expect_refused(401, "worker_unknown");
        busy.expect_refused(401, "worker_unknown");
        published.expect_refused(401, "worker_unknown");
    })
    .await;
    running.stop(Stop::Now).await.unwrap();
}

async fn reset(admin: &Someone<'_>, revoke_tokens: bool) {
    let body = json!({"new_md5_password": md5::compute("new").0, "revoke_tokens": revoke_tokens});
    admin.post("/admin/users/ann/password", &body).await.expect_empty();
}

async fn personal_token<'a>(owner: &Someone<'a>, scope: &str) -> (Someone<'a>, i64) {
    let reply = owner.post("/v1/tokens", &json!({"name": "x", "scope": scope})).await.expect(200).json();
    (owner.with(reply["token"].as_str().unwrap()), reply["id"].as_i64().unwrap())
}

pub(crate) async fn password_reset_ends_workers_and_optionally_tokens(harness: Harness) {
    let (admin, ann) = (harness.admin().await, harness.user("ann").await);
    let (token, _) = personal_token(&ann, "write").await;
    for (revoke, expected) in [(false, 200), (true, 401)] {
        let worker = token.worker(&json!({})).await;
        let uuid = token.submits(&json!({})).await;
        worker.fetches().await;
        reset(&admin, revoke).await;
        worker.post("/workers/heartbeat", &json!(null)).await.expect_refused(401, "worker_unknown");
        ann.get("/auth").await.expect_refused(401, "invalid_token");
        token.get("/auth").await.expect(expected);
        let ann = harness.logged_in("ann", "new").await;
        assert_eq!(ann.state(&uuid).await, "Ready");
        ann.delete(&format!("/tasks/{uuid}")).await.expect_empty();
    }
}

pub(crate) async fn worker_ends_with_the_token_that_registered_it(harness: Harness) {
    let ann = harness.user("ann").await;
    let (token, id) = personal_token(&ann, "write").await;
    let (by_token, by_session) = (token.worker(&json!({})).await, ann.worker(&json!({})).await);
    ann.delete(&format!("/v1/tokens/{id}")).await.expect_empty();
    by_token.post("/workers/heartbeat", &json!(null)).await.expect_refused(401, "worker_unknown");
    by_session.post("/workers/heartbeat", &json!(null)).await.expect(200);

    let short = json!({"name": "x", "scope": "write", "lifetime": "1h"});
    let short = ann.post("/v1/tokens", &short).await.expect(200).json();
    let short = ann.with(short["token"].as_str().unwrap());
    let worker = short.worker(&json!({"lifetime": "100d"})).await;
    let renewed = worker.post("/v1/workers/token", &json!({"lifetime": "100d"})).await.expect(200).json();
    let renewed = worker.with(renewed["token"].as_str().unwrap());
    // In steps that are shorter than the lease.
    for _ in 0..10 {
        harness.clock.advance(Duration::from_secs(359));
        worker.post("/workers/heartbeat", &json!(null)).await.expect(200);
    }
    harness.clock.advance(Duration::from_secs(80));
    for token in [worker, renewed] {
        token.post("/workers/heartbeat", &json!(null)).await.expect_refused(401, "worker_expired");
    }
}

pub(crate) async fn locked_administrator_is_rejected(harness: Harness) {
    let admin = harness.admin().await;
    let body = json!({"username": "boss", "md5_password": md5::compute("boss").0, "admin": true});
    admin.post("/admin/users", &body).await.expect_empty();
    let boss = harness.logged_in("boss", "boss").await;
    let (token, _) = personal_token(&boss, "admin").await;
    for caller in [&boss, &token] {
        caller.get("/v1/admin/audit").await.expect(200);
    }
    let (own, locked) = (format!("/admin/users/{}", admin.name), json!({"state": "Locked"}));
    admin.post(&format!("{own}/state"), &locked).await.expect_refused(400, "invalid_request");
    admin.delete(&own).await.expect_refused(400, "invalid_request");
    admin.post("/admin/users/boss/state", &locked).await.expect(200);
    for caller in [&boss, &token] {
        caller.get("/v1/admin/audit").await.expect_refused(403, "account_not_active");
    }
}

pub(crate) async fn locked_account_gets_no_session(harness: Harness) {
    let admin = harness.admin().await;
    harness.user("ann").await;
    for state in ["Locked", "Deleted"] {
        admin.post("/admin/users/ann/state", &json!({"state": state})).await.expect(200);
        harness.login("ann", "ann").await.expect_refused(403, "account_not_active");
        harness.login("ann", "guess").await.expect_refused(401, "wrong_credentials");
    }
}

/// Locks out each user in another way, with one stream open here and one on another coordinator if there is one.
async fn streams_end(harness: &Harness, address: &str) {
    let admin = harness.admin().await;
    let mut streams = Vec::new();
    for name in ["locked", "elsewhere", "changed", "reset", "revoked"] {
        let user = harness.user(name).await;
        let uuid = user.submits(&json!({})).await;
        let (token, id) = personal_token(&user, "read").await;
        let with = if name == "revoked" { &token } else { &user };
        for path in ["/v1/events".to_owned(), format!("/v1/tasks/{uuid}/events")] {
            streams.push((name, Listening::to(harness, with, &format!("{address}{path}"), None).await));
        }
        match name {
            "locked" => {
                let path = format!("/admin/users/{name}/state");
                admin.post(&path, &json!({"state": "Locked"})).await.expect(200);
            }
            "elsewhere" => {
                let login = json!({"username": name, "md5_password": md5::compute(name).0});
                harness.send(Method::POST, "/login", None, Some(&login)).await.expect(200);
            }
            "changed" => {
                let (old, new) = (md5::compute(name).0, md5::compute("new").0);
                let body = json!({"old_md5_password": old, "new_md5_password": new});
                user.post(&format!("/users/{name}/password"), &body).await.expect(200);
            }
            "reset" => {
                let body = json!({"new_md5_password": md5::compute("new").0});
                admin.post(&format!("/admin/users/{name}/password"), &body).await.expect_empty();
            }
            _ => drop(user.delete(&format!("/v1/tokens/{id}")).await.expect_empty()),
        }
    }
    for (name, mut stream) in streams {
        soon(&format!("the stream of {name} ends"), async { while stream.next().await.is_some() {} }).await;
    }
}

pub(crate) async fn streams_end_with_their_authentication(harness: Harness) {
    streams_end(&harness, "").await;
    let ann = harness.user("ann").await;
    let mut stream = Listening::to(&harness, &ann, "/v1/events", None).await;
    harness.clock.advance(Duration::from_hours(7 * 24));
    assert!(soon("a stream ends with its token", stream.next()).await.is_none());
}

pub(crate) async fn streams_end_on_another_coordinator_too(harness: Harness) {
    let (running, there) = harness.another().await;
    streams_end(&harness, &there).await;
    running.stop(Stop::Now).await.unwrap();
}

pub(crate) async fn stream_of_a_task_ends_with_the_membership(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    lab(&ann, &raj).await;
    let uuid = ann.submits_to("lab", &json!({})).await;
    let mut stream = Listening::to(&harness, &raj, &format!("/v1/tasks/{uuid}/events"), None).await;
    assert!(stream.next().await.is_some(), "the present state");
    ann.delete("/groups/lab/users?users=raj").await.expect_empty();
    assert!(soon("the stream ends", stream.next()).await.is_none());
}

pub(crate) async fn follower_is_revalidated_while_its_request_is_held(harness: Harness) {
    let (admin, ann, raj) = (harness.admin().await, harness.user("ann").await, harness.user("raj").await);
    lab(&ann, &raj).await;
    let uuid = ann.submits_to("lab", &json!({})).await;
    let path = format!("/v1/tasks/{uuid}/output?wait=20s");
    let removal = async { ann.delete("/groups/lab/users?users=raj").await.expect_empty() };
    let (followed, _) = soon("it is refused", async { tokio::join!(raj.get(&path), removal) }).await;
    followed.expect_refused(403, "not_found");
    let lock = async { admin.post("/admin/users/ann/state", &json!({"state": "Locked"})).await.expect(200) };
    let (followed, _) = soon("it is refused", async { tokio::join!(ann.get(&path), lock) }).await;
    followed.expect_refused(403, "account_not_active");
}

pub(crate) async fn artifact_link_needs_the_creator_in_the_group(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    let uuid = ann.submits(&json!({})).await;
    let archive = json!({"content_type": "result", "content_length": 5});
    ann.post(&format!("/tasks/{uuid}/artifacts"), &archive).await.expect(200);
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Read"}})).await.expect(200);
    let remote_file = json!({"Artifact": {"uuid": uuid, "content_type": "result"}});
    let resources = json!([{"remote_file": remote_file, "local_path": "x"}]);
    let spec = json!({"args": ["true"], "resources": resources, "watch": [uuid, "TaskCommitted"]});
    raj.submits(&json!({"task_spec": spec})).await;
    let worker = raj.worker(&json!({})).await;
    worker.fetches().await;
    let (link, look) = (format!("/workers/tasks/{uuid}/artifacts/result"), format!("/workers/tasks/{uuid}"));
    worker.get(&link).await.expect(200);
    worker.get(&look).await.expect(200);
    ann.delete("/groups/ann/users?users=raj").await.expect_empty();
    for path in [link, look] {
        worker.get(&path).await.expect_refused(403, "forbidden");
    }
}

/// The worker of ann holds a task of raj: it sees what raj may view, as long as raj may.
pub(crate) async fn worker_sees_only_what_the_creator_may_view(harness: Harness) {
    let (admin, ann, raj) = (harness.admin().await, harness.user("ann").await, harness.user("raj").await);
    lab(&ann, &raj).await;
    let file = json!({"key": "in/x", "content_length": 5});
    ann.post("/groups/lab/attachments", &file).await.expect(200);
    let uuid = raj.submits_to("lab", &json!({})).await;
    let worker = ann.worker(&json!({"groups": ["lab"]})).await;
    worker.fetches().await;
    let path = format!("/workers/tasks/{uuid}/attachments/in/x");
    worker.get(&path).await.expect(200);
    for (state, status) in [("Locked", 403), ("Active", 200)] {
        admin.post("/admin/users/raj/state", &json!({"state": state})).await.expect(200);
        worker.get(&path).await.expect(status);
    }
    raj.get("/v1/tasks/find?selector=last").await.expect(200);
    ann.delete("/groups/lab/users?users=raj").await.expect_empty();
    worker.get(&path).await.expect_refused(403, "forbidden");
    raj.get("/v1/tasks/find?selector=last").await.expect_refused(403, "not_found");
}

pub(crate) async fn follow_up_of_a_removed_member_is_rejected(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    lab(&ann, &raj).await;
    raj.submits_to("lab", &json!({})).await;
    let worker = ann.worker(&json!({"groups": ["lab"]})).await;
    let held = worker.fetches().await;
    worker.reports(&held, &json!("Finish")).await.expect(200);
    ann.delete("/groups/lab/users?users=raj").await.expect_empty();
    let follow_up = json!({"Submit": task("lab", &json!({}))});
    worker.reports(&held, &follow_up).await.expect_refused(403, "forbidden");
}

pub(crate) async fn empty_password_is_rejected_everywhere(harness: Harness) {
    let (admin, ann) = (harness.admin().await, harness.user("ann").await);
    let empty = md5::compute("").0;
    let create = json!({"username": "raj", "md5_password": empty, "admin": false});
    let change = json!({"old_md5_password": md5::compute("ann").0, "new_md5_password": empty});
    let answers: [Answer; 3] = [
        admin.post("/admin/users", &create).await,
        admin.post("/admin/users/ann/password", &json!({"new_md5_password": empty})).await,
        ann.post("/users/ann/password", &change).await,
    ];
    for answer in answers {
        assert!(answer.expect_refused(400, "invalid_request").text.contains("empty"));
    }
    harness.login("raj", "").await.expect(401);
    ann.get("/auth").await.expect(200);
}

/// A link to a file of the lab, and whether it is still valid.
async fn link_to_a_file(user: &Someone<'_>, key: &str) -> String {
    let upload = json!({"key": key, "content_length": 3});
    let reply = user.post("/groups/lab/attachments", &upload).await.expect(200).json();
    assert_eq!(user.uploads(reply["url"].as_str().unwrap(), b"abc").await, 200);
    let link = user.get(&format!("/groups/lab/download/attachments/{key}")).await.expect(200).json();
    let link = link["url"].as_str().unwrap().to_owned();
    assert_eq!(user.downloads(&link).await.expect(200).text, "abc");
    link
}

async fn ends_soon(user: &Someone<'_>, link: &str) {
    let ended = async || while user.downloads(link).await.status != 403 {};
    soon("the link ends", ended()).await;
}

pub(crate) async fn links_end_with_the_rights_of_their_owner(harness: Harness) {
    let (admin, ann, raj) = (harness.admin().await, harness.user("ann").await, harness.user("raj").await);
    lab(&ann, &raj).await;
    let raj_s = link_to_a_file(&raj, "raj.txt").await;
    let many = json!({"key": "raj"});
    let many = ann.post("/groups/lab/download/attachments", &many).await.expect(200).json();
    let many = many["downloads"][0]["url"].as_str().unwrap().to_owned();
    let upload = json!({"key": "late.txt", "content_length": 3});
    let upload = raj.post("/groups/lab/attachments", &upload).await.expect(200).json();
    ann.delete("/groups/lab/users?users=raj").await.expect_empty();
    ends_soon(&raj, &raj_s).await;
    assert_eq!(raj.uploads(upload["url"].as_str().unwrap(), b"abc").await, 403);
    assert_eq!(ann.downloads(&many).await.expect(200).text, "abc", "others keep theirs");

    let (token, id) = personal_token(&ann, "write").await;
    let token_s = link_to_a_file(&token, "token.txt").await;
    ann.delete(&format!("/v1/tokens/{id}")).await.expect_empty();
    ends_soon(&ann, &token_s).await;

    let session_s = link_to_a_file(&ann, "session.txt").await;
    reset(&admin, false).await;
    ends_soon(&ann, &session_s).await;
    let ann = harness.logged_in("ann", "new").await;
    let locked_s = link_to_a_file(&ann, "locked.txt").await;
    admin.post("/admin/users/ann/state", &json!({"state": "Locked"})).await.expect(200);
    ends_soon(&ann, &locked_s).await;
}
