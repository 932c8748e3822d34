//! What a task of `mito run` and `mito submit` finds: its directory, variables and standard input.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::home::{Home, Output, Service, ended};
use crate::terminal::Terminal;

/// A user of `mito dev`, which was started in the home.
struct User {
    home: Home,
    address: String,
    _system: Service,
}

impl User {
    async fn new() -> Self {
        let home = Home::new();
        let dev = ["dev", "--data", "data", "--slots", "2", "--bind", "127.0.0.1:0"];
        let (system, address) = home.start(&dev, "ready at ").await;
        Self { home, address, _system: system }
    }

    fn folder(&self, name: &str) -> std::path::PathBuf {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn connected(&self, command: &mut Command) {
        command
            .env("MITO_COORDINATOR_ADDR", &self.address)
            .env("MITO_CREDENTIAL_PATH", self.home.path().join("data/credentials"));
    }

    /// A `mito` command that starts in a directory of the home.
    fn mito(&self, folder: &str, args: &[&str]) -> Command {
        let mut command = self.home.mito(args);
        self.connected(&mut command);
        command.current_dir(self.folder(folder));
        command
    }

    /// A shell that has `mito` as `$MITO`.
    fn shell(&self, script: &str) -> Command {
        let mut command = self.mito(".", &[]);
        let mito = command.as_std().get_program().to_owned();
        let variables: Vec<_> = command
            .as_std()
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
            .collect();
        command = Command::new("/bin/sh");
        command.args(["-c", script]).env_clear().current_dir(self.home.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).env("MITO", mito);
        for (name, value) in variables {
            command.env(name, value.unwrap());
        }
        command
    }

    async fn ok(&self, folder: &str, args: &[&str]) -> String {
        succeeded(self.mito(folder, args)).await
    }
}

async fn succeeded(command: Command) -> String {
    let shown = format!("{:?}", command.as_std());
    let output = ended(command).await;
    assert_eq!(output.code, Some(0), "{shown}: {}{}", output.stdout, output.stderr);
    output.stdout
}

fn failed(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, Some(code), "{output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "`{word}` is not in {}", output.stderr);
    }
}

#[tokio::test]
async fn task_starts_where_it_was_submitted() {
    let user = User::new().await;
    user.folder("project");
    std::fs::write(user.home.path().join("project/in.txt"), "42\n").unwrap();
    let output = user.ok("project", &["run", "--", "sh", "-c", "cat in.txt; echo 43 > out.txt"]).await;
    assert_eq!(output, "42\n");
    assert_eq!(std::fs::read_to_string(user.home.path().join("project/out.txt")).unwrap(), "43\n");

    let local = user.ok("project", &["run", "--local", "--", "cat", "out.txt"]).await;
    assert_eq!(local, "43\n");

    user.ok("project", &["submit", "--name", "late", "--", "cat", "out.txt"]).await;
    user.ok(".", &["wait", "late"]).await;
    assert_eq!(user.ok(".", &["logs", "late"]).await, "43\n");
    let shown = user.ok(".", &["show", "late"]).await;
    assert!(shown.contains("project, or a fresh one"), "{shown}");
}

#[tokio::test]
async fn directory_can_be_chosen() {
    let user = User::new().await;
    let data = user.folder("project/data");
    let real = |path: &Path| format!("{}\n", path.canonicalize().unwrap().display());
    assert_eq!(user.ok("project", &["run", "--chdir", "data", "--", "pwd", "-P"]).await, real(&data));
    let fresh = user
        .ok("project", &["run", "--fresh-dir", "--", "sh", "-c", "pwd; ls; echo $MITO_RESOURCE_DIR"])
        .await;
    let lines: Vec<&str> = fresh.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1], "it is empty: {fresh}");

    let missing = ended(user.mito("project", &["run", "--chdir", "missing", "--", "true"])).await;
    failed(&missing, 125, &["can't use the directory", "project/missing: it does not exist there"]);
    let last = user.ok("project", &["run", "--fresh-dir", "--chdir", "data", "--", "pwd", "-P"]).await;
    assert_eq!(last, real(&data), "the last option counts");

    // A directory that is gone when the task starts is no reason to fail.
    let gone = user.folder("gone");
    user.ok(".", &["submit", "--name", "held", "--paused", "--fresh-dir", "--", "true"]).await;
    user.ok("gone", &["submit", "--name", "orphan", "--paused", "--", "pwd"]).await;
    std::fs::remove_dir(gone).unwrap();
    user.ok(".", &["resume", "orphan"]).await;
    user.ok(".", &["wait", "orphan"]).await;
    assert!(user.ok(".", &["logs", "orphan"]).await.ends_with("/resource\n"));
}

