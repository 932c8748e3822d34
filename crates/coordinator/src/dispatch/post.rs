//! What coordinators of one database tell each other: that something became Ready, that something
//! changed, that an agent has to be told something, and the output that a follower elsewhere waits for.
//!
//! A message is a hint that saves a wait. Losing one costs time and nothing else, so messages never ride
//! in the transaction that they tell of.

use std::sync::Arc;
use std::time::Duration;

use mitosis_domain::backoff::Backoff;
use mitosis_protocol::output::OutputChunk;
use mitosis_protocol::{ExecState, Uuid};
use mitosis_store::ops::signals::Heard;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

use super::patience::chance;
use crate::app::App;
use crate::error::chain;
use crate::events::relay;
use crate::events::states::Live;

/// How long the first message waits for others.
const WINDOW: Duration = Duration::from_millis(20);
/// Bytes in one message; what a database carries is limited to a little more.
const LETTER_BYTES: usize = 6_500;
/// Most bytes of output in one message: with both streams in base64 it fits.
pub(crate) const OUTPUT_BYTES: usize = 2_200;

/// What one coordinator tells the others.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Letter {
    /// Who writes; everybody hears everything, the writer too.
    from: u64,
    /// Something became Ready.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ready: bool,
    /// Something came to another state.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    news: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Note>,
}

/// Something for whoever it concerns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Note {
    /// This agent has to be told something.
    Summon(Uuid),
    /// Somebody waits for output of a task that this agent runs.
    Follow {
        agent: Uuid,
        task: Uuid,
        /// First byte wanted of each stream.
        stdout: u64,
        stderr: u64,
    },
    /// Somebody waits for the states of a task that this agent holds.
    Watch {
        agent: Uuid,
        task: Uuid,
        /// How long the task may run, in seconds.
        timeout: u64,
    },
    /// Where a task stands that somebody waits for.
    State { agent: Uuid, task: Uuid, state: ExecState },
    /// Output of a task that somebody waits for.
    Output { task: Uuid, chunk: OutputChunk },
}

impl Note {
    /// About so many bytes in a message.
    fn bytes(&self) -> usize {
        match self {
            Self::Summon(_) => 60,
            Self::Follow { .. } | Self::Watch { .. } | Self::State { .. } => 200,
            Self::Output { chunk, .. } => 300 + (chunk.stdout.len() + chunk.stderr.len()) * 4 / 3,
        }
    }
}

/// The way to the other coordinators.
#[derive(Debug, Clone)]
pub(crate) struct Post(mpsc::UnboundedSender<Note>);

/// Notes that are to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(Arc<Mutex<mpsc::UnboundedReceiver<Note>>>);

impl Post {
    pub(crate) fn new() -> (Self, Outbox) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), Outbox(Arc::new(Mutex::new(receiver))))
    }

    /// Tells all others.
    pub(crate) fn send(&self, note: Note) {
        // Nobody sends when this coordinator is alone.
        let _ = self.0.send(note);
    }
}

/// Sends and receives until the application stops. Where there is nobody to talk to, it only waits for that.
pub(crate) async fn serve(app: App, outbox: Outbox) {
    let Some(heard) = app.store.hear() else { return app.stopping.cancelled().await };
    let name = app.entropy.number().unsigned_abs();
    let mut outbox = outbox.0.lock().await;
    tokio::join!(send(&app, name, &mut outbox), receive(&app, name, heard));
}

async fn send(app: &App, name: u64, outbox: &mut mpsc::UnboundedReceiver<Note>) {
    let (mut bell, mut news) = (app.bell.listen_to_own(), app.news.listen_to_own());
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut left_over: Option<Note> = None;
    loop {
        let mut letter = Letter { from: name, ..Letter::default() };
        if left_over.is_none() {
            tokio::select! {
                () = bell.heard() => letter.ready = true,
                () = news.heard() => letter.news = true,
                note = outbox.recv() => left_over = note,
                () = app.stopping.cancelled() => return,
            }
            tokio::time::sleep(WINDOW).await;
        }
        letter.ready |= bell.has_rung();
        letter.news |= news.has_rung();
        let mut bytes = 0;
        while let Some(note) = left_over.take().or_else(|| outbox.try_recv().ok()) {
            bytes += note.bytes();
            if bytes > LETTER_BYTES && !letter.notes.is_empty() {
                left_over = Some(note);
                break;
            }
            letter.notes.push(note);
        }
        let text = serde_json::to_string(&letter).expect("a letter is plain data");
        match app.store.signal(&text).await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                tracing::debug!(cause = chain(&error), "the other coordinators could not be told");
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
                Ok(letter) if letter.from != name => obey(app, letter),
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

fn obey(app: &App, letter: Letter) {
    if letter.ready {
        app.bell.echo();
    }
    if letter.news {
        app.news.echo();
    }
    for note in letter.notes {
        match note {
            Note::Summon(agent) => app.agents.summon(agent),
            Note::Follow { agent, task, stdout, stderr } => relay::follow(app, agent, task, stdout, stderr),
            Note::Watch { agent, task, timeout } => {
                if app.agents.watch(agent, task, Duration::from_secs(timeout)) {
                    app.states.watch_in_stead(task);
                }
            }
            Note::State { agent, task, state } => {
                app.states.publish(Live { holder: agent, state }, task);
            }
            Note::Output { task, chunk } => drop(app.output.publish(task, &chunk)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_letter_is_carried_by_every_database() {
        let bytes = vec![0xff; OUTPUT_BYTES];
        let chunk = OutputChunk {
            stdout_offset: u64::MAX,
            stdout: bytes.clone(),
            stderr_offset: u64::MAX,
            stderr: bytes,
        };
        let output = Note::Output { task: Uuid::max(), chunk };
        assert!(output.bytes() <= LETTER_BYTES, "it fits");
        let mut notes = vec![output];
        let mut bytes = notes[0].bytes();
        while bytes + Note::Summon(Uuid::max()).bytes() <= LETTER_BYTES {
            notes.push(Note::Summon(Uuid::max()));
            bytes += notes[1].bytes();
        }
        let letter = Letter { from: u64::MAX, ready: true, news: true, notes };
        let length = serde_json::to_string(&letter).unwrap().len();
        assert!(length < 7_000, "{length}");
    }
}
