//! Programs from PyPI, each in a virtual environment that is created once per build directory.

use std::fs::File;
use std::path::{Path, PathBuf};

use tokio::process::Command;

/// The folder with the programs of an environment that has a package, such as `pynetmito==0.2.7`.
pub(crate) async fn programs(package: &str) -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let folder = executable.parent().unwrap().join(package);
    let lock = File::create(folder.with_added_extension("lock")).unwrap();
    lock.lock().unwrap();
    let (programs, ready) = (folder.join("bin"), folder.join("ready"));
    if !ready.exists() {
        succeed("python3", &["-m", "venv", "--clear", text(&folder)]).await;
        succeed(text(&programs.join("python")), &["-m", "pip", "install", "--quiet", package]).await;
        File::create(ready).unwrap();
    }
    programs
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn succeed(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().await.unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
