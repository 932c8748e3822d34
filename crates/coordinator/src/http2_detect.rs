//! Detects clients that start with HTTP/2 (prior knowledge).
//!
//! The first bytes are peeked at and stay in the socket. A connection of HTTP/1.1, which every agent holds, is served by
//! a server for HTTP/1.1 only, and needs no additional memory.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// The start of the HTTP/2 connection preface, which no HTTP/1.1 request begins with.
const PREFACE: &[u8; 4] = b"PRI ";
/// How long the first bytes may take. A silent client is served as HTTP/1.1, with the limits that apply there.
const LIMIT: Duration = Duration::from_secs(5);
/// Time between two checks of a preface that has arrived in part.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Whether the client starts with HTTP/2.
pub(crate) async fn is_http2(stream: &TcpStream) -> bool {
    matches!(timeout(LIMIT, begins_with_preface(stream)).await, Ok(Ok(true)))
}

async fn begins_with_preface(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await?;
        if seen == 0 || seen == PREFACE.len() || !PREFACE.starts_with(&first[..seen]) {
            return Ok(first == *PREFACE);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn http2_is_detected_in_fragments() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for (parts, expected) in [
            (&["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"][..], true),
            (&["P", "RI", " * HTTP/2.0"], true),
            (&["POST / HTTP/1.1\r\n"], false),
            (&["P", "UT / HTTP/1.1\r\n"], false),
            (&[], false),
        ] {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            let send = async move {
                for part in parts {
                    client.write_all(part.as_bytes()).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                client.shutdown().await.unwrap();
                client
            };
            let (found, _client) = tokio::join!(is_http2(&server), send);
            assert_eq!(found, expected, "{parts:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silent_client_is_served_as_http1_soon() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        for part in ["", "PR"] {
            client.write_all(part.as_bytes()).await.unwrap();
            let found = timeout(LIMIT * 2, is_http2(&server)).await;
            assert_eq!(found, Ok(false), "{part:?}");
        }
    }
}
