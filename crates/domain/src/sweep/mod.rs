//! Sweeps: many tasks from one description with parameters.
//!
//! A [`Blueprint`] is a task with `{name}` in its texts and a [`Plan`] of the parameter values. Nothing is
//! expanded in advance: a task is created from its index alone, so a hundred thousand of them cost no memory,
//! and any part can be created again, byte for byte.

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

/// Why a sweep is invalid. Each message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SweepError {
    /// An invalid parameter name.
    #[error("{0:?} can't be the name of a parameter: use letters, digits, `_`, `-`, `.` and inner blanks")]
    Name(String),
    /// Two parameters have the same environment variable.
    #[error("the parameters `{0}` and `{1}` would have the same variable, {variable}: rename one", variable = variable(.0))]
    SameName(String, String),
    /// A parameter without values.
    #[error("the parameter `{0}` has no values")]
    NoValues(String),
    /// A range of values other than integers.
    #[error(
        "`{0}` is no range of whole numbers, such as 1..10 or 0..100..5; write other values one by one: 0.1,0.2,0.3"
    )]
    NotWhole(String),
    /// A range with only one end.
    #[error("`{0}` is half a range: write both ends, such as 1..10")]
    HalfRange(String),
    /// A range with an invalid step.
    #[error("the step of `{0}` must be 1 or more; a range that goes down needs no sign: 10..1..3")]
    Step(String),
    /// Columns of different lengths.
    #[error(
        "`{name}` has {count} values and `{other}` has {others}: in lockstep every parameter needs as many"
    )]
    UnequalLengths {
        /// The name of a parameter.
        name: String,
        /// The number of its values.
        count: u64,
        /// The name of the other parameter.
        other: String,
        /// The number of values of the other parameter.
        others: u64,
    },
    /// More combinations than the limit.
    #[error("these are more than {limit} combinations: split the sweep", limit = MAX_TASKS)]
    TooMany,
    /// An unknown placeholder.
    #[error("{{{name}}} stands for nothing; {list}; write {{{{ and }}}} for braces", list = listed(known))]
    Unknown {
        /// The text between the braces.
        name: String,
        /// The known parameters.
        known: Vec<String>,
    },
    /// A single brace.
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
