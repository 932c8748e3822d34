//! Converts the terms of a filter to conditions.

use std::time::Duration;

use mitosis_protocol::{TaskState, Timestamp, duration};

use super::term::Term;
use super::{Condition, Filter, Moment, Problem};
use crate::comparison::{Comparison, Operator};

impl Filter {
    /// Adds one more condition.
    pub(super) fn add(&mut self, term: &Term, now: Timestamp) -> Result<(), Problem> {
        let (key, operator, value) = term.split()?;
        match key {
            "state" => {
                let asked = states(operator, value)?;
                narrow(&mut self.states, asked);
            }
            "creator" => {
                equal(operator)?;
                narrow(&mut self.creators, list(value)?.map(str::to_owned).collect());
            }
            "group" => {
                equal(operator)?;
                match &self.group {
                    Some(other) if other != value => return Err(Problem::SecondGroup),
                    _ => self.group = Some(value.to_owned()),
                }
            }
            "label" => {
                equal(operator)?;
                self.labels.extend(list(value)?.map(str::to_owned));
            }
            "tag" => {
                equal(operator)?;
                self.tags.extend(list(value)?.map(str::to_owned));
            }
            "priority" => self.also.push(Condition::Priority(number(operator, value)?)),
            "exit" => self.also.push(Condition::ExitCode(number(operator, value)?)),
            "created" => self.also.push(Condition::Created(moment(operator, value, now)?)),
            "finished" => self.also.push(Condition::Finished(moment(operator, value, now)?)),
            "id" => {
                equal(operator)?;
                self.also.push(Condition::Id(value.parse().map_err(|_| Problem::NotAUuid)?));
            }
            _ => return Err(Problem::UnknownKey),
        }
        Ok(())
    }
}

fn equal(operator: Operator) -> Result<(), Problem> {
    match operator {
        Operator::Equal => Ok(()),
        _ => Err(Problem::UnsupportedOperator),
    }
}

/// Intersects two conditions. The intersection may be empty, and then nothing matches.
fn narrow<T: PartialEq>(so_far: &mut Option<Vec<T>>, asked: Vec<T>) {
    match so_far {
        Some(so_far) => so_far.retain(|one| asked.contains(one)),
        None => *so_far = Some(asked),
    }
}

fn list(value: &str) -> Result<impl Iterator<Item = &str>, Problem> {
    match value.split(',').any(str::is_empty) {
        true => Err(Problem::MissingValue),
        false => Ok(value.split(',')),
    }
}

fn states(operator: Operator, value: &str) -> Result<Vec<TaskState>, Problem> {
    use TaskState as S;
    const ALL: [S; 5] = [S::Pending, S::Ready, S::Running, S::Finished, S::Cancelled];
    let named = |word: &str| ALL.into_iter().find(|state| format!("{state:?}").eq_ignore_ascii_case(word));
    let named: Vec<_> =
        list(value)?.map(|word| named(word).ok_or(Problem::UnknownState)).collect::<Result<_, _>>()?;
    match operator {
        Operator::Equal => Ok(named),
        Operator::NotEqual => Ok(ALL.into_iter().filter(|state| !named.contains(state)).collect()),
        _ => Err(Problem::UnsupportedOperator),
    }
}

fn number(operator: Operator, value: &str) -> Result<Comparison, Problem> {
    Ok(Comparison { operator, number: value.parse().map_err(|_| Problem::NotANumber)? })
}

fn moment(operator: Operator, value: &str, now: Timestamp) -> Result<Moment, Problem> {
    match operator {
        Operator::Equal | Operator::NotEqual => Err(Problem::NotATime),
        operator => Ok(Moment { operator, at: point(value, now).ok_or(Problem::NotATime)? }),
    }
}

/// Parses `-2h`, a day, or a full time.
fn point(value: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(span) = value.strip_prefix('-') {
        let span: Duration = duration::parse(span).ok()?;
        return Some(now - span);
    }
    let day = || Timestamp::parse(&format!("{value}T00:00:00Z")).ok();
    Timestamp::parse(value).ok().or_else(day)
}
