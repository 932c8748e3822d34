//! The parameters of a blueprint and their combinations.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::error::InvalidBlueprint;
use super::values::Values;
use super::{MAX_PARAMETERS, MAX_TASKS};

/// A parameter and its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedColumn")]
pub struct Column {
    name: String,
    values: Values,
    /// The bytes of the longest value.
    #[serde(skip)]
    longest: u64,
}

/// Parameters that change together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedFactor")]
pub struct Factor {
    columns: Vec<Column>,
}

/// All combinations of the rows of some factors; the last factor changes fastest. Without factors there is one
/// empty combination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedPlan")]
pub struct Plan {
    factors: Vec<Factor>,
}

#[derive(Deserialize)]
struct UncheckedColumn {
    name: String,
    values: Values,
}

#[derive(Deserialize)]
struct UncheckedFactor {
    columns: Vec<Column>,
}

#[derive(Deserialize)]
struct UncheckedPlan {
    factors: Vec<Factor>,
}

/// The environment variable for a parameter: `MITO_PARAM_` and the name in capital letters, with `_` for every
/// other character.
pub fn variable(name: &str) -> String {
    let letter = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' };
    format!("MITO_PARAM_{}", name.chars().map(letter).collect::<String>())
}

impl Column {
    /// Creates a parameter with at least one value.
    pub fn new(name: &str, values: Values) -> Result<Self, InvalidBlueprint> {
        let fits = |char: char| char.is_alphanumeric() || "_-. ".contains(char);
        if name.is_empty() || name.trim() != name || name.len() > 64 || !name.chars().all(fits) {
            return Err(InvalidBlueprint::Name(name.to_owned()));
        }
        match values.is_empty() {
            true => Err(InvalidBlueprint::NoValues(name.to_owned())),
            false => Ok(Self { name: name.to_owned(), longest: values.longest(), values }),
        }
    }
}

impl TryFrom<UncheckedColumn> for Column {
    type Error = InvalidBlueprint;

    fn try_from(column: UncheckedColumn) -> Result<Self, Self::Error> {
        Self::new(&column.name, column.values)
    }
}

impl Factor {
    /// Rows, from 0, that together have every word and both ends of every range of numbers.
    fn samples(&self) -> Vec<u64> {
        match self.columns.iter().all(|column| column.values.is_range()) {
            true => vec![0, self.len() - 1],
            false => (0..self.len()).collect(),
        }
    }

    /// The bytes of a row.
    fn bytes(&self, place: u64) -> usize {
        self.columns.iter().map(|column| column.values.at(place).len()).sum()
    }

    /// Creates a factor from columns of equal length.
    pub fn new(columns: Vec<Column>) -> Result<Self, InvalidBlueprint> {
        if let Some(first) = columns.first()
            && let Some(other) = columns.iter().find(|other| other.values.len() != first.values.len())
        {
            return Err(InvalidBlueprint::UnequalLengths {
                name: first.name.clone(),
                count: first.values.len(),
                other: other.name.clone(),
                others: other.values.len(),
            });
        }
        Ok(Self { columns })
    }

    fn len(&self) -> u64 {
        self.columns.first().map_or(1, |column| column.values.len())
    }
}

impl TryFrom<UncheckedFactor> for Factor {
    type Error = InvalidBlueprint;

    fn try_from(factor: UncheckedFactor) -> Result<Self, Self::Error> {
        Self::new(factor.columns)
    }
}

impl Plan {
    /// All combinations of the factors. Factors without parameters are dropped.
    pub fn product(mut factors: Vec<Factor>) -> Result<Self, InvalidBlueprint> {
        factors.retain(|factor| !factor.columns.is_empty());
        let plan = Self { factors };
        plan.check_names()?;
        let count = plan.factors.iter().try_fold(1u64, |count, factor| count.checked_mul(factor.len()));
        match count {
            Some(count) if count <= MAX_TASKS => Ok(plan),
            _ => Err(InvalidBlueprint::TooMany),
        }
    }

    /// All factors zipped: the first row of each, then the second of each.
    pub fn zip(factors: Vec<Factor>) -> Result<Self, InvalidBlueprint> {
        let columns: Vec<Column> = factors.into_iter().flat_map(|factor| factor.columns).collect();
        Self::product(vec![Factor::new(columns)?])
    }

