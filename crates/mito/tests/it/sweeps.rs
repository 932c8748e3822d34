//! Tests of sweeps and job files.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use mitosis_blueprint::{Blueprint, Column, Factor, Plan, Values};
use mitosis_client::UserClient;
use mitosis_protocol::task::{QueryTasksRequest, SubmitTasksRequest, TaskFilter};
use mitosis_protocol::{TaskInfo, TaskState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::home::{ADMIN, Coordinator, Home, Output, all_tasks, ended, task, wait_for_count};

/// `mito submit` as the administrator.
fn submit(home: &Home, coordinator: &Coordinator, args: &[&str]) -> Command {
    let options = ["submit", "-c", &coordinator.address, "-u", ADMIN];
    let mut command = home.mito(&[&options[..], args].concat());
    command.env("MITO_PASSWORD", ADMIN);
    command
}

async fn submitted(home: &Home, coordinator: &Coordinator, args: &[&str]) -> Output {
    let output = ended(submit(home, coordinator, args)).await;
    assert_eq!(output.code, Some(0), "{args:?}: {}", output.stderr);
    output
}

async fn refused(home: &Home, coordinator: &Coordinator, args: &[&str], code: i32, words: &[&str]) {
    let output = ended(submit(home, coordinator, args)).await;
    assert_eq!(output.code, Some(code), "{args:?}: {}", output.stderr);
    for word in words {
        assert!(output.stderr.contains(word), "`{word}` is not in: {}", output.stderr);
    }
}

async fn count(user: &UserClient) -> u64 {
    let query = QueryTasksRequest { filter: TaskFilter::default(), count: true, ..Default::default() };
    user.query_tasks(&query).await.unwrap().count
}

/// The tasks, oldest first.
async fn tasks(coordinator: &Coordinator) -> Vec<TaskInfo> {
    let mut tasks = all_tasks(&coordinator.admin().await).await;
    tasks.reverse();
    tasks
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn sweep_records_parameters_with_each_task() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let args = ["-F", "x=1..3", "-F", "y=a,b", "-l", "run-{x}", "-e", "V=<{y}>", "--", "echo", "{x}-{y}"];
    let output = submitted(&home, &coordinator, &args).await;
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("job 1: 6 tasks\n", ""));
    let tasks = tasks(&coordinator).await;
    let commands: Vec<_> = tasks.iter().map(|task| task.spec.args[1].as_str()).collect();
    assert_eq!(commands, ["1-a", "1-b", "2-a", "2-b", "3-a", "3-b"]);
    let last = &tasks[5];
    assert_eq!(last.labels, ["run-3"]);
    assert_eq!(last.spec.params, pairs(&[("x", "3"), ("y", "b")]));
    assert_eq!(last.spec.envs, pairs(&[("MITO_PARAM_X", "3"), ("MITO_PARAM_Y", "b"), ("V", "<b>")]));
}

#[tokio::test]
async fn submitted_job_has_every_format() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let sweep = ["-F", "x=1..3", "--", "echo", "{x}"];
    let with = async |options: &[&str]| submitted(&home, &coordinator, &[options, &sweep].concat()).await;
    let id = with(&["-q", "-o", "id"]).await;
    assert_eq!((id.stdout.as_str(), id.stderr.as_str()), ("1\n", ""));
    let json: serde_json::Value = serde_json::from_str(&with(&["-o", "json"]).await.stdout).unwrap();
    assert_eq!(json, serde_json::json!([{"job": 2, "tasks": 3, "group": ADMIN, "submitted_before": false}]));
    let csv = with(&["-o", "csv", "--name", "squares"]).await;
    let expected = format!("job,name,tasks,group,submitted_before\n3,squares,3,{ADMIN},false\n");
    assert_eq!((csv.stdout, csv.stderr.as_str()), (expected, ""));
    let nothing =
        ["expected a command after `--`, a job file, a script, or --resume", "mito submit [OPTIONS] <FILE>"];
    refused(&home, &coordinator, &[], 2, &nothing).await;
    refused(&home, &coordinator, &["--dry-run", "-o", "json", "--", "true"], 2, &["cannot be used with"])
        .await;
}

