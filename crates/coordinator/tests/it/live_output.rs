//! Live output, from a worker to its followers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mitosis_protocol::output::MAX_CHUNK_BYTES;
use serde_json::{Value, json};

use crate::harness::Harness;

pub(crate) async fn follower_gets_the_requested_bytes(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    worker.fetches().await;
    let channel = format!("/v1/workers/tasks/{uuid}/output");

    let followed = format!("/v1/tasks/{uuid}/output?stdout=3&stderr=0&wait=20s");
    let demanded = format!("{channel}?wait=20s");
    let (reply, ()) = tokio::join!(ann.get(&followed), async {
        let demand = worker.get(&demanded).await.expect(200).json();
        assert_eq!(demand, json!({"stdout": 3, "stderr": 0}));
        let chunk =
            json!({"stdout_offset": 3, "stdout": STANDARD.encode("def"), "stderr_offset": 0, "stderr": ""});
        let next = worker.post(&channel, &chunk).await.expect(200).json();
        assert_eq!(next, json!({"stdout": null, "stderr": null}));
    });
    let reply = reply.expect(200).json();
    assert_eq!(reply["stdout"], json!(STANDARD.encode("def")));
    assert_eq!((&reply["state"], &reply["result"]), (&json!("Running"), &Value::Null));
}

pub(crate) async fn follower_is_notified_of_the_end(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let worker = ann.worker(&json!({})).await;
    let task = worker.fetches().await;
    worker.reports(&task, &json!("Finish")).await.expect(200);
    let followed = format!("/v1/tasks/{uuid}/output?wait=20s");
    let (reply, _) = tokio::join!(ann.get(&followed), async {
        worker.reports(&task, &json!({"Commit": {"exit_status": 7, "msg": null}})).await
    });
    assert_eq!(reply.expect(200).json()["result"], json!({"exit_status": 7, "msg": null}));
}

pub(crate) async fn worker_sends_output_only_of_its_task(harness: Harness) {
    let ann = harness.user("ann").await;
    let uuid = ann.submits(&json!({})).await;
    let (holder, other) = (ann.worker(&json!({})).await, ann.worker(&json!({})).await);
    holder.fetches().await;
    let chunk = json!({"stdout_offset": 0, "stdout": "", "stderr_offset": 0, "stderr": ""});
    let path = format!("/v1/workers/tasks/{uuid}/output");
    other.post(&path, &chunk).await.expect_refused(404, "lease_lost");
    holder.post(&path, &chunk).await.expect(200);
    for stream in ["stdout", "stderr"] {
        let mut large = chunk.clone();
        large[stream] = json!(STANDARD.encode(vec![0; MAX_CHUNK_BYTES + 1]));
        holder.post(&path, &large).await.expect_refused(413, "too_large");
    }
}
