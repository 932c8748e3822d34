//! Live output across coordinators: a task's agent is connected to one, and whoever follows to another.
//!
//! The follower's coordinator says which bytes are wanted. The one that has the agent follows in its
//! stead, and passes on what comes, a little at a time; so nothing is sent that nobody waits for. What is
//! lost on the way is asked for again.

use std::time::Duration;

use mitosis_protocol::Uuid;
use mitosis_protocol::output::OutputChunk;

use super::output_hub::Wake;
use crate::app::App;
use crate::dispatch::post::{Note, OUTPUT_BYTES};

/// How long to follow in somebody's stead before being asked again.
const STEAD: Duration = Duration::from_secs(8);
/// After so long without output, the other coordinator is asked again.
pub(crate) const ASK_AGAIN: Duration = Duration::from_secs(6);

/// Follows a task in somebody's stead, if its agent is connected here.
pub(crate) fn follow(app: &App, agent: Uuid, task: Uuid, stdout: u64, stderr: u64) {
    if !app.agents.follow(agent, task) {
        return;
    }
    let app = app.clone();
    mitosis_background::spawn("output-relay", async move {
        let mut following = app.output.follow(task, stdout, stderr);
        let Ok(Wake::Bytes { stdout: out, stderr: err }) =
            tokio::time::timeout(STEAD, following.woken()).await
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
        app.post.send(Note::Output { task, chunk });
    });
}
