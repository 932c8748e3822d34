//! Inputs of tasks: what is downloaded, and what a task gets.

use mitosis_protocol::task::{RemoteFile, ResourceDownload};
use mitosis_protocol::worker::FetchedTask;
use serde_json::json;

use crate::objects::sha256;
use crate::script::Script;

fn with_input(key: &str) -> impl FnOnce(&mut FetchedTask) {
    let remote_file = RemoteFile::Attachment { key: key.to_owned() };
    let resource = ResourceDownload { remote_file, local_path: "data/in".into() };
    |task| task.spec.resources.push(resource)
}

/// The statuses of the downloads so far.
fn statuses(script: &Script) -> Vec<u16> {
    script.transfers().into_iter().map(|(status, _)| status).collect()
}

const SUCCESS: &str = "{\"exit_status\":0,\"msg\":null}";

#[tokio::test]
async fn shared_input_of_200_tasks_is_transferred_once() {
    let script = Script::new().await;
    let content = vec![b'x'; 300_000];
    script.stores("shared", &content);
    for _ in 0..200 {
        script.has("test $(wc -c < $MITO_RESOURCE_DIR/data/in) = 300000", with_input("shared"));
    }
    let _worker = script.worker(8);
    assert_eq!(script.commits(200).await.to_string(), SUCCESS);
    let transfers = script.transfers();
    let bytes: usize = transfers.iter().map(|(_, bytes)| bytes).sum();
    let whole = transfers.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!((whole, bytes, transfers.len()), (1, content.len(), 200));
}

#[tokio::test]
async fn task_that_changes_its_copy_does_not_change_the_input_of_others() {
    let script = Script::new().await;
    script.stores("shared", b"content");
    let command =
        "test \"$(cat $MITO_RESOURCE_DIR/data/in)\" = content && echo more >> $MITO_RESOURCE_DIR/data/in";
    for _ in 0..3 {
        script.has(command, with_input("shared"));
    }
    let _worker = script.worker(1);
    assert_eq!(script.commits(3).await.to_string(), SUCCESS);
    assert_eq!(statuses(&script), [200, 304, 304]);
}

/// A command runs as the user of the worker, so it can write to any of its files.
#[tokio::test]
async fn file_of_the_cache_that_a_task_changed_is_replaced() {
    let script = Script::new().await;
    script.stores("shared", b"content");
    let change = "for file in $MITO_RESOURCE_DIR/../../inputs/*; do touch -r $file $TMPDIR/stamp; echo CONTENT > $file; \
                  truncate -s 7 $file; touch -r $TMPDIR/stamp $file; done";
    script.has(&format!("TMPDIR=$MITO_EXEC_DIR; {change}"), with_input("shared"));
    script.has("test \"$(cat $MITO_RESOURCE_DIR/data/in)\" = content", with_input("shared"));
    let _worker = script.worker(1);
    assert_eq!(script.commits(2).await.to_string(), SUCCESS);
    assert_eq!(statuses(&script), [200, 200]);
}

#[tokio::test]
async fn replaced_input_is_downloaded_again() {
    let script = Script::new().await;
    for (number, content) in ["first", "second", "second"].into_iter().enumerate() {
        script.stores("shared", content.as_bytes());
        script.has(&format!("test \"$(cat $MITO_RESOURCE_DIR/data/in)\" = {content}"), with_input("shared"));
        if number == 0 {
            drop(script.worker(1));
        }
        assert_eq!(script.commits(number + 1).await.to_string(), SUCCESS);
    }
    assert_eq!(statuses(&script), [200, 200, 304]);
}

#[tokio::test]
async fn interrupted_download_continues_where_it_ended() {
    let script = Script::new().await;
    let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let sum = sha256(&content);
    script.stores("large", &content);
    script.breaks_after(500_000);
    script.has(
        &format!("echo '{sum}  data/in' | (cd $MITO_RESOURCE_DIR && sha256sum -c)"),
        with_input("large"),
    );
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await.to_string(), SUCCESS);
    let transfers = script.transfers();
    let [(200, 500_000), (206, rest)] = transfers[..] else { panic!("{transfers:?}") };
    assert!((300_000..800_000).contains(&rest), "what had arrived is not sent again: {rest}");
}

#[tokio::test]
async fn object_that_changed_during_an_interruption_is_sent_in_full() {
    let script = Script::new().await;
    script.stores("large", &vec![b'a'; 400_000]);
    script.breaks_after(300_000);
    script.has("test \"$(tr -d b < $MITO_RESOURCE_DIR/data/in | wc -c)\" = 0", with_input("large"));
    let worker = script.worker(1);
    while script.transfers().is_empty() {
        tokio::task::yield_now().await;
    }
    script.stores("large", &vec![b'b'; 400_000]);
    assert_eq!(script.commits(1).await.to_string(), SUCCESS);
    drop(worker);
}

#[tokio::test]
async fn content_that_differs_from_its_key_is_refused() {
    let script = Script::new().await;
    let key = format!("inputs/sha256-{}", sha256(b"content"));
    script.stores(&key, b"CONTENT");
    script.has("exit 9", with_input(&key));
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await, json!({"exit_status": 0, "msg": "ResourceForbidden"}));
    script.stores(&key, b"content");
    script.has("test \"$(cat $MITO_RESOURCE_DIR/data/in)\" = content", with_input(&key));
    assert_eq!(script.commits(2).await.to_string(), SUCCESS);
}
