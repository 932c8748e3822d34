//! Hints of other coordinators, and live output across them: the agent of a task may be connected to one coordinator,
//! and the follower to another.
//!
//! The coordinator of the follower requests bytes. The coordinator of the agent follows on its behalf and relays the
//! output in small chunks. A lost chunk is requested again.

use std::time::Duration;

use mitosis_protocol::Uuid;
use mitosis_protocol::output::OutputChunk;

use super::output_hub::Wake;
use super::states::LiveReport;
use crate::app::App;
use crate::dispatch::peer_notifier::{Hint, OUTPUT_BYTES, Received};

/// How long to follow on behalf of a peer without a further request.
const RELAY_TTL: Duration = Duration::from_secs(8);
/// Time without output after which the request to the other coordinators is repeated.
pub(crate) const RENEW_AFTER: Duration = Duration::from_secs(6);

/// Applies what another coordinator sent.
pub(crate) fn apply(app: &App, received: Received) {
    match received {
        Received::Missed => app.publisher.wake_all(),
        Received::Hint(Hint::WakeAgent(agent)) => app.publisher.wake_for_peer(agent),
        Received::Hint(Hint::Follow { agent, task, stdout, stderr }) => {
            follow(app, agent, task, stdout, stderr);
        }
        Received::Hint(Hint::Watch { agent, task, timeout }) => {
            if app.agents.watch(agent, task, timeout) {
                app.states.watch_for_peer(task);
            }
        }
        Received::Hint(Hint::State { agent, task, state }) => {
            app.states.publish(LiveReport { holder: agent, state }, task);
        }
        Received::Hint(Hint::Output { task, chunk }) => drop(app.output.publish(task, &chunk)),
    }
}

/// Follows a task on behalf of a peer, if its agent is connected here.
fn follow(app: &App, agent: Uuid, task: Uuid, stdout: u64, stderr: u64) {
    if !app.agents.follow(agent, task) {
        return;
    }
    let app = app.clone();
    mitosis_background::spawn("output-relay", async move {
        let mut following = app.output.follow(task, stdout, stderr);
        let Ok(Wake::Bytes { stdout: out, stderr: err }) =
            tokio::time::timeout(RELAY_TTL, following.woken()).await
        else {
            return;
        };
        let first = |mut bytes: Vec<u8>| {
            bytes.truncate(OUTPUT_BYTES);
            bytes
        };
        let chunk = OutputChunk {
            stdout_offset: stdout,
            stdout: first(out),
            stderr_offset: stderr,
            stderr: first(err),
        };
        app.peers.send(Hint::Output { task, chunk });
    });
}
