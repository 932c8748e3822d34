//! Artifacts of tasks.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Answer, Harness, Someone, eventually};

async fn uploads(worker: &Someone<'_>, task: &Value, bytes: &[u8]) {
    let upload = json!({"Upload": {"content_type": "result", "content_length": bytes.len()}});
    let reply = worker.reports(task, &upload).await.expect(200).json();
    assert!(worker.uploads(reply["url"].as_str().unwrap(), bytes).await.is_success());
}

pub(crate) async fn artifacts_of_a_lost_attempt_are_never_visible(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let path = format!("/tasks/{uuid}/download/artifacts/result");
    let lost = ann.worker(&json!({})).await;
    let task = lost.fetches().await;
    lost.reports(&task, &json!("Finish")).await.expect(200);
    uploads(&lost, &task, b"of the lost one").await;
    ann.get(&path).await.expect(404);
    lost.delete("/workers").await.expect(200);

    let second = ann.worker(&json!({})).await;
    let task = second.fetches().await;
    second.reports(&task, &json!("Finish")).await.expect(200);
    uploads(&second, &task, b"of the second").await;
    second.reports(&task, &json!({"Commit": {"exit_status": 0, "msg": null}})).await.expect(200);
    let link = ann.get(&path).await.expect(200).json();
    assert_eq!(ann.downloads(link["url"].as_str().unwrap()).await.expect(200).text, "of the second");
}

pub(crate) async fn upload_must_have_the_announced_length(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let body = json!({"content_type": "result", "content_length": 5});
    let reply = ann.post(&format!("/tasks/{uuid}/artifacts"), &body).await.expect(200).json();
    assert_eq!(reply["exist"], false);
    let url = reply["url"].as_str().unwrap();
    assert!(ann.uploads(url, b"four").await.is_client_error());
    assert!(ann.uploads(url, b"sixsix").await.is_client_error());
    assert!(ann.uploads(url, b"fivef").await.is_success());
    let reply = ann.post(&format!("/tasks/{uuid}/artifacts"), &body).await.expect(200).json();
    assert_eq!(reply["exist"], true);
}

pub(crate) async fn link_expires_and_is_bound_to_its_object(harness: Harness) {
    let ann = harness.user("ann").await;
    let (mine, other) = (ann.submits(&json!({})).await, ann.submits(&json!({})).await);
    let body = json!({"content_type": "result", "content_length": 5});
    let reply = ann.post(&format!("/tasks/{mine}/artifacts"), &body).await.expect(200).json();
    let url = reply["url"].as_str().unwrap();
    assert!(ann.uploads(&url.replace(&mine, &other), b"fivef").await.is_client_error());
    harness.clock.advance(std::time::Duration::from_secs(3601));
    assert!(ann.uploads(url, b"fivef").await.is_client_error());
}

pub(crate) async fn artifact_can_be_deleted_after_an_hour(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let body = json!({"content_type": "result", "content_length": 5});
    let reply = ann.post(&format!("/tasks/{uuid}/artifacts"), &body).await.expect(200).json();
    assert!(ann.uploads(reply["url"].as_str().unwrap(), b"fivef").await.is_success());
    let path = format!("/tasks/{uuid}/artifacts/result");
    ann.delete(&path).await.expect(400);
    harness.clock.advance(std::time::Duration::from_secs(3601));
    ann.delete(&path).await.expect_empty();
    ann.delete(&path).await.expect_refused(404, "not_found");
}

pub(crate) async fn missing_artifact_is_reported_in_the_result(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let task = worker.fetches().await;
    worker.reports(&task, &json!("Finish")).await.expect(200);
    let upload = json!({"Upload": {"content_type": "result", "content_length": 5}});
    worker.reports(&task, &upload).await.expect(200);
    worker.reports(&task, &json!({"Commit": {"exit_status": 0, "msg": null}})).await.expect(200);
    let result = ann.task(&uuid).await["result"].clone();
    assert_eq!(result, json!({"exit_status": 0, "msg": "UploadResultTimeout"}));
}

