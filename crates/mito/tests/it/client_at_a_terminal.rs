//! Tests of the interactive mode at a terminal.

use std::os::unix::fs::PermissionsExt as _;

use crate::home::{ADMIN, Home, Person};
use crate::terminal::{CTRL_C, CTRL_D, ENTER, TAB, Terminal, UP};

const PROMPT: &str = "[mito::client]> ";
const MORE: &str = "::: ";
const WIDTH: u16 = 200;

/// A user at the prompt for the first command.
async fn asked(person: &Person<'_>) -> Terminal {
    let mut terminal = Terminal::start(&person.command(&["-i"]), WIDTH);
    terminal.until("Ctrl-D exits").await;
    terminal.until(PROMPT).await;
    terminal
}

#[tokio::test]
async fn history_is_kept_between_sessions() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let mut terminal = asked(&admin).await;
    for keys in [["auth", ENTER], [UP, ENTER]] {
        terminal.types(&keys);
        terminal.until(&format!("{ADMIN}\r\n")).await;
        terminal.until(PROMPT).await;
    }
    terminal.types(&["exit", ENTER]);
    assert_eq!(terminal.ends().await.0, Some(0));

    let mut terminal = asked(&admin).await;
    // The last command was `exit`.
    terminal.types(&[UP, UP, ENTER]);
    terminal.until(&format!("{ADMIN}\r\n")).await;
    terminal.until(PROMPT).await;
    terminal.types(&[CTRL_D]);
    assert_eq!(terminal.ends().await.0, Some(0));
}

#[tokio::test]
async fn tab_completes_commands_and_task_ids() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let uuid = admin.submits(&["--", "true"]).await;
    let mut terminal = asked(&admin).await;
    terminal.types(&["tasks expl", TAB, &uuid[..6], TAB, ENTER]);
    terminal.until("Ready: ").await;
    terminal.until(PROMPT).await;
    terminal.types(&["qu", TAB, ENTER]);
    assert_eq!(terminal.ends().await.0, Some(0));
}

#[tokio::test]
async fn ctrl_c_cancels_the_line_or_command_and_stays() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let uuid = admin.submits(&["--", "true"]).await;
    let mut terminal = asked(&admin).await;
    terminal.types(&["tasks cancel last", CTRL_C]);
    terminal.until(PROMPT).await;
    terminal.types(&["tasks cancel last \\", ENTER]);
    terminal.until(MORE).await;
    terminal.types(&["-q", CTRL_C]);
    terminal.until(PROMPT).await;
    terminal.types(&["tasks wait last", ENTER]);
    terminal.until("waiting for a task").await;
    terminal.types(&[CTRL_C]);
    terminal.until("[interrupted]").await;
    terminal.until(PROMPT).await;
    terminal.types(&["cmd -- echo begun; sleep 600", ENTER]);
    terminal.until("begun\r\n").await;
    terminal.types(&[CTRL_C]);
    terminal.until(PROMPT).await;
    terminal.types(&["tasks get last", ENTER]);
    let shown = terminal.until(PROMPT).await;
    assert!(shown.contains(&uuid) && shown.contains("Ready"), "it was not cancelled: {shown}");
    terminal.types(&[CTRL_D]);
    assert_eq!(terminal.ends().await.0, Some(0));
}

#[tokio::test]
async fn local_command_gets_the_terminal() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let mut terminal = asked(&admin).await;
    terminal.types(&["cmd -- test -t 0 && stty size && echo 'a  b'", ENTER]);
    terminal.until("40 200\r\na b\r\n").await;
    terminal.until(PROMPT).await;
    terminal.types(&["cmd -- 'echo \"c  d\"; exit 3'", ENTER]);
    terminal.until("c  d\r\n").await;
    terminal.until(PROMPT).await;
    terminal.types(&["no-such-command", ENTER]);
    terminal.until("[usage]").await;
    terminal.until(PROMPT).await;
    terminal.types(&["quit", ENTER]);
    assert_eq!(terminal.ends().await.0, Some(0), "mistakes were seen");
}

#[tokio::test]
async fn line_with_a_password_is_not_in_the_history() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let mut terminal = asked(&admin).await;
    for line in ["admin users create ann hard-to-guess", "login ann hard-to-guess --retain", "auth"] {
        terminal.types(&[line, ENTER]);
        terminal.until(PROMPT).await;
    }
    terminal.types(&[CTRL_D]);
    assert_eq!(terminal.ends().await.0, Some(0));
    let history = home.path().join(".cache/mitosis/client-history");
    assert_eq!(history.metadata().unwrap().permissions().mode() & 0o077, 0, "others can't read it");
    let kept = std::fs::read_to_string(history).unwrap();
    assert!(kept.lines().any(|line| line == "auth") && !kept.contains("hard-to-guess"), "{kept}");
}

#[tokio::test]
async fn terminal_gets_colours_titles_and_local_times() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    admin.submits(&["--", "sh", "-c", "exit 7"]).await;
    for (name, value, is_coloured) in [("LANG", "C", true), ("NO_COLOR", "1", false), ("TERM", "dumb", false)]
    {
        let mut query = admin.command(&["tasks", "query"]);
        query.env(name, value);
        let (code, screen) = Terminal::start(&query, 130).ends().await;
        assert_eq!(code, Some(0));
        assert_eq!(screen.contains("\x1b["), is_coloured, "{name}: {screen:?}");
        for word in ["TASK", "CREATED", "sh -c 'exit 7'"] {
            assert!(screen.contains(word), "`{word}` is not in {screen}");
        }
        assert!(screen.contains(", now") || screen.contains(" ago"), "{screen}");
        assert!(screen.lines().all(|line| is_coloured || line.len() <= 130), "{screen}");
    }
    let piped = admin.run_ok(&["tasks", "query", "-o", "table"]).await;
    assert!(!piped.contains('\x1b') && !piped.contains("TASK"), "{piped}");
    assert!(piped.contains(" +00:00:00\t"), "as the contract writes times: {piped}");
}

#[tokio::test]
async fn narrow_terminal_keeps_id_and_age() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let long = "a command of several words and ".repeat(5);
    let uuid = admin.submits(&["-l", "night", "--", "echo", &long]).await;
    for columns in [95, 110, 130] {
        let mut query = admin.command(&["tasks", "query"]);
        query.env("NO_COLOR", "1");
        let (code, screen) = Terminal::start(&query, columns).ends().await;
        let line = screen.lines().find(|line| line.contains(&uuid)).expect("it is there");
        assert_eq!(code, Some(0), "{screen}");
        assert!(
            line.chars().count() <= columns.into() && line.starts_with(&format!("{ADMIN}-1 ")),
            "{screen}"
        );
        assert!(line.contains("Ready") && line.contains('…'), "{screen}");
        assert!(line.contains("now ") || line.contains("s ago"), "{screen}");
    }
}
