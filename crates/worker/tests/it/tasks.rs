//! The environment of a task, and its reports.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

use mitosis_protocol::secret::SecretValue;
use mitosis_protocol::task::{RemoteFile, ResourceDownload};
use serde_json::json;

use crate::script::Script;

/// The files of an uploaded archive.
pub(crate) fn unpacked(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (entry.path().unwrap().display().to_string(), text)
    });
    entries.collect()
}

#[tokio::test]
async fn reports_and_uploads_come_in_the_order_of_the_contract() {
    let script = Script::old().await;
    script.has(
        "echo r > $MITO_RESULT_DIR/r; echo e > $MITO_EXEC_DIR/e; echo out; echo err >&2; exit 3",
        |task| task.spec.terminal_output = true,
    );
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await, json!({"exit_status": 768, "msg": null}));

    let reports = script.reports();
    let kinds: Vec<_> = reports.iter().filter_map(|op| op["Upload"]["content_type"].as_str()).collect();
    assert_eq!((&reports[0], kinds), (&json!("Finish"), vec!["std-log", "exec-log", "result"]));
    let uploads = script.uploads();
    for ((path, bytes), report) in uploads.iter().zip(&reports[1..]) {
        assert_eq!(report["Upload"]["content_length"], bytes.len(), "{path}");
    }
    assert_eq!(unpacked(&uploads[2].1)["result/r"], "r\n");
    assert_eq!(unpacked(&uploads[1].1)["exec-log/e"], "e\n");
    let streams = unpacked(&uploads[0].1);
    assert_eq!((&*streams["std-log/stdout.log"], &*streams["std-log/stderr.log"]), ("out\n", "err\n"));
}

#[tokio::test]
async fn secrets_are_variables_and_masked_in_the_output() {
    let script = Script::new().await;
    let command = "test \"$TOKEN\" = hunter2-hunter2 && test \"$SHORT\" = abc && printf \"$TOKEN $SHORT hunter2\"; \
                   printf -- '-hunter2.'; echo \"$TOKEN\" >&2";
    script.has(command, |task| {
        task.spec.terminal_output = true;
        let secret = |(name, value): (&str, &str)| (name.to_owned(), SecretValue::new(value));
        task.secrets = [("TOKEN", "hunter2-hunter2"), ("SHORT", "abc")].map(secret).into();
    });
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await, json!({"exit_status": 0, "msg": null}));
    let streams = unpacked(&script.uploads()[0].1);
    assert_eq!(streams["std-log/stdout.log"], "*** abc ***.");
    assert_eq!(streams["std-log/stderr.log"], "***\n");
}

#[tokio::test]
async fn task_without_outputs_uploads_nothing() {
    let script = Script::new().await;
    script.has("touch $MITO_RESULT_DIR/old; echo '{' > $MITO_NEW_TASK.not", |_| {});
    script.has("test -z \"$(ls $MITO_RESULT_DIR)\" && test ! -e $MITO_NEW_TASK", |_| {});
    let _worker = script.worker(1);
    assert_eq!(script.commits(2).await, json!({"exit_status": 0, "msg": null}));
    assert_eq!(script.uploads().len(), 1);
}

#[tokio::test]
async fn timeout_cancels_with_the_raw_status_and_keeps_output() {
    let script = Script::new().await;
    script.has("echo before; sleep 61", |task| {
        task.spec.terminal_output = true;
        task.timeout = std::time::Duration::from_millis(300);
    });
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await, json!({"exit_status": 15, "msg": "ExecTimeout"}));
    assert!(script.reports().contains(&json!("Cancel")));
    assert_eq!(unpacked(&script.uploads()[0].1)["std-log/stdout.log"], "before\n");
}

/// This takes as long as the grace period of every command.
#[tokio::test]
async fn command_that_ignores_sigterm_is_killed() {
    let script = Script::new().await;
    let deaf = "trap '' TERM; while :; do sleep 0.1; done";
    script.has(deaf, |task| task.timeout = std::time::Duration::from_millis(300));
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await, json!({"exit_status": 9, "msg": "ExecTimeout"}));
}

