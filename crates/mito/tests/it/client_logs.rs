//! Tests of `mito client tasks logs`.

use std::process::Stdio;

use mitosis_protocol::output::{LogsQuery, OutputStream};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::home::{ADMIN, Home, LIMIT, Person, Service, until_there};

#[tokio::test]
async fn logs_keep_the_two_streams_apart() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    let script = "echo out; echo err >&2; printf end; exit 3";
    let uuid = admin.submits(&["--terminal", "--", "sh", "-c", script]).await;
    admin.run(&["tasks", "wait", &uuid]).await;
    let logs = admin.run(&["tasks", "logs", &uuid[..8]]).await;
    assert_eq!((logs.code, logs.stdout.as_str(), logs.stderr.as_str()), (Some(0), "out\nend", "err\n"));
    assert_eq!(
        admin.run(&["tasks", "logs", "last", "-f"]).await.stdout,
        "out\nend",
        "there is no more to come"
    );
    assert!(!home.path().join(".cache/mitosis/follow").exists(), "no file was needed");
}

#[tokio::test]
async fn logs_follow_a_task_to_its_end() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    let go = home.path().join("go");
    let script = format!("echo first; {}; echo second", until_there(&go));
    let uuid = admin.submits(&["--terminal", "--", "sh", "-c", &script]).await;
    admin.run_until("Running", &["tasks", "get", &uuid]).await;
    assert_eq!(admin.run_until("first", &["tasks", "logs", &uuid]).await, "first");
    let mut following =
        admin.command(&["tasks", "logs", "-f", &uuid]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = async || tokio::time::timeout(LIMIT, lines.next_line()).await.unwrap().unwrap();
    assert_eq!(next().await.as_deref(), Some("first"));
    std::fs::write(go, "").unwrap();
    assert_eq!((next().await.as_deref(), next().await), (Some("second"), None));
    assert!(following.wait().await.unwrap().success());
}

#[tokio::test]
async fn logs_of_a_task_that_never_ran_are_an_error() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let unkept = admin.submits(&["--", "true"]).await;
    for args in [&["tasks", "logs", &unkept][..], &["tasks", "logs", "-f", &unkept]] {
        admin.expect_failure(args, 66, &["not kept", "--terminal"]).await;
    }
    let uuid = admin.submits(&["--terminal", "--", "true"]).await;
    admin.expect_failure(&["tasks", "logs", &uuid], 1, &["it is Ready", "explain"]).await;
    admin.run_ok(&["tasks", "cancel", &uuid]).await;
    admin.expect_failure(&["tasks", "logs", &uuid], 66, &["no output", "tasks get"]).await;
    admin.expect_failure(&["tasks", "logs", "mitosis_admin-9"], 66, &["[not_found]"]).await;
}

#[tokio::test]
async fn logs_refuse_output_formats() {
    let home = Home::new();
    let client = ["client", "-c", "http://127.0.0.1:1", "-u", "ann"];
    for args in [&["tasks", "logs", "last", "-o", "json"][..], &["-o", "id", "tasks", "logs", "last"]] {
        let refused = home.run(&[&client[..], args].concat()).await;
        assert_eq!(refused.code, Some(2), "{args:?}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("`mito client tasks logs` has no output formats"),
            "{}",
            refused.stderr
        );
    }
}

#[tokio::test]
async fn output_that_cannot_be_shown_does_not_hide_the_outcome() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let _worker = home.worker(&coordinator.address, "1").await;
    let long = "head -c 200000 /dev/urandom";
    for (script, code) in [(format!("{long}; exit 7"), 7), (long.to_owned(), 1)] {
        let args = ["run", "-c", &coordinator.address, "-u", ADMIN, "--", "sh", "-c", &script];
        let mut run = home.mito(&args);
        run.env("MITO_PASSWORD", ADMIN)
            .stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let run = run.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().await.unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains("cannot write the task's output"), "{stderr}");
        assert_eq!(stderr.contains("the command exited with code 0"), code == 1, "{stderr}");
    }
}

