//! Who writes a line of a file that several workers share.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use mitosis_protocol::Uuid;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// A worker, by its process until it is registered.
#[derive(Debug, Clone)]
pub(crate) struct Author(Arc<RwLock<String>>);

impl Author {
    pub(crate) fn of_this_process() -> Self {
        Self(Arc::new(RwLock::new(format!("process {}", std::process::id()))))
    }

    /// From now on, it goes by this name.
    pub(crate) fn is(&self, worker: Uuid) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = worker.to_string();
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Lines as they usually are, after the name of their author if there is one.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) author: Option<Author>,
    pub(super) usual: Format,
}

impl<S, N> FormatEvent<S, N> for Lines
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
        if let Some(author) = &self.author {
            write!(writer, "[worker:{author}] ")?;
        }
        self.usual.format_event(context, writer, event)
    }
}
