//! The directory in which a command starts, its files and its standard input.

use mitosis_protocol::task::TaskDirectory;
use serde_json::{Value, json};

use crate::script::Script;

/// A script that prints where it runs, into a file.
fn prints_to(file: &std::path::Path) -> String {
    format!("{{ pwd -P; echo \"$PWD\"; echo \"$MITO_RESOURCE_DIR\"; }} > {}", file.display())
}

/// Runs a task. Returns the directory in which it started, its variable PWD, and its resource directory.
async fn place(script: &Script, directory: Option<TaskDirectory>) -> [String; 3] {
    let file = script.scratch().join("place");
    script.has(&prints_to(&file), |task| task.spec.directory = directory);
    assert_eq!(script.commits(1).await, json!({"exit_status": 0, "msg": null}));
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.try_into().unwrap()
}

fn prefer(path: &std::path::Path) -> TaskDirectory {
    TaskDirectory::Prefer(path.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn command_starts_in_the_preferred_directory() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    std::fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let script = Script::new().await;
    let _worker = script.worker(1);
    let [start, pwd, _] = place(&script, Some(prefer(&link))).await;
    assert_eq!(start, real.canonicalize().unwrap().display().to_string());
    assert_eq!(pwd, link.display().to_string(), "the path as it was submitted");
}

#[tokio::test]
async fn command_starts_in_a_fresh_directory_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    for directory in [prefer(&folder.path().join("missing")), TaskDirectory::Fresh] {
        let script = Script::new().await;
        let _worker = script.worker(1);
        let [start, pwd, resource] = place(&script, Some(directory)).await;
        assert_eq!((&pwd, &start), (&resource, &resource));
    }
}

#[tokio::test]
async fn task_without_a_directory_starts_where_the_worker_did() {
    let script = Script::new().await;
    let _worker = script.worker(1);
    let [start, _, _] = place(&script, None).await;
    assert_eq!(start, std::env::current_dir().unwrap().display().to_string());
}

/// The directory of a slot is emptied after its task, and other slots have tasks of their own.
#[tokio::test]
async fn scratch_space_is_not_used_for_another_task() {
    let script = Script::new().await;
    let _worker = script.worker(1);
    let [_, _, resource] = place(&script, Some(TaskDirectory::Fresh)).await;
    let slot = std::path::Path::new(&resource).parent().unwrap();
    let file = script.scratch().join("place");
    script.has(&prints_to(&file), |task| task.spec.directory = Some(prefer(&slot.join("exec"))));
    script.commits(2).await;
    assert!(std::fs::read_to_string(file).unwrap().starts_with(&resource));
}

async fn ends_unstarted(script: &Script, path: &str, reason: &str) {
    let trace = script.scratch().join("trace");
    script.has(&format!("touch {}", trace.display()), |task| {
        task.spec.directory = Some(TaskDirectory::Require(path.to_owned()));
    });
    let result = script.commits(1).await;
    assert_eq!(result, json!({"exit_status": 0, "msg": null, "reason": "directory_unavailable"}));
    assert!(!trace.exists());
    let reports = script.bodies("POST /v1/agents/report ");
    let ended: Vec<&Value> = reports.iter().flat_map(|report| report["ended"].as_array().unwrap()).collect();
    assert_eq!(ended[0]["cancelled"], true);
    let text = ended[0]["warnings"][0]["text"].as_str().unwrap();
    assert!(text.contains(path) && text.contains(reason), "{text}");
}

#[tokio::test]
async fn missing_required_directory_cancels_the_task_with_its_cause() {
    let script = Script::new().await;
    let _worker = script.worker(1);
    ends_unstarted(&script, "/nonexistent/work", "does not exist").await;
}

#[tokio::test]
async fn worker_can_insist_on_fresh_directories() {
    let script = Script::new().await;
    script.uses_fresh_directories_only();
    let _worker = script.worker(1);
    ends_unstarted(&script, "/tmp", "fresh directories only").await;
    let script = Script::new().await;
    script.uses_fresh_directories_only();
    let _worker = script.worker(1);
    let [start, _, resource] = place(&script, Some(prefer(std::path::Path::new("/tmp")))).await;
    assert_eq!(start, resource);
}

#[tokio::test]
async fn relative_program_is_found_in_the_directory() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("tool");
    std::fs::write(&program, "#!/bin/sh\npwd > here\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = Script::new().await;
    script.has("", |task| {
        task.spec.args = vec!["./tool".to_owned()];
        task.spec.directory = Some(prefer(folder.path()));
    });
    let _worker = script.worker(1);
    assert_eq!(script.commits(1).await["exit_status"], 0);
    assert!(folder.path().join("here").exists());
}

#[tokio::test]
async fn files_of_a_task_are_its_own_and_one_is_its_input() {
    let script = Script::new().await;
    let file = script.scratch().join("seen");
    let show = format!("{{ cat; cat in/b; ./tool; }} > {}", file.display());
    script.has(&show, |task| {
        task.spec.directory = Some(TaskDirectory::Fresh);
        let files = [("a", "input\n"), ("in/b", "b\n"), ("tool", "#!/bin/sh\necho tool\n")];
        task.spec.files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        task.spec.stdin = Some("a".to_owned());
    });
    script.has(&format!("ls \"$MITO_RESOURCE_DIR\" >> {0}; cat >> {0}", file.display()), |_| {});
    let _worker = script.worker(1);
    assert_eq!(script.commits(2).await["exit_status"], 0);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "input\nb\ntool\n", "the next task has none of it");
}