    fn check_names(&self) -> Result<(), InvalidBlueprint> {
        let count = self.columns().count();
        if count > MAX_PARAMETERS {
            return Err(InvalidBlueprint::TooManyParameters(count));
        }
        let mut variables = BTreeMap::new();
        for name in self.names() {
            if let Some(other) = variables.insert(variable(name), name) {
                return Err(match other == name {
                    true => InvalidBlueprint::Repeated(name.to_owned()),
                    false => InvalidBlueprint::SameVariable(other.to_owned(), name.to_owned()),
                });
            }
        }
        Ok(())
    }

    /// The number of combinations.
    pub fn len(&self) -> u64 {
        self.factors.iter().map(Factor::len).product()
    }

    /// Always false: without parameters there is one combination.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there are no parameters.
    pub fn is_plain(&self) -> bool {
        self.columns().next().is_none()
    }

    /// The parameters, in the order of [`Self::row`].
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns().map(|column| column.name.as_str())
    }

    /// The values of one combination, from 0. Panics past the end.
    pub fn row(&self, index: u64) -> Vec<Cow<'_, str>> {
        self.get(index).expect("a combination within the plan")
    }

    /// The values of one combination, from 0; `None` past the end.
    pub fn get(&self, index: u64) -> Option<Vec<Cow<'_, str>>> {
        let mut places = vec![0; self.factors.len()];
        let mut rest = index;
        for (factor, place) in self.factors.iter().zip(&mut places).rev() {
            *place = rest % factor.len();
            rest /= factor.len();
        }
        let each = self.factors.iter().zip(places);
        let values =
            each.flat_map(|(factor, place)| factor.columns.iter().map(move |column| column.values.at(place)));
        (rest == 0).then(|| values.collect())
    }

    /// Combinations, from 0, that together have every word and both ends of every range of numbers,
    /// and one has the longest row of every factor.
    pub fn samples(&self) -> BTreeSet<u64> {
        let (mut samples, mut longest, mut stride) = (BTreeSet::new(), 0, 1);
        for factor in self.factors.iter().rev() {
            let places = factor.samples();
            longest += stride * places.iter().copied().max_by_key(|place| factor.bytes(*place)).unwrap_or(0);
            samples.extend(places.into_iter().map(|place| place * stride));
            stride *= factor.len();
        }
        samples.extend([longest, stride - 1]);
        samples
    }

    /// The bytes of the longest value of each parameter, in the order of [`Self::row`].
    pub(super) fn longest_values(&self) -> impl Iterator<Item = u64> {
        self.columns().map(|column| column.longest)
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        self.factors.iter().flat_map(|factor| &factor.columns)
    }
}

impl TryFrom<UncheckedPlan> for Plan {
    type Error = InvalidBlueprint;

