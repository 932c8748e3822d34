//! Short messages between coordinators: one connection listens, and is made anew when it breaks.

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
use crate::ops::signals::{Heard, Signals};

/// Messages that wait to be read; more are as good as missed.
const QUEUE: usize = 1_000;
/// Time between two tries to connect.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Touches what is there, so that it is answered.
const AGREE: &str = "
    INSERT INTO shared_secret (name, secret) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING secret";

const SIGNAL: &str = "SELECT pg_notify('mito', $1)";

#[async_trait]
impl Signals for PostgresStore {
    async fn signal(&self, text: &str) -> Result<(), StoreError> {
        Session::Client(&self.client().await?).one(SIGNAL, &[&text], |_| Ok(())).await
    }

    async fn shared_secret(&self, name: &str, proposal: &str) -> Result<String, StoreError> {
        Session::Client(&self.client().await?).one(AGREE, &[&name, &proposal], only).await
    }

    fn hear(&self) -> Option<mpsc::Receiver<Heard>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        mitosis_background::spawn("signals", listen_for_ever(self.address.clone(), sender));
        Some(receiver)
    }
}

/// Ends when nobody reads any more.
async fn listen_for_ever(address: Arc<Address>, sender: mpsc::Sender<Heard>) {
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
            () = tokio::time::sleep(TRY_AGAIN) => {}
            () = sender.closed() => return,
        }
    }
}

/// Listens on one connection until it breaks.
async fn listen(address: &Address, sender: &mpsc::Sender<Heard>) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = connect::connect(address).await?;
    let listening = client.batch_execute("LISTEN mito");
    tokio::pin!(listening);
    let mut is_listening = false;
    loop {
        tokio::select! {
            outcome = &mut listening, if !is_listening => {
                outcome?;
                is_listening = true;
                // Whatever was said before is gone.
                let _ = sender.try_send(Heard::Missed);
            }
            message = std::future::poll_fn(|context| connection.poll_message(context)) => match message {
                Some(Ok(AsyncMessage::Notification(said))) => {
                    let _ = sender.try_send(Heard::Said(said.payload().to_owned()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
        }
    }
}
