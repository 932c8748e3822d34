//! Small archives that move from the database into packed objects.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mitosis_domain::clock::Clock as _;
use mitosis_domain::entropy::OsEntropy;
use mitosis_domain::object::ObjectClass;
use mitosis_objects::directory::DirectoryStore;
use mitosis_objects::{Link, ObjectStore as _, Right};
use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, RANGE};
use serde_json::{Value, json};

use crate::harness::{Answer, Harness, Someone, eventually};

/// Tasks whose archives fill more than half a packed object.
const TASKS: usize = 100;
/// The length of each archive.
const LENGTH: usize = 60_000;

/// The archive of a task, in which every part differs.
fn archive(task: &str) -> String {
    (0..).flat_map(|line| format!("{line} of {task}\n").into_bytes()).take(LENGTH).map(char::from).collect()
}

/// Runs tasks that leave an archive in their report.
async fn run_many(ann: &Someone<'_>) -> Vec<String> {
    let mut uuids = Vec::new();
    for _ in 0..TASKS {
        uuids.push(ann.submits(&json!({})).await);
    }
    let agent = ann.worker(&json!({"slots": TASKS})).await;
    let poll = json!({"want": TASKS, "held": [], "wait": "20s"});
    let tasks = agent.post("/v1/agents/poll", &poll).await.expect(200).json()["tasks"].clone();
    for some in tasks.as_array().unwrap().chunks(25) {
        let ended = some.iter().map(|task| {
            let uuid = task["task"]["uuid"].as_str().unwrap();
            json!({
                "key": {"id": task["task"]["id"], "epoch": task["epoch"], "token": task["token"]},
                "cancelled": false,
                "result": {"exit_status": 0, "msg": null},
                "archives": [{"kind": "std-log", "bytes": STANDARD.encode(archive(uuid))}],
            })
        });
        let report = json!({"ended": ended.collect::<Vec<_>>(), "want": 0});
        let reply = agent.post("/v1/agents/report", &report).await.expect(200).json();
        assert!(reply["verdicts"].as_array().unwrap().iter().all(|verdict| verdict == "accepted"), "{reply}");
    }
    uuids
}

/// Restarts the coordinator, and waits until it has packed the archives.
async fn pack(harness: &mut Harness) {
    harness.clock.advance(Duration::from_secs(1));
    harness.retention.pack_output_after = Some(Duration::ZERO);
    harness.restart().await;
    let admin = harness.admin().await;
    let packed = async || {
        let reply = admin.get("/v1/admin/doctor").await.expect(200).json();
        reply["small_archives"]["packed"] == json!(TASKS)
    };
    eventually("the archives are packed", packed).await;
}

async fn link(ann: &Someone<'_>, uuid: &str) -> Value {
    ann.get(&format!("/tasks/{uuid}/download/artifacts/std-log")).await.expect(200).json()
}

pub(crate) async fn packed_archives_are_read_as_before(mut harness: Harness) {
    let ann = harness.user("ann").await;
    let uuids = run_many(&ann).await;
    let old_link = link(&ann, &uuids[3]).await["url"].as_str().unwrap().to_owned();
    let used = TASKS * LENGTH;
    assert_eq!(ann.get("/groups/ann").await.expect(200).json()["storage_used"], json!(used));
    pack(&mut harness).await;
    let ann = harness.logged_in("ann", "ann").await;
    assert_eq!(ann.get("/groups/ann").await.expect(200).json()["storage_used"], json!(used));

    for uuid in [&uuids[0], &uuids[1], &uuids[TASKS - 1]] {
        let link = link(&ann, uuid).await;
        assert_eq!(link["size"], json!(LENGTH));
        let url = link["url"].as_str().unwrap();
        assert_eq!(ann.downloads(url).await.expect(200).text, archive(uuid));
        let part = harness.request(Method::GET, url).header(RANGE, "bytes=100-59998");
        let part = Answer::read(part).await.expect(206);
        assert_eq!(part.headers[CONTENT_RANGE], format!("bytes 100-59998/{LENGTH}"));
        assert_eq!(part.text, archive(uuid)[100..=59_998]);
        let beyond = harness.request(Method::GET, url).header(RANGE, "bytes=60000-");
        Answer::read(beyond).await.expect(416);
        let head = harness.request(Method::HEAD, url).send().await.unwrap();
        assert_eq!(head.headers()["content-length"], LENGTH.to_string());
    }
    let old_link = old_link.rsplit_once("/v1/").unwrap().1;
    let old = harness.send(Method::GET, &format!("/v1/{old_link}"), None, None).await;
    assert_eq!(old.expect(200).text, archive(&uuids[3]), "a link from before still works");

    let outputs = ann.post("/v1/tasks/outputs", &json!({"tasks": uuids})).await.expect(200).json();
    let outputs = outputs["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), TASKS);
    for (output, uuid) in outputs.iter().zip(&uuids) {
        assert_eq!(output["uuid"], json!(uuid));
        let bytes = STANDARD.decode(output["log"]["archive"]["bytes"].as_str().unwrap()).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), archive(uuid));
    }
    let metrics = harness.admin().await.get("/metrics").await.expect(200).text;
    let line = format!("mitosis_packed_archive_bytes {used}");
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
    harness.lose_objects();
    let ann = harness.logged_in("ann", "ann").await;
    let outputs = ann.post("/v1/tasks/outputs", &json!({"tasks": uuids[..2]})).await.expect(200).json();
    assert_eq!(outputs["outputs"][1]["result"]["exit_status"], json!(0), "results do not need the objects");
}