#[tokio::test]
async fn endless_output_is_stopped_with_a_note() {
    let script = Script::new().await;
    script.stops_at_the_output_limit();
    // The output grows slowly; otherwise the test would have to pack gigabytes.
    let endless = "while :; do head -c 100000 /dev/zero; done";
    script.has(endless, |task| task.spec.terminal_output = true);
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await["exit_status"], 15);
    assert!(script.reports().contains(&json!("Cancel")), "it did not end by itself");
    let streams = unpacked(&script.uploads()[0].1);
    assert!(streams["std-log/stderr.log"].contains("more output"), "{}", streams["std-log/stderr.log"]);
}

/// The command writes more while the worker has removed a part of the file already.
#[tokio::test]
async fn long_output_keeps_its_beginning_and_its_end() {
    let script = Script::new().await;
    script.has("seq 1 400000; sleep 1.5; seq 400001 500000; exit 3", |task| task.spec.terminal_output = true);
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await["exit_status"], 3 << 8, "it ran to its end");
    let streams = unpacked(&script.uploads()[0].1);
    let stdout = &streams["std-log/stdout.log"];
    let (beginning, rest) = stdout.split_once("\n[mito: ").expect("a mark");
    let (omitted, end) = rest.split_once(" bytes of output are omitted here]\n").expect("a mark");
    assert!(beginning.starts_with("1\n2\n") && end.ends_with("499999\n500000\n"));
    let written: usize = (1..=500_000).map(|number: u32| number.to_string().len() + 1).sum();
    assert_eq!(beginning.len() + omitted.parse::<usize>().unwrap() + end.len(), written);
    assert!(
        (900_000..=1_000_000).contains(&(beginning.len() + end.len())),
        "{}",
        beginning.len() + end.len()
    );
}

#[tokio::test]
async fn command_stopped_for_its_output_never_succeeds() {
    let script = Script::new().await;
    script.stops_at_the_output_limit();
    let exits = "trap 'exit 0' TERM; while :; do head -c 100000 /dev/zero; done";
    script.has(exits, |task| task.spec.terminal_output = true);
    let _worker = script.worker(1);
    let result = script.commits(1).await;
    assert_eq!((&result["exit_status"], &result["reason"]), (&15.into(), &"output_limit".into()));
}

#[tokio::test]
async fn command_rejected_by_the_system_fails_the_task() {
    let script = Script::new().await;
    script.has("", |task| task.spec.args.push("x".repeat(200 * 1024)));
    script.has("exit 5", |_| {});
    let _worker = script.worker(1);
    assert_eq!(script.commits(2).await["exit_status"], 5 << 8);
    let commits: Vec<_> = script.reports().into_iter().filter_map(|op| op.get("Commit").cloned()).collect();
    assert_eq!(commits[0]["exit_status"], 126 << 8);
    assert_eq!(commits[0]["reason"], "spawn_failed");
}

/// The worker starts simple commands directly, with the same result as `env`.
#[tokio::test]
async fn command_does_what_env_would_do_with_its_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let prints = file("prints", "#!/bin/sh\necho \"$0 $A $*\"", 0o755);
    let plain = file("plain", "echo $0 $A", 0o755);
    let forbidden = file("forbidden", "echo never", 0o644);
    let path = format!("PATH={}", folder.path().display());
    let commands = [
        vec!["/bin/echo", "a b"],
        vec![&*prints, "x"],
        vec!["A=b=c", "A=d", &*prints, "A=e"],
        vec![&*path, "A=b", "prints"],
        vec!["PATH=/nowhere", "true"],
        vec!["PATH=/nowhere", "/bin/echo", "found"],
        vec!["MITO_RESULT_DIR=x", "sh", "-c", "echo $MITO_RESULT_DIR"],
        vec!["sh", "-c", "echo $0; exit 3"],
        vec![&*plain],
        vec![&*forbidden],
        vec!["./Cargo.toml"],
        vec!["./src"],
        vec!["./missing", "x"],
        vec!["A=b", "-i", "true"],
        vec!["-u", "HOME", "sh", "-c", "echo $HOME-"],
        vec!["no-such-program"],
    ];
    let script = Script::new().await;
    for command in &commands {
        script.has("", |task| {
            task.spec.args = command.iter().map(ToString::to_string).collect();
            task.spec.terminal_output = true;
        });
    }
    let _worker = script.worker(1);
    script.commits(commands.len()).await;
    let codes = script.reports().into_iter().filter_map(|op| op.get("Commit")?["exit_status"].as_i64());
    for ((command, code), (_, archive)) in commands.iter().zip(codes).zip(script.uploads()) {
        let expected = std::process::Command::new("/usr/bin/env").args(command).output().unwrap();
        let streams = unpacked(&archive);
        let found = (code, &*streams["std-log/stdout.log"], &*streams["std-log/stderr.log"]);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(expected.stdout), text(expected.stderr));
        assert_eq!(found, (i64::from(expected.status.into_raw()), &*stdout, &*stderr), "{command:?}");
    }
}

