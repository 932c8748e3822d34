//! Tests of `mito dev`.

use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::Signal;

use crate::home::{Home, ended};

const DEV: [&str; 7] = ["dev", "--data", "data", "--slots", "2", "--bind", "127.0.0.1:0"];

#[tokio::test]
async fn state_survives_a_restart() {
    let home = Home::new();
    let credentials = home.path().join("data/credentials");
    let client = |address: &str, args: &[&str]| {
        let mut command = home.mito(args);
        command.env("MITO_COORDINATOR_ADDR", address.trim()).env("MITO_CREDENTIAL_PATH", &credentials);
        ended(command)
    };

    let (dev, address) = home.start(&DEV, "ready at").await;
    let run = client(&address, &["run", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]).await;
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(7), "out\n", "err\n"));
    let args = [
        "client",
        "tasks",
        "submit",
        "--terminal",
        "-l",
        "first",
        "--",
        "sh",
        "-c",
        "echo kept; echo 42 > $MITO_RESULT_DIR/answer",
    ];
    let submitted = client(&address, &args).await;
    let uuid = submitted.stdout.split_whitespace().last().expect("the UUID is the last word").to_owned();
    assert_eq!(client(&address, &["client", "tasks", "wait", &uuid]).await.code, Some(0));
    dev.signal(Signal::SIGTERM);
    assert!(dev.wait().await.success());

    let (dev, address) = home.start(&DEV, "ready at").await;
    let found = client(&address, &["client", "tasks", "query", "-l", "first", "-s", "finished"]).await;
    assert_eq!(found.stdout, format!("Found 1 task\n{uuid}\n"));
    let shown = client(&address, &["client", "tasks", "get", &uuid]).await;
    assert!(shown.stdout.contains("artifact    result") && shown.stdout.contains("artifact    std-log"));
    let got = client(&address, &["client", "tasks", "artifacts", "download", &uuid, "result"]).await;
    assert_eq!((got.code, got.stdout.as_str()), (Some(0), "result.tar.gz\n"), "{}", got.stderr);
    let archive = std::fs::File::open(home.path().join("result.tar.gz")).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["result", "result/answer"]);
    drop(dev);
}

#[tokio::test]
async fn data_and_password_are_private() {
    let home = Home::new();
    let (_dev, _) = home.start(&DEV, "ready at").await;
    let mode = |path: &str| std::fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
    for secret in ["data/password", "data/credentials", "data/private.pem"] {
        assert_eq!(mode(secret), 0o600, "{secret}");
    }
    assert!(std::fs::read_to_string(home.path().join("data/password")).unwrap().len() >= 32);
}

#[tokio::test]
async fn second_instance_on_the_same_data_is_refused() {
    let home = Home::new();
    let (mut first, address) = home.start(&DEV, "ready at ").await;
    let second = home.run(&DEV).await;
    assert_eq!(second.code, Some(1));
    let (sentence, hint) = second.stderr.split_once("\n  hint: ").unwrap();
    assert!(
        sentence.contains(&format!("mitosis is already running on this data, at {address} (process ")),
        "{sentence}"
    );
    let id = sentence.split_once("(process ").unwrap().1.split_once(')').unwrap().0;
    assert!(hint.contains(&format!("`kill {id}`")) && hint.contains("a different --data"), "{hint}");
    assert!(first.is_running());

    // The command in the hint works.
    let line = hint.split('`').nth(1).unwrap();
    let mut shell = tokio::process::Command::new("sh");
    let script = format!("{line}; exec \"$0\" client auth");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_mito")]).env_clear().env("HOME", home.path());
    let output = ended(shell).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "mitosis_admin\n"), "{}", output.stderr);
    std::process::Command::new("kill").arg(id).status().unwrap();
    assert!(first.wait().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_worker_is_replaced() {
    let home = Home::new();
    let (_dev, address) = home.start(&DEV, "ready at").await;
    let credentials = home.path().join("data/credentials");
    let client = async |args: &[&str]| {
        let mut command = home.mito(args);
        command.env("MITO_COORDINATOR_ADDR", address.trim()).env("MITO_CREDENTIAL_PATH", &credentials);
        let output = ended(command).await;
        assert_eq!(output.code, Some(0), "{args:?}: {}", output.stderr);
        output.stdout
    };
    client(&["run", "--", "true"]).await;
    let worker = client(&["client", "workers", "query", "-o", "id"]).await;
    client(&["client", "workers", "cancel", "--force", worker.trim()]).await;
    client(&["run", "--", "true"]).await;
    assert_ne!(client(&["client", "workers", "query", "-o", "id"]).await, worker);
}