/// The output is in the object store, with restart points.
#[tokio::test]
async fn logs_show_a_part_of_a_long_output() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    let script = "seq 1 600000; seq 1 5 >&2";
    let uuid = admin.submits(&["--terminal", "--", "sh", "-c", script]).await;
    admin.run(&["tasks", "wait", &uuid]).await;
    let logs = async |args: &[&str]| {
        let logs = admin.run(&[&["tasks", "logs", &uuid], args].concat()).await;
        assert_eq!(logs.code, Some(0), "{}", logs.stderr);
        (logs.stdout, logs.stderr)
    };
    assert_eq!(logs(&["-n", "2"]).await, ("599999\n600000\n".to_owned(), "4\n5\n".to_owned()));
    assert_eq!(logs(&["-n", "9", "--stderr"]).await.1, "1\n2\n3\n4\n5\n");
    let (tail, no_stderr) = logs(&["-n", "100000", "--stdout"]).await;
    assert!(tail.starts_with("500001\n") && tail.ends_with("600000\n") && no_stderr.is_empty());
    let numbers: Vec<String> = (1..=600_000).map(|number| number.to_string()).collect();
    let all = numbers.join("\n") + "\n";
    assert!(logs(&[]).await == (all.clone(), "1\n2\n3\n4\n5\n".to_owned()));
    assert_eq!(logs(&["--since", "1h", "--stderr"]).await.1, "1\n2\n3\n4\n5\n");
    assert_eq!(logs(&["--since", "2199-01-01T00:00:00Z"]).await, (String::new(), String::new()));
    admin.expect_failure(&["tasks", "logs", &uuid, "--since", "soon"], 1, &["invalid `since`", "10m"]).await;

    let client = coordinator.admin().await;
    let read = async |query: LogsQuery| {
        let query = LogsQuery { stream: Some(OutputStream::Stdout), ..query };
        let mut log = client.logs(uuid.parse().unwrap(), &query).await.unwrap();
        let (offset, mut text) = (log.offset(), Vec::new());
        while let Some(bytes) = log.next().await.unwrap() {
            text.extend_from_slice(&bytes);
        }
        (offset, String::from_utf8(text).unwrap())
    };
    for offset in [0, 1_234_567, all.len() - 3] {
        let part = Some(offset as u64);
        let expected = (offset as u64, all[offset..].to_owned());
        assert!(read(LogsQuery { offset: part, ..LogsQuery::default() }).await == expected, "{offset}");
        assert!(
            read(LogsQuery { stored_offset: part, ..LogsQuery::default() }).await == expected,
            "{offset}"
        );
    }
    let both = LogsQuery {
        tail: Some(1),
        offset: Some(1),
        stream: Some(OutputStream::Stdout),
        ..LogsQuery::default()
    };
    assert_eq!(client.logs(uuid.parse().unwrap(), &both).await.unwrap_err().status(), Some(400));
}

/// A user can upload any file as the output of a task.
#[tokio::test]
async fn logs_of_a_damaged_archive_are_an_error() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let uuid = admin.submits(&["--terminal", "-t", "none", "--", "true"]).await;
    admin.run_ok(&["tasks", "cancel", &uuid]).await;
    for bytes in [&b""[..], b"no archive", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b]] {
        let file = home.path().join("std-log.tar.gz");
        std::fs::write(&file, bytes).unwrap();
        admin.run_ok(&["tasks", "artifacts", "upload", file.to_str().unwrap(), &uuid, "std-log"]).await;
        for args in [&["tasks", "logs", &uuid][..], &["tasks", "logs", "-n", "3", &uuid]] {
            admin.expect_failure(args, 1, &["the stored output is damaged"]).await;
        }
    }
}

#[tokio::test]
async fn logs_of_a_running_task_start_at_its_last_lines() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    let go = home.path().join("go");
    let script = format!("seq 1 300000; {}; echo new", until_there(&go));
    let uuid = admin.submits(&["--terminal", "--", "sh", "-c", &script]).await;
    assert_eq!(admin.run_until("300000", &["tasks", "logs", "-n", "2", &uuid]).await, "299999\n300000");
    let mut following =
        admin.command(&["tasks", "logs", "-f", "-n", "1", &uuid]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = async || tokio::time::timeout(LIMIT, lines.next_line()).await.unwrap().unwrap();
    assert_eq!(next().await.as_deref(), Some("300000"));
    std::fs::write(go, "").unwrap();
    assert_eq!((next().await.as_deref(), next().await), (Some("new"), None));
    assert!(following.wait().await.unwrap().success());
}

