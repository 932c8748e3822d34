//! Tags lines of a shared log file with their worker.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use mitosis_protocol::Uuid;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The tag of a worker: its process id, then its UUID.
#[derive(Debug, Clone)]
pub(crate) struct WorkerTag(Arc<RwLock<String>>);

impl WorkerTag {
    pub(crate) fn of_this_process() -> Self {
        Self(Arc::new(RwLock::new(format!("process {}", std::process::id()))))
    }

    /// Sets the UUID.
    pub(crate) fn set_worker(&self, worker: Uuid) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = worker.to_string();
    }
}

impl fmt::Display for WorkerTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Formats lines as usual, with the tag of the worker in front.
#[derive(Debug)]
pub(super) struct TaggedFormat {
    pub(super) tag: Option<WorkerTag>,
    pub(super) format: Format,
}

impl<S, N> FormatEvent<S, N> for TaggedFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if let Some(tag) = &self.tag {
            write!(writer, "[worker:{tag}] ")?;
        }
        self.format.format_event(context, writer, event)
    }
}
