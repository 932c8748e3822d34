//! What could come next on a command line: for shells, and for the interactive mode.
//!
//! [`request`] determines from the words what to complete, and knows nothing of coordinators; [`lookup`] asks the
//! coordinator for names, within a moment and without ever logging in or complaining.

pub(crate) mod lookup;
mod request;

pub(crate) use request::{CompletionRequest, Context, Names, request};

/// One thing that could come next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    /// The word.
    pub(crate) word: String,
    /// A few words about it.
    pub(crate) about: String,
}

impl Candidate {
    pub(crate) fn new(word: impl Into<String>, about: impl Into<String>) -> Self {
        let about: String = about.into();
        Self { word: word.into(), about: about.replace(['\t', '\n'], " ") }
    }
}
