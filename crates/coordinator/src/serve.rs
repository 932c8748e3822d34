//! The listening socket and the way of a request to its handler.

use std::net::SocketAddr;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Serves until the application stops, then lets requests that are under way end.
pub(crate) async fn serve(listener: TcpListener, router: Router, app: App) -> std::io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Small replies must not wait for the acknowledgement of earlier ones.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let stopping: CancellationToken = app.stopping.clone();
    axum::serve(listener, service).with_graceful_shutdown(stopping.cancelled_owned()).await
}
