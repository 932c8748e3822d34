//! Tests of `mito client -i`.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;

use crate::home::{Home, Output, Person};

/// Runs these lines in the interactive mode.
async fn run_lines(home: &Home, person: &Person<'_>, first: &[&str], lines: &str) -> Output {
    let mut command = person.command(&[&["-i"], first].concat());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(!home.path().join(".cache/mitosis/client-history").exists(), "only what is typed is kept");
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[tokio::test]
async fn lines_are_commands_until_exit() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let lines = r#"
        groups create lab

        tasks submit --group lab \
            -l "two words" -- echo 'a  b'
        tasks query -g lab -l "two words" -v
        exit
        auth
    "#;
    let output = run_lines(&home, &admin, &["auth"], lines).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stdout.starts_with("mitosis_admin\ntask 1 of group lab: "), "{}", output.stdout);
    assert!(output.stdout.contains("command     echo 'a  b'"), "{}", output.stdout);
    assert_eq!(
        output.stdout.matches("mitosis_admin\n").count(),
        2,
        "once as the user, once as the submitter"
    );
}

#[tokio::test]
async fn failed_line_continues_and_sets_the_exit_code() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let lines = "tasks get \"\ntasks juggle\ngroups get nowhere\nhelp tasks\nauth\n";
    let output = run_lines(&home, &admin, &[], lines).await;
    assert_eq!(output.code, Some(2), "that of the first mistake");
    for word in ["unmatched quote", "juggle", "nowhere"] {
        assert!(output.stderr.contains(word), "`{word}` is not in {}", output.stderr);
    }
    assert!(output.stdout.contains("submit-many") && output.stdout.ends_with("mitosis_admin\n"));
}

#[tokio::test]
async fn login_changes_the_user_of_later_lines() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let lines = "admin users create ann ann\nlogin ann ann --retain\nauth\ntasks submit -- true\n\
                 users change-password ann new\ntasks cancel-many\n";
    let output = run_lines(&home, &admin, &[], lines).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stdout.starts_with("ann\ntask 1 of group ann: "), "{}", output.stdout);
    assert!(output.stdout.ends_with("cancelled 1 task of group ann\n"), "{}", output.stdout);
}

#[tokio::test]
async fn missing_command_gives_a_hint() {
    let home = Home::new();
    let nothing = home.run(&["client", "--retain"]).await;
    assert_eq!(nothing.code, Some(2));
    assert!(nothing.stderr.contains("hint:"), "{}", nothing.stderr);
}
