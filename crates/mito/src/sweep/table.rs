//! The results of a sweep as one table.

use std::collections::BTreeSet;
use std::io::{self, Write};

use mitosis_domain::wait_status::WaitStatus;
use mitosis_protocol::sweep::TaskOutcome;
use mitosis_protocol::{TaskState, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

/// Columns before the parameters.
const BEFORE: [&str; 2] = ["uuid", "task"];
/// Columns between the parameters and what the tasks left.
const AFTER: [&str; 7] = ["state", "exit", "msg", "created", "started", "finished", "duration"];

/// A table: a name for each column, and as many cells in each row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// A result as an object: what the coordinator says, and what follows from it.
#[derive(Debug, Serialize)]
pub(crate) struct Object<'a> {
    #[serde(flatten)]
    outcome: &'a TaskOutcome,
    /// As a shell would show it.
    exit_code: Option<u8>,
    /// From the start of the attempt that counts to its end, in seconds.
    duration: Option<f64>,
}

impl Table {
    /// A row for each task, and a column for each parameter that any of them has, and for each field that any
    /// of them left in its `result.json`.
    pub(crate) fn of(outcomes: &[TaskOutcome]) -> Self {
        let left: Vec<Map<String, Value>> = outcomes.iter().map(left).collect();
        let params: BTreeSet<&str> =
            outcomes.iter().flat_map(|outcome| outcome.params.keys().map(String::as_str)).collect();
        let fields: BTreeSet<&str> = left.iter().flat_map(|left| left.keys().map(String::as_str)).collect();
        let is_fixed = |name: &str| BEFORE.contains(&name) || AFTER.contains(&name);
        let params_named = params.iter().map(|name| apart("param", name, is_fixed(name)));
        let fields_named =
            fields.iter().map(|name| apart("result", name, is_fixed(name) || params.contains(name)));
        let fixed = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let names = [fixed(&BEFORE), params_named.collect(), fixed(&AFTER), fields_named.collect()].concat();
        let rows = outcomes.iter().zip(&left).map(|(outcome, left)| row(outcome, &params, left, &fields));
        Self { names, rows: rows.collect() }
    }

