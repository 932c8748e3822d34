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
use crate::preface::is_http2;
use crate::tls::Tls;

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
            Ok((stream, peer)) => converse(stream, peer, router.clone(), app.tls.clone(), &open),
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

fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    tls: Option<Arc<Tls>>,
    open: &GracefulShutdown,
) {
    // Small replies must not wait for the acknowledgement of earlier ones.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let open = open.watcher();
    let speak_http2 = || {
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2.max_concurrent_streams(STREAMS);
        http2
    };
    tokio::spawn(async move {
        // What few connections need is on the heap, so that the others need no room for it.
        let conversation = match tls {
            None if is_http2(&stream).await => {
                Box::pin(open.watch(speak_http2().serve_connection(TokioIo::new(stream), service))).await
            }
            None => open.watch(http1::Builder::new().serve_connection(TokioIo::new(stream), service)).await,
            Some(tls) => match Box::pin(tls.accept(stream)).await {
                Ok((stream, true)) => {
                    let http2 = speak_http2().serve_connection(TokioIo::new(stream), service);
                    Box::pin(open.watch(http2)).await
                }
                Ok((stream, false)) => {
                    let http1 = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    Box::pin(open.watch(http1)).await
                }
                Err(error) => {
                    tracing::debug!(%error, %peer, "no TLS came about");
                    return;
                }
            },
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
