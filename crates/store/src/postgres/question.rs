//! Questions of users, which may take long and whose caller may leave before the answer.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Client, Object};

use super::address::Address;

/// How long to wait for the effect of a cancel request before the next.
const AGAIN: Duration = Duration::from_secs(1);

/// A connection that answers one question. Without [`Self::answered`], its statement is cancelled.
pub(super) struct Question {
    client: Option<Client>,
    address: Arc<Address>,
}

impl Question {
    pub(super) fn new(client: Client, address: Arc<Address>) -> Self {
        Self { client: Some(client), address }
    }

    pub(super) fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("it is there until the question ends")
    }

    /// Nothing runs on the connection any more: others may have it.
    pub(super) fn answered(mut self) {
        self.client = None;
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let abandon = abandon(client, Arc::clone(&self.address));
            mitosis_background::spawn_if_in_runtime("abandoned-question", abandon);
        }
    }
}

/// Ends what still runs on a connection. It keeps its place in the pool until then: questions that can't be cancelled
/// are no more at once than others.
async fn abandon(client: Client, address: Arc<Address>) {
    let token = client.cancel_token();
    {
        // Answered after what was asked before.
        let idle = client.simple_query("");
        tokio::pin!(idle);
        loop {
            let cancel = token.cancel_query(address.tls.connector());
            if let Ok(Err(error)) = tokio::time::timeout(AGAIN, cancel).await {
                tracing::debug!(%error, "an abandoned question could not be cancelled");
            }
            if tokio::time::timeout(AGAIN, &mut idle).await.is_ok() {
                break;
            }
        }
    }
    // A cancel request that is late would end the question of another.
    drop(Object::take(client));
}
