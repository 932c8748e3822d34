//! Connections for the queries of users, which may take long and whose caller may leave before the reply.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Client, Object};

use super::address::Address;

/// How long to wait for the effect of a cancel request before the next one.
const CANCEL_INTERVAL: Duration = Duration::from_secs(1);

/// A connection for one query. If it is dropped without [`Self::finished`], the running statement is cancelled.
pub(super) struct CancelOnDrop {
    client: Option<Client>,
    address: Arc<Address>,
}

impl CancelOnDrop {
    pub(super) fn new(client: Client, address: Arc<Address>) -> Self {
        Self { client: Some(client), address }
    }

    pub(super) fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("it is only taken at the end")
    }

    /// Returns the connection to the pool; nothing runs on it any more.
    pub(super) fn finished(mut self) {
        self.client = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let abandon = abandon(client, Arc::clone(&self.address));
            mitosis_background::spawn_if_in_runtime("cancel-query", abandon);
        }
    }
}

/// Cancels what still runs on a connection. The connection stays out of the pool until then, so that queries
/// which can't be cancelled count towards the limit of concurrent queries.
async fn abandon(client: Client, address: Arc<Address>) {
    let token = client.cancel_token();
    {
        // The reply comes after that of the running statement.
        let idle = client.simple_query("");
        tokio::pin!(idle);
        loop {
            let cancel = token.cancel_query(address.tls.connector());
            if let Ok(Err(error)) = tokio::time::timeout(CANCEL_INTERVAL, cancel).await {
                tracing::debug!(%error, "an abandoned query could not be cancelled");
            }
            if tokio::time::timeout(CANCEL_INTERVAL, &mut idle).await.is_ok() {
                break;
            }
        }
    }
    // A late cancel request could cancel the query of another user, so the connection is not reused.
    drop(Object::take(client));
}
