//! Tests of `--upload`, and of directories of attachments.

use crate::jobs::User;

/// Runs a command whose last argument is a shell script. Returns its standard output.
async fn run(user: &User, line: &str, script: &str) -> String {
    let words: Vec<&str> = line.split(' ').chain(["--", "sh", "-c", script]).collect();
    let output = user.command(&words).output().await.unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{line}: {stdout}{stderr}");
    stdout.into_owned()
}

#[tokio::test]
async fn local_files_are_sent_along_and_stored_once() {
    let (user, _worker) = User::with_worker(&[]).await;
    std::fs::create_dir_all(user.home.path().join("data/deep")).unwrap();
    let data = user.home.write("data/a.csv", "1,2\n");
    user.home.write("data/deep/b.csv", "3,4\n");
    user.home.write("copy.csv", "1,2\n");
    let data = data.parent().unwrap().display();
    let found = run(
        &user,
        &format!("run --upload {data}"),
        "cd $MITO_RESOURCE_DIR && cat data/a.csv data/deep/b.csv",
    )
    .await;
    assert_eq!(found, "1,2\n3,4\n");
    let copy = user.home.path().join("copy.csv");
    let again = user.run(&format!("submit --upload {} --name copy -- true", copy.display())).await;
    assert!(again.stderr.contains("is stored in group"), "{}", again.stderr);
    let keys = user.json("files").await;
    let keys: Vec<&str> = keys.as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(keys.iter().all(|key| key.starts_with("inputs/sha256-")), "{keys:?}");

    let job = "[[tasks]]\nname = 'sweep'\ncommand = ['sh', '-c', 'cat $MITO_RESOURCE_DIR/data/deep/{x}.csv']\n\
               upload = ['data']\nmatrix = {x = ['b']}\n";
    let file = user.home.write("job.toml", job);
    user.ok(&format!("submit {}", file.display())).await;
    user.ok("wait copy sweep").await;
    assert_eq!(user.ok("logs sweep").await.trim(), "3,4");
    user.fails("submit --upload missing -- true", 66, &["missing"]).await;
}

#[tokio::test]
async fn directory_of_attachments_is_fetched() {
    let (user, _worker) = User::with_worker(&[]).await;
    let file = user.home.write("in.csv", "1,2\n");
    for key in ["data/a.csv", "data/deep/b.csv", "database/c.csv"] {
        user.ok(&format!("files upload {} {key}", file.display())).await;
    }
    let list = "cd $MITO_RESOURCE_DIR && find . -type f | sort";
    assert_eq!(run(&user, "run -r attachment=data/:in/", list).await, "./in/a.csv\n./in/deep/b.csv\n");
    assert_eq!(run(&user, "run -r attachment=data/:", list).await, "./a.csv\n./deep/b.csv\n");
    user.fails("submit -r attachment=dat/:in/ -- true", 66, &["no attachments below dat/"]).await;
}