/// The bytes of all files below a folder.
fn stored(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).map(|entries| entries.map(Result::unwrap).collect());
    entries.unwrap_or_else(|_| Vec::new()).iter().fold(0, |sum, entry| {
        let metadata = entry.metadata().unwrap();
        sum + if metadata.is_dir() { stored(&entry.path()) } else { metadata.len() }
    })
}

/// A link to upload five bytes of an attempt that is not committed.
async fn announced(worker: &Someone<'_>) -> (Value, String) {
    let task = worker.fetches().await;
    worker.reports(&task, &json!("Finish")).await.expect(200);
    let upload = json!({"Upload": {"content_type": "result", "content_length": 5}});
    let reply = worker.reports(&task, &upload).await.expect(200).json();
    (task, reply["url"].as_str().unwrap().to_owned())
}

/// A link as native clients and workers request it.
async fn conditional(harness: &Harness, someone: &Someone<'_>, path: &str, body: &Value) -> String {
    let request = harness.request(Method::POST, path).bearer_auth(&someone.token).json(body);
    let reply = Answer::read(request.header("x-mito-upload", "once")).await.expect(200).json();
    reply["url"].as_str().unwrap().to_owned()
}

/// Sends bytes like native clients and workers.
async fn put(harness: &Harness, url: &str, bytes: &'static str) -> u16 {
    let mut request = harness.request(Method::PUT, url).body(bytes);
    if url.contains("if-none-match") {
        request = request.header("if-none-match", "*");
    }
    request.send().await.unwrap().status().as_u16()
}

pub(crate) async fn no_link_changes_an_artifact_after_the_commit(harness: Harness) {
    let ann = harness.user("ann").await;
    for (knows, task) in [(true, ann.submits(&json!({})).await), (false, ann.submits(&json!({})).await)] {
        let worker = ann.worker(&json!({})).await;
        let held = worker.fetches().await;
        worker.reports(&held, &json!("Finish")).await.expect(200);
        let upload =
            json!({"id": held["id"], "op": {"Upload": {"content_type": "result", "content_length": 5}}});
        let url = match knows {
            true => conditional(&harness, &worker, "/workers/tasks", &upload).await,
            false => {
                let reply = worker.post("/workers/tasks", &upload).await.expect(200).json();
                let url = reply["url"].as_str().unwrap().to_owned();
                assert!(url.contains(harness.address()), "the coordinator sees to it: {url}");
                url
            }
        };
        assert_eq!(put(&harness, &url, "GOOD!").await, 200);
        worker.reports(&held, &json!({"Commit": {"exit_status": 0, "msg": null}})).await.expect(200);
        assert!([409, 412].contains(&put(&harness, &url, "EVIL!").await));
        let link = ann.get(&format!("/tasks/{task}/download/artifacts/result")).await.expect(200).json();
        assert_eq!(ann.downloads(link["url"].as_str().unwrap()).await.expect(200).text, "GOOD!");
    }
}

pub(crate) async fn new_file_is_uploaded_directly_to_s3_once(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    for (path, body) in [
        ("/groups/ann/attachments".to_owned(), json!({"key": "in/x", "content_length": 5})),
        (format!("/tasks/{uuid}/artifacts"), json!({"content_type": "result", "content_length": 5})),
    ] {
        let url = conditional(&harness, &ann, &path, &body).await;
        assert!(!url.contains(harness.address()), "straight to the storage: {url}");
        assert_eq!(put(&harness, &url, "first").await, 200);
        assert_eq!(put(&harness, &url, "again").await, 412);
        let url = conditional(&harness, &ann, &path, &body).await;
        assert!(url.contains(harness.address()), "what is there is replaced through the coordinator: {url}");
        assert_eq!(put(&harness, &url, "other").await, 200);
        assert_eq!(put(&harness, &url, "again").await, 409);
    }
}