#[tokio::test]
async fn lines_and_csv_rows_are_parameters() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let mut piped = submit(&home, &coordinator, &["--each-line", "-", "--", "echo", "{line}"]);
    let mut child =
        piped.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"one line\n\n{another}\n").await.unwrap();
    assert!(child.wait_with_output().await.unwrap().status.success());
    home.write("runs.csv", "rate,seed\n0.1,7\n0.2,8\n");
    submitted(
        &home,
        &coordinator,
        &["--from-csv", "runs.csv", "-F", "n=1..2", "--zip", "--", "{rate}", "{n}"],
    )
    .await;
    let commands: Vec<String> =
        tasks(&coordinator).await.iter().map(|task| task.spec.args.join("|")).collect();
    assert_eq!(commands, ["echo|one line", "echo|{another}", "0.1|1", "0.2|2"]);
}

#[tokio::test]
async fn invalid_sweep_submits_nothing() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let senseless = async |args: &[&str], words: &[&str]| refused(&home, &coordinator, args, 2, words).await;
    senseless(&["-F", "x=1..3", "--", "echo", "{y}"], &["{y}", "{x}", "{{"]).await;
    senseless(&["-F", "x=1..3", "-F", "y=a,b", "--zip", "--", "true"], &["`x` has 3", "`y` has 2"]).await;
    senseless(&["-F", "x=0..1..0.1", "--", "true"], &["0.1,0.2,0.3"]).await;
    senseless(&["-F", "x=1..2", "-F", "X=1", "--", "true"], &["MITO_PARAM_X"]).await;
    home.write("long.txt", &format!("short\n{}\n", "y".repeat(140_000)));
    senseless(&["-F", "x@long.txt", "--", "echo", "{x}"], &["task 2", "operating system", "nothing was"])
        .await;
    let words = ["no group `nowhere`"];
    refused(&home, &coordinator, &["-g", "nowhere", "-F", "x=1..3", "--", "true"], 66, &words).await;
    assert_eq!(count(&coordinator.admin().await).await, 0);
    assert!(!home.path().join(".cache/mitosis/submissions").exists(), "a job needs no file");
}

#[tokio::test]
async fn dry_run_shows_tasks_and_submits_nothing() {
    let home = Home::new();
    let args = ["submit", "--dry-run", "-F", "x=1..1000", "-F", "y=a,b c", "--", "echo", "{x} {y}"];
    let output = home.run(&args).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let lines: Vec<_> = output.stdout.lines().collect();
    assert_eq!(lines[..2], ["echo '1 a'", "echo '1 b c'"]);
    let last =
        ["… and 1995 more like these", "every task: your own group, timeout 1d", "would submit 2000 tasks"];
    assert_eq!(lines[5..], last);
    let options = "-g lab -t gpu -l exp1 --timeout 90m -p 5 -e A=1 --no-output -r attachment=in.csv:in";
    let args = [&["submit", "--dry-run"][..], &options.split(' ').collect::<Vec<_>>(), &["--", "true"]];
    let output = home.run(&args.concat()).await;
    assert_eq!(
        output.stdout,
        "true\n    variable A=1\n    labels exp1\n    attachment in.csv as in\n\
         every task: group lab, tags gpu, timeout 1h 30m, priority 5, output discarded\nwould submit 1 task\n"
    );
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "not even a folder was made");
}

#[tokio::test]
async fn named_submission_is_idempotent() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let sweep = ["-F", "x=1..3", "--", "echo", "{x}"];
    submitted(&home, &coordinator, &sweep).await;
    submitted(&home, &coordinator, &sweep).await;
    let admin = coordinator.admin().await;
    assert_eq!(count(&admin).await, 6);

    let named = [&["--name", "night-1"], &sweep[..]].concat();
    let first = submitted(&home, &coordinator, &named).await;
    let again = submitted(&home, &coordinator, &named).await;
    assert_eq!(first.stdout, "job 3 (night-1): 3 tasks\n");
    assert_eq!(again.stdout, "job 3 (night-1): 3 tasks, submitted before\n");
    assert_eq!(count(&admin).await, 9);
    let labelled = TaskFilter { labels: Some(vec!["night-1".into()]), ..TaskFilter::default() };
    let query = QueryTasksRequest { filter: labelled, count: true, ..Default::default() };
    assert_eq!(admin.query_tasks(&query).await.unwrap().count, 3);

    let other = ["--name", "night-1", "-F", "x=1..4", "--", "echo", "{x}"];
    refused(&home, &coordinator, &other, 2, &["night-1", "another", "hint:"]).await;
    assert_eq!(count(&admin).await, 9);
    refused(&home, &coordinator, &["--resume", "night-1"], 66, &["night-1"]).await;
}

