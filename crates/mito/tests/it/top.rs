//! Tests of `mito top`, and of lists that are redrawn.

use crate::home::{Home, until_there};
use crate::terminal::{CTRL_C, Terminal};

const DEV: [&str; 7] = ["dev", "--data", "data", "--slots", "2", "--bind", "127.0.0.1:0"];
const ENTERED: &str = "\x1b[?1049h";
const LEFT: &str = "\x1b[?25h\x1b[?1049l";

/// Submits 60 jobs, of which two run until the home is gone.
async fn with_jobs(home: &Home) {
    let command = until_there(&home.path().join("never"));
    for _ in 0..60 {
        let submit = home.run(&["submit", "--", "sh", "-c", &command]).await;
        assert_eq!(submit.code, Some(0), "{}", submit.stderr);
    }
}

#[tokio::test]
async fn top_uses_the_whole_terminal_and_restores_it() {
    let home = Home::new();
    let (_dev, _) = home.start(&DEV, "ready at").await;
    with_jobs(&home).await;
    for (columns, key) in [(120, "q"), (40, CTRL_C)] {
        let mut command = home.mito(&["top"]);
        command.env("NO_COLOR", "1");
        let mut terminal = Terminal::start(&command, columns);
        terminal.until(ENTERED).await;
        terminal.until("60 active jobs: 2 running, 58 waiting, 0/60 tasks ended").await;
        terminal.until("1 worker: 2/2 slots busy").await;
        let frame = terminal.until("\x1b[?7h").await;
        let rows = frame.matches('\n').count() + 1;
        // The terminal has 40 lines; the last one is for the cursor.
        assert!((37..=39).contains(&rows), "{rows} lines at {columns} columns: {frame}");
        terminal.until("tasks ended (0.0 per second)").await;
        terminal.types(&[key]);
        let (code, screen) = terminal.ends().await;
        assert_eq!(code, Some(0), "{screen:?}");
        assert!(screen.ends_with(LEFT), "{screen:?}");
    }
}

#[tokio::test]
async fn top_fits_a_terminal_that_has_changed_its_size() {
    let home = Home::new();
    let (_dev, _) = home.start(&DEV, "ready at").await;
    with_jobs(&home).await;
    let mut command = home.mito(&["top"]);
    command.env("NO_COLOR", "1");
    let mut terminal = Terminal::start(&command, 120);
    terminal.until("60 active jobs").await;
    terminal.resize(12, 60);
    terminal.until("\x1b[H\x1b[2J").await;
    let frame = terminal.until("\x1b[?7h").await;
    assert!(frame.matches('\n').count() < 12, "{frame}");
    terminal.types(&["q"]);
    assert_eq!(terminal.ends().await.0, Some(0));
}

#[tokio::test]
async fn top_prints_the_state_once_on_a_pipe() {
    let home = Home::new();
    let (_dev, _) = home.start(&DEV, "ready at").await;
    let command = until_there(&home.path().join("never"));
    home.run(&["submit", "-F", "x=1..5", "--", "sh", "-c", &command]).await;
    let shown = home.run(&["top"]).await;
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(
        shown.stdout.starts_with("1 active job: ") && shown.stdout.contains("\n1 worker: "),
        "{}",
        shown.stdout
    );
    assert!(!shown.stdout.contains('\x1b'), "{}", shown.stdout);
    let shown = home.run(&["top", "-o", "json"]).await;
    let state: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((&state["totals"]["jobs"], &state["totals"]["tasks"]), (&1.into(), &5.into()), "{state}");
    assert_eq!((&state["totals"]["slots"], &state["jobs"][0]["tasks"]), (&2.into(), &5.into()), "{state}");
    assert_eq!(state["workers"][0]["slots"], 2, "{state}");
}

#[tokio::test]
async fn watched_list_uses_the_height_and_shows_totals() {
    let home = Home::new();
    let (_dev, _) = home.start(&DEV, "ready at").await;
    with_jobs(&home).await;
    for columns in [120, 40] {
        let mut command = home.mito(&["ls", "--watch"]);
        command.env("NO_COLOR", "1");
        let mut terminal = Terminal::start(&command, columns);
        terminal.until("60 jobs, 60 active: 0/60 tasks ended").await;
        let frame = terminal.until("\x1b[?7h").await;
        let rows = frame.matches('\n').count();
        assert!((37..=39).contains(&rows), "{rows} lines at {columns} columns: {frame}");
        // The next frame replaces this one.
        terminal.until(&format!("\x1b[{rows}A\x1b[J")).await;
        terminal.types(&[CTRL_C]);
        terminal.ends().await;
    }
}