pub(crate) async fn lost_attempt_can_not_upload(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let (_, url) = announced(&worker).await;
    worker.delete("/workers").await.expect(200);
    assert_eq!(worker.uploads(&url, b"fivef").await, 409);
    assert_eq!(stored(&harness.folder.path().join("objects/artifacts")), 0);
}

pub(crate) async fn nothing_changes_after_the_commit(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let (task, url) = announced(&worker).await;
    assert_eq!(worker.uploads(&url, b"GOOD?").await, 200);
    assert_eq!(worker.uploads(&url, b"GOOD!").await, 200, "an attempt may try again before its commit");
    worker.reports(&task, &json!({"Commit": {"exit_status": 0, "msg": null}})).await.expect(200);
    assert_eq!(worker.uploads(&url, b"EVIL!").await, 409);
    let path = format!("/tasks/{uuid}/download/artifacts/result");
    let link = ann.get(&path).await.expect(200).json();
    let read = ann.downloads(link["url"].as_str().unwrap()).await.expect(200);
    assert_eq!(read.text, "GOOD!");
    assert_eq!(read.headers["x-content-type-options"], "nosniff");
    assert_eq!(read.headers["content-disposition"], "attachment");

    // A user may, with another link.
    let body = json!({"content_type": "result", "content_length": 5});
    let reply = ann.post(&format!("/tasks/{uuid}/artifacts"), &body).await.expect(200).json();
    assert_eq!(ann.uploads(reply["url"].as_str().unwrap(), b"BETTR").await, 200);
}

pub(crate) async fn link_of_a_user_stores_once(harness: Harness) {
    let ann = harness.user("ann").await;
    let body = json!({"key": "in/x", "content_length": 5});
    let announce = async || {
        let reply = ann.post("/groups/ann/attachments", &body).await.expect(200).json();
        reply["url"].as_str().unwrap().to_owned()
    };
    let url = announce().await;
    assert_eq!(ann.uploads(&url, b"four").await, 400, "nothing was stored, so it is good for another try");
    assert_eq!(ann.uploads(&url, b"fivef").await, 200);
    assert_eq!(ann.uploads(&url, b"again").await, 409);
    // A link of the same moment is a different one.
    assert_eq!(ann.uploads(&announce().await, b"again").await, 200);

    let other = announce().await;
    harness.admin().await.delete("/admin/groups/ann/attachments/in/x").await.expect(200);
    assert_eq!(ann.uploads(&other, b"fivef").await, 409);
}

