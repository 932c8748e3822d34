//! A task with parameters.

use mitosis_protocol::task::SubmitTaskRequest;
use serde::{Deserialize, Serialize};

use super::error::InvalidBlueprint;
use super::expansion::Expansion;
use super::plan::Plan;

/// A task with placeholders in its command, variables, labels and resources, and the values for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blueprint {
    /// The task. Without parameters it is used as written: braces have no meaning.
    pub task: SubmitTaskRequest,
    /// The parameters and their combinations.
    pub plan: Plan,
}

impl Blueprint {
    /// Checks every placeholder.
    pub fn expand(&self) -> Result<Expansion<'_>, InvalidBlueprint> {
        Expansion::new(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::MAX_TASKS;

    fn words(name: &str, words: &[&str]) -> Value {
        json!({"name": name, "values": {"Words": words}})
    }

    fn numbers(name: &str, count: u64, width: u64) -> Value {
        json!({"name": name, "values": {"Numbers": {"first": 1, "step": 1, "count": count, "width": width}}})
    }

    /// A plan with one column in each factor.
    fn product(columns: &[Value]) -> Value {
        let factors: Vec<Value> = columns.iter().map(|column| json!({"columns": [column]})).collect();
        json!({"factors": factors})
    }

    fn read(plan: Value) -> Result<Plan, String> {
        serde_json::from_value(plan).map_err(|error| error.to_string())
    }

    #[test]
    fn json_of_a_plan_has_not_changed() {
        let text = concat!(
            r#"{"factors":[{"columns":["#,
            r#"{"name":"x","values":{"Words":["a","b"]}},"#,
            r#"{"name":"y","values":{"Numbers":{"first":8,"step":-1,"count":2,"width":3}}}]}]}"#
        );
        let plan: Plan = serde_json::from_str(text).unwrap();
        assert_eq!(plan.row(1), ["b", "007"]);
        assert_eq!(serde_json::to_string(&plan).unwrap(), text);
    }

    #[test]
    fn invalid_plan_is_refused_by_the_deserializer() {
        let unequal = json!({"factors": [{"columns": [words("x", &["a"]), words("y", &["a", "b"])]}]});
        for (plan, message) in [
            (product(&[words("x", &[])]), "the parameter `x` has no values"),
            (product(&[numbers("x", 0, 0)]), "the parameter `x` has no values"),
            (product(&[numbers("x", MAX_TASKS + 1, 0)]), "more than 10000000 combinations"),
            (product(&[numbers("x", MAX_TASKS, 0), numbers("y", 2, 0)]), "more than 10000000 combinations"),
            (product(&vec![numbers("x", MAX_TASKS, 0); 9]), "the parameter `x` is given twice"),
            (product(&[numbers("x", 1, 4_000_000_000)]), "the limit is 40"),
            (product(&[words("x", &["a"]), words("X", &["a"])]), "the same variable, MITO_PARAM_X"),
            (product(&[words("a{b", &["a"])]), "invalid parameter name"),
            (product(&[words(&"x".repeat(65), &["a"])]), "invalid parameter name"),
            (unequal, "the same number of values"),
        ] {
            let error = read(plan.clone()).expect_err("an invalid plan");
            assert!(error.contains(message), "{plan}: {error}");
        }
    }

    #[test]
    fn factors_without_columns_are_dropped() {
        let empty = json!({"factors": vec![json!({"columns": []}); 100_000]});
        assert_eq!(read(empty), Ok(Plan::default()));
    }

    /// Numbers of which some are out of range, and other things.
    fn any_number() -> impl Strategy<Value = Value> {
        let extreme = prop::sample::select(vec![i64::MIN, i64::MIN + 1, -1, 0, 40, 41, i64::MAX]);
        prop_oneof![
            200 => (1..5_i64).prop_map(Value::from),
            4 => extreme.prop_map(Value::from),
            1 => Just(json!(u64::MAX)),
            1 => Just(json!(1.5)),
            1 => Just(json!("1")),
            1 => Just(Value::Null),
        ]
    }

    fn any_values() -> impl Strategy<Value = Value> {
        let numbers = (any_number(), any_number(), any_number(), any_number());
        prop_oneof![
            20 => numbers.prop_map(|(first, step, count, width)| {
                json!({"Numbers": {"first": first, "step": step, "count": count, "width": width}})
            }),
            20 => prop::collection::vec(".{0,6}", 0..5).prop_map(|words| json!({"Words": words})),
            1 => any_number(),
        ]
    }

    fn any_plan() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            40 => prop::sample::select(vec!["x", "y", "z", "the rate", "v.1", "å"]),
            1 => prop::sample::select(vec!["X", "", " x", "a}", "\u{7f}"]),
        ];
        let column = (name, any_values()).prop_map(|(name, values)| json!({"name": name, "values": values}));
        let factor = prop::collection::vec(column, 0..3).prop_map(|columns| json!({"columns": columns}));
        prop::collection::vec(factor, 0..4).prop_map(|factors| json!({"factors": factors}))
    }

    /// A task that uses each parameter in each place.
    fn task_with(plan: &Plan) -> Value {
        let all = plan.names().map(|name| format!("<{{{name}}}>")).collect::<Vec<_>>().concat();
        json!({
            "group_name": "ann",
            "tags": ["gpu"],
            "labels": [all, all],
            "timeout": "1h",
            "priority": 0,
            "task_spec": {
                "args": ["run", all, all],
                "envs": {"A": all, "MITO_PARAM_X": "mine"},
                "resources": [{"remote_file": {"Attachment": {"key": all}}, "local_path": all}],
                "params": {"x": "replaced", "other": "kept"},
            },
        })
    }

    /// The bytes of all texts in the task, with one more for each.
    fn bytes(task: &SubmitTaskRequest) -> u64 {
        fn of(value: &Value) -> u64 {
            match value {
                Value::String(text) => text.len() as u64 + 1,
                Value::Array(all) => all.iter().map(of).sum(),
                Value::Object(all) => all.values().map(of).sum(),
                _ => 0,
            }
        }
        let spec = &task.task_spec;
        let keys = spec.envs.keys().chain(spec.params.keys()).map(|key| key.len() as u64 + 1).sum::<u64>();
        let timeout = Value::from(mitosis_protocol::duration::format(task.timeout));
        keys + of(&serde_json::to_value(task).unwrap()) - of(&timeout)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn deserialized_blueprint_never_panics(plan in any_plan(), seed in any::<u64>()) {
            let Ok(plan) = read(plan) else { return Ok(()) };
            prop_assert!((1..=MAX_TASKS).contains(&plan.len()));
            prop_assert_eq!(&read(serde_json::to_value(&plan).unwrap()).unwrap(), &plan);
            let json = json!({"task": task_with(&plan), "plan": serde_json::to_value(&plan).unwrap()});
            let blueprint: Blueprint = serde_json::from_value(json).unwrap();
            let expansion = blueprint.expand().unwrap();
            for index in [0, plan.len() / 2, seed % plan.len(), plan.len() - 1] {
                let task = expansion.get(index).unwrap();
                prop_assert!(bytes(&task) <= expansion.largest_task_bytes());
                for (name, value) in plan.names().zip(plan.row(index)) {
                    prop_assert_eq!(&task.task_spec.params[name], &value);
                }
            }
            prop_assert!([plan.len(), seed.saturating_add(plan.len())].iter().all(|past| expansion.get(*past).is_none()));
        }
    }

    #[test]
    fn bound_of_a_single_task_is_exact() {
        let plan = read(product(&[words("x", &["abc"]), numbers("the rate", 1, 7)])).unwrap();
        let mut blueprint = Blueprint { task: serde_json::from_value(task_with(&plan)).unwrap(), plan };
        let spec = &mut blueprint.task.task_spec;
        spec.envs.remove("MITO_PARAM_X");
        spec.params.remove("x");
        let expansion = blueprint.expand().unwrap();
        assert_eq!(expansion.largest_task_bytes(), bytes(&expansion.task(0)));
    }

    #[test]
    fn large_task_is_found_without_expanding_it() {
        let plan = read(product(&[words("x", &["small", &"x".repeat(1_000_000)])])).unwrap();
        let mut task: SubmitTaskRequest = serde_json::from_value(task_with(&plan)).unwrap();
        task.task_spec.args = vec!["{x}{x}".to_owned(); 100_000];
        let blueprint = Blueprint { task, plan };
        let bound = blueprint.expand().unwrap().largest_task_bytes();
        assert!((200_000_000_000..201_000_000_000).contains(&bound), "{bound}");
    }
}
