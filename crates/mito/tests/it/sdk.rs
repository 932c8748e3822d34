//! Tests of the published Python SDK, unmodified.

use tokio::process::Command;

use crate::home::{Home, ended};
use crate::python::programs;

#[tokio::test(flavor = "multi_thread")]
async fn published_sdk_works() {
    let programs = programs("pynetmito==0.2.7").await;
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(home.worker(&coordinator.address, "1").await);
    }
    let folder = home.path().join("sdk");
    std::fs::create_dir(&folder).unwrap();
    let mut test = Command::new(programs.join("python"));
    test.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/test.py"));
    test.arg(&coordinator.address).arg(&folder).env("HOME", home.path());
    let output = ended(test).await;
    assert_eq!(output.code, Some(0), "{}\n{}", output.stdout, output.stderr);
}
