//! The listening socket and the way of a request to its handler.
//!
//! HTTP/1.1, and HTTP/2 for whoever begins with it. Which of the two is known before a server is chosen
//! ([`crate::preface`]): a fleet of agents holds a connection each, and one that might become HTTP/2 takes
//! about twice the memory.

use std::net::SocketAddr;
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
use crate::preface::is_http2;

/// Requests under way at once on one connection of HTTP/2.
const STREAMS: u32 = 64;
/// How long to wait when no further connection can be taken, for instance for want of open files.
const RELIEF: Duration = Duration::from_secs(1);

/// Serves until the application stops, then lets requests that are under way end.
pub(crate) async fn serve(listener: TcpListener, router: Router, app: App) {
    let open = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = app.stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => converse(stream, peer, router.clone(), &open),
            // Whoever hung up before being let in.
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no further connection can be taken");
                tokio::time::sleep(RELIEF).await;
            }
        }
    }
    drop(listener);
    open.shutdown().await;
}

fn converse(stream: TcpStream, peer: SocketAddr, router: Router, open: &GracefulShutdown) {
    // Small replies must not wait for the acknowledgement of earlier ones.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let open = open.watcher();
    tokio::spawn(async move {
        let conversation = match is_http2(&stream).await {
            true => {
                let http2 = http2::Builder::new(TokioExecutor::new())
                    .max_concurrent_streams(STREAMS)
                    .serve_connection(TokioIo::new(stream), service);
                // On the heap, so that the others need no room for it.
                Box::pin(open.watch(http2)).await
            }
            false => open.watch(http1::Builder::new().serve_connection(TokioIo::new(stream), service)).await,
        };
        if let Err(error) = conversation {
            tracing::debug!(%error, %peer, "a connection broke off");
        }
    });
}

fn is_of_the_peer(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
