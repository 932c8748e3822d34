//! Selectors of jobs and tasks, as people write them: `12`, `12/7`, `train/failed`, `last`.
//!
//! | text | selects |
//! |---|---|
//! | `12` | a job by its number |
//! | `train` | the caller's newest job of that name |
//! | `last` | the caller's newest job |
//! | `12/7`, `12/1-50,60` | tasks of a job by their indices, from 1 |
//! | `12/failed` | tasks of a job by their state |
//! | `3f0c9a3e`, `3f0c9a3e-7c1b-…` | a task by its UUID, or by at least 4 digits of its start |
//!
//! Every text has one meaning. Decimal digits are always the number of a job: `1234567` is a job, `1234567a` and
//! `12345678-` are starts of UUIDs. Other hexadecimal digits, at least 4 of them, are the start of a UUID; commands look for a
//! job of that name if there is no such task. `name:cafe` is always a job, and so is `cafe/7`.
//!
//! The legacy-compatible commands know no jobs. Their selectors are [`TaskSelector`]s.

mod index_ranges;
mod job_name;
mod task_selector;
mod task_set;
mod uuid_prefix;

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use mitosis_protocol::Uuid;
use serde::{Deserialize, Serialize};

pub use index_ranges::{IndexRanges, InvalidIndexRanges, MAX_PIECES};
pub use job_name::{InvalidJobName, JobName, MAX_JOB_NAME_BYTES};
pub use task_selector::{InvalidTaskSelector, TaskSelector};
pub use task_set::{InvalidTaskSet, TaskSet, TaskStateFilter};
pub use uuid_prefix::{LEAST_DIGITS, UuidPrefix};

/// Selects a job, tasks of a job, or one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Selector {
    /// A job, and which of its tasks.
    Job(JobSelector, TaskSet),
    /// One task.
    Uuid(Uuid),
    /// The only task whose UUID begins like this.
    UuidPrefix(UuidPrefix),
}

/// Selects a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobSelector {
    /// The job with this number.
    Number(NonZeroU64),
    /// The newest job of this name that the caller can see.
    Name(JobName),
    /// The caller's newest job.
    Last,
}

/// Why a text is not a selector. Each message says what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelector {
    /// The text does not begin with a job or a UUID.
    #[error(
        "invalid selector `{0}`: write a job, such as 12, its name or `last`, or at least {least} hex digits of a task's UUID",
        least = LEAST_DIGITS
    )]
    Form(String),
    /// The number of the job is zero or too large.
    #[error("invalid job number `{0}`: numbers count up from 1; write the UUID of a task with its dashes")]
    Number(String),
    /// The text after `name:` is not the name of a job.
    #[error("invalid job name `{0}`: {1}")]
    Name(String, InvalidJobName),
    /// A UUID is followed by a selection of tasks.
    #[error("invalid selector `{uuid}/{tasks}`: a UUID selects one task; leave out `/{tasks}`")]
    TasksOfUuid {
        /// The UUID, or its start.
        uuid: String,
        /// The text after the slash.
        tasks: String,
    },
    /// The tasks after the slash are invalid.
    #[error(transparent)]
    Tasks(#[from] InvalidTaskSet),
}

/// What to write before the name of a job that looks like the start of a UUID.
const NAME: &str = "name:";

/// The word for the caller's newest job.
const LAST: &str = "last";

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (head, tasks) = match text.split_once('/') {
            Some((head, tasks)) => (head, Some(tasks)),
            None => (text, None),
        };
        match (uuid(head), tasks) {
            (Some(task), None) => Ok(task),
            // Only jobs have tasks, so it is a name.
            (Some(Self::UuidPrefix(_)), Some(tasks)) if head.parse::<JobName>().is_ok() => {
                Ok(Self::Job(head.parse()?, tasks.parse()?))
            }
            (Some(_), Some(tasks)) => {
                Err(InvalidSelector::TasksOfUuid { uuid: head.to_owned(), tasks: tasks.to_owned() })
            }
            (None, None) => Ok(Self::Job(head.parse()?, TaskSet::All)),
            (None, Some(tasks)) => Ok(Self::Job(head.parse()?, tasks.parse()?)),
        }
    }
}

