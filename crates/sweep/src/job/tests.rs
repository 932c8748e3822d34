//! Tests of job files.

use mitosis_protocol::notify::NotifyOn;
use mitosis_protocol::task::{RemoteFile, TaskDirectory};

use super::*;

fn read(name: &str, text: &str) -> Result<Job, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lines.txt"), "one\ntwo\n").unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("run.sh"), "#!/bin/sh\necho ${1}\n").unwrap();
    std::fs::write(folder.path().join("base.env"), "MODE=file\nJSON='{\"a\": 1}'\n").unwrap();
    let extras = Extras { group: "ann", labels: &["from-here".to_owned()], directory: Some("/home/ann") };
    Job::read(&path, extras).map_err(|error| error.full_message())
}

const TOML: &str = r#"
[defaults]
labels = ["exp1"]
timeout = "1h"
lost_after = "2m"
idempotent = true
stop_signal = "INT"
stop_grace = "30s"
env = { MODE = "fast", LEVEL = 3 }

[[tasks]]
command = ["train", "--rate", "{rate}", "--seed", "{seed}"]
matrix = { rate = [0.1, 0.01], seed = "1..2" }
tags = ["gpu"]
priority = 5
output = false
attachments = [{ file = "data/in.csv", key = "exp1/in.csv", as = "in.csv" }]

[[tasks]]
command = "echo 'a b' {line}"
group = "lab"
each_line = "lines.txt"
idempotent = false
stop_grace = "1m"
env = { MODE = "slow" }
resources = [{ attachment = "{line}.bin", as = "{line}.bin" }]
"#;

#[test]
fn tasks_override_and_extend_the_defaults() {
    let job = read("job.toml", TOML).unwrap();
    let [first, second] = &job.steps[..] else { panic!("two kinds of tasks") };
    let expansion = first.blueprint.expand().unwrap();
    assert_eq!(expansion.len(), 4);
    let task = expansion.task(1);
    assert_eq!(task.task_spec.args, ["train", "--rate", "0.1", "--seed", "2"]);
    assert_eq!((task.group_name.as_str(), task.priority, task.timeout), ("ann", 5, Duration::from_hours(1)));
    assert_eq!(task.labels, ["exp1", "from-here"]);
    assert_eq!((&task.task_spec.envs["MODE"][..], &task.task_spec.envs["LEVEL"][..]), ("fast", "3"));
    assert!(!task.task_spec.terminal_output);
    let limits = |spec: &TaskSpec| (spec.lost_after, spec.idempotent);
    let two_minutes = Some(Duration::from_secs(120));
    assert_eq!(limits(&task.task_spec), (two_minutes, true));
    let stop = |spec: &TaskSpec| (spec.stop_signal.map(|signal| signal.to_string()), spec.stop_grace);
    let interrupt = Some("SIGINT".to_owned());
    assert_eq!(stop(&task.task_spec), (interrupt.clone(), Some(Duration::from_secs(30))));
    let of_second = second.blueprint.expand().unwrap().task(0).task_spec;
    assert_eq!(stop(&of_second), (interrupt, Some(Duration::from_secs(60))));
    let attachment = RemoteFile::Attachment { key: "exp1/in.csv".into() };
    assert_eq!(task.task_spec.resources[0].remote_file, attachment);
    assert_eq!((job.uploads.len(), &job.uploads[0].key[..]), (1, "exp1/in.csv"));
    assert!(job.uploads[0].file.ends_with("data/in.csv") && job.uploads[0].file.is_absolute());

    let last = second.blueprint.expand().unwrap().task(1);
    assert_eq!(last.task_spec.args, ["echo", "a b", "two"]);
    assert_eq!((last.group_name.as_str(), &last.task_spec.envs["MODE"][..]), ("lab", "slow"));
    assert_eq!(last.task_spec.resources[0].local_path, "two.bin");
    assert_eq!(limits(&last.task_spec), (two_minutes, false));
}