/// Saves a submission of the administrator, as an earlier version left it behind.
fn save_submission(home: &Home, coordinator: &Coordinator, id: &str, tasks: usize) {
    let values = Values::words((0..tasks).map(|line| format!("line {line}")).collect());
    let factor = Factor::new(vec![Column::new("x", values).unwrap()]).unwrap();
    let blueprint = Blueprint { task: task(&["echo", "{x}"]), plan: Plan::product(vec![factor]).unwrap() };
    let address = &coordinator.address;
    let saved = serde_json::json!({"id": id, "address": address, "user": ADMIN, "sweeps": [blueprint]});
    std::fs::create_dir_all(home.path().join(".cache/mitosis/submissions")).unwrap();
    home.write(&format!(".cache/mitosis/submissions/{id}.json"), &saved.to_string());
}

#[tokio::test]
async fn killed_submission_resumes_without_duplicates() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    save_submission(&home, &coordinator, "3f0c9a3e7c1b", 25_000);
    let mut child = submit(&home, &coordinator, &["--resume", "3f0c9a3e7c1b"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    stdout.next_line().await.unwrap().expect("a task was submitted");
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGKILL).unwrap();
    child.wait().await.unwrap();
    let admin = coordinator.admin().await;
    let before = count(&admin).await;
    assert!((10_000..25_000).contains(&before), "{before} tasks were submitted before the end");

    submitted(&home, &coordinator, &["--resume", "3f0c9a3e7c1b"]).await;
    assert_eq!(count(&admin).await, 25_000);
    let mut seen = BTreeSet::new();
    let mut before = None;
    while seen.len() < 25_000 {
        let query = QueryTasksRequest { limit: Some(10_000), before, ..Default::default() };
        let page = admin.query_tasks(&query).await.unwrap().tasks;
        before = Some(page.last().expect("every task is found").uuid);
        assert!(page.into_iter().all(|task| seen.insert(task.spec.args[1].clone())), "a task is there twice");
    }
    refused(&home, &coordinator, &["--resume", "3f0c9a3e7c1b"], 66, &["complete"]).await;
}

#[tokio::test]
async fn submission_of_another_user_is_not_resumed() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    save_submission(&home, &coordinator, "night", 3);
    let admin = crate::home::Person::administrator(&home, &coordinator);
    admin.welcomes("ann").await;
    let mut command = home.mito(&["submit", "-c", &coordinator.address, "-u", "ann", "--resume", "night"]);
    command.env("MITO_PASSWORD", "ann");
    let output = ended(command).await;
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(
        output.stderr.contains("`mitosis_admin`") && output.stderr.contains("`ann`"),
        "{}",
        output.stderr
    );
    assert_eq!(count(&coordinator.admin().await).await, 0);
}

#[tokio::test]
async fn local_sweep_prints_output_in_order() {
    let home = Home::new();
    let sweep = ["run", "--local", "-F", "x=3..1", "--", "sh", "-c", "sleep 0.{x}; echo {x}"];
    let output = home.run(&sweep).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "3\n2\n1\n"), "{}", output.stderr);
    let failing = ["run", "--local", "-F", "x=0..2", "--", "sh", "-c", "exit {x}"];
    let output = home.run(&failing).await;
    assert_eq!(output.code, Some(3));
    assert!(output.stderr.contains("2 of 3 tasks did not succeed"), "{}", output.stderr);
}

/// More than the limit of the prefetch, and hard to compress.
const LARGE_BYTES: usize = 6_000_000;

