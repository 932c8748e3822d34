//! Short messages between coordinators. One connection listens, and is opened again when it breaks.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_postgres::AsyncMessage;

use super::address::Address;
use super::session::Session;
use super::{PostgresStore, connect};
use crate::StoreError;
use crate::db::only;
use crate::ops::notifications::{Notification, Notifications};

/// Messages in the queue; further ones are dropped.
const QUEUE: usize = 1_000;
/// The pause between two attempts to connect.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Returns the existing secret, or stores the proposal.
const SHARED_SECRET: &str = "
    INSERT INTO shared_secret (name, secret) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING secret";

const NOTIFY: &str = "SELECT pg_notify('mito', $1)";

#[async_trait]
impl Notifications for PostgresStore {
    async fn notify(&self, text: &str) -> Result<(), StoreError> {
        Session::Client(&self.client().await?).one(NOTIFY, &[&text], |_| Ok(())).await
    }

    async fn shared_secret(&self, name: &str, proposal: &str) -> Result<String, StoreError> {
        Session::Client(&self.client().await?).one(SHARED_SECRET, &[&name, &proposal], only).await
    }

    fn listen(&self) -> Option<mpsc::Receiver<Notification>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        mitosis_background::spawn("notifications", listen_and_reconnect(self.address.clone(), sender));
        Some(receiver)
    }
}

/// Listens, and connects again when the connection breaks. Ends when the receiver is dropped.
async fn listen_and_reconnect(address: Arc<Address>, sender: mpsc::Sender<Notification>) {
    loop {
        tokio::select! {
            broken = listen(&address, &sender) => {
                if let Err(error) = broken {
                    let error: &dyn std::error::Error = &error;
                    tracing::debug!(error, "can't listen to the other coordinators");
                }
            }
            () = sender.closed() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(RECONNECT_PAUSE) => {}
            () = sender.closed() => return,
        }
    }
}

/// Listens on one connection until it breaks.
async fn listen(address: &Address, sender: &mpsc::Sender<Notification>) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = connect::connect(address).await?;
    let listening = client.batch_execute("LISTEN mito");
    tokio::pin!(listening);
    let mut is_listening = false;
    loop {
        tokio::select! {
            outcome = &mut listening, if !is_listening => {
                outcome?;
                is_listening = true;
                // Earlier messages may be lost.
                let _ = sender.try_send(Notification::Gap);
            }
            message = std::future::poll_fn(|context| connection.poll_message(context)) => match message {
                Some(Ok(AsyncMessage::Notification(message))) => {
                    let _ = sender.try_send(Notification::Message(message.payload().to_owned()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
        }
    }
}
