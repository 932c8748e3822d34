//! Tests of jobs on the command line: `mito submit`, `ls`, `show`, `wait`, `logs`, `cancel`, `retry`, `rm` and others.

use std::path::PathBuf;

use serde_json::Value;
use tokio::process::Command;

use crate::home::{ADMIN, Coordinator, Home, Output, Service, ended, until_there};
use crate::terminal::Terminal;

/// A user with a home and a coordinator.
pub(crate) struct User {
    pub(crate) home: Home,
    address: String,
    /// The stored token, if there is no password.
    credentials: Option<PathBuf>,
    _system: Service,
}

impl User {
    /// A user of `mito dev`, as in the quick start.
    pub(crate) async fn of_dev() -> Self {
        let home = Home::new();
        let dev = ["dev", "--data", "data", "--slots", "2", "--bind", "127.0.0.1:0"];
        let (system, address) = home.start(&dev, "ready at ").await;
        let credentials = Some(home.path().join("data/credentials"));
        Self { home, address, credentials, _system: system }
    }

    /// The administrator of a coordinator without workers.
    pub(crate) async fn without_workers() -> Self {
        let home = Home::new();
        let Coordinator { service, address } = home.coordinator(0, "600s").await;
        Self { home, address, credentials: None, _system: service }
    }

    /// The administrator of a coordinator with these options and a worker; the latter is the second.
    pub(crate) async fn with_worker(options: &[&str]) -> (Self, Service) {
        let home = Home::new();
        let options = [&["--bind", "127.0.0.1:0"], options].concat();
        let Coordinator { service, address } = home.coordinator_with(&options).await;
        let worker = home.worker(&address, "2").await;
        (Self { home, address, credentials: None, _system: service }, worker)
    }

    /// Starts a worker with two slots.
    pub(crate) async fn worker(&self) -> Service {
        self.home.worker(&self.address, "2").await
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.mito(args);
        command.env("MITO_COORDINATOR_ADDR", &self.address);
        match &self.credentials {
            Some(credentials) => command.env("MITO_CREDENTIAL_PATH", credentials),
            None => command.env("MITO_USER", ADMIN).env("MITO_PASSWORD", ADMIN).env("MITO_RETAIN", "true"),
        };
        command
    }

    pub(crate) async fn run(&self, line: &str) -> Output {
        ended(self.command(&line.split(' ').collect::<Vec<_>>())).await
    }

    /// Runs a command, which must succeed. Returns its standard output.
    pub(crate) async fn ok(&self, line: &str) -> String {
        let output = self.run(line).await;
        assert_eq!(output.code, Some(0), "{line}: {}{}", output.stdout, output.stderr);
        output.stdout
    }

    /// Runs a command, which must fail with these words in its message.
    pub(crate) async fn fails(&self, line: &str, code: i32, words: &[&str]) -> Output {
        let output = self.run(line).await;
        assert_eq!(output.code, Some(code), "{line}: {}{}", output.stdout, output.stderr);
        for word in words {
            assert!(
                output.stderr.contains(word),
                "`{word}` is not in the answer to {line}: {}",
                output.stderr
            );
        }
        output
    }

    pub(crate) async fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{line} -o json")).await).unwrap()
    }
}