#[tokio::test]
async fn outputs_of_a_sweep_are_complete_and_in_order() {
    let home = Home::new();
    let large = format!("head -c {LARGE_BYTES} /dev/urandom | base64 -w 0");
    let script = format!("echo begin {{x}}; [ {{x}} = 3 ] && {large}; echo; echo end {{x}}");
    let ended = home.run(&["run", "--local", "-F", "x=1..6", "--", "sh", "-c", &script]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let is_mark = |line: &&str| line.starts_with("begin ") || line.starts_with("end ");
    let marks: Vec<&str> = ended.stdout.lines().filter(is_mark).collect();
    let expected: Vec<String> = (1..=6).flat_map(|x| [format!("begin {x}"), format!("end {x}")]).collect();
    assert_eq!(marks, expected);
    let longest = ended.stdout.lines().map(str::len).max().unwrap();
    assert_eq!(longest, LARGE_BYTES.div_ceil(3) * 4);
}

#[tokio::test]
async fn retried_sweep_has_one_table_of_results() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let run = async |args: &[&str]| {
        let mut command =
            home.mito(&[&args[..1], &["-c", &coordinator.address, "-u", ADMIN], &args[1..]].concat());
        command.env("MITO_PASSWORD", ADMIN);
        ended(command).await
    };
    // A task has a folder of its own, so the script looks for the file by its whole path.
    let script = format!("test -e {}/again || exit {{code}}", home.path().display());
    let admin = coordinator.admin().await;
    let with_code = |code: usize| {
        let mut task = task(&["sh", "-c", &script.replace("{code}", &code.to_string())]);
        task.labels.push("exp".to_owned());
        task.task_spec.params = pairs(&[("code", &code.to_string()), ("rate", "0.1")]);
        task
    };
    let tasks = (0..3).map(with_code).collect();
    admin.submit_many(&SubmitTasksRequest { tasks, idempotency_key: None }).await.unwrap();
    let _worker = home.worker(&coordinator.address, "1").await;
    wait_for_count(&admin, TaskState::Finished, 3).await;

    let failed = run(&["results", "-l", "exp", "--failed", "-o", "csv"]).await;
    assert_eq!(failed.code, Some(0), "{}", failed.stderr);
    let cells = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
    };
    let table = cells(&failed.stdout);
    assert_eq!(table[0].join(","), "uuid,task,code,rate,state,exit,msg,created,started,finished,duration");
    assert_eq!(table[1][1..6], ["2", "1", "0.1", "failed", "1"]);
    assert_eq!(table[2][1..6], ["3", "2", "0.1", "failed", "2"]);
    assert!(table[1][10].parse::<f64>().unwrap() >= 0.0);

    home.write("again", "");
    let retried = run(&["retry", "-l", "exp", "--failed"]).await;
    assert_eq!((retried.code, retried.stderr.as_str()), (Some(0), "submitted 2 tasks again\n"));
    assert!(retried.stdout.starts_with(&format!("task 4 repeats {}: ", table[1][0])), "{}", retried.stdout);
    let again = run(&["retry", &table[1][0]]).await;
    let reason = format!("not submitted again: {} (was retried before)", table[1][0]);
    assert!(again.code == Some(3) && again.stderr.contains(&reason), "{}", again.stderr);
    wait_for_count(&admin, TaskState::Finished, 5).await;

    let results = run(&["results", "-l", "exp", "-o", "jsonl"]).await.stdout;
    let rows: Vec<serde_json::Value> =
        results.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let codes: Vec<_> =
        rows.iter().map(|row| (&row["task_id"], &row["params"]["code"], &row["exit_code"])).collect();
    let codes = serde_json::to_value(codes).unwrap();
    assert_eq!(codes, serde_json::json!([[1, "0", 0], [4, "1", 0], [5, "2", 0]]));
    assert_eq!(run(&["results", "-l", "exp", "--all"]).await.stdout.lines().count(), 6);
    assert_eq!(run(&["results", "-l", "exp", "--failed"]).await.stdout.lines().count(), 1);

    let named = async |args: &[&str]| {
        let output = run(&[&["results", "-o", "id"], args].concat()).await;
        assert_eq!(output.code, Some(0), "{args:?}: {}", output.stderr);
        output.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let uuid = |row: usize| rows[row]["uuid"].as_str().unwrap().to_owned();
    // As for `tasks wait`: names of every kind, conditions, and options; each task once, oldest first.
    assert_eq!(named(&[&uuid(2), &uuid(0)[..13], "mitosis_admin-4"]).await, [uuid(0), uuid(1), uuid(2)]);
    assert_eq!(
        named(&["label=exp", "created>-1h", "exit!=1", "-s", "finished"]).await,
        [uuid(0), uuid(1), uuid(2)]
    );
    assert_eq!(named(&["exit!=0", "--all"]).await, [table[1][0].clone(), table[2][0].clone()]);
    assert_eq!(
        named(&["mitosis_admin/2", "exit=0", "-l", "exp"]).await.len(),
        4,
        "what is named is there, though repeated"
    );
    assert_eq!(named(&["mitosis_admin/2,last", "--failed"]).await, [table[1][0].clone()]);
    assert_eq!(run(&["results", "mitosis_admin-99"]).await.code, Some(66));
    assert_eq!(run(&["results", "a b"]).await.code, Some(2));
    let yaml = run(&["results", &uuid(2), "-o", "yaml"]).await.stdout;
    assert!(yaml.starts_with("- ") && yaml.contains("exit_code: 0\n"), "{yaml}");

    let first = rows[0]["uuid"].as_str().unwrap();
    let by_name = run(&["retry", first]).await;
    assert_eq!(by_name.code, Some(0), "{}", by_name.stderr);
    let twice = run(&["retry", first]).await;
    assert_eq!(twice.code, Some(3));
    assert!(twice.stderr.contains(first) && twice.stderr.contains("--again"), "{}", twice.stderr);
    for (args, words) in [
        (&["retry"][..], "every task"),
        (&["retry", "-g", ADMIN, "group=mitosis_admin"][..], "every task"),
        (&["retry", "-l", "exp", first, "--again"][..], "not both"),
        (&["retry", "colour=red"][..], "the keys are"),
    ] {
        let unclear = run(args).await;
        assert_eq!(unclear.code, Some(2));
        assert!(unclear.stderr.contains(words), "{}", unclear.stderr);
    }
}