#[tokio::test]
async fn sweep_runs_in_the_directory_whatever_its_name() {
    let user = User::new().await;
    let folder = user.folder("{x} and 'y'");
    let output = user.ok("{x} and 'y'", &["run", "-F", "x=1..2", "--", "sh", "-c", "touch {x}; pwd"]).await;
    assert_eq!(output.lines().count(), 2, "{output}");
    assert!(folder.join("1").exists() && folder.join("2").exists());
}

#[tokio::test]
async fn variables_come_from_files_the_shell_and_options() {
    let user = User::new().await;
    user.home.write("job.env", "# base\nA=file\nB=\"file\\tb\"\nC=file\nJ='{\"a\": 1}'\n");
    let show = "echo \"$A|$B|$C|$D|$J\"";
    let env = ["--env-file", "job.env", "--export", "C,D", "-e", "D={x}", "-F", "x=7,8", "--zip"];
    let mut command = user.mito(".", &[&["run"], &env[..], &["--", "sh", "-c", show]].concat());
    command.env("C", "shell").env("D", "shell");
    let output = succeeded(command).await;
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["file|file\tb|shell|7|{\"a\": 1}", "file|file\tb|shell|8|{\"a\": 1}"]);

    let unset = ended(user.mito(".", &["run", "--export", "NOT_SET", "--", "true"])).await;
    failed(&unset, 2, &["`NOT_SET` of --export is not set"]);
    user.home.write("bad.env", "A=1\nB='x\n");
    let bad = ended(user.mito(".", &["submit", "--env-file", "bad.env", "--", "true"])).await;
    failed(&bad, 2, &["line 2 of bad.env", "unmatched quote"]);
    let missing = ended(user.mito(".", &["run", "--env-file", "no.env", "--", "true"])).await;
    failed(&missing, 66, &["no such file: no.env"]);
}

#[tokio::test]
async fn job_file_has_the_same_keys() {
    let user = User::new().await;
    let project = user.folder("project");
    user.folder("project/out");
    std::fs::write(project.join("a.env"), "A=file\n").unwrap();
    let job = "[[tasks]]\nname = 'one'\ncommand = ['sh', '-c', 'pwd -P; echo $A']\nenv_file = 'a.env'\nchdir = 'out'\n\
               [[tasks]]\nname = 'two'\ncommand = 'pwd -P'\n";
    std::fs::write(project.join("job.toml"), job).unwrap();
    user.ok(".", &["submit", "project/job.toml"]).await;
    user.ok(".", &["wait", "one", "two"]).await;
    let out = project.join("out").canonicalize().unwrap();
    assert_eq!(user.ok(".", &["logs", "one"]).await, format!("{}\nfile\n", out.display()));
    let home = user.home.path().canonicalize().unwrap();
    assert_eq!(user.ok(".", &["logs", "two"]).await, format!("{}\n", home.display()));
}