#[tokio::test]
async fn logs_since_a_time_have_only_what_was_written_after_it() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    let go = home.path().join("go");
    let script = format!("echo old; {}; echo new", until_there(&go));
    let uuid = admin.submits(&["--terminal", "--", "sh", "-c", &script]).await;
    admin.run_until("old", &["tasks", "logs", &uuid]).await;
    // The worker notes the length of the output every second. After that, the old line is before the present time.
    let since = loop {
        let now = mitosis_domain::clock::Clock::now(&mitosis_domain::clock::SystemClock).to_string();
        if admin.run_ok(&["tasks", "logs", "--since", &now, &uuid]).await.is_empty() {
            break now;
        }
    };
    std::fs::write(go, "").unwrap();
    admin.run_ok(&["tasks", "wait", &uuid]).await;
    assert_eq!(admin.run_ok(&["tasks", "logs", "--since", &since, &uuid]).await, "new");
    assert_eq!(admin.run_ok(&["tasks", "logs", &uuid]).await, "old\nnew");
}

#[tokio::test]
async fn logs_of_several_tasks_name_the_task_of_each_line() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "2").await;
    let mut tasks = Vec::new();
    for text in ["one\ntwo", "three"] {
        tasks.push(admin.submits(&["--terminal", "--", "printf", text]).await);
    }
    let [first, second] = &tasks[..] else { panic!() };
    admin.run(&["tasks", "wait", first, second]).await;
    for args in [&["tasks", "logs", first, second][..], &["tasks", "logs", "-f", first, second]] {
        let mut lines: Vec<_> = admin.run_ok(args).await.lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, ["mitosis_admin-1 | one", "mitosis_admin-1 | two", "mitosis_admin-2 | three"]);
    }
}

#[tokio::test]
async fn logs_of_a_long_output_mark_what_is_omitted() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let mut worker =
        home.mito(&["worker", "-c", &coordinator.address, "-u", ADMIN, "--output-limit", "64KiB"]);
    worker.env("MITO_PASSWORD", ADMIN);
    let (_worker, _) = Service::start(worker, "registered").await;
    let go = home.path().join("go");
    let script = format!("seq 1 100000; {}; echo end", until_there(&go));
    let uuid = admin.submits(&["--terminal", "--", "sh", "-c", &script]).await;
    let live = admin.run_until("omitted here]", &["tasks", "logs", &uuid]).await;
    assert!(live.starts_with("1\n2\n") && live.ends_with("\n100000"), "{}", live.len());
    std::fs::write(go, "").unwrap();
    admin.run_ok(&["tasks", "wait", &uuid]).await;
    for stored in [
        admin.run_ok(&["tasks", "logs", &uuid]).await,
        admin.run_ok(&["tasks", "logs", "-n", "9000", &uuid]).await,
    ] {
        assert!(stored.ends_with("\n100000\nend"), "{}", stored.len());
        assert!(stored.len() < 66_000, "{}", stored.len());
    }
    assert!(
        admin
            .run_ok(&["tasks", "get", &uuid])
            .await
            .contains("longer than the worker's output_limit is omitted")
    );
}

#[tokio::test]
async fn output_lost_on_the_worker_does_not_hide_the_outcome() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    let _worker = home.worker(&coordinator.address, "1").await;
    // A kernel file has no size.
    let script = r#"ln -s /proc/self/status "$MITO_RESULT_DIR/answer"; exit $1"#;
    for (ended, code) in [("7", 7), ("0", 74)] {
        let submit = ["tasks", "submit", "--wait", "--", "sh", "-c", script, "sh", ended];
        let words = ["not all of its output could be stored"];
        let refusal = admin.expect_failure(&submit, code, &words).await;
        assert_eq!(refusal.stderr.contains("exited with code 0"), ended == "0", "{}", refusal.stderr);
        let shown = admin.run_ok(&["tasks", "get", "last"]).await;
        assert!(shown.contains(&format!("result      exit code {ended}")), "{shown}");
        assert!(
            shown.contains("warning     files are not stored as the task left them: result/answer"),
            "{shown}"
        );
    }
}
