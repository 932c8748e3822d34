//! Short messages between the coordinators of one database, and secrets that they share.

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::StoreError;

/// An event on the connection that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// A message, unchanged. The sender receives its own messages, too.
    Message(String),
    /// The connection was interrupted, so messages may have been lost.
    Gap,
}

/// Messages that announce changes earlier than the next poll. They may get lost.
#[async_trait]
pub trait Notifications {
    /// Sends a message of at most 7,000 bytes to all coordinators. Does nothing if there is only one.
    async fn notify(&self, text: &str) -> Result<(), StoreError>;

    /// Reads the secret with this name, which is the same for all coordinators; the first proposal is stored.
    async fn shared_secret(&self, name: &str, proposal: &str) -> Result<String, StoreError>;

    /// Starts to listen; none if there is only one coordinator. Ends when the receiver is dropped.
    fn listen(&self) -> Option<mpsc::Receiver<Notification>>;
}
