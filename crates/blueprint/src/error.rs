//! The errors of blueprints.

use super::values::MAX_WIDTH;
use super::{MAX_PARAMETERS, MAX_TASKS};

/// Why a blueprint is invalid. Each message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBlueprint {
    /// A name that can't be used between braces.
    #[error("invalid parameter name {0:?}: use letters, digits, `_`, `-`, `.` and inner spaces")]
    Name(String),
    /// One parameter twice.
    #[error("the parameter `{0}` is given twice: list all its values at once, such as {0}=a,b")]
    Repeated(String),
    /// Two parameters with the same variable.
    #[error("the parameters `{0}` and `{1}` have the same variable, {variable}: rename one", variable = super::variable(.0))]
    SameVariable(String, String),
    /// A parameter without values.
    #[error("the parameter `{0}` has no values")]
    NoValues(String),
    /// A range of values that are not integers.
    #[error(
        "invalid range `{0}`: expected integers, such as 1..10 or 0..100..5; list other values: 0.1,0.2,0.3"
    )]
    NotInteger(String),
    /// A range without one of its ends.
    #[error("invalid range `{0}`: expected both ends, such as 1..10")]
    HalfRange(String),
    /// A range with a step below 1.
    #[error("invalid range `{0}`: the step must be at least 1; a descending range needs no sign: 10..1..3")]
    Step(String),
    /// Zipped parameters with different numbers of values.
    #[error(
        "`{name}` has {count} values and `{other}` has {others}: --zip needs the same number of values for every parameter"
    )]
    UnequalLengths {
        /// One parameter.
        name: String,
        /// How many values it has.
        count: u64,
        /// Another.
        other: String,
        /// How many values the other parameter has.
        others: u64,
    },
    /// Numbers that are equal or exceed 64 bits.
    #[error(
        "invalid range of {count} numbers from {first} in steps of {step}: expected different numbers of 64 bits"
    )]
    Numbers {
        /// The first number.
        first: i64,
        /// The distance between two numbers.
        step: i64,
        /// How many numbers there are.
        count: u64,
    },
    /// Numbers with too many leading zeros.
    #[error("invalid range with {0} digits: the limit is {limit}; list the values", limit = MAX_WIDTH)]
    Width(usize),
    /// More parameters than a task may have.
    #[error("a task can have at most {limit} parameters, this one has {0}", limit = MAX_PARAMETERS)]
    TooManyParameters(usize),
    /// More combinations than a blueprint may have.
    #[error("more than {limit} combinations: split the sweep", limit = MAX_TASKS)]
    TooMany,
    /// A `{name}` that is not a parameter.
    #[error("unknown parameter {{{name}}}; {list}; write {{{{ and }}}} for literal braces", list = listed(known))]
    Unknown {
        /// The text between the braces.
        name: String,
        /// The names of the parameters.
        known: Vec<String>,
    },
    /// A brace without its other half.
    #[error("unmatched `{1}` in `{0}`: write `{1}{1}` for a literal brace")]
    LoneBrace(String, char),
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "there are no parameters".to_owned(),
        names => format!(
            "the parameters are {}",
            names.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(", ")
        ),
    }
}
