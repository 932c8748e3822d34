//! Hints of other coordinators, and live output across them: the agent of a task may be connected to one coordinator,
//! and the follower to another.
//!
//! The coordinator of the follower requests bytes. The coordinator of the agent follows on its behalf and relays the
//! output in small chunks. A lost chunk is requested again.

use std::time::Duration;

use mitosis_protocol::Uuid;
use mitosis_protocol::output::OutputChunk;

use super::output_hub::{Part, Wake, Wanted};
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
        Received::Hint(Hint::Follow { agent, task, stdout, stderr, position }) => {
            let wanted = position.map_or(Wanted::Bytes { stdout, stderr }, Wanted::Position);
            follow(app, agent, task, wanted);
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

/// The request for something that a local client wants from the agent of another coordinator.
pub(crate) fn request(agent: Uuid, task: Uuid, wanted: Wanted) -> Hint {
    match wanted {
        Wanted::Bytes { stdout, stderr } => Hint::Follow { agent, task, stdout, stderr, position: None },
        Wanted::Position(position) => {
            Hint::Follow { agent, task, stdout: 0, stderr: 0, position: Some(position) }
        }
    }
}

/// Follows a task on behalf of a peer, if its agent is connected here.
fn follow(app: &App, agent: Uuid, task: Uuid, wanted: Wanted) {
    if !app.agents.follow(agent, task) {
        return;
    }
    let app = app.clone();
    mitosis_background::spawn("output-relay", async move {
        let mut following = app.output.follow(task, wanted);
        let Ok(wake) = tokio::time::timeout(RELAY_TTL, following.woken()).await else { return };
        if let Some(chunk) = chunk(wanted, wake) {
            app.peers.send(Hint::Output { task, chunk });
        }
    });
}

/// What a peer gets of what its client wanted.
fn chunk(wanted: Wanted, wake: Wake) -> Option<OutputChunk> {
    let short = |part: Part, wanted: u64| {
        let Part { offset, mut bytes } = part;
        bytes.truncate(OUTPUT_BYTES);
        (offset - wanted, offset, bytes)
    };
    match (wake, wanted) {
        (Wake::Bytes { stdout, stderr }, Wanted::Bytes { stdout: from, stderr: err_from }) => {
            let (stdout_omitted, stdout_offset, stdout) = short(stdout, from);
            let (stderr_omitted, stderr_offset, stderr) = short(stderr, err_from);
            Some(OutputChunk {
                stdout_offset,
                stdout_omitted,
                stdout,
                stderr_offset,
                stderr_omitted,
                stderr,
                located: None,
            })
        }
        (Wake::Located(located), _) => Some(OutputChunk { located: Some(located), ..OutputChunk::default() }),
        (Wake::Bytes { .. }, Wanted::Position(_)) | (Wake::Changed, _) => None,
    }
}