/// No command has more than three words before its options.
#[tokio::test]
async fn first_sweep_with_a_bug_is_repaired_and_retried() {
    let user = User::of_dev().await;
    let home = user.home.path().display();
    // Three of sixty tasks fail as long as the file has its bug.
    let bug = "case $1 in 7|23|41) echo \"no data for $1\" >&2; exit 3;; esac\n";
    user.home.write("train.sh", &format!("{bug}echo \"trained $1\"\n"));
    let submitted = user.ok(&format!("submit -F seed=1..60 -- sh {home}/train.sh {{seed}}")).await;
    assert_eq!(submitted, "job 1: 60 tasks\n");
    let waited = user.fails("wait 1", 123, &["3 of 60 tasks did not succeed", "`mito retry 1`"]).await;
    assert_eq!(waited.stdout, "job 1: failed, 60 tasks, 3 failed\n");
    assert_eq!(user.ok("ls 1/failed -o id").await, "1/7\n1/23\n1/41\n");
    let listed = user.ok("ls 1/failed").await;
    assert_eq!(listed.lines().next(), Some("task\tstate\tattempt\texit\tseed"));
    assert_eq!(listed.lines().nth(1), Some("1/7\tfailed\t1\t3\t7"));
    let logs = user.run("logs 1/failed").await;
    assert_eq!((logs.code, logs.stdout.as_str()), (Some(0), ""));
    assert_eq!(logs.stderr, "1/7 | no data for 7\n1/23 | no data for 23\n1/41 | no data for 41\n");

    user.home.write("train.sh", "echo \"trained $1\"\n");
    assert_eq!(user.ok("retry 1").await, "job 1: retrying 3 tasks\n");
    assert_eq!(user.ok("wait 1").await, "job 1: succeeded, 60 tasks\n");
    let job = &user.json("ls").await[0];
    assert_eq!((&job["tasks"], &job["counts"]["succeeded"]), (&60.into(), &60.into()));
    assert_eq!(user.ok("logs 1/7").await, "trained 7\n");

    let task = user.json("show 1/7").await;
    assert_eq!((&task["job"], &task["index"], &task["state"]), (&1.into(), &7.into(), &"succeeded".into()));
    let outcomes: Vec<_> =
        task["attempts"].as_array().unwrap().iter().map(|one| (&one["outcome"], &one["exit_code"])).collect();
    assert_eq!(outcomes, [(&"failed".into(), &3.into()), (&"succeeded".into(), &0.into())]);
    let results = user.ok("results 1 -o csv").await;
    let seeds: Vec<&str> = results.lines().skip(1).map(|line| line.split(',').nth(2).unwrap()).collect();
    assert_eq!(seeds, (1..=60).map(|seed| seed.to_string()).collect::<Vec<_>>());
    assert_eq!(user.ok("results 1/7 -o csv").await.lines().count(), 2);
    assert!(user.ok("rm 1").await.starts_with("job 1: deleted 60 tasks, freed "));
    user.fails("show 1", 66, &["no job `1`"]).await;
}

#[tokio::test]
async fn single_task_lends_its_exit_code_to_wait() {
    let user = User::of_dev().await;
    let submit = async |script: &str| {
        let args = ["submit", "--name", "one", "-l", script, "--", "sh", "-c", script];
        ended(user.command(&args)).await.stdout
    };
    assert_eq!(submit("exit 7").await, "job 1 (one): 1 task\n");
    let waited = user.fails("wait one", 7, &[]).await;
    assert_eq!(waited.stdout, "job 1 (one): failed, 1 task, 1 failed\n");
    assert_eq!(user.fails("wait 1/1", 7, &[]).await.stdout, "task 1/1: failed, exit code 7\n");
    let uuid = user.json("ls 1").await[0]["task"]["uuid"].as_str().unwrap().to_owned();
    user.fails(&format!("wait {}", &uuid[..13]), 7, &[]).await;
    let shown = user.ok(&format!("show {uuid}")).await;
    assert!(shown.contains("exit code 7"), "{shown}");
    assert_eq!(user.ok("submit -- true").await, "job 2: 1 task\n");
    user.fails("wait last one", 123, &["1 of 2 tasks did not succeed"]).await;
    assert_eq!(user.ok("wait last").await, "job 2: succeeded, 1 task\n");
}

