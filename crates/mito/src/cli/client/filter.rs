//! The filter options of commands on many tasks (command line §4.2).

use clap::{Args, ValueEnum};
use mitosis_domain::filter::Filter;
use mitosis_protocol::TaskState;
use mitosis_protocol::task::TaskFilter;

use crate::cli::value_parsers;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// The filters that all commands on many tasks share.
#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Conditions, before any options: state=running, exit!=0, 'created>-2h'
    #[arg(value_name = "FILTER", value_parser = value_parsers::condition)]
    conditions: Vec<String>,
    #[command(flatten)]
    options: FilterOptions,
}

/// The options of [`FilterArgs`].
#[derive(Debug, Args)]
pub(crate) struct FilterOptions {
    /// Only tasks submitted by one of these users
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    creators: Option<Vec<String>>,
    /// Only tasks of this group (default: your own)
    #[arg(short, long)]
    group: Option<String>,
    /// Only tasks with all of these tags
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    tags: Option<Vec<String>>,
    /// Only tasks with all of these labels
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    labels: Option<Vec<String>>,
    /// Only tasks in one of these states
    #[arg(short, long = "state", num_args = 0.., value_delimiter = ',')]
    state: Option<Vec<StateArg>>,
    /// Only tasks with this raw wait status, such as `256` or `!=0`
    #[arg(short, long)]
    exit_status: Option<String>,
    /// Only tasks with this priority, such as `>=5`
    #[arg(short, long, allow_hyphen_values = true)]
    priority: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StateArg {
    Pending,
    Ready,
    Running,
    Finished,
    Cancelled,
    Unknown,
}

impl FilterArgs {
    pub(crate) fn filter(&self) -> TaskFilter {
        self.options.filter(&self.conditions)
    }

    /// See [`FilterOptions::refuse_empty`].
    pub(crate) fn refuse_empty(&self) -> Result<(), Failure> {
        self.options.refuse_empty()
    }

    /// A notice about an option with a value that looks like a condition: `-l exp1 state=finished` selects two
    /// labels, as in the published program, which has no conditions.
    pub(crate) fn taken_for_words(&self) -> Option<String> {
        let FilterOptions { labels, tags, creators, .. } = &self.options;
        let taken = |words: &Option<Vec<String>>| {
            words.iter().flatten().find(|word| is_known_condition(word)).cloned()
        };
        let (word, what) = [(labels, "label"), (tags, "tag"), (creators, "user")]
            .into_iter()
            .find_map(|(words, what)| Some((taken(words)?, what)))?;
        Some(format!(
            "mito: `{word}` follows an option, so it is a {what}; to use it as a condition, put it before the \
             options, as in `tasks query {word} -l exp1`"
        ))
    }
}

fn is_known_condition(word: &str) -> bool {
    Filter::is_condition(word) && value_parsers::condition(word).is_ok()
}

impl FilterOptions {
    /// The filter for these options and conditions.
    pub(crate) fn filter(&self, conditions: &[String]) -> TaskFilter {
        TaskFilter {
            creator_usernames: words(self.creators.as_ref()),
            group_name: self.group.clone(),
            tags: words(self.tags.as_ref()),
            labels: words(self.labels.as_ref()),
            states: some(self.state.iter().flatten().map(|state| (*state).into()).collect()),
            exit_status: self.exit_status.clone(),
            priority: self.priority.clone(),
            filter: (!conditions.is_empty()).then(|| conditions.join(" ")),
        }
    }

    /// Refuses an option without a value: it would select everything.
    pub(crate) fn refuse_empty(&self) -> Result<(), Failure> {
        let lists = [("--creators", &self.creators), ("--tags", &self.tags), ("--labels", &self.labels)];
        let empty = |list: &Option<Vec<String>>| list.is_some() && words(list.as_ref()).is_none();
        let state = self.state.as_ref().is_some_and(Vec::is_empty).then_some("--state");
        match lists.into_iter().find(|(_, list)| empty(list)).map(|(name, _)| name).or(state) {
            Some(name) => Err(refuse_empty(name)),
            None => Ok(()),
        }
    }

    /// Whether an option other than the group is given.
    pub(crate) fn pick(&self) -> bool {
        let lists = [&self.creators, &self.tags, &self.labels];
        lists.into_iter().any(|list| words(list.as_ref()).is_some())
            || self.state.as_ref().is_some_and(|states| !states.is_empty())
            || self.exit_status.is_some()
            || self.priority.is_some()
    }
}

/// The error of a filter option without a value.
pub(super) fn refuse_empty(name: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{name} has no value, so it would select everything"))
        .with_hint(format!("check for an empty variable, or omit {name}"))
}

/// The elements of an option; none if it is not given or has no elements.
pub(super) fn words(words: Option<&Vec<String>>) -> Option<Vec<String>> {
    some(value_parsers::non_empty(words.map_or(&[], Vec::as_slice)))
}

/// A list, or none if it is empty.
pub(super) fn some<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

impl From<StateArg> for TaskState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Pending => Self::Pending,
            StateArg::Ready => Self::Ready,
            StateArg::Running => Self::Running,
            StateArg::Finished => Self::Finished,
            StateArg::Cancelled => Self::Cancelled,
            StateArg::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        filter: FilterArgs,
    }

    #[test]
    fn condition_taken_by_an_option_is_reported() {
        let line = |words: &str| Line::parse_from(format!("x {words}").split(' ')).filter;
        for (words, word) in [
            ("-l exp1 state=finished", "state=finished"),
            ("-g lab -t gpu exit!=0", "exit!=0"),
            ("-c ann created>-2h", "created>-2h"),
        ] {
            let message = line(words).taken_for_words().unwrap_or_default();
            assert!(message.contains(&format!("`{word}`")), "{words}: {message}");
        }
        for words in ["state=finished -l exp1", "-l x=1 seed=finished", "-l state=sleeping", "-l a b c"] {
            assert_eq!(line(words).taken_for_words(), None, "{words}");
        }
        let both = line("-l exp1 state=finished").filter();
        assert_eq!(both.labels.unwrap(), ["exp1", "state=finished"], "as the published program has it");
    }

    #[test]
    fn empty_list_never_selects_everything() {
        for empty in ["-t", "-l", "-c", "-s", "-t -l x", "-l ,"] {
            let filter = Line::parse_from(format!("x {empty}").split(' ')).filter;
            assert_eq!(filter.refuse_empty().unwrap_err().exit(), Exit::Usage, "{empty}");
        }
        let quoted = Line::parse_from(["x", "-t", "", "-l", "a,"]).filter;
        assert_eq!((quoted.filter().tags, quoted.filter().labels), (None, Some(vec!["a".into()])));
        assert!(quoted.refuse_empty().unwrap_err().to_string().contains("--tags"));
        for full in ["-l x", "state=ready", "-s ready", "-g lab"] {
            let filter = Line::parse_from(format!("x {full}").split(' ')).filter;
            assert!(filter.refuse_empty().is_ok(), "{full}");
        }
    }
}
