//! Tests with random requests that are generated from the API description. Each reply matches the description, and
//! none is an internal error.

use std::time::Duration;

use mitosis_client::{Client, EarlierTokens};
use mitosis_protocol::worker::RegisterWorkerRequest;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::process::Command;

use crate::cluster::Cluster;
use crate::home::{ADMIN, Coordinator, Home, ended_within};
use crate::python::programs;

/// Time limit for a few hundred requests, some of which are held.
const LIMIT: Duration = Duration::from_secs(300);
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// The routes for each kind of caller, without endless streams, the end of sessions and the sign-off of workers. The names
/// of users would be put into further requests, which would lock or delete the caller.
const AS_USER: &[&str] =
    &["--exclude-path-regex", "/(events|logs|sessions?|v1/admin/users)$", "--exclude-tag", "worker protocol"];
const AS_WORKER: &[&str] = &["--include-tag", "worker protocol", "--exclude-path", "/workers"];

async fn ask(home: &Home, coordinator: &Coordinator, token: &str, selection: &[&str]) {
    let programs = programs("schemathesis==4.32.5").await;
    let config = format!(
        "[headers]\nAuthorization = \"Bearer {token}\"\n\
         [checks]\nnegative_data_rejection.enabled = false\npositive_data_acceptance.enabled = false\n\
         missing_required_header.enabled = false\nunsupported_method.enabled = false\n"
    );
    let config = home.write("schemathesis.toml", &config);
    let mut command = Command::new(programs.join("schemathesis"));
    command
        .arg("--config-file")
        .arg(config)
        .args(["run", &format!("{}/openapi.json", coordinator.address), "--checks", CHECKS])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "4", "--request-timeout", "40"])
        .args(["--generation-database", "none", "--continue-on-failure", "--no-color", "--warnings", "off"])
        .args(selection)
        .env("HOME", home.path())
        .current_dir(home.path());
    let output = ended_within(LIMIT, command).await;
    assert_eq!(output.code, Some(0), "{}\n{}", output.stdout, output.stderr);
    // An exhausted budget or a wrong selection must not count as a success.
    assert!(output.stdout.contains("generated,"), "{}", output.stdout);
}

async fn ask_as_both(home: &Home, coordinator: &Coordinator) {
    let client = Client::new(&coordinator.address).unwrap();
    let token = client.login(ADMIN, &SecretString::from(ADMIN), EarlierTokens::Retain).await.unwrap();
    let admin = client.with_user_token(token.clone());
    let worker = admin.register_worker(&RegisterWorkerRequest::default()).await.unwrap().client;
    ask(home, coordinator, worker.token().expose_secret(), AS_WORKER).await;
    worker.heartbeat().await.expect("it was a worker to the end");
    ask(home, coordinator, token.expose_secret(), AS_USER).await;
    assert_eq!(admin.auth().await.unwrap(), ADMIN, "it was a user to the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_requests_match_the_description_embedded() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    ask_as_both(&home, &coordinator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_requests_match_the_description_in_a_cluster() {
    let cluster = Cluster::start().await;
    let coordinator = cluster.coordinator().await;
    ask_as_both(&cluster.home, &coordinator).await;
}
