//! The listening socket and the way of a request to its handler.
//!
//! HTTP/1.1, and HTTP/2 for whoever begins with it. Which of the two is known before a server is chosen
//! ([`crate::preface`]): a fleet of agents holds a connection each, and one that might become HTTP/2 takes
//! about twice the memory.

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
use crate::connections::{Connections, Counted, Full, Noted, Room, Seat};
use crate::preface::is_http2;
use crate::tls::Tls;

/// Requests under way at once on one connection of HTTP/2.
const STREAMS: u32 = 64;
/// Where bytes of objects go through the coordinator.
const OBJECTS: &str = "/v1/objects/";
/// How long requests that are under way may take when the coordinator stops.
const LAST_REQUESTS: Duration = Duration::from_secs(30);
/// How long to wait when no further connection can be taken, for instance for want of open files.
const RELIEF: Duration = Duration::from_secs(1);

/// Serves until the application stops, then lets requests that are under way end.
pub(crate) async fn serve(listener: TcpListener, router: Router, app: App) {
    let open = GracefulShutdown::new();
    let connections = Connections::new(Room::of_this_process());
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
                    Ok(seat) => converse(stream, peer, router.clone(), app.tls.clone(), &open, seat),
                    Err(full) => send_away(&stream, peer, full),
                }
            }
            // Whoever hung up before being let in.
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::error!(%error, "failed to accept a connection");
                tokio::time::sleep(RELIEF).await;
            }
        }
    }
    drop(listener);
    end(open, &connections).await;
}

/// Lets requests that are under way end, for a while.
async fn end(open: GracefulShutdown, connections: &Connections) {
    if tokio::time::timeout(LAST_REQUESTS, open.shutdown()).await.is_err() {
        tracing::warn!(open = connections.open(), "aborted requests that did not end in time");
        connections.end_all();
    }
}

/// Says why, as far as the first bytes can be written at once, and closes the connection.
fn send_away(stream: &TcpStream, peer: SocketAddr, full: Full) {
    tracing::debug!(%peer, ?full, "rejected a connection: too many are open");
    // Whoever does not hear it sees the connection end.
    let _ = stream.try_write(
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    );
}

fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    tls: Option<Arc<Tls>>,
    open: &GracefulShutdown,
    seat: Seat,
) {
    // Small replies must not wait for the acknowledgement of earlier ones.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set TCP_NODELAY");
    }
    let state = seat.state();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let under_way = state.begin();
        // Bytes of objects are passed on; everything else is kept until the answer is there.
        let is_kept = !request.uri().path().starts_with(OBJECTS);
        let (parts, body) = request.into_parts();
        let (body, share) = Counted::new(body, state.clone(), is_kept);
        let answer = router.clone().oneshot(Request::from_parts(parts, Body::new(body)));
        async move {
            let answer = answer.await;
            drop((share, under_way));
            answer
        }
    });
    let open = open.watcher();
    let speak_http2 = || {
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2.max_concurrent_streams(STREAMS);
        http2
    };
    let (connections, id) = (seat.connections(), seat.id());
    let task = mitosis_background::spawn("connection", async move {
        // What few connections need is on the heap, so that the others need no room for it.
        let conversation = match tls {
            None if is_http2(&stream).await => {
                let stream = TokioIo::new(Noted::new(stream, seat.state()));
                Box::pin(open.watch(speak_http2().serve_connection(stream, service))).await
            }
            None => {
                let stream = TokioIo::new(Noted::new(stream, seat.state()));
                open.watch(http1::Builder::new().serve_connection(stream, service)).await
            }
            Some(tls) => match Box::pin(tls.accept(stream)).await {
                Ok((stream, true)) => {
                    let stream = TokioIo::new(Noted::new(stream, seat.state()));
                    let http2 = speak_http2().serve_connection(stream, service);
                    Box::pin(open.watch(http2)).await
                }
                Ok((stream, false)) => {
                    let stream = TokioIo::new(Noted::new(stream, seat.state()));
                    let http1 = http1::Builder::new().serve_connection(stream, service);
                    Box::pin(open.watch(http1)).await
                }
                Err(error) => {
                    tracing::debug!(%error, %peer, "TLS handshake failed");
                    return;
                }
            },
        };
        if let Err(error) = conversation {
            tracing::debug!(%error, %peer, "a connection failed");
        }
    });
    connections.is_served_by(id, task.abort_handle());
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
    async fn request_that_does_not_end_is_broken_off_at_a_stop() {
        let (open, connections) = (GracefulShutdown::new(), Connections::new(Room::of_this_process()));
        let seat = connections.admit(IpAddr::V4(Ipv4Addr::LOCALHOST), false).unwrap();
        let (id, (mut client, server)) = (seat.id(), tokio::io::duplex(1_024));
        let begun = Arc::new(tokio::sync::Notify::new());
        let begins = begun.clone();
        let endless = service_fn(move |_: Request<Incoming>| {
            begins.notify_one();
            std::future::pending::<hyper::Result<http::Response<String>>>()
        });
        let served = open.watch(http1::Builder::new().serve_connection(TokioIo::new(server), endless));
        let task = mitosis_testkit::spawn(async move {
            let _seat = seat;
            served.await
        });
        connections.is_served_by(id, task.abort_handle());
        client.write_all(b"GET / HTTP/1.1\r\nhost: mito\r\n\r\n").await.unwrap();
        begun.notified().await;
        let stopped = tokio::time::Instant::now();
        tokio::time::timeout(LAST_REQUESTS * 2, end(open, &connections)).await.expect("it has a limit");
        assert_eq!(stopped.elapsed().as_secs(), LAST_REQUESTS.as_secs(), "it had time to end");
        let rest = tokio::time::timeout(LAST_REQUESTS, client.read(&mut [0; 16])).await;
        assert_eq!(rest.expect("the connection is closed").unwrap(), 0);
    }
}