    fn try_from(plan: UncheckedPlan) -> Result<Self, Self::Error> {
        Self::product(plan.factors)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn samples_have_every_word_and_both_ends_of_ranges() {
        let plan = Plan::product(vec![
            factor(&[("x", "1..100000")]),
            factor(&[("y", "a,bbb,cc")]),
            factor(&[("z", "-5..5"), ("w", "0..10")]),
        ])
        .unwrap();
        let rows: Vec<String> = plan.samples().into_iter().map(|index| plan.row(index).join(" ")).collect();
        let expected = [
            "1 a -5 0",
            "1 a 5 10",
            "1 bbb -5 0",
            "1 cc -5 0",
            "100000 a -5 0",
            "100000 bbb 5 10",
            "100000 cc 5 10",
        ];
        assert_eq!(rows, expected);
        assert_eq!(Plan::default().samples().into_iter().collect::<Vec<_>>(), [0]);
    }

    fn factor(columns: &[(&str, &str)]) -> Factor {
        let column =
            |(name, values): &(&str, &str)| Column::new(name, Values::parse(values).unwrap()).unwrap();
        Factor::new(columns.iter().map(column).collect()).unwrap()
    }

    fn rows(plan: &Plan) -> Vec<String> {
        (0..plan.len()).map(|index| plan.row(index).join(" ")).collect()
    }

    #[test]
    fn last_parameter_changes_fastest() {
        let plan = Plan::product(vec![factor(&[("x", "1..2")]), factor(&[("y", "a,b")])]).unwrap();
        assert_eq!(rows(&plan), ["1 a", "1 b", "2 a", "2 b"]);
        assert_eq!(plan.names().collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn columns_of_one_factor_stay_together() {
        let table = factor(&[("x", "1..2"), ("y", "a,b")]);
        let plan = Plan::product(vec![table, factor(&[("z", "7,8")])]).unwrap();
        assert_eq!(rows(&plan), ["1 a 7", "1 a 8", "2 b 7", "2 b 8"]);
    }

    #[test]
    fn zipped_parameters_need_the_same_number_of_values() {
        let plan = Plan::zip(vec![factor(&[("x", "1..2")]), factor(&[("y", "a,b")])]).unwrap();
        assert_eq!(rows(&plan), ["1 a", "2 b"]);
        let error = Plan::zip(vec![factor(&[("x", "1..3")]), factor(&[("y", "a,b")])]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`x` has 3 values and `y` has 2: --zip needs the same number of values for every parameter"
        );
    }

    #[test]
    fn no_parameters_give_one_combination() {
        let plan = Plan::default();
        assert!(plan.is_plain());
        assert_eq!((plan.len(), plan.row(0).len()), (1, 0));
        assert_eq!(Plan::zip(Vec::new()).unwrap(), plan);
    }

    #[test]
    fn combination_past_the_end_does_not_exist() {
        let plan = Plan::product(vec![factor(&[("x", "1..2")]), factor(&[("y", "a,b")])]).unwrap();
        assert_eq!(plan.get(3).unwrap(), ["2", "b"]);
        for index in [4, 5, u64::MAX] {
            assert_eq!(plan.get(index), None);
        }
        assert_eq!(Plan::default().get(1), None);
    }

    #[test]
    fn number_of_parameters_is_limited() {
        let with = |count: usize| {
            let one = |at: usize| factor(&[(format!("p{at}").as_str(), "1")]);
            Plan::product((0..count).map(one).collect())
        };
        assert_eq!(with(256).unwrap().row(0).len(), 256);
        assert_eq!(with(257), Err(InvalidBlueprint::TooManyParameters(257)));
    }

    #[test]
    fn ambiguous_names_are_refused() {
        for (one, other) in [("x", "X"), ("a-b", "a_b")] {
            let error = Plan::product(vec![factor(&[(one, "1")]), factor(&[(other, "1")])]).unwrap_err();
            assert_eq!(error, InvalidBlueprint::SameVariable(one.into(), other.into()));
        }
        let error = Plan::product(vec![factor(&[("x", "1")]), factor(&[("x", "2")])]).unwrap_err();
        assert_eq!(error, InvalidBlueprint::Repeated("x".into()));
        for name in ["", " x", "x ", "a{b", "a=b", "a\nb", "a@b"] {
            assert_eq!(
                Column::new(name, Values::parse("1").unwrap()),
                Err(InvalidBlueprint::Name(name.to_owned())),
                "{name:?}"
            );
        }
        assert!(Column::new("learning rate", Values::parse("1").unwrap()).is_ok());
    }

    #[test]
    fn too_many_combinations_are_refused_in_advance() {
        let wide = || factor(&[("x", "1..10000000")]);
        assert_eq!(Plan::product(vec![wide()]).unwrap().len(), 10_000_000);
        let more = Plan::product(vec![wide(), factor(&[("y", "1..2")])]);
        assert_eq!(more, Err(InvalidBlueprint::TooMany));
        let (y, z) = (factor(&[("y", "1..10000000")]), factor(&[("z", "1..10000000")]));
        assert_eq!(Plan::product(vec![wide(), y, z]), Err(InvalidBlueprint::TooMany), "past 64 bits too");
    }

    proptest! {
        /// Each combination once, in the order of nested loops.
        #[test]
        fn plan_equals_nested_loops(lens in prop::collection::vec(1u64..5, 0..4)) {
            let factors = lens.iter().enumerate().map(|(at, len)| {
                let name = format!("p{at}");
                factor(&[(name.as_str(), format!("0..{}", len - 1).as_str())])
            });
            let plan = Plan::product(factors.collect()).unwrap();
            let mut expected = vec![Vec::<String>::new()];
            for len in &lens {
                expected = expected
                    .iter()
                    .flat_map(|row| (0..*len).map(move |value| [row.clone(), vec![value.to_string()]].concat()))
                    .collect();
            }
            let found: Vec<Vec<String>> = (0..plan.len())
                .map(|index| plan.row(index).into_iter().map(Cow::into_owned).collect())
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
