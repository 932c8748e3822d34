//! The listening socket and the connections.
//!
//! The protocol, HTTP/1.1 or HTTP/2, is detected before a server is chosen ([`crate::http2_detect`]): each agent of a
//! fleet holds a connection, and a connection that could become HTTP/2 takes about twice the memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use crate::app::App;
use crate::connections::{ConnectionSlot, Connections, CountedBody, LimitReached, Limits, Monitored};
use crate::http2_detect::is_http2;
use crate::tls::Tls;

/// Concurrent requests on one connection of HTTP/2.
const STREAMS: u32 = 64;
/// The prefix of routes that transfer objects through the coordinator.
const OBJECTS: &str = "/v1/objects/";
/// How long requests in flight may take when the coordinator stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait after an accept has failed, for example because of the limit on open files.
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);

/// Serves until the application stops, then waits for requests in flight.
pub(crate) async fn serve(listener: TcpListener, router: Router, app: App) {
    let open = GracefulShutdown::new();
    let connections = Connections::new(Limits::of_this_process());
    app.background.spawn_serving("connection-limits", connections.clone().watch());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = app.stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let is_proxy = app.trusted_proxies.contains(peer.ip());
                match connections.admit(peer.ip(), is_proxy) {
                    Ok(slot) => serve_connection(stream, peer, router.clone(), app.tls.clone(), &open, slot),
                    Err(limit) => reject(&stream, peer, limit),
                }
            }
            // The peer has closed the connection before it was accepted.
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::error!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
    drop(listener);
    drain(open, &connections).await;
}

/// Waits for requests in flight, up to a timeout.
async fn drain(open: GracefulShutdown, connections: &Connections) {
    if tokio::time::timeout(DRAIN_TIMEOUT, open.shutdown()).await.is_err() {
        tracing::warn!(open = connections.open(), "aborted requests that did not end in time");
        connections.close_all();
    }
}

/// Replies 503 if that is possible without waiting, and closes the connection.
fn reject(stream: &TcpStream, peer: SocketAddr, limit: LimitReached) {
    tracing::debug!(%peer, ?limit, "rejected a connection: too many are open");
    // If the reply can't be written, the peer only sees the connection close.
    let _ = stream.try_write(
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    );
}

fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    tls: Option<Arc<Tls>>,
    open: &GracefulShutdown,
    slot: ConnectionSlot,
) {
    // Small replies must not wait for the acknowledgement of earlier ones.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set TCP_NODELAY");
    }
    let state = slot.state();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let in_flight = state.begin();
        // Bytes of objects are streamed; all other bodies are kept until the response is ready.
        let is_kept = !request.uri().path().starts_with(OBJECTS);
        let (parts, body) = request.into_parts();
        let (body, memory) = CountedBody::new(body, state.clone(), is_kept);
        let answer = router.clone().oneshot(Request::from_parts(parts, Body::new(body)));
        async move {
            let answer = answer.await;
            drop((memory, in_flight));
            answer
        }
    });
    let open = open.watcher();
    let new_http2 = || {
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2.max_concurrent_streams(STREAMS);
        http2
    };
    let (connections, id) = (slot.connections(), slot.id());
    let task = mitosis_background::spawn("connection", async move {
        // The rare cases are boxed, so that the other connections need no memory for them.
        let outcome = match tls {
            None if is_http2(&stream).await => {
                let stream = TokioIo::new(Monitored::new(stream, slot.state()));
                Box::pin(open.watch(new_http2().serve_connection(stream, service))).await
            }
            None => {
                let stream = TokioIo::new(Monitored::new(stream, slot.state()));
                open.watch(http1::Builder::new().serve_connection(stream, service)).await
            }
            Some(tls) => match Box::pin(tls.accept(stream)).await {
                Ok((stream, true)) => {
                    let stream = TokioIo::new(Monitored::new(stream, slot.state()));
                    let http2 = new_http2().serve_connection(stream, service);
                    Box::pin(open.watch(http2)).await
                }
                Ok((stream, false)) => {
                    let stream = TokioIo::new(Monitored::new(stream, slot.state()));
                    let http1 = http1::Builder::new().serve_connection(stream, service);
                    Box::pin(open.watch(http1)).await
                }
                Err(error) => {
                    tracing::debug!(%error, %peer, "TLS handshake failed");
                    return;
                }
            },
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, %peer, "a connection failed");
        }
    });
    connections.set_task(id, task.abort_handle());
}

fn is_of_the_peer(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stop_aborts_requests_after_a_timeout() {
        let (open, connections) = (GracefulShutdown::new(), Connections::new(Limits::of_this_process()));
        let slot = connections.admit(IpAddr::V4(Ipv4Addr::LOCALHOST), false).unwrap();
        let (id, (mut client, server)) = (slot.id(), tokio::io::duplex(1_024));
        let begun = Arc::new(tokio::sync::Notify::new());
        let begins = begun.clone();
        let endless = service_fn(move |_: Request<Incoming>| {
            begins.notify_one();
            std::future::pending::<hyper::Result<http::Response<String>>>()
        });
        let served = open.watch(http1::Builder::new().serve_connection(TokioIo::new(server), endless));
        let task = mitosis_testkit::spawn(async move {
            let _slot = slot;
            served.await
        });
        connections.set_task(id, task.abort_handle());
        client.write_all(b"GET / HTTP/1.1\r\nhost: mito\r\n\r\n").await.unwrap();
        begun.notified().await;
        let stopped = tokio::time::Instant::now();
        tokio::time::timeout(DRAIN_TIMEOUT * 2, drain(open, &connections)).await.expect("it has a limit");
        assert_eq!(stopped.elapsed().as_secs(), DRAIN_TIMEOUT.as_secs(), "it had time to complete");
        let rest = tokio::time::timeout(DRAIN_TIMEOUT, client.read(&mut [0; 16])).await;
        assert_eq!(rest.expect("the connection is closed").unwrap(), 0);
    }
}