#[tokio::test]
async fn standard_input_that_no_task_reads_is_refused() {
    let user = User::new().await;
    let input = user.home.write("input", "data\n");
    user.home.write("empty", "");
    let refusal = ["standard input has content that no task would read", "--stdin -"];
    for verb in ["run", "submit"] {
        let mut command = user.mito(".", &[verb, "--", "true"]);
        command.stdin(std::fs::File::open(&input).unwrap());
        failed(&ended(command).await, 2, &refusal);
    }
    let mut command = user.mito(".", &["run", "--", "true"]);
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"data").unwrap();
    command.stdin(reader);
    failed(&ended(command).await, 2, &refusal);
    drop(writer);

    // A pipe without bytes, open or closed, is what many programs pass on.
    for keep_open in [true, false] {
        let mut command = user.mito(".", &["run", "--", "true"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let pipe = child.stdin.take().filter(|_| keep_open);
        assert!(child.wait().await.unwrap().success(), "open: {keep_open}");
        drop(pipe);
    }
    let mut command = user.mito(".", &["run", "--", "true"]);
    command.stdin(std::fs::File::open(user.home.path().join("empty")).unwrap());
    succeeded(command).await;
}

/// Scripts and loops pass their input on to every command.
#[tokio::test]
async fn standard_input_of_a_loop_or_script_is_no_error() {
    let user = User::new().await;
    user.home.write("list", "a\nb\nc\n");
    let output =
        succeeded(user.shell("while read -r x; do \"$MITO\" run -- echo \"<$x>\" || exit; done < list"))
            .await;
    assert_eq!(output, "<a>\n<b>\n<c>\n");
    let piped = "cat list | while read -r x; do \"$MITO\" run -- echo \"<$x>\" || exit; done";
    assert_eq!(succeeded(user.shell(piped)).await, "<a>\n<b>\n<c>\n");
    user.home.write("script", "\"$MITO\" run -- echo one\n\"$MITO\" run -- echo two\n");
    assert_eq!(succeeded(user.shell("sh < script")).await, "one\ntwo\n");
    let closed = succeeded(user.shell("\"$MITO\" run -- echo closed <&-")).await;
    assert_eq!(closed, "closed\n");
}

#[tokio::test]
async fn terminal_is_no_ignored_input() {
    let user = User::new().await;
    let mut terminal = Terminal::start(&user.mito(".", &["run", "--", "echo", "from a task"]), 80);
    terminal.types(&["typed ahead\n"]);
    let (code, screen) = terminal.ends().await;
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("from a task"), "{screen}");
}

#[tokio::test]
async fn input_is_sent_to_the_command() {
    let user = User::new().await;
    user.home.write("short", "a {x} b\n");
    let long: String = "a line of the file\n".repeat(20_000);
    user.home.write("long", &long);
    std::fs::write(user.home.path().join("binary"), b"\x00\xff").unwrap();
    assert_eq!(user.ok(".", &["run", "--stdin", "short", "--", "cat"]).await, "a {x} b\n");
    assert_eq!(user.ok(".", &["run", "--stdin", "long", "--", "cat"]).await, long);
    assert_eq!(user.ok(".", &["run", "--local", "--stdin", "long", "--", "wc", "-l"]).await, "20000\n");
    assert_eq!(user.ok(".", &["run", "--stdin", "binary", "--", "wc", "-c"]).await, "2\n");
    let both = user.ok(".", &["run", "-F", "x=1,2", "--stdin", "short", "--", "cat"]).await;
    assert_eq!(both, "a {x} b\na {x} b\n", "input has no placeholders");

    let piped = user.shell("echo piped | \"$MITO\" run --stdin - -- cat");
    assert_eq!(succeeded(piped).await, "piped\n");
    let long_pipe = ended(user.shell("cat long | \"$MITO\" run --stdin - -- cat")).await;
    failed(&long_pipe, 2, &["not a text of at most 64 KiB", "--stdin FILE"]);
    for line in ["run --stdin - --each-line - -- cat", "submit - --stdin -"] {
        let twice = ended(user.shell(&format!("echo true | \"$MITO\" {line}"))).await;
        failed(&twice, 2, &["standard input can only be read once"]);
    }
    let missing = ended(user.mito(".", &["run", "--stdin", "missing", "--", "cat"])).await;
    failed(&missing, 66, &["no such file: missing"]);

    for (name, file, expected) in [("one", "short", "a {x} b\n"), ("two", "long", &long)] {
        user.ok(".", &["submit", "--name", name, "--stdin", file, "--", "cat"]).await;
        user.ok(".", &["wait", name]).await;
        assert_eq!(user.ok(".", &["logs", name]).await, expected, "{name}");
    }
}

#[tokio::test]
async fn script_is_sent_along_and_runs_with_its_interpreter() {
    let user = User::new().await;
    let folder = user.folder("project");
    let text = "#!/bin/bash -u\n#MITO --name hello -e GREETING='good day' -l a\necho \"$0: $GREETING $* in $PWD\"\ncat\n";
    std::fs::write(folder.join("hello"), text).unwrap();
    let shown = user.ok("project", &["submit", "hello", "--dry-run", "--", "x", "y z"]).await;
    assert!(shown.contains("labels a hello") && shown.contains("variable GREETING='good day'"), "{shown}");
    user.ok("project", &["submit", "hello", "--", "x", "y z"]).await;
    // The worker needs no copy.
    std::fs::remove_file(folder.join("hello")).unwrap();
    user.ok(".", &["wait", "hello"]).await;
    let output = user.ok(".", &["logs", "hello"]).await;
    let words = format!(" good day x y z in {}\n", folder.canonicalize().unwrap().display());
    assert!(output.contains("/resource/hello:") && output.ends_with(&words), "{output}");
    let task = user.ok(".", &["show", "hello/1"]).await;
    assert!(task.contains("hello, "), "{task}");
}

