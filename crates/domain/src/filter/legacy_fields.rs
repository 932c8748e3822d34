//! Converts a filter to the fields of the HTTP contract, for a coordinator without filters.

use mitosis_protocol::task::TaskFilter;

use super::{Condition, Filter};
use crate::comparison::{Comparison, Operator};

impl Filter {
    /// Adds the conditions to fields. The error is a condition without a field.
    pub fn in_fields(self, fields: &TaskFilter) -> Result<TaskFilter, String> {
        let mut fields = TaskFilter { filter: None, ..fields.clone() };
        fields.group_name = match (fields.group_name, self.group) {
            (Some(one), Some(other)) if one != other => return Err(format!("group={other}")),
            (one, other) => one.or(other),
        };
        fields.creator_usernames = both("creator=", fields.creator_usernames, self.creators)?;
        fields.states = both("state=", fields.states, self.states)?;
        fields.tags = joined(fields.tags, self.tags);
        fields.labels = joined(fields.labels, self.labels);
        for condition in self.also {
            let (field, text) = match condition {
                Condition::Priority(asked) => (&mut fields.priority, text(asked)),
                Condition::ExitCode(asked) => match raw_status(asked) {
                    Some(raw) => (&mut fields.exit_status, text(raw)),
                    None => return Err(format!("exit{}", text(asked))),
                },
                Condition::Created(_) => return Err("created".to_owned()),
                Condition::Finished(_) => return Err("finished".to_owned()),
                Condition::Id(_) => return Err("id=".to_owned()),
            };
            if field.replace(text).is_some() {
                return Err("the second condition on one number".to_owned());
            }
        }
        Ok(fields)
    }
}

fn text(Comparison { operator, number }: Comparison) -> String {
    format!("{}{number}", operator.as_str())
}

/// Converts an exit code to a raw wait status. Legacy coordinators compare the raw status as text, so only some
/// comparisons can be converted.
fn raw_status(Comparison { operator, number }: Comparison) -> Option<Comparison> {
    let number = match (operator, number) {
        (Operator::Equal, 0..=128) => number * 256,
        (Operator::NotEqual, 0) => 0,
        _ => return None,
    };
    Some(Comparison { operator, number })
}

/// Intersects two conditions. An empty intersection can't be expressed, so it is an error with the name of the
/// condition.
fn both<T: PartialEq>(
    name: &str,
    one: Option<Vec<T>>,
    other: Option<Vec<T>>,
) -> Result<Option<Vec<T>>, String> {
    let both = match (one, other) {
        (Some(one), Some(other)) => Some(one.into_iter().filter(|item| other.contains(item)).collect()),
        (one, other) => one.or(other),
    };
    match both.as_ref().is_some_and(Vec::is_empty) {
        true => Err(name.to_owned()),
        false => Ok(both),
    }
}

fn joined(field: Option<Vec<String>>, more: Vec<String>) -> Option<Vec<String>> {
    match (field, more.is_empty()) {
        (field, true) => field,
        (field, false) => Some(field.into_iter().flatten().chain(more).collect()),
    }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::Timestamp;

    use super::*;

    fn fields(filter: &str, given: &str) -> Result<serde_json::Value, String> {
        let given: TaskFilter = serde_json::from_str(given).unwrap();
        let filter = Filter::parse(filter, Timestamp::UNIX_EPOCH).unwrap();
        let mut fields = serde_json::to_value(filter.in_fields(&given)?).unwrap();
        fields.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        Ok(fields)
    }

    #[test]
    fn conditions_become_equivalent_fields() {
        for (filter, given, expected) in [
            ("label=zz", "{}", r#"{"labels":["zz"]}"#),
            ("label=a,b tag=gpu", r#"{"labels":["c"]}"#, r#"{"labels":["c","a","b"],"tags":["gpu"]}"#),
            ("state=ready,pending", r#"{"states":["Ready","Running"]}"#, r#"{"states":["Ready"]}"#),
            ("creator=ann group=lab", "{}", r#"{"creator_usernames":["ann"],"group_name":"lab"}"#),
            ("group=lab", r#"{"group_name":"lab"}"#, r#"{"group_name":"lab"}"#),
            ("exit=3 priority>=5", "{}", r#"{"exit_status":"=768","priority":">=5"}"#),
            ("exit!=0", "{}", r#"{"exit_status":"!=0"}"#),
        ] {
            let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
            assert_eq!(fields(filter, given), Ok(expected), "{filter} and {given}");
        }
    }

    #[test]
    fn condition_without_a_field_is_refused() {
        for (filter, given) in [
            ("created>-2h", "{}"),
            ("finished<-2h", "{}"),
            ("id=3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a", "{}"),
            ("exit>3", "{}"),
            ("exit!=3", "{}"),
            ("exit=137", "{}"),
            ("priority>1 priority<5", "{}"),
            ("priority>1", r#"{"priority":"<5"}"#),
            ("state=ready state=running", "{}"),
            ("state=ready", r#"{"states":["Running"]}"#),
            ("creator=ann", r#"{"creator_usernames":["raj"]}"#),
            ("group=lab", r#"{"group_name":"other"}"#),
        ] {
            assert!(fields(filter, given).is_err(), "{filter} and {given}");
        }
    }
}
