//! Short messages between the coordinators of one database, and secrets that they share.

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::StoreError;

/// What is heard from the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// A message, as it was sent. The sender hears its own too.
    Message(String),
    /// The connection was lost for a while; messages may have been missed.
    Gap,
}

/// Messages that tell of changes sooner than the next look would. They may get lost.
#[async_trait]
pub trait Notifications {
    /// Tells everybody who listens; at most 7,000 bytes. Does nothing where there is nobody else.
    async fn notify(&self, text: &str) -> Result<(), StoreError>;

    /// The secret of this name, the same for all coordinators: the first proposal becomes it.
    async fn shared_secret(&self, name: &str, proposal: &str) -> Result<String, StoreError>;

    /// Starts to listen; nothing where there is nobody else. Ends when the receiver is dropped.
    fn listen(&self) -> Option<mpsc::Receiver<Notification>>;
}