fn with_resource(task: &mut mitosis_protocol::worker::FetchedTask) {
    let remote_file = RemoteFile::Attachment { key: "in/a b.txt".into() };
    task.spec.resources.push(ResourceDownload { remote_file, local_path: "deep/a.txt".into() });
}

#[tokio::test]
async fn resources_exist_before_the_command_starts() {
    let script = Script::new().await;
    script.has("test \"$(cat $MITO_RESOURCE_DIR/deep/a.txt)\" = resource", with_resource);
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await, json!({"exit_status": 0, "msg": null}));
    script.hears("GET /workers/tasks/00000000-0000-0000-0000-000000000001/attachments/in/a%20b.txt", 1).await;
}

#[tokio::test]
async fn missing_resource_cancels_the_task_with_a_reason() {
    for (refusing, status, msg) in [
        ("GET /workers/tasks/", 404, "ResourceNotFound"),
        ("GET /workers/tasks/", 403, "ResourceForbidden"),
        ("GET /objects/", 404, "ResourceNotFound"),
        ("GET /objects/", 403, "ResourceForbidden"),
    ] {
        let script = Script::new().await;
        script.fails(refusing, status, 1);
        script.has("exit 9", with_resource);
        let _worker = script.worker(1);
        assert_eq!(script.commits(1).await, json!({"exit_status": 0, "msg": msg}), "{refusing} {status}");
        assert_eq!(script.reports()[0], "Cancel");
    }
}

#[tokio::test]
async fn resource_stays_in_its_directory() {
    for path in ["../escaped", "/tmp/escaped", "a/../../escaped"] {
        let script = Script::new().await;
        script.has("exit 9", |task| {
            with_resource(task);
            path.clone_into(&mut task.spec.resources[0].local_path);
        });
        let _worker = script.worker(1);
        let commit = script.commits(1).await;
        assert_eq!(commit, json!({"exit_status": 0, "msg": "ResourceForbidden"}), "{path}");
        assert!(!script.heard().iter().any(|line| line.starts_with("GET /objects/")), "it is not asked for");
    }
}

#[tokio::test]
async fn follow_up_precedes_the_commit_and_errors_are_reported() {
    let follow_up = r#"{"group_name":"g","tags":[],"labels":[],"timeout":"1s","priority":0,"task_spec":{"args":["true"]}}"#;
    let script = Script::new().await;
    script.has(&format!("echo '{follow_up}' > $MITO_NEW_TASK"), |_| {});
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await["msg"], json!(null));
    assert_eq!(script.reports()[1]["Submit"]["group_name"], "g");

    script.has("echo '{' > $MITO_NEW_TASK", |_| {});
    assert_eq!(script.commits(2).await, json!({"exit_status": 0, "msg": "SubmitNewTaskFailed"}));
}

#[tokio::test]
async fn slots_run_concurrently() {
    let script = Script::new().await;
    let folder = script.scratch().display().to_string();
    // The two commands wait for each other.
    script.has(&format!("touch {folder}/a; until test -e {folder}/b; do sleep 0.02; done"), |_| {});
    script.has(&format!("touch {folder}/b; until test -e {folder}/a; do sleep 0.02; done"), |_| {});
    let _worker = script.worker(2);
    assert_eq!(script.commits(2).await["exit_status"], 0);
}