#[tokio::test]
async fn options_of_the_command_line_override_those_of_a_script() {
    let user = User::new().await;
    let text = "#!/bin/sh\n#MITO --timeout 1h -p 3 -e A=script -e B=script -F x=1..2 -l one\n#MITO --fresh-dir\necho $A$B$1\n";
    user.home.write("sweep.sh", text);
    let args = [
        "submit",
        "-p",
        "5",
        "-e",
        "B=line",
        "-l",
        "two",
        "--chdir",
        ".",
        "sweep.sh",
        "--dry-run",
        "--",
        "{x}",
    ];
    let shown = user.ok(".", &args).await;
    let home = user.home.path().canonicalize().unwrap();
    for expected in [
        "variable A=script",
        "variable B=line",
        "labels one two",
        "timeout 1h, priority 5",
        "would submit 2 tasks",
        &format!("directory {}", home.display()),
    ] {
        assert!(shown.contains(expected), "`{expected}` is not in {shown}");
    }
    user.ok(".", &["submit", "--name", "sweep", "sweep.sh", "--", "{x}"]).await;
    user.ok(".", &["wait", "sweep"]).await;
    let logs = user.ok(".", &["logs", "sweep"]).await;
    assert!(logs.contains("scriptscript1") && logs.contains("scriptscript2"), "{logs}");
}

#[tokio::test]
async fn script_comes_from_standard_input() {
    let user = User::new().await;
    let submitted = user.shell("printf '#MITO --name piped\\necho \"$1-$#\"\\n' | \"$MITO\" submit - -- a b");
    succeeded(submitted).await;
    user.ok(".", &["wait", "piped"]).await;
    assert_eq!(user.ok(".", &["logs", "piped"]).await, "a-2\n");
    let python = "printf '#!/usr/bin/env python3\\nprint(6 * 7)\\n' | \"$MITO\" submit --name python -";
    succeeded(user.shell(python)).await;
    user.ok(".", &["wait", "python"]).await;
    assert_eq!(user.ok(".", &["logs", "python"]).await, "42\n");
    let empty = ended(user.mito(".", &["submit", "-"])).await;
    failed(&empty, 2, &["the script is empty"]);
}

#[tokio::test]
async fn wrong_script_is_refused_before_the_login() {
    let home = Home::new();
    home.write("typo.sh", "#!/bin/sh\n\n#MITO -t gpu\n#MITO --prioritty 5\ntrue\n");
    home.write("value.sh", "#MITO --timeout soon\n");
    home.write("other.sh", "#MITO -c http://example.org\n");
    home.write("word.sh", "#MITO gpu\n");
    home.write("notes.txt", "buy milk\n");
    home.write("job.toml", "[[tasks]]\ncommand = 'true'\n");
    for (args, words) in [
        (&["typo.sh"][..], &["line 4 of typo.sh", "--prioritty", "--priority"][..]),
        (&["value.sh"], &["line 1 of value.sh", "invalid duration `soon`"]),
        (&["other.sh"], &["line 1 of other.sh", "-c"]),
        (&["word.sh"], &["line 1 of word.sh", "gpu"]),
        (&["notes.txt"], &["notes.txt", "neither a job file nor a script"]),
        (&["job.toml", "-t", "gpu"], &["--tags", "cannot be used with"]),
        (&["job.toml", "--stdin", "notes.txt"], &["--stdin", "cannot be used with"]),
        (&["job.toml", "--", "true"], &["cannot be used with"]),
    ] {
        let output = home.run(&[&["submit"], args].concat()).await;
        failed(&output, 2, words);
    }
    let missing = home.run(&["submit", "missing.sh"]).await;
    failed(&missing, 66, &["no such file: missing.sh"]);
}
