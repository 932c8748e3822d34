//! The published Python SDK, unmodified.

use std::fs::File;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::home::{Home, ended};

/// The release of `pynetmito` that must work.
const RELEASE: &str = "pynetmito==0.2.7";

/// A Python with the SDK, made once per build directory.
async fn python() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let folder = executable.parent().unwrap().join(RELEASE);
    let python = folder.join("bin/python");
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let ready = folder.join("ready");
    if !ready.exists() {
        succeed("python3", &["-m", "venv", "--clear", path(&folder)]).await;
        succeed(path(&python), &["-m", "pip", "install", "--quiet", RELEASE]).await;
        File::create(ready).unwrap();
    }
    python
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn succeed(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().await.unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_sdk_can_do_everything_it_knows() {
    let python = python().await;
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let _workers = home.worker(&coordinator.address, "4").await;
    let folder = home.path().join("sdk");
    std::fs::create_dir(&folder).unwrap();
    let mut story = Command::new(python);
    story.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/story.py"));
    story.arg(&coordinator.address).arg(&folder).env("HOME", home.path());
    let output = ended(story).await;
    assert_eq!(output.code, Some(0), "{}\n{}", output.stdout, output.stderr);
}
