//! Converts filters for coordinators that do not know conditions.

use mitosis_client::{Capabilities, UserClient};
use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_domain::filter::Filter;
use mitosis_protocol::task::TaskFilter;

use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// Converts a filter to a form that the coordinator knows. It would ignore an unknown condition and select all tasks.
pub(super) async fn fitting(filter: TaskFilter, client: &UserClient) -> Result<TaskFilter, Failure> {
    let Some(words) = &filter.filter else { return Ok(filter) };
    if client.client().capabilities().await? == Capabilities::Native {
        return Ok(filter);
    }
    let conditions = Filter::parse(words, SystemClock.now()).map_err(|error| {
        let hint = error.hint();
        Failure::new(Exit::Usage, error).with_hint(hint)
    })?;
    conditions.in_fields(&filter).map_err(|condition| {
        let address = client.client().address();
        Failure::new(
            Exit::Failure,
            format!("the coordinator at {address} is mito 0.6, which cannot select by `{condition}`"),
        )
        .with_hint("nothing was sent; label=, tag=, state=, creator=, priority and exit=N work with 0.6")
    })
}