#[test]
fn variables_of_files_are_overridden_and_have_no_placeholders() {
    let text = "[defaults]\nenv_file = 'base.env'\n[[tasks]]\ncommand = 'true'\nenv = {MODE = '{x}'}\n\
                    matrix = {x = '1..2'}\n[[tasks]]\ncommand = 'true'\nenv_file = ['base.env', 'base.env']";
    let job = read("job.toml", text).unwrap();
    let envs = |step: usize| job.steps[step].blueprint.expand().unwrap().task(0).task_spec.envs;
    assert_eq!((&*envs(0)["MODE"], &*envs(0)["JSON"]), ("1", r#"{"a": 1}"#));
    assert_eq!((&*envs(1)["MODE"], &*envs(1)["JSON"]), ("file", r#"{"a": 1}"#));
    let missing = read("job.toml", "[[tasks]]\ncommand = 'true'\nenv_file = 'no.env'").unwrap_err();
    assert!(missing.contains("no.env"), "{missing}");
}

#[test]
fn script_and_input_are_sent_along() {
    let text = "[[tasks]]\nscript = 'run.sh {x}'\nstdin = 'lines.txt'\nmatrix = {x = '1..2'}";
    let job = read("job.toml", text).unwrap();
    let spec = job.steps[0].blueprint.expand().unwrap().task(1).task_spec;
    assert_eq!(spec.args, ["sh", "-c", r#"exec /bin/sh "$MITO_RESOURCE_DIR/$0" "$@""#, "run.sh", "2"]);
    assert_eq!(spec.files["run.sh"], "#!/bin/sh\necho ${1}\n");
    assert_eq!((&spec.files[".stdin"][..], spec.stdin.as_deref()), ("one\ntwo\n", Some(".stdin")));
    assert!(job.uploads.is_empty());
    for (keys, problem) in [
        ("script = 'run.sh'\ncommand = 'true'", "exclude each other"),
        ("script = 'no.sh'", "no.sh"),
        ("script = 'lines.txt'", "neither a job file nor a script"),
        ("command = 'cat'\nstdin = 'missing'", "missing"),
        ("stdin = 'lines.txt'", "no command"),
    ] {
        let error = read("job.toml", &format!("[[tasks]]\n{keys}")).unwrap_err();
        assert!(error.contains(problem), "{keys}: {error}");
    }
    let text = "[defaults]\nscript = 'run.sh'\n[[tasks]]\ncommand = 'true'\n[[tasks]]\nname = 'b'";
    let job = read("job.toml", text).unwrap();
    let args = |step: usize| job.steps[step].blueprint.task.task_spec.args.len();
    assert_eq!((args(0), args(1)), (1, 4));
}

#[test]
fn directory_is_that_of_the_submission_unless_a_key_has_another() {
    let directory = |keys: &str| {
        let text = format!("{keys}\n[[tasks]]\ncommand = 'true'");
        read("job.toml", &text).map(|job| job.steps[0].blueprint.task.task_spec.directory.clone().unwrap())
    };
    let of_task = |keys: &str| {
        let text = format!("[defaults]\nchdir = '/data'\n[[tasks]]\ncommand = 'true'\n{keys}");
        read("job.toml", &text).map(|job| job.steps[0].blueprint.task.task_spec.directory.clone().unwrap())
    };
    assert_eq!(directory("").unwrap(), TaskDirectory::Prefer("/home/ann".into()));
    assert_eq!(of_task("").unwrap(), TaskDirectory::Require("/data".into()));
    assert_eq!(of_task("fresh_dir = true").unwrap(), TaskDirectory::Fresh);
    let Ok(TaskDirectory::Require(below)) = of_task("chdir = './out'") else { panic!("it is required") };
    assert!(below.starts_with('/') && below.ends_with("/out") && !below.contains("/./"), "{below}");
    assert!(of_task("chdir = 'a'\nfresh_dir = true").unwrap_err().contains("exclude each other"));
}

#[test]
fn notifications_of_a_task_replace_the_defaults() {
    let text = "[defaults]\nnotify = 'https://a.example'\nnotify_on = 'failure'\n[[tasks]]\ncommand = 'true'\n\
                [[tasks]]\ncommand = 'true'\nnotify = ['https://b.example', 'https://c.example']\nnotify_on = 'end'";
    let steps = read("job.toml", text).unwrap().steps;
    let notify = |url: &str, on| Notify { url: url.to_owned(), on };
    assert_eq!(steps[0].notify, [notify("https://a.example", NotifyOn::Failure)]);
    let both = ["https://b.example", "https://c.example"].map(|url| notify(url, NotifyOn::End));
    assert_eq!(steps[1].notify, both);
    let wrong = read("job.toml", "[[tasks]]\ncommand = 'true'\nnotify = {url = 'x'}").unwrap_err();
    assert!(wrong.contains("expected a URL, or a list of URLs"), "{wrong}");
}

#[test]
fn job_files_in_three_languages_are_equal() {
    let yaml = "
tasks:
  - command: [train, '{rate}', '{seed}']
    matrix: { rate: [0.1, 0.01], seed: 1..2 }
    timeout: 1h
";
    let json = r#"{"tasks": [{"command": ["train", "{rate}", "{seed}"], "timeout": "1h",
            "matrix": {"rate": [0.1, 0.01], "seed": "1..2"}}]}"#;
    let toml = "[[tasks]]\ncommand = ['train', '{rate}', '{seed}']\ntimeout = '1h'\nmatrix = {rate = [0.1, 0.01], seed = '1..2'}";
    let of = |name, text| read(name, text).unwrap().steps;
    assert_eq!(of("job.yaml", yaml), of("job.toml", toml));
    assert_eq!(of("job.json", json), of("job.toml", toml));
    assert_eq!(of("job.yml", yaml), of("job.toml", toml));
}

#[test]
fn unknown_key_is_refused_with_its_line() {
    for (name, text, line) in [
        ("job.toml", "[[tasks]]\ncommand = ['true']\ntimout = '1h'\n", "line 3"),
        ("job.json", "{\"tasks\": [\n{\"command\": [\"true\"],\n\"timout\": \"1h\"}]}", "line 3"),
        ("job.yaml", "tasks:\n  - command: ['true']\n    timout: 1h\n", "3"),
    ] {
        let error = read(name, text).unwrap_err();
        assert!(error.contains("timout") && error.contains(line), "{name}: {error}");
    }
    let typo = read("job.toml", "[default]\n[[tasks]]\ncommand = 'true'").unwrap_err();
    assert!(typo.contains("default"), "{typo}");
}

#[test]
fn value_of_the_wrong_type_is_refused_with_its_key() {
    let task = "[[tasks]]\ncommand = 'true'\n";
    for (text, message) in [
        ("tasks = 5".to_owned(), "line 1: `tasks`: expected a list, not a number"),
        ("tasks = '5'".to_owned(), "line 1: `tasks`: expected a list, not text"),
        (
            "defaults = [1]\ntasks = []".to_owned(),
            "`defaults`: expected a table of task settings, not a list",
        ),
        (
            format!("{task}resources = ['in.csv']"),
            "line 3: `resources`: expected a table with `artifact` or `attachment`, not text",
        ),
        (format!("{task}attachments = [true]"), "`attachments`: expected a table with `file`, not a boolean"),
        (format!("{task}group = ['lab']"), "line 3: `group`: expected text, not a list"),
        (format!("{task}priority = 'high'"), "line 3: `priority`: expected an integer, not `high`"),
        (format!("{task}priority = []"), "line 3: `priority`: expected an integer, not a list"),
    ] {
        let error = read("job.toml", &text).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
        assert!(!error.contains("leading zeros"), "{error}");
    }
    let octal = read("job.yaml", "tasks:\n  - command: a\n    priority: 010\n").unwrap_err();
    assert!(octal.contains("invalid integer `010` (leading zeros are not allowed)"), "{octal}");
}

#[test]
fn errors_name_their_task() {
    for (text, words) in [
        ("tasks = []", "no tasks"),
        ("[[tasks]]\nlabels = ['x']", "task 1"),
        ("[[tasks]]\ncommand = 'true'\n[[tasks]]\ncommand = \"a 'b\"", "task 2"),
        ("[[tasks]]\ncommand = 'true'\ntimeout = '1 parsec'", "parsec"),
        ("[[tasks]]\ncommand = 'true'\nmatrix = {x = [1, 2, 3], y = 'a,b'}\nzip = true", "zip"),
        ("[[tasks]]\ncommand = 'true'\nmatrix = {x = {}}", "1..10"),
        ("[[tasks]]\ncommand = 'true'\nresources = [{as = 'x'}]", "expected an attachment"),
        (
            "[[tasks]]\ncommand = 'true'\nattachments = [{file = 'a/x'}, {file = 'b/x'}]",
            "same attachment key",
        ),
    ] {
        let error = read("job.toml", text).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
    assert!(read("job.txt", TOML).unwrap_err().contains(".toml"));
}

#[test]
fn braces_in_file_names_are_literal() {
    let text = "[[tasks]]\ncommand = '{x}'\nmatrix = {x = [1]}\nattachments = [{file = 'a{b}.csv'}]";
    let job = read("job.toml", text).unwrap();
    let task = job.steps[0].blueprint.expand().unwrap().task(0);
    assert_eq!(task.task_spec.resources[0].local_path, "a{b}.csv");
    assert_eq!(job.uploads[0].key, "a{b}.csv");
}

#[test]
fn values_keep_their_spelling() {
    let yaml = "
tasks:
  - command: [run, 012, NO, 1.0]
    labels: [1.10, on]
    env: { BIG: 18446744073709551615, SWITCH: on, CODE: 012, SUM: 1_000, VERSION: 3.10 }
    matrix: { x: [1.0, 1e3, 007, yes], y: 3.10 }
";
    let toml = "[[tasks]]
command = ['run', '012', 'NO', 1.0]
labels = [1.10, 'on']
env = { BIG = 18446744073709551615, SWITCH = 'on', CODE = '012', SUM = 1_000, VERSION = 3.10 }
matrix = { x = [1.0, 1e3, '007', 'yes'], y = 3.10 }";
    let json = r#"{"tasks": [{"command": ["run", "012", "NO", 1.0], "labels": [1.10, "on"],
            "env": {"BIG": 18446744073709551615, "SWITCH": "on", "CODE": "012", "SUM": "1_000", "VERSION": 3.10},
            "matrix": {"x": [1.0, 1e3, "007", "yes"], "y": 3.10}}]}"#;
    for (name, text) in [("job.yaml", yaml), ("job.toml", toml), ("job.json", json)] {
        for mark in ["", "\u{feff}"] {
            let job = read(name, &format!("{mark}{text}")).unwrap();
            let task = |index| job.steps[0].blueprint.expand().unwrap().task(index);
            let first = task(0);
            assert_eq!(first.task_spec.args, ["run", "012", "NO", "1.0"], "{name}");
            assert_eq!(first.labels, ["1.10", "on", "from-here"], "{name}");
            let env = |key: &str| first.task_spec.envs[key].clone();
            assert_eq!(
                ["BIG", "SWITCH", "CODE", "SUM", "VERSION"].map(env),
                ["18446744073709551615", "on", "012", "1_000", "3.10"],
                "{name}"
            );
            let xs: Vec<String> = (0..4).map(|index| task(index).task_spec.params["x"].clone()).collect();
            assert_eq!(xs, ["1.0", "1e3", "007", "yes"], "{name}");
            assert_eq!(first.task_spec.params["y"], "3.10", "{name}");
        }
    }
}

#[test]
fn command_of_several_lines_is_a_script() {
    let block = "tasks:\n  - command: |\n      cd data\n      run {x} ${HOME}\n    matrix: {x: 1..2}\n";
    let job = read("job.yaml", block).unwrap();
    let task = job.steps[0].blueprint.expand().unwrap().task(1);
    assert_eq!(task.task_spec.args, ["sh", "-c", "cd data\nrun 2 ${HOME}\n"]);
    let sleep = read("job.yaml", "tasks:\n  - command: [sleep, 5]\n").unwrap();
    assert_eq!(sleep.steps[0].blueprint.task.task_spec.args, ["sleep", "5"]);
}

#[test]
fn default_group_is_set_after_reading() {
    let text = "[[tasks]]\ncommand = 'a'\nattachments = [{file = 'x'}]\n\
                    [[tasks]]\ncommand = 'b'\ngroup = 'lab'\nattachments = [{file = 'y', key = 'x'}]";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.toml");
    std::fs::write(&path, text).unwrap();
    let job = |group| {
        Job::read(&path, Extras { group: "", labels: &[], directory: None })
            .unwrap()
            .with_default_group(group)
    };
    let groups: Vec<_> =
        job("ann").unwrap().steps.into_iter().map(|step| step.blueprint.task.group_name).collect();
    assert_eq!(groups, ["ann", "lab"]);
    assert!(job("lab").unwrap_err().to_string().contains("same attachment key"));
}

#[test]
fn steps_are_named_and_need_each_other() {
    let toml = "
defaults = {max_failures = 3}
[[tasks]]
name = 'report'
command = 'report'
needs = ['train', {job = 'prepare', when = 'ended'}]
[[tasks]]
name = 'train'
command = 'train {x}'
matrix = {x = '1..3'}
needs = ['prepare']
max_running = 2
max_failures = 0
retries = 2
retry_on = ['exit=75', 'timeout']
backoff = '5s..5m'
[[tasks]]
name = 'prepare'
command = 'prepare'
";
    let yaml = "
defaults: {max_failures: 3}
tasks:
  - {name: report, command: report, needs: [train, {job: prepare, when: ended}]}
  - {name: train, command: 'train {x}', matrix: {x: 1..3}, needs: [prepare], max_running: 2, max_failures: 0,
    retries: 2, retry_on: [exit=75, timeout], backoff: 5s..5m}
  - {name: prepare, command: prepare}
";
    let job = read("job.toml", toml).unwrap();
    assert_eq!(read("job.yaml", yaml).unwrap().steps, job.steps);
    let named: Vec<_> = job
        .steps
        .iter()
        .map(|step| {
            (step.name.as_ref().unwrap().as_str(), &step.needs[..], step.max_running, step.max_failures)
        })
        .collect();
    let (succeeded, ended) = (NeedKind::Succeeded, NeedKind::Ended);
    assert_eq!(
        named,
        [
            ("prepare", &[][..], None, Some(3)),
            ("train", &[(0, succeeded)], Some(2), Some(0)),
            ("report", &[(0, ended), (1, succeeded)], None, Some(3)),
        ]
    );
    let retry = job.steps[1].retry.as_ref().unwrap();
    let causes: Vec<String> = retry.on.iter().map(ToString::to_string).collect();
    assert_eq!((retry.retries, causes.as_slice()), (2, &["exit=75".to_owned(), "timeout".to_owned()][..]));
    assert_eq!(retry.max_backoff, Duration::from_mins(5));
    assert_eq!(job.steps[0].retry, None);
    let negative = read("job.toml", "[[tasks]]\ncommand = 'true'\nretries = -1").unwrap_err();
    assert!(negative.contains("`retries` must be from 0 to 1000"), "{negative}");
}

#[test]
fn tasks_need_those_with_the_same_index() {
    let yaml = "
tasks:
  - {name: plot, command: 'plot {x}', matrix: {x: 1..3}, needs: [{train: each}, {job: load, when: ended}],
     resources: [{from: train, artifact: result, path: data/}, {from: load, artifact: std-log, as: log}]}
  - {name: train, command: 'train {x}', matrix: {x: 1..3}}
  - {name: load, command: load}
  - {name: check, command: check, resources: [{from: load, artifact: result, path: in}]}
";
    let steps = read("job.yaml", yaml).unwrap().steps;
    let step = |name: &str| steps.iter().find(|step| step.name.as_ref().unwrap().as_str() == name).unwrap();
    let position = |name: &str| steps.iter().position(|other| other == step(name)).unwrap();
    let (train, load) = (position("train"), position("load"));
    assert_eq!(step("plot").needs, [(train, NeedKind::Each), (load, NeedKind::Ended)]);
    let fetched =
        |from, content_type, path: &str| StepResource { from, content_type, local_path: path.to_owned() };
    let expected =
        [fetched(train, ArtifactKind::Result, "data/"), fetched(load, ArtifactKind::StdLog, "log")];
    assert_eq!(step("plot").resources, expected);
    assert!(step("plot").blueprint.task.task_spec.resources.is_empty());
    assert_eq!(step("check").needs, [(load, NeedKind::Succeeded)], "the source of an artifact is needed");
}

#[test]
fn tasks_of_unequal_numbers_are_refused() {
    let train = "[[tasks]]\nname = 'train'\ncommand = 'train {x}'\nmatrix = {x = '1..3'}\n";
    let plot = "[[tasks]]\nname = 'plot'\ncommand = 'plot'\n";
    for (keys, message) in [
        (
            "needs = [{train = 'each'}]",
            "the task `plot` needs `train` one by one, but is 1 tasks, and `train` is 3",
        ),
        ("needs = [{train = 'each'}, 'train']", "the task `plot` needs `train` twice"),
        (
            "resources = [{from = 'train', artifact = 'result', path = 'a'}]",
            "write needs = [{train = \"each\"}]",
        ),
        (
            "resources = [{from = 'x', artifact = 'result', path = 'a'}]",
            "needs `x`, and no task has this name",
        ),
        ("resources = [{from = 'train', path = 'a'}]", "write {from = \"NAME\", artifact = \"result\""),
        ("resources = [{from = 'train', artifact = 'none', path = 'a'}]", "is not an artifact type"),
    ] {
        let error = read("job.toml", &format!("{train}{plot}{keys}")).unwrap_err();
        assert!(error.contains(message), "{keys}: {error}");
    }
}

#[test]
fn invalid_needs_are_refused() {
    let task = "[[tasks]]\ncommand = 'true'\n";
    for (more, message) in [
        ("needs = ['x']", "invalid job file"),
        ("name = 'a'\nneeds = ['a']", "the task `a` needs itself"),
        ("name = 'a'\nneeds = [{job = 'a', when = 'started'}]", "expected the name of a task"),
        ("name = 'a'\nneeds = [{jobs = 'a'}]", "expected the name of a task"),
        ("name = 'a b'", "a job name can only contain"),
        ("name = 'last'", "means the newest job"),
        ("max_running = 0", "`max_running` must be at least 1"),
        ("max_failures = -1", "`max_failures` must be at least 0"),
    ] {
        let error = read("job.toml", &format!("{task}{more}")).unwrap_err();
        assert!(error.contains(message), "{more}: {error}");
    }
    let defaults = read("job.toml", &format!("defaults = {{name = 'a'}}\n{task}")).unwrap_err();
    assert!(defaults.contains("not to `defaults`"), "{defaults}");
}

#[test]
fn incomplete_range_is_refused_in_a_job_file() {
    let message = read("job.yaml", "tasks:\n  - command: a\n    matrix: {seed: 1..}\n").unwrap_err();
    assert!(message.contains("`1..`") && message.contains("1..10"), "{message}");
}

#[test]
fn secrets_are_a_list_or_a_table() {
    let secrets = |text: &str| {
        let steps = read("job.toml", text).map(|job| job.steps);
        steps.map(|steps| steps[0].blueprint.expand().unwrap().task(0).task_spec.secrets)
    };
    let text =
        "[defaults]\nsecrets = ['A', 'B']\n[[tasks]]\ncommand = 'true'\nsecrets = {B = 'OTHER', C = 'A'}\n";
    let expected = [("A", "A"), ("B", "OTHER"), ("C", "A")];
    assert_eq!(
        secrets(text).unwrap(),
        expected.map(|(variable, name)| (variable.into(), name.into())).into()
    );
    let error = secrets("[[tasks]]\ncommand = 'true'\nsecrets = 'A'\n").unwrap_err();
    assert!(error.contains("a list of names, or a table"), "{error}");
}

#[test]
fn tasks_request_resources() {
    let request = |keys: &str| {
        let text = format!("[[tasks]]\ncommand = 'x'\n{keys}");
        read("job.toml", &text).map(|job| job.steps[0].blueprint.task.task_spec.request.clone())
    };
    assert!(request("").unwrap().is_default());
    let all = "cpus = 2.5\nmemory = '4GiB'\ngpus = '2:a100'\nunits = {licence = 3}\ntime_request = '2h'";
    let all = request(all).unwrap();
    assert_eq!((all.cpus.to_string(), all.memory, all.gpus), ("2.5".to_owned(), 4 << 30, 2));
    assert_eq!((all.gpu_model.as_deref(), all.named["licence"]), (Some("a100"), 3));
    assert_eq!(all.time, Some(std::time::Duration::from_secs(7_200)));
    let plain = request("cpus = 8\nmemory = 1024\ngpus = 1").unwrap();
    assert_eq!((plain.cpus.to_string(), plain.memory, plain.gpus), ("8".to_owned(), 1_024, 1));
    for wrong in ["cpus = -1", "cpus = 'many'", "memory = 'much'", "gpus = 'a100'", "units = {licence = -1}"]
    {
        assert!(request(wrong).is_err(), "{wrong}");
    }
}