pub(crate) async fn packed_archive_is_replaced_and_deleted(mut harness: Harness) {
    let ann = harness.user("ann").await;
    let uuids = run_many(&ann).await;
    pack(&mut harness).await;
    let ann = harness.logged_in("ann", "ann").await;
    let replaced = &uuids[7];
    let body = json!({"content_type": "std-log", "content_length": 5});
    let upload = ann.post(&format!("/tasks/{replaced}/artifacts"), &body).await.expect(200).json();
    let read = async |uuid: &str| {
        let url = link(&ann, uuid).await["url"].as_str().unwrap().to_owned();
        ann.downloads(&url).await.expect(200).text
    };
    assert_eq!(read(replaced).await, archive(replaced), "until the upload");
    assert!(ann.uploads(upload["url"].as_str().unwrap(), b"other").await.is_success());
    assert_eq!(read(replaced).await, "other");

    let deleted = &uuids[8];
    let removal = format!("/tasks/{deleted}/artifacts/std-log");
    ann.delete(&removal).await.expect(400);
    harness.admin().await.delete(&format!("/admin{removal}")).await.expect(200);
    ann.get(&format!("/tasks/{deleted}/download/artifacts/std-log")).await.expect(404);
    assert_eq!(read(&uuids[9]).await, archive(&uuids[9]), "the next one stays");
    let used = ann.get("/groups/ann").await.expect(200).json()["storage_used"].clone();
    assert_eq!(used, json!((TASKS - 2) * LENGTH + 5));
    let sizes = harness.admin().await.get("/v1/admin/doctor").await.expect(200).json();
    assert_eq!(sizes["small_archives"]["packed"], json!(TASKS - 2));
}

/// It contains archives of many groups.
pub(crate) async fn packed_object_has_no_link(mut harness: Harness) {
    let ann = harness.user("ann").await;
    run_many(&ann).await;
    pack(&mut harness).await;
    let folder = harness.folder.path().join("objects");
    let objects = DirectoryStore::open(folder, Arc::new(OsEntropy)).await.unwrap();
    let packed = objects.list(ObjectClass::Artifacts, "packed/", None, 9).await.unwrap();
    assert_eq!(packed.len(), 1);
    let valid = Duration::from_secs(60);
    let link = objects.guarded_link(&packed[0].key, Right::Download, None, valid, harness.clock.now());
    let Link::ViaCoordinator(path) = link.unwrap() else { panic!("the coordinator serves a directory") };
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(harness.send(method, &path, None, None).await.status, 403);
    }
}

pub(crate) async fn mostly_empty_object_is_packed_again(mut harness: Harness) {
    let ann = harness.user("ann").await;
    let uuids = run_many(&ann).await;
    pack(&mut harness).await;
    let admin = harness.admin().await;
    let (deleted, left) = uuids.split_at(TASKS * 4 / 5);
    for uuid in deleted {
        admin.delete(&format!("/admin/tasks/{uuid}/artifacts/std-log")).await.expect(200);
    }
    // Another coordinator may still fill a younger object.
    harness.clock.advance(Duration::from_secs(3_601));
    harness.restart().await;
    let (admin, ann) = (harness.admin().await, harness.logged_in("ann", "ann").await);
    let sizes = async || admin.get("/v1/admin/doctor").await.expect(200).json()["small_archives"].clone();
    let bytes = json!(left.len() * LENGTH);
    eventually("the rest is packed again", async || sizes().await["packed_bytes"] == bytes).await;
    let sizes = sizes().await;
    assert_eq!([&sizes["packed_objects"], &sizes["packed_live_bytes"]], [&json!(1), &bytes]);
    for uuid in left {
        let url = link(&ann, uuid).await["url"].as_str().unwrap().to_owned();
        assert_eq!(ann.downloads(&url).await.expect(200).text, archive(uuid));
    }
}
