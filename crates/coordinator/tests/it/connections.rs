//! Slow and idle connections.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::harness::{Harness, task};

/// Opens connections that send this text, and then nothing.
async fn open(harness: &Harness, number: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..number {
        let mut stream = TcpStream::connect(harness.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        streams.push(stream);
    }
    streams
}

pub(crate) async fn slow_connections_are_closed_and_others_are_served(harness: Harness) {
    let ann = harness.user("ann").await;
    let worker = ann.worker(&json!({"tags": ["of no worker"]})).await;
    let held = worker.get("/workers/tasks?wait=14s");
    let silent = open(&harness, 150, b"").await;
    let slow = open(&harness, 150, b"GET /health HTTP/1.1\r\nhost: x\r\nx-drip: ").await;
    let begun = Instant::now();
    let served = async {
        // As long as all of them are open.
        while begun.elapsed() < Duration::from_secs(8) {
            let asked = Instant::now();
            ann.post("/tasks", &task("ann", &json!({}))).await.expect(200);
            assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        }
    };
    let closed = async {
        for (place, mut stream) in silent.into_iter().chain(slow).enumerate() {
            let dripped = place == 299 && stream.write_all(b"y").await.is_ok();
            let end = timeout(Duration::from_secs(16), stream.read(&mut [0; 64])).await;
            let end = end.unwrap_or_else(|_| panic!("connection {place} ({dripped}) is still open"));
            assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        }
    };
    let (held, (), ()) = tokio::join!(held, served, closed);
    held.expect(200);
}

pub(crate) async fn stopping_does_not_wait_for_an_unfinished_head(mut harness: Harness) {
    let _slow = open(&harness, 3, b"POST /login HTTP/1.1\r\nhost: x\r\n").await;
    harness.send(Method::GET, "/health", None, None).await.expect(200);
    let begun = Instant::now();
    harness.restart().await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