#[tokio::test]
async fn steps_of_a_job_file_wait_for_each_other() {
    let user = User::of_dev().await;
    let job = "
[[tasks]]
name = 'report'
command = 'sh -c \"exit 0\"'
needs = [{job = 'train', when = 'ended'}]
[[tasks]]
name = 'publish'
command = 'true'
needs = ['train']
[[tasks]]
name = 'train'
command = \"sh -c 'test {x} != 2'\"
matrix = {x = '1..3'}
needs = ['prepare']
[[tasks]]
name = 'prepare'
command = 'true'
";
    user.home.write("job.toml", job);
    let submitted = user.ok("submit job.toml --paused").await;
    assert_eq!(
        submitted,
        "job 1 (prepare): 1 task\njob 2 (train): 3 tasks\njob 3 (report): 1 task\njob 4 (publish): 1 task\n"
    );
    let train = user.json("show train").await;
    assert_eq!(train["needs"], serde_json::json!([{"job": 1, "kind": "succeeded", "met": false}]));
    assert!(train["reason"].as_str().unwrap().contains("waits for job 1 to succeed"), "{train}");
    // The first step may end at once, so it comes last.
    let resumed = user.ok("resume report publish train prepare").await;
    let waiting = "job 3 (report): resumed\njob 4 (publish): resumed\njob 2 (train): resumed\n";
    assert!(resumed.starts_with(waiting), "{resumed}");
    user.fails("wait 1 2 3 4", 123, &["2 of 6 tasks did not succeed"]).await;
    let states: Vec<(i64, String)> = user
        .json("ls")
        .await
        .as_array()
        .unwrap()
        .iter()
        .map(|job| (job["job"].as_i64().unwrap(), job["state"].as_str().unwrap().to_owned()))
        .collect();
    let state = |job: i64| states.iter().find(|(number, _)| *number == job).unwrap().1.as_str();
    assert_eq!([1, 2, 3, 4].map(state), ["succeeded", "failed", "succeeded", "cancelled"]);
    let publish = user.ok("show 4").await;
    assert!(publish.contains("stopped because job 2 did not succeed"), "{publish}");

    for (needs, words) in [
        ("needs = ['tarin']", ["needs `tarin`", "the names are train"]),
        ("needs = ['train']", ["the task `train` needs itself", "job.toml"]),
    ] {
        user.home.write("job.toml", &format!("[[tasks]]\nname = 'train'\ncommand = 'true'\n{needs}\n"));
        user.fails("submit job.toml", 2, &words).await;
    }
}

#[tokio::test]
async fn job_is_paused_changed_and_cancelled() {
    let user = User::without_workers().await;
    user.ok("submit --name sweep --max-running 4 --max-failures 0 -F x=1..100 -- true").await;
    assert_eq!(user.ok("pause sweep").await, "job 1 (sweep): paused\n");
    assert_eq!(user.json("show 1").await["reason"], "paused; `mito resume 1` resumes it");
    assert_eq!(user.ok("resume 1").await, "job 1 (sweep): resumed\n");
    assert_eq!(user.ok("priority 1 -5").await, "job 1 (sweep): priority -5\n");
    let shown = user.ok("show 1").await;
    for fact in
        ["priority    -5", "at most 4 running, at most 0 failures", "command     true", "parameters  x"]
    {
        assert!(shown.contains(fact), "`{fact}` is not in {shown}");
    }
    assert_eq!(user.ok("cancel 1/7").await, "task 1/7: cancelled 1 task\n");
    assert_eq!(user.ok("cancel 1/8-10").await, "tasks 1/8-10: cancelled 3 tasks\n");
    assert_eq!(user.ok("cancel 1/7-10").await, "tasks 1/7-10: nothing to cancel\n");
    assert_eq!(user.ok("ls 1/cancelled -o id").await, "1/7\n1/8\n1/9\n1/10\n");
    assert_eq!(user.json("show 1").await["counts"]["cancelled"], 4);
    assert_eq!(user.ok("cancel 1").await, "job 1: cancelled 96 tasks\n");
    assert_eq!(user.ok("cancel 1").await, "job 1: nothing to cancel\n");
    let states = user.ok("ls 1 -o csv").await;
    assert_eq!(states.matches(",cancelled,").count(), 100, "{states}");
    user.fails("wait 1", 123, &["100 of 100 tasks did not succeed"]).await;
    assert!(user.ok("rm sweep").await.starts_with("job 1: deleted "));
    user.fails("rm sweep", 66, &["no job with the name `sweep`", "`mito ls`"]).await;

    user.ok("submit --name bad1 -F x=1..2 -- true").await;
    assert!(user.ok("show bad1").await.contains("2 (bad1)"), "it is no start of a UUID");
    assert_eq!(user.ok("ls bad1/2 -o id").await, "2/2\n");
    assert_eq!(user.ok("ls bad1 -F x=2 -o id").await, "2/2\n");
    assert_eq!(user.ok("ls bad1 -F x=2 -F y=1 -o id").await, "");
    assert_eq!(user.ok("submit --after bad1 -- true").await, "job 3: 1 task\n");
    assert_eq!(user.ok("results bad1 -o csv").await.lines().nth(1).unwrap().split(',').nth(1), Some("2/1"));
    user.fails("show bad2", 66, &["no task `bad2`"]).await;
    user.ok("cancel bad1").await;
    user.ok("cancel 3").await;
    let removed = user.fails("rm 2 99 3", 3, &["no job `99`", "1 of 3 jobs were not deleted"]).await;
    assert!(removed.stdout.contains("job 2: deleted") && removed.stdout.contains("job 3: deleted"));
}

