//! Tests of `mito schedule`.

use serde_json::{Value, json};

use crate::home::ended;
use crate::jobs::User;

impl User {
    /// Creates a schedule with this cron expression.
    async fn adds(&self, name: &str, cron: &str, rest: &str) -> String {
        let mut args = vec!["schedule", "add", name, cron];
        args.extend(rest.split(' '));
        let output = ended(self.command(&args)).await;
        assert_eq!(output.code, Some(0), "{name}: {}{}", output.stdout, output.stderr);
        output.stdout
    }

    async fn refuses(&self, name: &str, cron: &str, rest: &str, words: &[&str]) {
        let mut args = vec!["schedule", "add", name, cron];
        args.extend(rest.split(' '));
        let output = ended(self.command(&args)).await;
        assert!(matches!(output.code, Some(1 | 2)), "{name}: {}{}", output.stdout, output.stderr);
        for word in words {
            assert!(output.stderr.contains(word), "`{word}` is not in {}", output.stderr);
        }
    }
}

#[tokio::test]
async fn schedule_has_the_task_of_a_file_and_is_edited() {
    let user = User::without_workers().await;
    let file = user
        .home
        .write("nightly.toml", "[[tasks]]\ncommand = 'echo {x}'\nmatrix = {x = '1..4'}\nmax_running = 2\n");
    let file = file.display().to_string();
    user.adds("nightly", "0 3 * * *", &file).await;
    let shown = user.json("schedule show nightly").await;
    assert_eq!((&shown["tasks"], &shown["overlap"]), (&json!(4), &json!("skip")));
    let edit = ["schedule", "edit", "nightly", "--cron", "30 2 * * *", "--overlap", "queue"];
    let edited = ended(user.command(&edit)).await;
    assert_eq!(edited.code, Some(0), "{}", edited.stderr);
    let shown = user.json("schedule show nightly").await;
    let times = (&shown["cron"], &shown["overlap"], &shown["catch_up"]);
    assert_eq!(times, (&json!("30 2 * * *"), &json!("queue"), &json!("one")));
    user.fails("schedule edit nightly", 2, &["--cron"]).await;
    user.fails("schedule edit nightly --timezone Oslo", 2, &["no time zone `Oslo`"]).await;
    user.refuses(
        "other",
        "61 * * * *",
        "-- true",
        &["invalid minute `61`: expected 0-59", "0 3 * * mon-fri"],
    )
    .await;
    user.refuses("other", "@daily", &format!("{file} -F x=1..2"), &["--param"]).await;
    user.home.write("nightly.toml", "[[tasks]]\ncommand = 'a'\n[[tasks]]\ncommand = 'b'\n");
    user.refuses("other", "@daily", &file, &["has 2 tasks"]).await;
    user.refuses("other", "@daily", "--paused", &["required"]).await;
}

#[tokio::test]
async fn schedule_is_created_run_and_deleted() {
    let user = User::of_dev().await;
    let added = user.adds("nightly", "0 3 * * *", "--timezone Europe/Oslo -F x=1..3 -- echo hello {x}").await;
    assert!(added.contains("(nightly): next run ") && !added.contains("paused"), "{added}");
    let shown = user.json("schedule show nightly").await;
    assert_eq!((&shown["cron"], &shown["timezone"]), (&json!("0 3 * * *"), &json!("Europe/Oslo")));
    assert_eq!((shown["next"].as_array().unwrap().len(), &shown["tasks"]), (5, &json!(3)));
    assert_eq!(shown["task"]["labels"], json!(["nightly"]));
    let text = user.ok("schedule show nightly").await;
    assert!(text.contains("0 3 * * * (Europe/Oslo)") && text.matches("\nnext ").count() == 5, "{text}");

    let submitted = user.json("schedule run nightly").await;
    assert_eq!((&submitted["name"], &submitted["tasks"]), (&json!("nightly"), &json!(3)));
    let job = submitted["job"].to_string();
    user.ok(&format!("wait {job}")).await;
    let logs = user.ok(&format!("logs {job}")).await;
    assert_eq!(logs.matches("hello").count(), 3, "{logs}");
    let history = user.json("schedule history nightly").await;
    assert_eq!((&history[0]["job"], &history[0]["outcome"]), (&submitted["job"], &json!("submitted")));
    assert_eq!(history.as_array().map(Vec::len), Some(1));
    assert!(user.ok("schedule history nightly").await.contains("requested by a user"));

    let number = shown["schedule"].to_string();
    let paused = user.ok(&format!("schedule pause {number}")).await;
    assert_eq!(paused, format!("schedule {number} (nightly): paused\n"));
    assert_eq!(user.json("schedule show nightly").await["next"], json!([]));
    let listed = user.ok("schedule ls").await;
    assert!(listed.contains("nightly") && listed.contains("paused"), "{listed}");
    assert!(user.ok("schedule resume nightly").await.contains("next run"));
    assert_eq!(user.ok("schedule rm nightly").await, format!("schedule {number} (nightly): deleted\n"));
    assert_eq!(user.json("schedule ls").await, json!([]));
    user.ok(&format!("show {job}")).await;
}

#[tokio::test]
async fn policies_and_limits_are_passed_on() {
    let user = User::without_workers().await;
    let options =
        "--overlap replace --catch-up all --paused --max-running 2 --timeout 10m -F x=1..9 -- sync {x}";
    let added = user.adds("sync", "*/15 * * * *", options).await;
    assert!(added.ends_with("(sync): paused\n"), "{added}");
    let shown = user.json("schedule show sync").await;
    assert_eq!(
        (&shown["overlap"], &shown["catch_up"], &shown["paused"]),
        (&json!("replace"), &json!("all"), &json!(true))
    );
    let job = user.json("schedule run sync").await["job"].to_string();
    let job = user.json(&format!("show {job}")).await;
    assert_eq!(
        (&job["max_running"], &job["tasks"], &job["task"]["timeout"]),
        (&json!(2), &json!(9), &json!("10m"))
    );
}

#[tokio::test]
async fn invalid_schedules_are_reported_with_a_hint() {
    let user = User::without_workers().await;
    user.refuses("nightly", "0 3 * *", "-- true", &["4 fields instead of 5", "hint:", "day of the week"])
        .await;
    user.refuses("nightly", "0 99 * * *", "-- true", &["is not a cron expression"]).await;
    user.refuses("nightly", "0 3 * * *", "--timezone Oslo -- true", &["no time zone `Oslo`", "Europe/Oslo"])
        .await;
    user.refuses("nightly", "0 3 * * *", "-F x=1..2 -- echo {y}", &["y"]).await;
    user.refuses("12", "0 3 * * *", "-- true", &["12"]).await;
    user.adds("nightly", "0 3 * * *", "-- true").await;
    let args = ["schedule", "add", "nightly", "0 4 * * *", "--", "true"];
    let again = ended(user.command(&args)).await;
    assert!(
        again.code != Some(0) && again.stderr.contains("has a schedule `nightly` already"),
        "{}",
        again.stderr
    );
    for line in ["show", "pause", "resume", "run", "rm", "history"] {
        let failed = user.run(&format!("schedule {line} other")).await;
        assert!(failed.stderr.contains("there is no schedule `other`"), "{}", failed.stderr);
        assert_ne!(failed.code, Some(0));
    }
    let shown: Value = user.json("schedule show nightly").await;
    assert_eq!(shown["cron"], "0 3 * * *");
}
