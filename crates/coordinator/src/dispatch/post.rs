//! What coordinators of one database tell each other: that something became Ready, that something
//! changed, that an agent has to be told something.
//!
//! A message is a hint that saves a wait. Losing one costs time and nothing else, so messages never ride
//! in the transaction that they tell of.

use std::collections::BTreeSet;
use std::time::Duration;

use mitosis_domain::backoff::Backoff;
use mitosis_protocol::Uuid;
use mitosis_store::ops::signals::Heard;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::patience::chance;
use crate::app::App;
use crate::error::chain;

/// How long the first message waits for others.
const WINDOW: Duration = Duration::from_millis(20);
/// Agents named in one message; what a database carries is limited.
const AT_ONCE: usize = 100;

/// What one coordinator tells the others.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Letter {
    /// Who writes; everybody hears everything, the writer too.
    from: u64,
    /// Something became Ready.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ready: bool,
    /// Something came to another state.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    news: bool,
    /// Agents that have to be told something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    summon: Vec<Uuid>,
}

/// Names agents that another coordinator may have to tell something.
#[derive(Debug, Clone)]
pub(crate) struct Post(mpsc::UnboundedSender<Uuid>);

/// Names that are to be sent.
pub(crate) struct Outbox(mpsc::UnboundedReceiver<Uuid>);

impl Post {
    pub(crate) fn new() -> (Self, Outbox) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), Outbox(receiver))
    }

    /// An agent has to be told something, wherever it is connected.
    pub(crate) fn summon(&self, agent: Uuid) {
        // Nobody sends when this coordinator is alone.
        let _ = self.0.send(agent);
    }
}

/// Sends and receives until the application stops. Ends at once where there is nobody to talk to.
pub(crate) async fn serve(app: App, outbox: Outbox) {
    let Some(heard) = app.store.hear() else { return };
    let name = app.entropy.number().unsigned_abs();
    tokio::join!(send(&app, name, outbox), receive(&app, name, heard));
}

async fn send(app: &App, name: u64, mut outbox: Outbox) {
    let (mut bell, mut news) = (app.bell.listen_to_own(), app.news.listen_to_own());
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        let mut letter = Letter { from: name, ..Letter::default() };
        let mut summon = BTreeSet::new();
        tokio::select! {
            () = bell.heard() => letter.ready = true,
            () = news.heard() => letter.news = true,
            agent = outbox.0.recv() => summon.extend(agent),
            () = app.stopping.cancelled() => return,
        }
        tokio::time::sleep(WINDOW).await;
        letter.ready |= bell.has_rung();
        letter.news |= news.has_rung();
        while summon.len() < AT_ONCE
            && let Ok(agent) = outbox.0.try_recv()
        {
            summon.insert(agent);
        }
        letter.summon = summon.into_iter().collect();
        let text = serde_json::to_string(&letter).expect("a letter is plain data");
        match app.store.signal(&text).await {
            Ok(()) => backoff.reset(),
            Err(fault) => {
                tracing::debug!(cause = chain(&fault), "the other coordinators could not be told");
                tokio::time::sleep(backoff.next_wait(chance(app))).await;
            }
        }
    }
}

async fn receive(app: &App, name: u64, mut heard: mpsc::Receiver<Heard>) {
    loop {
        let heard = tokio::select! {
            heard = heard.recv() => heard,
            () = app.stopping.cancelled() => return,
        };
        match heard {
            Some(Heard::Said(text)) => match serde_json::from_str::<Letter>(&text) {
                Ok(letter) if letter.from != name => obey(app, &letter),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "a message of another coordinator is not understood"),
            },
            Some(Heard::Missed) => {
                app.bell.echo();
                app.news.echo();
                app.agents.summon_all();
            }
            None => return,
        }
    }
}

fn obey(app: &App, letter: &Letter) {
    if letter.ready {
        app.bell.echo();
    }
    if letter.news {
        app.news.echo();
    }
    for agent in &letter.summon {
        app.agents.summon(*agent);
    }
}
