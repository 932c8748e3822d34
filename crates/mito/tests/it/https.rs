//! Tests of a coordinator with TLS.

use std::path::Path;

use mitosis_client::{Client, EarlierTokens};
use mitosis_protocol::TaskState;
use mitosis_testkit::certificates::Certificates;
use mitosis_testkit::redis::RedisServer;
use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::home::{Home, LIMIT, POLL_INTERVAL, task, wait_for_count};

#[tokio::test(flavor = "multi_thread")]
async fn coordinator_serves_https_and_reads_new_certificate_on_sighup() {
    let home = Home::new();
    let old = Certificates::new().unwrap();
    let new = Certificates::new().unwrap();
    let place = |name: &str| home.path().join(name);
    let install = |authority: &Certificates| {
        let (certificate, key) = authority.server("server", &["127.0.0.1"]).unwrap();
        std::fs::copy(certificate, place("tls.pem")).unwrap();
        std::fs::copy(key, place("tls.key")).unwrap();
    };
    install(&old);
    let tls = ["--tls-cert", "tls.pem", "--tls-key", "tls.key"];
    let log = ["--file-log", "--log-path", "coordinator.log"];
    let options = [&["--bind", "127.0.0.1:0"][..], &tls, &log].concat();
    let coordinator = home.coordinator_with(&options).await;
    let address = coordinator.address.replace("http://", "https://");
    let address = address.split(' ').next().unwrap();
    let login = |authority: &Certificates| {
        let ca = authority.authority().display().to_string();
        let mut command =
            home.mito(&["client", "-c", address, "--ca-cert", &ca, "-u", "mitosis_admin", "auth"]);
        command.env("MITO_PASSWORD", "mitosis_admin");
        crate::home::ended(command)
    };
    let taken = login(&old).await;
    assert_eq!((taken.code, taken.stdout.trim()), (Some(0), "mitosis_admin"), "{}", taken.stderr);
    assert_eq!(login(&new).await.code, Some(69), "another authority signed it");

    // Links use TLS, too.
    let ca = old.authority().display().to_string();
    let file = home.write("x.txt", "text");
    let upload = ["client", "-c", address, "--ca-cert", &ca, "groups", "attachments", "upload"];
    let uploaded = home.run(&[&upload[..], &[file.to_str().unwrap(), "x.txt"]].concat()).await;
    assert_eq!(uploaded.code, Some(0), "{}", uploaded.stderr);

    // The guard of a killed worker signs off over TLS, too.
    let config = format!(
        "[worker]\nuser = 'mitosis_admin'\npassword = 'mitosis_admin'\nretain = true\nca_cert = '{ca}'\n"
    );
    let config = home.write("worker.toml", &config);
    let worker = ["worker", "--config", config.to_str().unwrap(), "-c", address];
    let (worker, _) = home.start(&worker, "registered").await;
    let pem = std::fs::read_to_string(old.authority()).unwrap();
    let client = Client::trusting(address, Some(&pem)).unwrap();
    let token = client.login("mitosis_admin", &"mitosis_admin".into(), EarlierTokens::Retain).await.unwrap();
    let user = client.with_user_token(token);
    user.submit(&task(&["sleep", "60"])).await.unwrap();
    wait_for_count(&user, TaskState::Running, 1).await;
    worker.kill().await;
    wait_for_count(&user, TaskState::Ready, 1).await;

    // An unusable certificate changes nothing.
    std::fs::write(place("tls.key"), "no key").unwrap();
    coordinator.service.signal(Signal::SIGHUP);
    home.until_written("coordinator.log", "cannot reload the certificate").await;
    assert_eq!(login(&old).await.code, Some(0));
    install(&new);
    coordinator.service.signal(Signal::SIGHUP);
    let deadline = Instant::now() + LIMIT;
    while login(&new).await.code != Some(0) {
        assert!(Instant::now() < deadline, "the new certificate is not used");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_reached_over_tls() {
    let home = Home::new();
    let authority = Certificates::new().unwrap();
    let (certificate, key) = authority.server("redis", &["127.0.0.1"]).unwrap();
    let redis = RedisServer::start_with_tls(certificate, key).await.unwrap();
    let ca = authority.authority();
    // The command line must not contain the password.
    let config = home.write("redis.toml", &format!("[coordinator]\nredis_url = '{}'\n", redis.url()));
    let options = ["--bind", "127.0.0.1:0", "--config", config.to_str().unwrap()];
    for (trusted, connected) in [(ca.as_path(), true), (Path::new("/dev/null"), false)] {
        let coordinator = home.coordinator_in(&options, &[("SSL_CERT_FILE", trusted)]).await;
        let admin = coordinator.admin().await;
        let health = admin.client().health().await.unwrap();
        assert_eq!(health.parts["redis"] == "ok", connected, "{}: {health:?}", trusted.display());
        let url = admin.redis().await.unwrap().url.unwrap();
        assert!(url.starts_with("rediss://mitosis_client:"), "workers and clients use TLS, too");
        coordinator.service.kill().await;
    }
}

#[tokio::test]
async fn certificate_and_key_must_fit_before_the_start() {
    let home = Home::new();
    let authority = Certificates::new().unwrap();
    let (certificate, _) = authority.server("one", &["127.0.0.1"]).unwrap();
    let (_, key) = authority.server("two", &["127.0.0.1"]).unwrap();
    let db = format!("sqlite://{}/state.db", home.path().display());
    let s3 = format!("file://{}/objects", home.path().display());
    let start = |certificate: &str, key: &str| {
        let args = ["coordinator", "--db", &db, "--s3", &s3, "--bind", "127.0.0.1:0", "--tls-cert"];
        home.mito(&[&args[..], &[certificate, "--tls-key", key]].concat())
    };
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    for (certificate, key, word) in [
        (certificate, key, "together"),
        ("nowhere.pem", key, "tls_cert"),
        (certificate, certificate, "tls_key"),
    ] {
        let ended = crate::home::ended(start(certificate, key)).await;
        assert_ne!(ended.code, Some(0));
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
}
