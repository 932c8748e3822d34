//! Many tasks from one description: values that vary, and texts with places for them.
//!
//! A [`Blueprint`] is a task with `{name}` in its texts and a [`Plan`] of what the names stand for.
//! Nothing is expanded before it is asked for: a task is made from its index alone, so a hundred thousand
//! of them cost no memory, and any part can be made again, the same to the byte.

mod blueprint;
mod plan;
mod template;
mod values;

pub use blueprint::{Blueprint, Expansion, variable};
pub use plan::{Column, Factor, Plan};
pub use template::Template;
pub use values::Values;

/// Most tasks of one sweep.
pub const MAX_TASKS: u64 = 10_000_000;

/// Why a sweep makes no sense. Each sentence says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SweepError {
    /// A name that could not be written between braces.
    #[error("{0:?} can't be the name of a parameter: use letters, digits, `_`, `-`, `.` and inner blanks")]
    Name(String),
    /// Two parameters that the command could not tell apart.
    #[error("the parameters `{0}` and `{1}` would have the same variable, {variable}: rename one", variable = variable(.0))]
    SameName(String, String),
    /// A parameter without values.
    #[error("the parameter `{0}` has no values")]
    NoValues(String),
    /// A range of something else than whole numbers.
    #[error(
        "`{0}` is no range of whole numbers, such as 1..10 or 0..100..5; write other values one by one: 0.1,0.2,0.3"
    )]
    NotWhole(String),
    /// A range without one of its ends.
    #[error("`{0}` is half a range: write both ends, such as 1..10")]
    HalfRange(String),
    /// A range that does not get anywhere.
    #[error("the step of `{0}` must be 1 or more; a range that goes down needs no sign: 10..1..3")]
    Step(String),
    /// Columns that don't fit beside each other.
    #[error(
        "`{name}` has {count} values and `{other}` has {others}: in lockstep every parameter needs as many"
    )]
    UnequalLengths {
        /// One parameter.
        name: String,
        /// How many values it has.
        count: u64,
        /// Another.
        other: String,
        /// How many values that one has.
        others: u64,
    },
    /// More than anybody means.
    #[error("these are more than {limit} combinations: split the sweep", limit = MAX_TASKS)]
    TooMany,
    /// A `{name}` that stands for nothing.
    #[error("{{{name}}} stands for nothing; {list}; write {{{{ and }}}} for braces", list = listed(known))]
    Unknown {
        /// What is between the braces.
        name: String,
        /// What could be.
        known: Vec<String>,
    },
    /// A brace without its other half.
    #[error("`{0}` has a lone `{1}`: write `{1}{1}` for a brace")]
    LoneBrace(String, char),
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "there are no parameters".to_owned(),
        names => format!(
            "there is {}",
            names.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(", ")
        ),
    }
}