#[tokio::test]
async fn job_file_uploads_files_once_and_results_have_data() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    std::fs::create_dir_all(home.path().join("jobs/data")).unwrap();
    home.write("jobs/data/in.csv", "12\n");
    let job = r#"
[defaults]
labels = ["exp"]
attachments = [{ file = "data/in.csv", key = "exp/in.csv", as = "in.csv" }]

[[tasks]]
command = ["sh", "-c", 'echo "{\"sum\": $(( $(cat "$MITO_RESOURCE_DIR/in.csv") + $MITO_PARAM_N ))}" > "$MITO_RESULT_DIR/result.json"']
matrix = { n = "1..2" }
zip = false

[[tasks]]
command = "true"
attachments = []
"#;
    // Braces of the script are doubled where there are parameters.
    home.write("jobs/job.toml", &job.replace("{\\\"sum", "{{\\\"sum").replace(" ))}", " ))}}"));
    let dry = home.run(&["submit", "--dry-run", "jobs/job.toml"]).await;
    assert_eq!(dry.code, Some(0), "{}", dry.stderr);
    assert!(dry.stdout.contains("as exp/in.csv (3 bytes)"), "{}", dry.stdout);
    assert!(dry.stdout.ends_with("would submit 3 tasks\n"), "{}", dry.stdout);

    let first = submitted(&home, &coordinator, &["jobs/job.toml", "--name", "night"]).await;
    assert!(first.stderr.contains("uploaded"), "{}", first.stderr);
    assert_eq!(first.stdout, "job 1 (night): 2 tasks\njob 2 (night): 1 task\n");
    let second = submitted(&home, &coordinator, &["jobs/job.toml", "-l", "other"]).await;
    assert!(second.stderr.contains("in.csv is up to date as exp/in.csv"), "{}", second.stderr);
    home.write("jobs/data/in.csv", "34\n");
    let third = submitted(&home, &coordinator, &["jobs/job.toml", "-l", "third"]).await;
    assert!(third.stderr.contains("uploaded"), "it has changed, and is as long as before: {}", third.stderr);

    let admin = coordinator.admin().await;
    let _worker = home.worker(&coordinator.address, "2").await;
    wait_for_count(&admin, TaskState::Finished, 9).await;
    let options = ["results", "-c", &coordinator.address, "-u", ADMIN, "-l", "third", "-o", "csv"];
    let mut command = home.mito(&options);
    command.env("MITO_PASSWORD", ADMIN);
    let results = ended(command).await;
    let table: Vec<Vec<&str>> = results.stdout.lines().map(|line| line.split(',').collect()).collect();
    let sums: Vec<_> = table.iter().map(|row| (row[2], row[4], row[10])).collect();
    assert_eq!(sums, [("n", "exit", "sum"), ("1", "0", "35"), ("2", "0", "36"), ("", "0", "")]);

    home.write("jobs/wrong.toml", "[[tasks]]\ncomand = 'true'\n");
    refused(&home, &coordinator, &["jobs/wrong.toml"], 2, &["line 2", "comand"]).await;
    refused(&home, &coordinator, &["jobs/job.toml", "-F", "x=1..2"], 2, &["cannot be used with"]).await;
    refused(&home, &coordinator, &["true"], 2, &["after `--`"]).await;
}