/// A UUID or its start. Decimal digits are the number of a job.
fn uuid(text: &str) -> Option<Selector> {
    if is_decimal(text) {
        return None;
    }
    let prefix = || UuidPrefix::parse(text).map(Selector::UuidPrefix);
    text.parse().ok().map(Selector::Uuid).or_else(prefix)
}

fn is_decimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

impl FromStr for JobSelector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == LAST {
            return Ok(Self::Last);
        }
        if !text.is_empty() && is_decimal(text) {
            return text.parse().map(Self::Number).map_err(|_| InvalidSelector::Number(text.to_owned()));
        }
        if let Some(name) = text.strip_prefix(NAME) {
            let invalid = |error| InvalidSelector::Name(name.to_owned(), error);
            return name.parse().map(Self::Name).map_err(invalid);
        }
        text.parse().map(Self::Name).map_err(|_| InvalidSelector::Form(text.to_owned()))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(job, TaskSet::All) => write!(f, "{job}"),
            Self::Job(job, tasks) => write!(f, "{job}/{tasks}"),
            Self::Uuid(uuid) => write!(f, "{uuid}"),
            Self::UuidPrefix(prefix) => write!(f, "{prefix}"),
        }
    }
}

impl fmt::Display for JobSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) if uuid(name.as_str()).is_some() => write!(f, "{NAME}{name}"),
            Self::Name(name) => write!(f, "{name}"),
            Self::Last => f.write_str(LAST),
        }
    }
}

