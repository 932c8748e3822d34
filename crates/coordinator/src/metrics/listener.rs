//! A separate address for `GET /metrics`, without a token.
//!
//! It is served without TLS and without the limits of the API, and every client that reaches it may read the metrics:
//! it is for a loopback address, or a network of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use super::scrape::Exposition;
use crate::app::App;
use crate::error::ApiError;

/// Connections at a time; others wait.
const CONNECTIONS: usize = 16;
/// How long a connection may take, from its first byte to the last of the response.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait when a connection can't be accepted, such as without a free file descriptor.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves scrapes until the coordinator stops.
pub(crate) async fn serve(listener: TcpListener, app: App) {
    let router = Router::new().route("/metrics", get(scrape)).with_state(app.clone());
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let accept = async {
        loop {
            let Ok(permit) = permits.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = respond(stream, router.clone());
                    mitosis_background::spawn("metrics-connection", async move {
                        let _permit = permit;
                        connection.await;
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "failed to accept a connection for metrics");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    app.stopping.run_until_cancelled(accept).await;
}

async fn scrape(State(app): State<App>) -> Result<Exposition, ApiError> {
    Exposition::of(&app).await
}

/// One request per connection, so that a silent peer holds a permit for a limited time.
async fn respond(stream: TcpStream, router: Router) {
    let service = service_fn(move |request: Request<Incoming>| router.clone().oneshot(request));
    let connection = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection for metrics failed"),
        Err(_) => tracing::debug!("a connection for metrics took too long"),
    }
}