#[tokio::test]
async fn failed_task_is_retried_by_itself() {
    let user = User::of_dev().await;
    let tries = user.home.path().join("tries");
    // The third attempt succeeds.
    let script = format!("echo >> {0}; test $(wc -l < {0}) = 3 || exit 75", tries.display());
    let submit = |options: &str| {
        let mut args = vec!["submit"];
        args.extend(options.split(' '));
        args.extend(["--", "sh", "-c", &script]);
        user.command(&args)
    };
    assert_eq!(ended(submit("--retries 3 --retry-on exit=70-79 --backoff 0s")).await.code, Some(0));
    assert_eq!(user.ok("wait last").await, "job 1: succeeded, 1 task\n");
    let task = user.json("show 1/1").await;
    let outcomes: Vec<_> =
        task["attempts"].as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect();
    assert_eq!(outcomes, ["failed", "failed", "succeeded"]);
    let shown = user.ok("show 1").await;
    assert!(shown.contains("retries     at most 3, on exit=70-79, after 0s"), "{shown}");

    user.home.write("tries", "");
    assert_eq!(ended(submit("--retries 1 --backoff 1h")).await.code, Some(0));
    let wait = user.command(&["wait", "last"]);
    let (_wait, reason) = Service::start(wait, "mito: job 2 is waiting: ").await;
    assert!(reason.starts_with("The last attempt failed. The next one is due in "), "{reason}");
    assert_eq!(user.ok("cancel 2").await, "job 2: cancelled 1 task\n");

    assert_eq!(ended(submit("--retry-on timeout")).await.code, Some(2));
    assert_eq!(ended(submit("--retries 1 --retry-on never")).await.code, Some(2));
    assert_eq!(ended(submit("--retries 1 --backoff 5m..5s")).await.code, Some(2));
}

#[tokio::test]
async fn output_of_all_attempts_is_followed_and_shown_later() {
    let user = User::of_dev().await;
    let (tries, go) = (user.home.path().join("tries"), user.home.path().join("go"));
    // The first attempt fails when it may, and the second succeeds.
    let script = format!(
        "echo >> {0}; n=$(wc -l < {0}); echo out $n; echo err $n >&2; test $n = 2 && exit 0; {1}; exit 3",
        tries.display(),
        until_there(&go)
    );
    let submit = ["submit", "--retries", "1", "--backoff", "1s", "--", "sh", "-c", &script];
    assert_eq!(ended(user.command(&submit)).await.code, Some(0));
    let file = |name: &str| std::fs::File::create(user.home.path().join(name)).unwrap();
    let mut follow = user.command(&["logs", "-f", "1/1"]);
    let mut follower = follow.stdout(file("out")).stderr(file("err")).spawn().unwrap();
    user.home.until_written("out", "out 1").await;
    user.home.write("go", "");
    assert!(follower.wait().await.unwrap().success());
    let written = |name: &str| std::fs::read_to_string(user.home.path().join(name)).unwrap();
    assert_eq!(written("out"), "out 1\nout 2\n");
    let lines = "err 1\nmito: attempt 1: failed, exit code 3\nmito: attempt 2 starts\nerr 2\n";
    assert_eq!(written("err"), lines);
    assert_eq!(user.ok("wait 1").await, "job 1: succeeded, 1 task\n");

    let all = user.run("logs 1 --attempt 1").await;
    assert_eq!((all.stdout.as_str(), all.stderr.as_str()), ("out 1\n", "err 1\n"));
    assert_eq!(user.ok("logs 1/1 --attempt 2 --stdout").await, "out 2\n");
    assert_eq!(user.ok("logs 1/1 --stdout").await, "out 2\n");
    user.fails("logs 1 --attempt 3", 66, &["no output of attempt 3 of `1`", "`mito show`"]).await;
    user.fails("logs 1 --attempt 1 -f", 2, &["--attempt"]).await;
}