impl TryFrom<String> for Selector {
    type Error = InvalidSelector;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> Self {
        selector.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn job(number: u64) -> JobSelector {
        JobSelector::Number(NonZeroU64::new(number).unwrap())
    }

    fn name(text: &str) -> JobSelector {
        JobSelector::Name(text.parse().unwrap())
    }

    fn prefix(text: &str) -> Selector {
        Selector::UuidPrefix(UuidPrefix::parse(text).unwrap())
    }

    fn indices(text: &str) -> TaskSet {
        TaskSet::Indices(text.parse().unwrap())
    }

    #[test]
    fn job_and_its_tasks_are_selected() {
        let failed = || TaskSet::State(TaskStateFilter::Failed);
        for (text, expected) in [
            ("12", Selector::Job(job(12), TaskSet::All)),
            ("12/7", Selector::Job(job(12), indices("7"))),
            ("12/1-50,60", Selector::Job(job(12), indices("1-50,60"))),
            ("12/failed", Selector::Job(job(12), failed())),
            ("train", Selector::Job(name("train"), TaskSet::All)),
            ("train_2.v1/failed", Selector::Job(name("train_2.v1"), failed())),
            ("last", Selector::Job(JobSelector::Last, TaskSet::All)),
            ("last/3", Selector::Job(JobSelector::Last, indices("3"))),
            ("failed", Selector::Job(name("failed"), TaskSet::All)),
            ("name:train/3", Selector::Job(name("train"), indices("3"))),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn decimal_digits_are_a_job_and_hexadecimal_ones_a_task() {
        let uuid = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
        for text in ["1234567", "12345678", "123456789012"] {
            assert_eq!(text.parse(), Ok(Selector::Job(job(text.parse().unwrap()), TaskSet::All)), "{text}");
        }
        for text in ["1234567a", "12345678-", "12345678-1234", "123a", "cafe", "CAFE", "3f0c9a3e7c"] {
            assert_eq!(text.parse(), Ok(prefix(text)), "{text}");
        }
        for text in [uuid, &uuid.replace('-', "")] {
            assert_eq!(text.parse(), Ok(Selector::Uuid(uuid.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn name_like_the_start_of_a_uuid_needs_a_mark() {
        assert_eq!("name:cafe".parse(), Ok(Selector::Job(name("cafe"), TaskSet::All)));
        assert_eq!(Selector::Job(name("cafe"), indices("1")).to_string(), "name:cafe/1");
        assert_eq!("cafe/1".parse(), Ok(Selector::Job(name("cafe"), indices("1"))), "tasks have no tasks");
        assert_eq!("cafe".parse::<JobSelector>(), Ok(name("cafe")));
        assert_eq!("abc".parse(), Ok(Selector::Job(name("abc"), TaskSet::All)), "too short for a UUID");
        assert_eq!("cafes".parse(), Ok(Selector::Job(name("cafes"), TaskSet::All)));
    }

    #[test]
    fn invalid_selector_is_refused_with_advice() {
        for (text, advice) in [
            ("", "write a job, such as 12"),
            ("/7", "write a job, such as 12"),
            ("12a", "at least 4 hex digits"),
            ("two words", "write a job, such as 12"),
            ("-1", "write a job, such as 12"),
            ("+1", "write a job, such as 12"),
            ("ann!", "write a job, such as 12"),
            ("0", "numbers count up from 1"),
            ("99999999999999999999", "write the UUID of a task with its dashes"),
            ("name:", "a job name can't be empty"),
            ("name:last", "means the newest job"),
            ("name:12", "begins with a letter"),
            ("12/", "write an index"),
            ("12/faild", "or a state: waiting, blocked"),
            ("12/0", "indices count up from 1"),
            ("12/7-1", "write the smaller index first: 1-7"),
            ("12/1/2", "such as 7, 1-50 or 1-50,60"),
            ("3f0c9a3e/1", "leave out `/1`"),
        ] {
            let error = text.parse::<Selector>().expect_err(text).to_string();
            assert!(error.contains(advice), "{text}: {error}");
        }
    }

    #[test]
    fn selector_is_a_string_in_json() {
        let selector = Selector::Job(name("train"), indices("1-3"));
        let json = serde_json::to_string(&selector).unwrap();
        assert_eq!(json, r#""train/1-3""#);
        assert_eq!(serde_json::from_str::<Selector>(&json).unwrap(), selector);
        assert!(serde_json::from_str::<Selector>("12").is_err());
        assert!(serde_json::from_str::<Selector>(r#""12/0""#).is_err());
    }

    fn any_job() -> impl Strategy<Value = JobSelector> {
        let name = prop_oneof!["[a-zA-Z][a-zA-Z0-9_.-]{0,12}", "[a-f][a-f0-9]{2,6}"];
        let name = name.prop_filter_map("a job name", |text| text.parse().ok().map(JobSelector::Name));
        prop_oneof![(1..=u64::MAX).prop_map(job), name, Just(JobSelector::Last)]
    }

    fn any_tasks() -> impl Strategy<Value = TaskSet> {
        let range = prop_oneof![1..20_u64, any::<u64>().prop_map(|index| index.max(1))];
        let range = (range, 0..5_u64).prop_map(|(first, more)| first..=first.saturating_add(more));
        let ranges = prop::collection::vec(range, 1..8);
        prop_oneof![
            Just(TaskSet::All),
            ranges.prop_map(|ranges| TaskSet::Indices(IndexRanges::new(ranges).unwrap())),
            prop::sample::select(TaskStateFilter::ALL.to_vec()).prop_map(TaskSet::State),
        ]
    }

    fn any_prefix() -> impl Strategy<Value = Selector> {
        let text = (any::<u128>(), 4..32_usize)
            .prop_map(|(bits, digits)| format!("{bits:032x}")[..digits].to_owned());
        text.prop_filter_map("a text with letters", |text| text.parse().ok())
    }

    fn any_selector() -> impl Strategy<Value = Selector> {
        prop_oneof![
            (any_job(), any_tasks()).prop_map(|(job, tasks)| Selector::Job(job, tasks)),
            any::<u128>().prop_map(|bits| Selector::Uuid(Uuid::from_u128(bits))),
            any_prefix(),
            "[0-9]{8}-".prop_map(|text| prefix(&text)),
        ]
    }

    proptest! {
        #[test]
        fn displayed_selector_is_parsed_again(selector in any_selector()) {
            prop_assert_eq!(selector.to_string().parse(), Ok(selector));
        }

        #[test]
        fn any_text_has_at_most_one_meaning(text in prop_oneof![".*", "[0-9a-z:/,.-]{0,12}"]) {
            if let Ok(selector) = text.parse::<Selector>() {
                prop_assert_eq!(selector.to_string().parse(), Ok(selector));
            }
        }
    }
}
