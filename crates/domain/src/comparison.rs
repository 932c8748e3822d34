//! Comparison strings in filters: `5`, `=5`, `>=-3` (HTTP contract §14).

use std::cmp::Ordering;
use std::str::FromStr;

/// A numeric condition on a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// The operator.
    pub operator: Operator,
    /// The right-hand side.
    pub number: i32,
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`, which is also the default.
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Operator {
    const SPELLINGS: [(&'static str, Self); 6] = [
        (">=", Self::GreaterOrEqual),
        ("<=", Self::LessOrEqual),
        ("!=", Self::NotEqual),
        (">", Self::Greater),
        ("<", Self::Less),
        ("=", Self::Equal),
    ];

    /// Splits the operator off the start of a text.
    pub(crate) fn split(text: &str) -> Option<(Self, &str)> {
        Self::SPELLINGS
            .into_iter()
            .find_map(|(spelling, operator)| Some((operator, text.strip_prefix(spelling)?)))
    }

    /// The operator as in SQL and in the contract.
    pub fn as_str(self) -> &'static str {
        Self::SPELLINGS.iter().find(|(_, operator)| *operator == self).map_or("=", |(text, _)| text)
    }
}

impl Comparison {
    /// Whether `value` satisfies the condition.
    pub fn holds(self, value: i32) -> bool {
        let ordering = value.cmp(&self.number);
        match self.operator {
            Operator::Equal => ordering == Ordering::Equal,
            Operator::NotEqual => ordering != Ordering::Equal,
            Operator::Less => ordering == Ordering::Less,
            Operator::LessOrEqual => ordering != Ordering::Greater,
            Operator::Greater => ordering == Ordering::Greater,
            Operator::GreaterOrEqual => ordering != Ordering::Less,
        }
    }
}

/// Text that is not a comparison.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a comparison; write a number with an optional =, !=, <, <=, > or >= before it, like `>=5`"
)]
pub struct InvalidComparison(String);

impl FromStr for Comparison {
    type Err = InvalidComparison;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (operator, digits) = Operator::split(text).unwrap_or((Operator::Equal, text));
        let number = digits.parse().map_err(|_| InvalidComparison(text.to_owned()))?;
        Ok(Self { operator, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        let holds = |condition: &str, value| condition.parse::<Comparison>().unwrap().holds(value);
        assert!(holds("5", 5) && holds("=5", 5) && holds("!=5", 6));
        assert!(!holds("<3", 256), "text order would say otherwise");
        assert!(holds(">=-3", -3) && holds(">-3", 0) && holds("<=+7", 7));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", ">", "= 5", "5 ", "=>5", "1.5", "2147483648", "==5"] {
            assert!(text.parse::<Comparison>().is_err(), "{text:?}");
        }
    }
}