#[tokio::test]
async fn running_task_is_stopped() {
    let user = User::of_dev().await;
    let started = user.home.path().join("started");
    let script = format!("touch {}; {}", started.display(), until_there(&user.home.path().join("never")));
    let submit = ["submit", "--", "sh", "-c", &script];
    assert_eq!(ended(user.command(&submit)).await.code, Some(0));
    let mut shell = Command::new("sh");
    shell.args(["-c", &until_there(&started)]);
    assert_eq!(ended(shell).await.code, Some(0));
    assert_eq!(user.ok("cancel last").await, "job 1: stopping 1\n");
    user.fails("wait last", 125, &["cancelled by a user"]).await;
    user.fails("rm 1/1", 2, &["takes whole jobs"]).await;

    let never = until_there(&user.home.path().join("never"));
    let started = user.home.path().join("second");
    let script = format!("touch {}; {never}", started.display());
    let submit = ["submit", "--max-running", "1", "-F", "x=1..3", "--", "sh", "-c", &script, "{x}"];
    assert_eq!(ended(user.command(&submit)).await.code, Some(0));
    let mut shell = Command::new("sh");
    shell.args(["-c", &until_there(&started)]);
    assert_eq!(ended(shell).await.code, Some(0));
    user.ok("pause 2").await;
    assert!(user.ok("ls").await.starts_with("job 2: paused, 1 running, 0/3 tasks ended\n"));
    user.ok("cancel 2").await;
}

#[tokio::test]
async fn unclear_selectors_are_refused() {
    let user = User::without_workers().await;
    user.fails("ls last", 66, &["you have no jobs"]).await;
    user.fails("show 99", 66, &["[not_found]"]).await;
    user.fails("wait nothing", 66, &["no job with the name `nothing`"]).await;
    user.fails("wait 12/failed", 2, &["these tasks change", "mito wait 12"]).await;
    user.fails("show 12/0", 2, &["indices count up from 1"]).await;
    user.fails("submit --after nothing -- true", 66, &["no job with the name `nothing`"]).await;
    user.fails("submit --expires 1h --start-after 2h -- true", 2, &["would expire before"]).await;
    user.ok("submit -F x=1..200 -- true").await;
    user.fails("logs 1", 2, &["at most 128 tasks", "`1/1-128`"]).await;
    user.fails("logs 1/1-3", 66, &["no task of `1/1-3` has started", "-f"]).await;
    user.fails("show 1/1-3", 2, &["`mito ls 1/1-3`"]).await;
    user.fails("show 1/201", 66, &["1/201"]).await;
    user.fails("retry 1 label=x", 2, &["not both at once"]).await;
    user.fails("retry 1 --again", 2, &["`--all`"]).await;
    user.fails("wait 1 --timeout 1s", 124, &["has not ended after 1s"]).await;
    assert_eq!(user.ok("retry 1").await, "job 1: nothing to retry\n");
}

#[tokio::test]
async fn task_without_a_job_is_selected_by_its_number() {
    let user = User::without_workers().await;
    let submitted = user.ok("client tasks submit -- true").await;
    let uuid = submitted.trim().rsplit(' ').next().unwrap().to_owned();
    let shown = user.ok("show mitosis_admin-1").await;
    assert!(shown.contains(&uuid) && shown.contains("reason"), "{shown}");
    assert_eq!(user.ok("cancel mitosis_admin/1").await, format!("task {uuid}: cancelled 1 task\n"));
    assert_eq!(user.ok(&format!("cancel {uuid}")).await, format!("task {uuid}: nothing to cancel\n"));
    user.fails(&format!("ls {uuid}"), 2, &["`mito show "]).await;
}

