//! The web page in a real browser. The tests themselves are in `web/tests`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mitosis_testkit::postgres::PostgresServer;
use tokio::process::Command;

use crate::home::ended_within;

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/tests");
const LIMIT: Duration = Duration::from_secs(400);

#[tokio::test(flavor = "multi_thread")]
async fn web_page_works_in_a_browser() {
    // Screenshots for people to look at.
    let screenshots = std::env::var_os("MITO_TEST_SCREENSHOTS");
    let options = screenshots.map(|folder| vec!["--look".into(), folder]).unwrap_or_default();
    run(&options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web_page_works_with_postgresql() {
    let postgres = PostgresServer::start_on_loopback().await.unwrap();
    let database = postgres.fresh_database().await.unwrap();
    run(&["--database".into(), database.into()]).await;
}

/// Runs all tests in the browser.
async fn run(options: &[OsString]) {
    let folder = tests().await;
    let mut node = Command::new("node");
    node.arg(folder.join("browser.mjs")).arg(env!("CARGO_BIN_EXE_mito")).args(options);
    let output = ended_within(LIMIT, node).await;
    assert_eq!(output.code, Some(0), "{}\n{}", output.stdout, output.stderr);
}

/// The tests with the packages that they need, which npm installs once per build directory.
async fn tests() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let folder = executable.parent().unwrap().join("web-tests");
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let (wanted, installed) = (Path::new(TESTS).join("package-lock.json"), folder.join("installed.json"));
    let is_installed = fs::read(&installed).ok() == Some(fs::read(&wanted).unwrap());
    for entry in fs::read_dir(TESTS).unwrap() {
        let file = entry.unwrap();
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
    }
    if !is_installed {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
        let output = ended_within(LIMIT, npm).await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        fs::copy(wanted, installed).unwrap();
    }
    folder
}
