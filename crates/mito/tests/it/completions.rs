//! Tests of completion, manual pages and versions.

use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use crate::home::{ADMIN, Home, Person};

/// The candidates for the last word.
async fn offered(home: &Home, words: &[&str]) -> Vec<String> {
    let output = home.run(&[&["__complete", "--"], words].concat()).await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{words:?}");
    output.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn names_are_completed_for_the_logged_in_user() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    let admin = Person::administrator(&home, &coordinator);
    admin.run_ok(&["groups", "create", "lab"]).await;
    let uuid = admin.submits(&["-t", "gpu", "-l", "exp1", "--", "true"]).await;
    let ask = async |words: &[&str]| {
        offered(&home, &[&["client", "-c", &coordinator.address], words].concat()).await
    };
    let begun = Instant::now();
    assert_eq!(ask(&["tasks", "get", ""]).await, [uuid.as_str()]);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(ask(&["tasks", "get", &uuid[..8]]).await, [uuid.as_str()]);
    assert!(ask(&["tasks", "get", "zz"]).await.is_empty());
    assert_eq!(ask(&["tasks", "query", "-g", ""]).await, ["lab", ADMIN]);
    assert_eq!(ask(&["tasks", "query", "-t", ""]).await, ["gpu"]);
    assert_eq!(ask(&["tasks", "query", "-l", "e"]).await, ["exp1"]);
    assert!(ask(&["tasks", "query", "-g", "lab", "-l", ""]).await.is_empty());
}

#[tokio::test]
async fn jobs_are_completed_by_number_and_name() {
    let home = Home::new();
    let coordinator = home.coordinator(0, "600s").await;
    Person::administrator(&home, &coordinator).run_ok(&["auth"]).await;
    for name in ["train", "test", "train"] {
        let submit = ["submit", "-c", &coordinator.address, "--name", name, "-l", "x", "--", "true"];
        assert_eq!(home.run(&submit).await.code, Some(0));
    }
    let ask = async |words: &[&str]| {
        offered(&home, &[&words[..1], &["-c", &coordinator.address], &words[1..]].concat()).await
    };
    assert_eq!(ask(&["wait", ""]).await, ["2", "1", "test", "train"]);
    assert_eq!(ask(&["submit", "--after", "tr"]).await, ["train"]);
    assert_eq!(ask(&["logs", "train/fa"]).await, ["train/failed"]);
}

#[tokio::test]
async fn without_login_only_commands_are_completed() {
    let home = Home::new();
    assert!(offered(&home, &["client", "tasks", "get", ""]).await.is_empty());
    assert_eq!(offered(&home, &["client", "tasks", "expl"]).await, ["explain"]);
    std::fs::create_dir_all(home.path().join(".config/mitosis")).unwrap();
    home.write(".config/mitosis/credentials", "ann:token");
    // A listener that never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    for address in [address.as_str(), "http://127.0.0.1:1", "nonsense"] {
        assert!(offered(&home, &["client", "-c", address, "tasks", "get", ""]).await.is_empty(), "{address}");
    }
    assert!(!home.path().join(".cache").exists());
}

#[tokio::test]
async fn bash_script_offers_the_candidates() {
    let home = Home::new();
    let script = home.run(&["completions", "bash"]).await;
    let path = home.write("mito.bash", &script.stdout);
    let program = env!("CARGO_BIN_EXE_mito");
    // Words split by bash, which also splits at `=` and `:`.
    for (words, line, offered) in [
        ("client tasks ex", "client tasks ex", "explain"),
        ("client -c http : //h : 5 tasks ex", "client -c http://h:5 tasks ex", "explain"),
        ("client --coordinator = http : //h : 5 ta", "client --coordinator=http://h:5 ta", "tasks"),
        ("client auth --format = cs", "client auth --format=cs", "csv"),
        ("client auth --format =", "client auth --format=", "table json jsonl csv yaml id"),
        ("client ''", "client ", "admin auth login logout users tokens groups tasks workers cmd quit help"),
        ("run -- l", "run -- l", ""),
    ] {
        let lines = format!(
            "source {}; COMP_WORDS=({program} {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             COMP_LINE='{program} {line}'; _mito; echo \"${{COMPREPLY[*]}}\"",
            path.display()
        );
        let output =
            Command::new("bash").args(["-c", &lines]).env("HOME", home.path()).output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), offered, "{line}: {output:?}");
    }
    for shell in ["zsh", "fish"] {
        assert!(home.run(&["completions", shell]).await.stdout.contains("__complete --"), "{shell}");
    }
    assert_eq!(home.run(&["completions", "csh"]).await.code, Some(2));
}

#[tokio::test]
async fn every_command_has_a_man_page() {
    let home = Home::new();
    assert_eq!(home.run(&["man", "--out", "pages"]).await.code, Some(0));
    for page in ["mito.1", "mito-client.1", "mito-client-tasks-explain.1", "mito-doctor.1"] {
        let text = std::fs::read_to_string(home.path().join("pages").join(page)).expect(page);
        assert!(text.starts_with(".ie") && text.contains(".TH"), "{text}");
    }
    assert_eq!(home.run(&["man", "--out", "/proc/nowhere"]).await.code, Some(1));
}

#[tokio::test]
async fn long_version_names_the_commit() {
    let home = Home::new();
    let short = home.run(&["version"]).await.stdout;
    assert_eq!(short, format!("mito {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(home.run(&["-V"]).await.stdout, short);
    let long = home.run(&["version", "--long"]).await.stdout;
    assert_eq!(home.run(&["--version"]).await.stdout, long);
    for word in ["commit ", "built ", "rustc ", "target "] {
        assert!(long.contains(word), "{long}");
    }
    assert!(long.starts_with(short.trim_end()) && !long.contains("rustc   unknown"), "{long}");
}
