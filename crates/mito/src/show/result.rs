//! Shows the results of tasks, one row each.

use std::collections::{BTreeMap, BTreeSet};

use mitosis_domain::task::condition;
use mitosis_protocol::job::TaskCondition;
use mitosis_protocol::sweep::TaskOutcome;
use mitosis_protocol::usage::AttemptUsage;
use mitosis_protocol::{ResultWarning, ShellCode, Timestamp, Uuid, timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::dynamic_columns::{Detail, DynamicRecord};
use super::job::word;
use super::job_task::condition_tone;
use super::record::Cell;
use super::task::exit_code;

/// The columns before the parameters.
const BEFORE: [&str; 2] = ["uuid", "task"];
/// The columns between the parameters and the data of the tasks.
const AFTER: [&str; 7] = ["state", "exit", "msg", "created", "started", "finished", "duration"];

/// The columns after these, if what the commands used is requested.
const USAGE: [&str; 3] = ["cpu", "memory", "output"];
/// The last column, if a task has warnings.
const WARNINGS: &str = "warnings";

/// The result of a task.
#[derive(Debug, Serialize)]
pub(crate) struct ResultShown {
    uuid: Uuid,
    /// The job and the index in it; left out for a task without a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    task_id: i64,
    state: TaskCondition,
    params: BTreeMap<String, String>,
    /// The exit code, in the convention of a shell.
    exit_code: Option<ShellCode>,
    /// The reason of the end, if the exit code does not show it.
    msg: Option<String>,
    #[serde(with = "timestamp::rfc3339")]
    created_at: Timestamp,
    #[serde(with = "timestamp::rfc3339::option")]
    started_at: Option<Timestamp>,
    #[serde(with = "timestamp::rfc3339::option")]
    finished_at: Option<Timestamp>,
    /// The duration in seconds from the start of the last attempt to its end.
    duration: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeats_task_uuid: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<ResultWarning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<AttemptUsage>,
}

/// The dynamic columns: all parameters, and all fields in `result.json` of any task.
pub(crate) struct Names {
    params: BTreeSet<String>,
    fields: BTreeSet<String>,
    has_warnings: bool,
    has_usage: bool,
}

impl From<TaskOutcome> for ResultShown {
    fn from(outcome: TaskOutcome) -> Self {
        Self {
            uuid: outcome.uuid,
            job: outcome.job,
            index: outcome.index,
            task_id: outcome.task_id,
            state: condition(outcome.state, outcome.result),
            exit_code: exit_code(outcome.state, outcome.result),
            msg: outcome.result.and_then(|result| result.msg).map(|msg| format!("{msg:?}")),
            created_at: outcome.created_at,
            started_at: outcome.started_at,
            finished_at: outcome.finished_at,
            duration: duration(&outcome),
            params: outcome.params,
            repeats_task_uuid: outcome.repeats_task_uuid,
            data: outcome.data,
            warnings: outcome.warnings,
            usage: outcome.usage,
        }
    }
}

impl DynamicRecord for ResultShown {
    type Names = Names;

    fn names(all: &[Self]) -> Names {
        let params = all.iter().flat_map(|result| result.params.keys());
        let mut known = BTreeSet::new();
        // Most tasks have the names of the previous one, and names are copied only once.
        params.for_each(|name| {
            if !known.contains(name) {
                known.insert(name.clone());
            }
        });
        let fields = all.iter().flat_map(|result| result.left().into_iter().map(|(name, _)| name));
        let has_warnings = all.iter().any(|result| !result.warnings.is_empty());
        let has_usage = all.iter().any(|result| result.usage.is_some());
        Names { params: known, fields: fields.collect(), has_warnings, has_usage }
    }

    fn titles(names: &Names, detail: Detail) -> Vec<String> {
        let is_fixed = |name: &str| {
            BEFORE.contains(&name)
                || AFTER.contains(&name)
                || (names.has_warnings && name == WARNINGS)
                || (names.has_usage && USAGE.contains(&name))
        };
        let usage: &[&str] = if names.has_usage { &USAGE } else { &[] };
        let warnings = names.has_warnings.then(|| WARNINGS.to_owned());
        let params = names.params.iter().map(|name| apart("param", name, is_fixed(name)));
        let taken = |name: &String| is_fixed(name) || names.params.contains(name);
        let fields = names.fields.iter().map(|name| apart("result", name, taken(name)));
        let fixed = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        match detail {
            Detail::Full => [
                fixed(&BEFORE),
                params.collect(),
                fixed(&AFTER),
                fixed(usage),
                fields.collect(),
                warnings.into_iter().collect(),
            ]
            .concat(),
            Detail::Summary => [
                fixed(&["task"]),
                params.collect(),
                fixed(&["state", "exit", "msg", "duration"]),
                fixed(usage),
                fields.collect(),
                warnings.into_iter().collect(),
                fixed(&["uuid"]),
            ]
            .concat(),
        }
    }

    fn cells(&self, names: &Names, detail: Detail) -> Vec<Cell> {
        let uuid = Cell::text(self.uuid);
        let state = Cell::Toned(word(self.state), condition_tone(self.state));
        let exit = self.exit_code.map_or(Cell::Nothing, Cell::number);
        // A message that the contract does not have.
        let codes = || joined(&self.warnings.iter().map(code).collect::<Vec<_>>());
        let msg = self.msg.clone().map_or_else(codes, Cell::Text);
        let duration = self.duration.map_or(Cell::Nothing, |seconds| Cell::Text(format!("{seconds:.3}")));
        let time = |time: Option<Timestamp>| time.map_or(Cell::Nothing, |time| Cell::Text(rfc3339(time)));
        let params = names.params.iter().map(|name| self.params.get(name).map_or(Cell::Nothing, Cell::text));
        let left = self.left();
        let fields = names.fields.iter().map(|name| match left.get(name) {
            None | Some(Value::Null) => Cell::Nothing,
            Some(Value::String(text)) => Cell::text(text),
            Some(value) => Cell::text(value),
        });
        let warnings = names.has_warnings.then(|| Cell::text(texts(&self.warnings)));
        let usage = if names.has_usage { self.used().to_vec() } else { Vec::new() };
        let mut cells =
            Vec::with_capacity(BEFORE.len() + AFTER.len() + names.params.len() + names.fields.len() + 1);
        match detail {
            Detail::Full => {
                cells.extend([uuid, self.place()]);
                cells.extend(params);
                let (started, finished) = (time(self.started_at), time(self.finished_at));
                let created = time(Some(self.created_at));
                cells.extend([state, exit, msg, created, started, finished, duration]);
                cells.extend(usage);
                cells.extend(fields);
                cells.extend(warnings);
            }
            Detail::Summary => {
                cells.push(self.place());
                cells.extend(params);
                cells.extend([state, exit, msg, duration]);
                cells.extend(usage);
                cells.extend(fields);
                cells.extend(warnings);
                cells.push(uuid);
            }
        }
        cells
    }

    fn id(&self) -> String {
        self.uuid.to_string()
    }
}

impl ResultShown {
    /// The place in its job, `12/7`, or the number in its group.
    fn place(&self) -> Cell {
        match (self.job, self.index) {
            (Some(job), Some(index)) => Cell::Text(format!("{job}/{index}")),
            _ => Cell::Number(self.task_id),
        }
    }

    /// Processor time in seconds, memory and output in bytes.
    fn used(&self) -> [Cell; 3] {
        let Some(usage) = self.usage else { return [Cell::Nothing, Cell::Nothing, Cell::Nothing] };
        let (whole, part) = (usage.cpu_micros / 1_000_000, usage.cpu_micros / 1_000 % 1_000);
        [
            Cell::Text(format!("{whole}.{part:03}")),
            if usage.peak_memory == 0 { Cell::Nothing } else { Cell::text(usage.peak_memory) },
            Cell::text(usage.output_bytes),
        ]
    }

    /// The fields in the `result.json` of the task.
    fn left(&self) -> Map<String, Value> {
        self.data.as_ref().and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default()
    }
}

fn joined(words: &[String]) -> Cell {
    if words.is_empty() { Cell::Nothing } else { Cell::Text(words.join(", ")) }
}

fn texts(warnings: &[ResultWarning]) -> String {
    warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The wire name of a warning code.
fn code(warning: &ResultWarning) -> String {
    match serde_json::to_value(warning.code) {
        Ok(Value::String(word)) => word,
        _ => "warning".to_owned(),
    }
}

/// A column name, with a prefix if another column has it.
fn apart(kind: &str, name: &str, taken: bool) -> String {
    if taken { format!("{kind}.{name}") } else { name.to_owned() }
}

fn duration(outcome: &TaskOutcome) -> Option<f64> {
    Some(outcome.finished_at?.since(outcome.started_at?).as_secs_f64())
}

pub(super) fn rfc3339(time: Timestamp) -> String {
    let text = time.to_string();
    let local = text.trim_end_matches(" +00:00:00");
    format!("{}Z", local.replacen(' ', "T", 1))
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::{TaskResult, TaskState, WaitStatus};

    use super::*;
    use crate::show::dynamic_columns::written;
    use crate::show::format::Format;
    use crate::show::output::Output;

    fn outcome(number: i64, params: &[(&str, &str)]) -> TaskOutcome {
        let at = |seconds: &str| Timestamp::parse(&format!("2031-02-09T17:04:{seconds}Z")).unwrap();
        TaskOutcome {
            uuid: Uuid::nil(),
            task_id: number,
            state: TaskState::Finished,
            params: params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            job: None,
            index: None,
            result: Some(TaskResult { exit_status: WaitStatus::exited(3), msg: None }),
            exit_code: Some(3),
            warnings: Vec::new(),
            created_at: at("05"),
            started_at: Some(at("06.5")),
            finished_at: Some(at("08")),
            repeats_task_uuid: None,
            data: None,
            usage: None,
        }
    }

    fn text(format: Option<Format>, terminal: bool, outcomes: Vec<TaskOutcome>) -> String {
        let results: Vec<ResultShown> = outcomes.into_iter().map(Into::into).collect();
        written(&Output::fixed(format, terminal), &results)
    }

    fn cells(csv: &str) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn parameters_are_columns() {
        let outcomes = || vec![outcome(1, &[("rate", "0.1"), ("state", "x,y")]), outcome(2, &[("n", "7")])];
        let nil = Uuid::nil();
        let times = "2031-02-09T17:04:05.0Z,2031-02-09T17:04:06.5Z,2031-02-09T17:04:08.0Z,1.500";
        assert_eq!(
            text(Some(Format::Csv), false, outcomes()),
            format!(
                "uuid,task,n,rate,param.state,state,exit,msg,created,started,finished,duration\n\
                 {nil},1,,0.1,\"x,y\",failed,3,,{times}\n{nil},2,7,,,failed,3,,{times}\n"
            )
        );
        assert_eq!(
            text(None, true, outcomes()),
            format!(
                "TASK  N  RATE  PARAM.STATE  STATE   EXIT  MSG  DURATION  UUID\n\
                 1        0.1   x,y          failed  3          1.500     {nil}\n\
                 2     7                     failed  3          1.500     {nil}\n"
            )
        );
        assert_eq!(text(Some(Format::Id), false, outcomes()), format!("{nil}\n{nil}\n"));
    }

    #[test]
    fn data_of_tasks_is_in_the_last_columns() {
        let data = |text: &str| Some(serde_json::value::RawValue::from_string(text.to_owned()).unwrap());
        let first = TaskOutcome {
            data: data(r#"{"loss":0.25,"x":"mine","exit":null}"#),
            ..outcome(1, &[("x", "1")])
        };
        let second = TaskOutcome { data: data(r#"{"list":[1,2],"note":"a,b"}"#), ..outcome(2, &[]) };
        let table = cells(&text(Some(Format::Csv), false, vec![first, second, outcome(3, &[])]));
        assert_eq!(table[0][10..], ["result.exit", "list", "loss", "note", "result.x"]);
        assert_eq!(table[1][10..], ["", "", "0.25", "", "mine"]);
        assert_eq!(table[2][10..], ["", "[1,2]", "", "a,b", ""]);
        assert_eq!(table[3][10..], ["", "", "", "", ""]);
    }

    #[test]
    fn usage_is_shown_if_it_is_known() {
        let usage = AttemptUsage {
            wall_micros: 2_000_000,
            cpu_micros: 1_250_000,
            peak_memory: 4_096,
            output_bytes: 7,
        };
        let first = TaskOutcome { usage: Some(usage), ..outcome(1, &[("cpu", "x")]) };
        let table = cells(&text(Some(Format::Csv), false, vec![first, outcome(2, &[])]));
        assert_eq!(table[0][2], "param.cpu");
        assert_eq!(table[0][10..], ["cpu", "memory", "output"]);
        assert_eq!(table[1][10..], ["1.250", "4096", "7"]);
        assert_eq!(table[2][10..], ["", "", ""]);
    }

    #[test]
    fn values_do_not_break_the_table() {
        for terminal in [false, true] {
            let text = text(None, terminal, vec![outcome(1, &[("x", "a\tb\nc\x1b[2J")])]);
            assert_eq!(text.lines().count(), 2, "{text}");
            assert!(text.contains("a\\tb\\nc\\u{1b}[2J"), "{text}");
        }
    }

    #[test]
    fn json_has_the_words_of_jobs_and_derived_fields() {
        let json = |format| text(Some(format), false, vec![outcome(1, &[("x", "1")])]);
        let object: Value = serde_json::from_str(&json(Format::Jsonl)).unwrap();
        assert_eq!(object["params"]["x"], "1");
        assert_eq!((&object["exit_code"], &object["duration"]), (&3.into(), &1.5.into()));
        assert_eq!(
            (&object["state"], &object["created_at"]),
            (&"failed".into(), &"2031-02-09T17:04:05Z".into())
        );
        let placed = TaskOutcome { job: Some(12), index: Some(7), ..outcome(70, &[]) };
        assert_eq!(cells(&text(Some(Format::Csv), false, vec![placed]))[1][1], "12/7");
        let list: Value = serde_json::from_str(&json(Format::Json)).unwrap();
        assert_eq!(list[0], object);
        assert!(json(Format::Yaml).contains("exit_code: 3\n"));
        let never = TaskOutcome { result: None, started_at: None, ..outcome(1, &[]) };
        let object: Value = serde_json::from_str(&text(Some(Format::Jsonl), false, vec![never])).unwrap();
        assert_eq!((&object["exit_code"], &object["duration"]), (&Value::Null, &Value::Null));
    }
}
