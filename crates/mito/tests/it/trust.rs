//! Tests of the ownership of files, and of the use of secrets.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::unistd::{Uid, chown, geteuid};
use tokio::process::Command;

use crate::home::{Home, ended};

/// Changes the owner of a file, which only root can do.
fn give_away(path: &Path) -> bool {
    let can = geteuid().is_root();
    if can {
        chown(path, Some(Uid::from_raw(54_321)), None).unwrap();
    }
    can
}

#[tokio::test]
async fn files_of_other_users_are_refused() {
    let home = Home::new();
    let config = home.write("config.toml", "[global]\ncoordinator_addr = 'http://127.0.0.1:1'\n");
    if !give_away(&config) {
        return;
    }
    let found = home.run(&["client", "auth"]).await;
    assert_eq!(found.code, Some(78), "{}", found.stderr);
    assert!(found.stderr.contains("config.toml belongs to another user (uid 54321)"), "{}", found.stderr);
    assert!(found.stderr.contains("hint: "), "{}", found.stderr);
    let named = home.run(&["worker", "--config", config.to_str().unwrap()]).await;
    assert_eq!(named.code, Some(78), "{}", named.stderr);
    std::fs::remove_file(config).unwrap();

    let db = format!("sqlite://{}/state.db", home.path().display());
    let s3 = format!("file://{}/objects", home.path().display());
    let key = home.write("private.pem", "a key");
    give_away(&key);
    let started = home.run(&["coordinator", "--bind", "127.0.0.1:0", "--db", &db, "--s3", &s3]).await;
    assert_eq!(started.code, Some(78), "{}", started.stderr);
    assert!(started.stderr.contains("private.pem belongs to another user"), "{}", started.stderr);

    let (certificate, key) = (home.write("cert.pem", "a certificate"), home.write("tls.pem", "a key"));
    give_away(&key);
    let mut command = home.mito(&["coordinator", "--bind", "127.0.0.1:0", "--db", &db, "--s3", &s3]);
    command.env("MITO_TLS_CERT", certificate).env("MITO_TLS_KEY", key);
    let started = ended(command).await;
    assert!(started.stderr.contains("tls.pem belongs to another user"), "{}", started.stderr);

    let data = home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    give_away(&data);
    let dev = home.run(&["dev", "--data", data.to_str().unwrap(), "--bind", "127.0.0.1:0"]).await;
    assert_eq!(dev.code, Some(78), "{}", dev.stderr);
    assert!(dev.stderr.contains("data belongs to another user"), "{}", dev.stderr);

    let token = home.write("token", "mito_pat_x");
    give_away(&token);
    let mut command = home.mito(&["client", "-c", "http://127.0.0.1:1", "auth"]);
    command.env("MITO_TOKEN_PATH", &token);
    let given = ended(command).await;
    assert!(given.stderr.contains("it belongs to another user"), "{}", given.stderr);
    let credentials = home.write("credentials", "ann:token");
    give_away(&credentials);
    let mut command = home.mito(&["client", "-c", "http://127.0.0.1:1", "auth"]);
    command.env("MITO_CREDENTIAL_PATH", &credentials);
    let kept = ended(command).await;
    assert!(kept.stderr.contains("it belongs to another user"), "{}", kept.stderr);
}

/// The account that runs the tests may have no home; then the command is refused, and writes nothing.
#[tokio::test]
async fn missing_home_variable_uses_the_account_home() {
    let home = Home::new();
    let mut command = home.mito(&["config", "show", "--role", "client", "-o", "json"]);
    command.env_remove("HOME");
    let shown = ended(command).await;
    let account = nix::unistd::User::from_uid(geteuid()).unwrap().unwrap();
    let expected = account.dir.join(".config/mitosis/credentials").display().to_string();
    assert!(shown.stdout.contains(&expected), "{}{}", shown.stdout, shown.stderr);
    assert!(!shown.stdout.contains("/tmp/mitosis"), "{}", shown.stdout);
}

#[tokio::test]
async fn account_without_home_is_refused() {
    if !geteuid().is_root() {
        return;
    }
    // The build folder may be one that only its owner enters.
    let public = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
    let program = public.path().join("mito");
    std::fs::copy(env!("CARGO_BIN_EXE_mito"), &program).unwrap();
    let mut command = Command::new(program);
    command.args(["client", "auth"]).env_clear().uid(54_321).gid(54_321).current_dir("/");
    let refused = ended(command).await;
    assert_eq!(refused.code, Some(78), "{}", refused.stderr);
    assert!(refused.stderr.contains("no home directory"), "{}", refused.stderr);
}

#[tokio::test]
async fn missing_key_file_stops_the_start() {
    let home = Home::new();
    let db = format!("sqlite://{}/state.db", home.path().display());
    let s3 = format!("file://{}/objects", home.path().display());
    let args = ["coordinator", "--bind", "127.0.0.1:0", "--db", &db, "--s3", &s3];
    let key = home.path().join("volume/private.pem");
    let mut command = home.mito(&args);
    command.env("MITO_ACCESS_TOKEN_PRIVATE_PATH", &key);
    let refused = ended(command).await;
    assert_ne!(refused.code, Some(0), "{}", refused.stderr);
    assert!(refused.stderr.contains("private.pem does not exist"), "{}", refused.stderr);
    assert!(!key.exists(), "no key is made in its place");
    // Keys without a configured path are generated at the first start.
    home.coordinator(0, "600s").await.service.kill().await;
    assert!(home.path().join("private.pem").exists());
}

#[tokio::test]
async fn address_from_a_file_is_shown_with_its_origin() {
    let home = Home::new();
    home.write("config.toml", "[global]\ncoordinator_addr = 'http://127.0.0.1:1'\n");
    let failed = home.run(&["client", "-c", "http://127.0.0.1:2", "-u", "ann", "auth"]).await;
    assert_eq!(failed.code, Some(69), "{}", failed.stderr);
    assert!(failed.stderr.contains("the address is from [global] of "), "{}", failed.stderr);
    let mut command = home.mito(&["client", "-c", "http://127.0.0.1:2", "auth"]);
    command.env("MITO_TOKEN", "mito_pat_secret");
    let refused = ended(command).await;
    assert_eq!(refused.code, Some(78), "{}", refused.stderr);
    assert!(refused.stderr.contains("is not sent to http://127.0.0.1:1"), "{}", refused.stderr);
}
