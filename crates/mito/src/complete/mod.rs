//! Completion of command lines, for shells and for the interactive mode.
//!
//! [`request`] determines what to complete, without a coordinator; [`lookup`] asks the coordinator for names, within a
//! short time, without a login and without messages.

pub(crate) mod lookup;
mod request;

pub(crate) use request::{CompletionRequest, Context, Names, request};

/// A candidate for completion.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    /// The word to insert.
    pub(crate) word: String,
    /// A short description.
    pub(crate) about: String,
}

impl Candidate {
    pub(crate) fn new(word: impl Into<String>, about: impl Into<String>) -> Self {
        let about: String = about.into();
        Self { word: word.into(), about: about.replace(['\t', '\n'], " ") }
    }
}
