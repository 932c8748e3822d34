//! Tests of common mistakes of new users.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::home::{ADMIN, Home, LIMIT, Person, ended, until_there};

#[tokio::test]
async fn missing_login_names_the_coordinator_and_a_command() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    for args in
        [&["run", "-c", &coordinator.address, "--", "true"][..], &["results", "-c", &coordinator.address]]
    {
        let output = home.run(args).await;
        assert_eq!(output.code, Some(67), "{output:?}");
        for word in
            [coordinator.address.as_str(), "not logged in", "run `mito login ", "MITO_PASSWORD", "MITO_TOKEN"]
        {
            assert!(output.stderr.contains(word), "`{word}` is not in {}", output.stderr);
        }
    }
    // Before a password prompt.
    let output = home.run(&["run", "-c", "http://127.0.0.1:1", "--", "true"]).await;
    assert_eq!(output.code, Some(69), "{output:?}");
    assert!(output.stderr.contains("http://127.0.0.1:1") && output.stderr.contains("hint: "), "{output:?}");
}

#[tokio::test]
async fn revoked_token_is_distinguished_from_none() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    Person::administrator(&home, &coordinator).run_ok(&["auth"]).await;
    let elsewhere = Home::new();
    let mut login =
        elsewhere.mito(&["client", "-c", &coordinator.address, "-u", ADMIN, "--no-retain", "auth"]);
    login.env("MITO_PASSWORD", ADMIN);
    assert_eq!(ended(login).await.code, Some(0));
    let output = home.run(&["client", "-c", &coordinator.address, "auth"]).await;
    assert_eq!(output.code, Some(67), "{output:?}");
    for word in ["stored token of `mitosis_admin` is no longer valid", "--no-retain"] {
        assert!(output.stderr.contains(word), "`{word}` is not in {}", output.stderr);
    }
}

#[tokio::test]
async fn worker_login_keeps_other_sessions() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let address = coordinator.address.as_str();
    Person::administrator(&home, &coordinator).run_ok(&["auth"]).await;
    // On another machine, as it would use the stored token.
    let elsewhere = Home::new();
    let file =
        elsewhere.write("worker.toml", "[worker]\nuser = 'mitosis_admin'\npassword = 'mitosis_admin'\n");
    let worker = ["worker", "--config", file.to_str().unwrap(), "-c", address];
    let (_worker, _) = elsewhere.start(&worker, "registered").await;
    let waits = home.run(&["run", "-c", address, "--", "true"]).await;
    assert_eq!(waits.code, Some(0), "{waits:?}");
    // Ending the other sessions is possible on request.
    let third = Home::new();
    let file = third.write("worker.toml", "[worker]\nuser = 'mitosis_admin'\npassword = 'mitosis_admin'\n");
    let ends = ["worker", "--config", file.to_str().unwrap(), "-c", address, "--no-retain"];
    let (_other, _) = third.start(&ends, "registered").await;
    let ended = home.run(&["client", "-c", address, "auth"]).await;
    assert_eq!(ended.code, Some(67), "{ended:?}");
}

#[tokio::test]
async fn token_is_not_sent_to_another_coordinator() {
    let home = Home::new();
    let (one, other) = (home.coordinator(0, "600s").await, Home::new());
    let two = other.coordinator(0, "600s").await;
    Person::administrator(&home, &one).run_ok(&["auth"]).await;
    let there = home.run(&["client", "-c", &two.address, "auth"]).await;
    assert_eq!(there.code, Some(67), "{there:?}");
    for word in ["not logged in at", &format!("mito login -c {}", two.address)] {
        assert!(there.stderr.contains(word), "`{word}` is not in {}", there.stderr);
    }
    // Each session is kept.
    Person::administrator(&home, &two).run_ok(&["auth"]).await;
    for coordinator in [&one, &two] {
        let who = home.run(&["client", "-c", &coordinator.address, "auth"]).await;
        assert_eq!((who.code, who.stdout.as_str()), (Some(0), "mitosis_admin\n"), "{who:?}");
    }
}

