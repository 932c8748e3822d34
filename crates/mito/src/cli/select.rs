//! Which tasks: options that `mito retry` and `mito results` share.

use clap::Args;
use mitosis_protocol::task::TaskFilter;

use super::client::filter::{StateArg, some};

#[derive(Debug, Args)]
#[command(next_help_heading = "Which tasks")]
pub(crate) struct SelectArgs {
    /// Of this group; the user's own unless given
    #[arg(short, long)]
    group: Option<String>,
    /// With all of these labels
    #[arg(short, long, value_name = "LABEL", value_delimiter = ',')]
    labels: Vec<String>,
    /// With all of these tags
    #[arg(short, long, value_name = "TAG", value_delimiter = ',')]
    tags: Vec<String>,
    /// In one of these states
    #[arg(short, long = "state", value_delimiter = ',')]
    state: Vec<StateArg>,
    /// Raw wait status, such as `256` or `!=0`
    #[arg(short, long)]
    exit_status: Option<String>,
    /// Priority, such as `>=5`
    #[arg(short, long, allow_hyphen_values = true)]
    priority: Option<String>,
    /// Submitted by one of these users
    #[arg(long, value_name = "USER", value_delimiter = ',')]
    creators: Vec<String>,
    /// Only those that failed: ended with another status than 0, at their timeout, or without having
    /// started; not those that a user cancelled
    #[arg(long)]
    pub(crate) failed: bool,
}

impl SelectArgs {
    pub(crate) fn filter(&self) -> TaskFilter {
        TaskFilter {
            filter: None,
            creator_usernames: some(&self.creators),
            group_name: self.group.clone(),
            tags: some(&self.tags),
            labels: some(&self.labels),
            states: (!self.state.is_empty())
                .then(|| self.state.iter().map(|state| (*state).into()).collect()),
            exit_status: self.exit_status.clone(),
            priority: self.priority.clone(),
        }
    }

    /// Whether anything says which tasks of the group are meant.
    pub(crate) fn says_something(&self) -> bool {
        self.failed || self.picks()
    }

    /// Whether a filter was given besides the group.
    pub(crate) fn picks(&self) -> bool {
        !self.labels.is_empty()
            || !self.tags.is_empty()
            || !self.state.is_empty()
            || self.exit_status.is_some()
            || self.priority.is_some()
            || !self.creators.is_empty()
    }
}