#[tokio::test]
async fn wait_explains_why_nothing_runs() {
    let user = User::without_workers().await;
    user.ok("submit --name first -- true").await;
    user.ok("submit --after first --start-after 1h -- true").await;
    let second = user.json("show 2").await;
    assert_eq!(second["state"], "blocked");
    let wait = user.command(&["wait", "last"]);
    let (_wait, reason) = Service::start(wait, "mito: job 2: ").await;
    assert_eq!(reason, "waits for job 1 to succeed");
    let wait = user.command(&["wait", "first"]);
    let (_wait, reason) = Service::start(wait, "mito: job 1 (first) is waiting: ").await;
    assert!(reason.to_lowercase().contains("no worker"), "{reason}");
}

#[tokio::test]
async fn only_own_jobs_are_listed_by_default() {
    let user = User::without_workers().await;
    user.ok("submit --name mine -- true").await;
    user.ok("client admin users create ann ann").await;
    user.ok("client groups update-user mitosis_admin ann:write").await;
    let ann = async |args: &[&str]| {
        let mut command = user.home.mito(&[&args[..1], &["-u", "ann"], &args[1..]].concat());
        command.env("MITO_COORDINATOR_ADDR", &user.address).env("MITO_PASSWORD", "ann");
        command.env("MITO_RETAIN", "true");
        ended(command).await.stdout
    };
    assert_eq!(ann(&["submit", "--name", "mine", "--", "true"]).await, "job 2 (mine): 1 task\n");
    assert_eq!(ann(&["ls", "-o", "id"]).await, "2\n");
    assert_eq!(ann(&["ls", "-a", "-o", "id"]).await, "2\n1\n");
    assert_eq!(ann(&["ls", "-a", "-g", ADMIN, "-o", "id"]).await, "1\n");
    assert_eq!(ann(&["ls", "-a", "-n", "1", "-o", "id"]).await, "2\n");
    // A name means the own job.
    assert_eq!(ann(&["cancel", "mine"]).await, "job 2: cancelled 1 task\n");
    assert_eq!(ann(&["ls", "--active", "-a", "-o", "id"]).await, "1\n");
    assert_eq!(user.ok("ls").await, "job 1 (mine): waiting, 0/1 task ended\n");
}

#[tokio::test]
async fn terminal_shows_tables_and_a_live_list() {
    let user = User::of_dev().await;
    let go = user.home.path().join("go");
    let script = format!("{}; test {{x}} != 2", until_there(&go));
    let submit = user.command(&["submit", "--name", "sweep", "-F", "x=1..3", "--", "sh", "-c", &script]);
    let (code, screen) = Terminal::start(&submit, 80).ends().await;
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.starts_with("job 1 (sweep): 3 tasks\r\n") && screen.contains("`mito wait 1`"), "{screen}");

    let mut jobs = Terminal::start(&user.command(&["ls", "--watch"]), 80);
    jobs.until("1 job, 1 active: 0/3 tasks ended, 2 running").await;
    let mut tasks = Terminal::start(&user.command(&["ls", "-w", "sweep"]), 80);
    tasks.until("job 1 (sweep): running, 0/3 tasks ended").await;
    let mut wait = Terminal::start(&user.command(&["wait", "1"]), 80);
    wait.until("0 of 3 tasks ended, 2 running").await;
    user.home.write("go", "");
    jobs.until("1 job, 0 active: 3/3 tasks ended, 1 failed").await;
    let (code, rest) = tasks.ends().await;
    assert_eq!(code, Some(0), "it ends with the job: {rest}");
    let (code, rest) = wait.ends().await;
    assert_eq!(code, Some(123), "{rest}");
    assert!(rest.contains("job 1 (sweep): failed, 3 tasks, 1 failed"), "{rest}");

    let (_, table) = Terminal::start(&user.command(&["ls"]), 80).ends().await;
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(words[0].join(" ").ends_with("PROGRESS FAILED AGE") || table.contains("PROGRESS"), "{table}");
    assert_eq!(words[1][..2], ["1", "sweep"]);
    assert!(words[1].contains(&"3/3"), "{table}");
    let changes = user.ok("ls 1 --watch").await;
    assert_eq!(changes, "job 1 (sweep): failed, 3 tasks, 1 failed\n");
}