/// Starts an upload through a link. Returns the connection and the start of the response.
async fn begun(harness: &Harness, url: &str, headers: &str) -> (TcpStream, String) {
    let mut connection = TcpStream::connect(harness.address()).await.unwrap();
    let target = url.strip_prefix(&format!("http://{}", harness.address())).unwrap();
    let head = format!("PUT {target} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n{headers}\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    // `100 Continue` is sent once the upload has started.
    let status = status(&mut connection).await;
    (connection, status)
}

/// An announced artifact of five bytes, and a request that has sent `ab` of it.
async fn half_uploaded(harness: &Harness, worker: &Someone<'_>) -> (String, TcpStream) {
    let (_, url) = announced(worker).await;
    let (mut slow, status) = begun(harness, &url, "content-length: 5").await;
    assert_eq!(status, "HTTP/1.1 100");
    slow.write_all(b"ab").await.unwrap();
    (url, slow)
}

async fn status(connection: &mut TcpStream) -> String {
    let mut line = [0; 12];
    connection.read_exact(&mut line).await.unwrap();
    String::from_utf8(line.to_vec()).unwrap()
}

/// Reads the rest of `HTTP/1.1 100 Continue`, and returns the status of the response after it.
async fn answer(connection: &mut TcpStream) -> String {
    let mut rest = [0; 13];
    connection.read_exact(&mut rest).await.unwrap();
    assert_eq!(&rest, b" Continue\r\n\r\n");
    status(connection).await
}

pub(crate) async fn upload_beyond_its_attempt_stores_nothing(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let (_, mut slow) = half_uploaded(&harness, &worker).await;
    worker.delete("/workers").await.expect(200);
    slow.write_all(b"cde").await.unwrap();
    assert_eq!(answer(&mut slow).await, "HTTP/1.1 400");
    assert_eq!(stored(&harness.folder.path().join("objects/artifacts")), 0);
}

pub(crate) async fn wrong_length_does_not_consume_the_link(harness: Harness) {
    let ann = harness.user("ann").await;
    let body = json!({"key": "in/x", "content_length": 5});
    let reply = ann.post("/groups/ann/attachments", &body).await.expect(200).json();
    let url = reply["url"].as_str().unwrap();
    let refused = Answer::read(harness.request(Method::PUT, url).body("sixsix")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("exactly 5 bytes"), "{}", refused.text);
    // Without a length, a short body is only noticed at its end.
    let (mut short, status) = begun(&harness, url, "transfer-encoding: chunked").await;
    assert_eq!(status, "HTTP/1.1 100");
    short.write_all(b"4\r\nfour\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(answer(&mut short).await, "HTTP/1.1 400");
    assert_eq!(ann.uploads(url, b"fivef").await, 200);
}

/// A link from before the deletion of a file can't exceed the charged size of its successor.
pub(crate) async fn link_beyond_the_charged_size_stores_nothing(harness: Harness) {
    let ann = harness.user("ann").await;
    let announce = async |length: u64| {
        let body = json!({"key": "in/x", "content_length": length});
        let reply = ann.post("/groups/ann/attachments", &body).await.expect(200).json();
        reply["url"].as_str().unwrap().to_owned()
    };
    let large = announce(10).await;
    harness.admin().await.delete("/admin/groups/ann/attachments/in/x").await.expect(200);
    let small = announce(3).await;
    assert_eq!(ann.uploads(&large, b"0123456789").await, 409);
    assert_eq!(ann.uploads(&small, b"abc").await, 200);
}

pub(crate) async fn commit_without_a_finished_upload_is_reported(harness: Harness) {
    let ann = harness.user("ann").await;
    let incomplete = json!({"exit_status": 0, "msg": "UploadResultTimeout"});
    for again in [false, true] {
        let uuid = ann.submits(&json!({})).await;
        let worker = ann.worker(&json!({})).await;
        let (task, url) = announced(&worker).await;
        assert_eq!(worker.uploads(&url, b"fivef").await, 200);
        let _under_way = if again {
            // A longer one is announced but not uploaded.
            let upload = json!({"Upload": {"content_type": "result", "content_length": 9}});
            worker.reports(&task, &upload).await.expect(200);
            None
        } else {
            let (mut slow, status) = begun(&harness, &url, "content-length: 5").await;
            assert_eq!(status, "HTTP/1.1 100");
            slow.write_all(b"ab").await.unwrap();
            Some(slow)
        };
        worker.reports(&task, &json!({"Commit": {"exit_status": 0, "msg": null}})).await.expect(200);
        assert_eq!(ann.task(&uuid).await["result"], incomplete, "{again}");
    }
}

pub(crate) async fn reader_deletes_no_artifact_by_filter(harness: Harness) {
    let (ann, raj) = (harness.user("ann").await, harness.user("raj").await);
    ann.put("/groups/ann/users", &json!({"relations": {"raj": "Read"}})).await.expect(200);
    let uuid = ann.submits(&json!({})).await;
    let body = json!({"content_type": "result", "content_length": 5});
    let reply = ann.post(&format!("/tasks/{uuid}/artifacts"), &body).await.expect(200).json();
    assert_eq!(ann.uploads(reply["url"].as_str().unwrap(), b"fivef").await, 200);
    harness.clock.advance(std::time::Duration::from_secs(3601));
    let all = json!({"group_name": "ann", "content_type": "result"});
    for (user, deleted) in [(&raj, 0), (&ann, 1)] {
        ann.get(&format!("/tasks/{uuid}/download/artifacts/result")).await.expect(200);
        let reply = user.post("/tasks/delete/artifacts", &all).await.expect(200).json();
        assert_eq!(reply["deleted_count"], deleted);
    }
}

pub(crate) async fn uploads_of_an_object_are_exclusive(harness: Harness) {
    let ann = harness.user("ann").await;
    ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let (url, slow) = half_uploaded(&harness, &worker).await;
    assert_eq!(worker.uploads(&url, b"fivef").await, 409);
    drop(slow);
    eventually("the first upload is aborted", async || worker.uploads(&url, b"fivef").await == 200).await;
}

/// The recorded size of a file, and the charge of its group.
async fn recorded(ann: &Someone<'_>) -> (Value, Value) {
    let file = ann.get("/groups/ann/attachments/in/x").await.expect(200).json();
    (file["size"].clone(), ann.get("/groups/ann").await.expect(200).json()["storage_used"].clone())
}

pub(crate) async fn smaller_replacement_frees_quota(harness: Harness) {
    let ann = harness.user("ann").await;
    let announce = async |length: u64| {
        let body = json!({"key": "in/x", "content_length": length});
        conditional(&harness, &ann, "/groups/ann/attachments", &body).await
    };
    assert_eq!(put(&harness, &announce(9).await, "ninebytes").await, 200);
    assert_eq!(recorded(&ann).await, (json!(9), json!(9)));
    let larger = announce(12).await;
    let smaller = announce(4).await;
    assert_eq!(put(&harness, &smaller, "four").await, 200);
    assert_eq!(recorded(&ann).await, (json!(12), json!(12)), "the larger one may still come");
    assert_eq!(put(&harness, &larger, "twelve bytes").await, 200);
    assert_eq!(recorded(&ann).await, (json!(12), json!(12)));
    assert_eq!(put(&harness, &announce(4).await, "four").await, 200);
    assert_eq!(recorded(&ann).await, (json!(4), json!(4)));
    // A link can be used again after a failure.
    let broken = announce(6).await;
    assert_eq!(put(&harness, &broken, "sevensx").await, 400);
    assert_eq!(recorded(&ann).await, (json!(6), json!(6)));
    assert_eq!(put(&harness, &broken, "sixsix").await, 200);
    assert_eq!(recorded(&ann).await, (json!(6), json!(6)));

    let uuid = ann.submits(&json!({})).await;
    let path = format!("/tasks/{uuid}/artifacts");
    for (bytes, used) in [("ninebytes", 15), ("four", 10)] {
        let body = json!({"content_type": "result", "content_length": bytes.len()});
        assert_eq!(put(&harness, &conditional(&harness, &ann, &path, &body).await, bytes).await, 200);
        let task = ann.get(&format!("/tasks/{uuid}")).await.expect(200).json();
        let size = task["artifacts"][0]["size"].clone();
        assert_eq!((size, recorded(&ann).await.1), (json!(bytes.len()), json!(used)));
    }
}

/// A link directly to the object store can't be revoked with its record.
pub(crate) async fn link_of_a_deleted_record_is_charged_until_it_expires(harness: Harness) {
    let (admin, ann) = (harness.admin().await, harness.user("ann").await);
    let announce = async |length: u64| {
        let body = json!({"key": "in/x", "content_length": length});
        conditional(&harness, &ann, "/groups/ann/attachments", &body).await
    };
    let old = announce(10).await;
    admin.delete("/admin/groups/ann/attachments/in/x").await.expect(200);
    let new = announce(4).await;
    assert!(new.contains(harness.address()), "the coordinator sees to it: {new}");
    assert_eq!(recorded(&ann).await, (json!(10), json!(10)));
    assert_eq!(put(&harness, &old, "0123456789").await, 200);
    assert_eq!(put(&harness, &new, "four").await, 200);
    assert_eq!(put(&harness, &old, "0123456789").await, 412);
    assert_eq!(recorded(&ann).await, (json!(4), json!(4)));
}
