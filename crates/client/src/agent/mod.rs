//! What a worker says for itself (HTTP contract §12).

mod fetch;
mod heartbeat;
mod output;
mod poll;
mod report;
mod report_batch;
mod resources;
mod sign_off;
pub(crate) mod token;

use std::time::Duration;

/// How long a worker may be silent, as the coordinator says in a header of ours.
pub(crate) fn lease(response: &reqwest::Response) -> Option<Duration> {
    let seconds = response.headers().get("x-mito-lease")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