#[tokio::test]
async fn unsaved_login_serves_one_command() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let mut command = Person::administrator(&home, &coordinator).command(&["auth"]);
    command.env("MITO_CREDENTIAL_PATH", "/proc/nowhere/credentials");
    let output = ended(command).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "mitosis_admin\n"), "{output:?}");
    assert!(output.stderr.contains("cannot store the credentials in /proc/nowhere"), "{output:?}");
}

#[tokio::test]
async fn waiting_run_explains_missing_workers() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    Person::administrator(&home, &coordinator).run_ok(&["auth"]).await;
    let run = ["run", "-c", &coordinator.address, "--", "true"];
    let (_run, why) = home.start(&run, "mito: the task is waiting: ").await;
    assert!(why.contains("no worker") || why.contains("No worker"), "{why}");
}

#[tokio::test]
async fn waiting_run_reports_a_missed_worker() {
    let home = Home::new();
    // A worker is missed after two thirds of this time, and its task is requeued at the end. In between, the waiting
    // command asks for the reason.
    let coordinator = home.coordinator(0, "24s").await;
    let worker = home.worker(&coordinator.address, "1").await;
    let script = format!("echo begun; echo on >&2; {}", until_there(&home.path().join("never")));
    let run = ["run", "-c", &coordinator.address, "--", "sh", "-c", &script];
    let mut command = home.mito(&run);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut words = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(words.next_line().await.unwrap().as_deref(), Some("on"));
    crate::guard::kill_with_guard(worker).await;
    let message =
        tokio::time::timeout(LIMIT, words.next_line()).await.expect("it is message").unwrap().unwrap();
    assert!(
        message.starts_with("mito: Worker ") && message.contains("has not sent a heartbeat"),
        "{message}"
    );
}

#[tokio::test]
async fn worker_for_a_missing_group_does_not_start() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    Person::administrator(&home, &coordinator).run_ok(&["auth"]).await;
    for command in [&["worker"][..], &["manager", "spawn", "1"]] {
        let output =
            home.run(&[command, &["-c", &coordinator.address, "--groups", "mitosis_admn"]].concat()).await;
        assert!(output.stderr.contains("group `mitosis_admn` does not exist"), "{output:?}");
        assert!(output.stderr.contains("mito client users groups"), "{output:?}");
        assert_ne!(output.code, Some(0));
    }
}

#[tokio::test]
async fn missing_file_is_named_and_exits_with_66() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    for args in
        [&["tasks", "submit-many", "-f", "tasks.json"][..], &["groups", "attachments", "upload", "in.csv"]]
    {
        let file = *args.last().unwrap();
        let output = admin.expect_failure(args, 66, &["no such file: ", file, "[not_found]", "hint: "]).await;
        assert_eq!(output.stdout, "");
    }
}

#[tokio::test]
async fn usage_error_has_a_code_and_a_hint() {
    let home = Home::new();
    for (args, words) in [
        (&["client", "tasks", "quer"][..], &["unrecognized subcommand 'quer' [usage]", "'query'"][..]),
        (&["run", "--timeout", "5x", "--", "true"], &["invalid duration `5x`: expected", "[usage]"]),
        (&["client", "workers", "get", "last"], &["invalid worker UUID `last`", "mito client workers query"]),
        (&["run"], &["<CMD>", "[usage]", "usage: mito run"]),
    ] {
        let output = home.run(args).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
        for word in words {
            assert!(output.stderr.contains(word), "`{word}` is not in {}", output.stderr);
        }
    }
}

#[tokio::test]
async fn manager_without_workers_explains_how_to_start_them() {
    let home = Home::new();
    let status = home.run(&["manager", "status"]).await;
    assert_eq!((status.code, status.stdout.as_str()), (Some(0), "Total: 0\n"));
    assert!(status.stderr.contains("`mito manager spawn 2`"), "{}", status.stderr);
    let quiet = home.run(&["manager", "status", "-q", "-o", "json"]).await;
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("[]\n", ""));
}