    /// As comma-separated values.
    pub(crate) fn write_csv(&self, to: impl Write) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(&self.names)?;
        for row in &self.rows {
            writer.write_record(row)?;
        }
        writer.flush()
    }

    /// With a tab between cells; what would break a line or a column is a blank.
    pub(crate) fn write_tabs(&self, mut to: impl Write) -> io::Result<()> {
        for row in std::iter::once(&self.names).chain(&self.rows) {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace(['\t', '\n', '\r'], " ")).collect();
            writeln!(to, "{}", cells.join("\t"))?;
        }
        Ok(())
    }

    /// With columns under each other.
    pub(crate) fn write_aligned(&self, mut to: impl Write) -> io::Result<()> {
        let all = || std::iter::once(&self.names).chain(&self.rows);
        let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.names.len()).map(width).collect();
        for row in all() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| {
                let cell = cell.replace(char::is_control, " ");
                format!("{cell:<width$}")
            });
            writeln!(to, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

impl<'a> Object<'a> {
    pub(crate) fn of(outcome: &'a TaskOutcome) -> Self {
        Self { outcome, exit_code: exit_code(outcome), duration: duration(outcome) }
    }
}

/// A name, told apart from another column's if need be.
fn apart(kind: &str, name: &str, taken: bool) -> String {
    if taken { format!("{kind}.{name}") } else { name.to_owned() }
}

/// The fields that a task left.
fn left(outcome: &TaskOutcome) -> Map<String, Value> {
    outcome.data.as_ref().and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default()
}

fn row(
    outcome: &TaskOutcome,
    params: &BTreeSet<&str>,
    left: &Map<String, Value>,
    fields: &BTreeSet<&str>,
) -> Vec<String> {
    let time = |time: Option<Timestamp>| time.map(rfc3339).unwrap_or_default();
    let mut row = vec![outcome.uuid.to_string(), outcome.task_id.to_string()];
    row.extend(params.iter().map(|name| outcome.params.get(*name).cloned().unwrap_or_default()));
    row.extend([
        format!("{:?}", outcome.state),
        exit_code(outcome).map(|code| code.to_string()).unwrap_or_default(),
        outcome.result.and_then(|result| result.msg).map(|msg| format!("{msg:?}")).unwrap_or_default(),
        rfc3339(outcome.created_at),
        time(outcome.started_at),
        time(outcome.finished_at),
        duration(outcome).map(|seconds| format!("{seconds:.3}")).unwrap_or_default(),
    ]);
    row.extend(fields.iter().map(|name| match left.get(*name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }));
    row
}

/// None where the command did not run, or has not ended.
fn exit_code(outcome: &TaskOutcome) -> Option<u8> {
    let status = outcome.result?.exit_status;
    match (outcome.state, status) {
        (TaskState::Cancelled, 0) => None,
        _ => Some(WaitStatus::from_raw(status).shell_code()),
    }
}

fn duration(outcome: &TaskOutcome) -> Option<f64> {
    Some(outcome.finished_at?.since(outcome.started_at?).as_secs_f64())
}

fn rfc3339(time: Timestamp) -> String {
    let text = time.to_string();
    let local = text.trim_end_matches(" +00:00:00");
    format!("{}Z", local.replacen(' ', "T", 1))
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::{TaskResult, TaskResultMessage, Uuid};

    use super::*;

    fn outcome(number: i64, params: &[(&str, &str)]) -> TaskOutcome {
        let at = |seconds: &str| Timestamp::parse(&format!("2031-02-09T17:04:{seconds}Z")).unwrap();
        TaskOutcome {
            uuid: Uuid::nil(),
            task_id: number,
            state: TaskState::Finished,
            params: params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            result: Some(TaskResult { exit_status: 768, msg: None }),
            created_at: at("05"),
            started_at: Some(at("06.5")),
            finished_at: Some(at("08")),
            repeats_task_uuid: None,
            data: None,
        }
    }

    fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn parameters_are_columns_and_a_task_without_one_has_an_empty_cell() {
        let table = Table::of(&[outcome(1, &[("rate", "0.1"), ("state", "x,y")]), outcome(2, &[("n", "7")])]);
        let nil = Uuid::nil();
        let times = "2031-02-09T17:04:05.0Z,2031-02-09T17:04:06.5Z,2031-02-09T17:04:08.0Z,1.500";
        assert_eq!(
            text(|to| table.write_csv(to)),
            format!(
                "uuid,task,n,rate,param.state,state,exit,msg,created,started,finished,duration\n\
                 {nil},1,,0.1,\"x,y\",Finished,3,,{times}\n{nil},2,7,,,Finished,3,,{times}\n"
            )
        );
    }

    #[test]
    fn what_tasks_left_comes_in_the_last_columns() {
        let data = |text: &str| Some(serde_json::value::RawValue::from_string(text.to_owned()).unwrap());
        let table = Table::of(&[
            TaskOutcome {
                data: data(r#"{"loss":0.25,"x":"mine","exit":null}"#),
                ..outcome(1, &[("x", "1")])
            },
            TaskOutcome { data: data(r#"{"list":[1,2],"note":"a,b"}"#), ..outcome(2, &[]) },
            outcome(3, &[]),
        ]);
        assert_eq!(table.names[10..], ["result.exit", "list", "loss", "note", "result.x"]);
        assert_eq!(table.rows[0][10..], ["", "", "0.25", "", "mine"]);
        assert_eq!(table.rows[1][10..], ["", "[1,2]", "", "a,b", ""]);
        assert_eq!(table.rows[2][10..], ["", "", "", "", ""]);
    }

    #[test]
    fn what_never_ran_has_no_exit_code() {
        use TaskResultMessage as M;
        for (state, exit_status, msg, code) in [
            (TaskState::Finished, 0, None, Some(0)),
            (TaskState::Finished, 9, None, Some(137)),
            (TaskState::Cancelled, 9, Some(M::ExecTimeout), Some(137)),
            (TaskState::Cancelled, 0, Some(M::UserCancellation), None),
            (TaskState::Cancelled, 0, Some(M::ResourceNotFound), None),
        ] {
            let result = Some(TaskResult { exit_status, msg });
            assert_eq!(exit_code(&TaskOutcome { state, result, ..outcome(1, &[]) }), code, "{msg:?}");
        }
        assert_eq!(exit_code(&TaskOutcome { result: None, ..outcome(1, &[]) }), None);
        assert_eq!(duration(&TaskOutcome { started_at: None, ..outcome(1, &[]) }), None);
    }

    #[test]
    fn a_value_breaks_neither_lines_nor_columns_for_people() {
        let table = Table::of(&[outcome(1, &[("x", "a\tb\nc\x1b[2J")])]);
        assert_eq!(text(|to| table.write_tabs(to)).lines().count(), 2);
        let aligned = text(|to| table.write_aligned(to));
        assert_eq!(aligned.lines().count(), 2);
        assert!(!aligned.contains('\x1b'));
    }

    #[test]
    fn an_object_says_what_the_coordinator_said_and_what_follows() {
        let outcome = outcome(1, &[("x", "1")]);
        let object = serde_json::to_value(Object::of(&outcome)).unwrap();
        assert_eq!(object["params"]["x"], "1");
        assert_eq!((&object["exit_code"], &object["duration"]), (&3.into(), &1.5.into()));
        assert_eq!(object["result"]["exit_status"], 768);
    }
}
