//! Tests of the README's commands for three machines. Only the address and typed input differ; a machine is a home.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use crate::home::{Home, LIMIT, Output, ended};

/// The lines below each comment that names a machine.
fn commands(place: &str) -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let (_, block) = text.split_once("# needs three machines\n").expect("the README has the commands");
    let block = block.split("\n```").next().unwrap();
    let (_, from) = block.split_once(&format!("# {place}")).unwrap_or_else(|| panic!("nothing is {place}"));
    let (_, lines) = from.split_once('\n').unwrap();
    lines.split("\n# ").next().unwrap().to_owned()
}

/// A shell of a machine with a user's password.
fn shell(home: &Home, commands: &str, password: &str) -> Command {
    let programs = Path::new(env!("CARGO_BIN_EXE_mito")).parent().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-ec", commands])
        .env_clear()
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()))
        .env("HOME", home.path())
        .env("MITO_PASSWORD", password)
        .current_dir(home.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Starts a background process. Returns it with the rest of the line that has `mark`.
async fn stays(mut command: Command, mark: &str) -> (Child, Box<dyn AsyncRead + Send + Unpin>, String) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let rest = tokio::time::timeout(LIMIT, async {
        let mut log = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, rest)) = line.split_once(mark) {
                return rest.to_owned();
            }
            log.push_str(&line);
        }
        panic!("it ended without `{mark}`: {log}");
    });
    let rest = rest.await.expect("it is ready in time");
    (child, Box::new(lines.into_inner()), rest)
}

fn well(output: Output) -> Output {
    assert_eq!(output.code, Some(0), "{output:?}");
    output
}

#[tokio::test]
async fn readme_sets_up_three_machines() {
    let (first, second, third) = (Home::new(), Home::new(), Home::new());
    let of_first = commands("on the first");
    assert!(of_first.contains("bind = \"0.0.0.0:5000\"") && of_first.contains("\nmito coordinator"));
    // The last command takes the place of its shell, so that it ends with the test.
    let of_first = of_first
        .replace("0.0.0.0:5000", "127.0.0.1:0")
        .replace("\nmito coordinator", "\nexec mito coordinator");
    let (_coordinator, _log, address) = stays(shell(&first, &of_first, ""), "listening address=").await;
    let here = |commands: String| commands.replace("coordinator:5000", &address);

    let account = here(commands("anywhere")).replace("create ann", "create ann anns-password");
    well(ended(shell(&first, &account, "choose-another-one")).await);
    let worker = here(commands("on the second")).replace("mito worker", "exec mito worker");
    let (_worker, _log, _) = stays(shell(&second, &worker, "anns-password"), "registered").await;
    let run = here(commands("on the third")).replace("-- hostname", "--fresh-dir -- pwd");
    let ran = well(ended(shell(&third, &run, "anns-password")).await);
    let folder = second.path().canonicalize().unwrap();
    assert!(Path::new(ran.stdout.trim()).starts_with(&folder), "in the home of its worker: {}", ran.stdout);
}
