//! Tests of the guide: every `console` block of a page runs as written, in its own home.
//!
//! `TRYCMD=overwrite` writes the output into the pages; times, ids and ports have to be replaced by `[..]` again.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::home::{ADMIN, Home};

/// Runs commands with `"$(…)"`, `|` and `>`, which `trycmd` does not support.
const SHELL: &str = r#"#!/bin/sh
line="MITO"
for word in "$@"; do
    case $word in
        '|' | '>') line="$line $word"; continue ;;
        '$('*')') word=$(eval "printf %s \"$word\"") ;;
    esac
    line="$line '$(printf %s "$word" | sed "s/'/'\\\\''/g")'"
done
eval "$line"
"#;
/// The programs other than `mito` that transcripts may use.
const TOOLS: [&str; 4] = ["cat", "curl", "echo", "python3"];
/// The directories with these programs.
const PLACES: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
/// Pages for a user with `mito dev` in another terminal, in reading order.
const ONE_MACHINE: [&str; 17] = [
    "quick-start.md",
    "tasks.md",
    "jobs.md",
    "resources.md",
    "sweeps.md",
    "secrets.md",
    "schedules.md",
    "notifications.md",
    "scripts.md",
    "output.md",
    "artifacts.md",
    "troubleshooting.md",
    "http-api.md",
    "idempotency.md",
    "operations.md",
    "from-others.md",
    "../../README.md",
];
/// Pages for a user who has configured nothing: commands find the running `mito dev`.
const UNCONFIGURED: [&str; 2] = ["quick-start.md", "../../README.md"];
/// Pages for an administrator of a coordinator.
const MANY_MACHINES: [&str; 4] = ["coordinator.md", "workers.md", "groups.md", "manager.md"];

/// The pages to read: all of them, or the one that `GUIDE_PAGE` names.
fn chosen(pages: &[&'static str]) -> Vec<&'static str> {
    let only = std::env::var_os("GUIDE_PAGE").map(|page| page.to_string_lossy().into_owned());
    assert!(only.as_ref().is_none_or(|only| guide().join(only).is_file()), "no such page: {only:?}");
    pages.iter().copied().filter(|page| only.as_ref().is_none_or(|only| only == page)).collect()
}

fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide")
}

/// A reader who runs the commands of a page.
struct Reader {
    home: Home,
    variables: Vec<(&'static str, String)>,
}

impl Reader {
    fn new(variables: Vec<(&'static str, String)>, home: Home) -> Self {
        let tools = home.path().join("bin");
        std::fs::create_dir_all(&tools).unwrap();
        let mut scripts = vec![("mito", SHELL.replace("MITO", env!("CARGO_BIN_EXE_mito")))];
        for tool in TOOLS {
            let place = PLACES.iter().find(|place| Path::new(place).join(tool).exists());
            let program = format!("{}/{tool}", place.unwrap_or_else(|| panic!("{tool} is not installed")));
            // Words with a `$` are expanded, as in double quotes.
            scripts.push((tool, SHELL.replace("MITO", &program).replace("'$('*')')", "*'$'*)")));
        }
        for (name, script) in scripts {
            let script = home.write(&format!("bin/{name}"), &script);
            std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { home, variables }
    }

    /// Runs a page in its own directory. Panics if the output differs.
    fn reads(&self, page: &str) {
        let written = guide().join(page);
        let copy = self.home.path().join(written.file_name().unwrap());
        lay_out(&copy.with_extension("in"));
        std::fs::copy(&written, &copy).unwrap();
        let text = std::fs::read_to_string(&written).unwrap();
        assert!(text.contains("```console\n"), "{page} has no transcript");
        // A job file in a page is the one that its commands submit.
        if let Some((_, job)) = text.split_once("```toml\n") {
            let job = job.split("```").next().unwrap_or_default();
            std::fs::write(copy.with_extension("in").join("job.toml"), job).unwrap();
        }
        if let Some((_, example)) = text.split_once("```python\n") {
            let example = example.split("```").next().unwrap_or_default();
            std::fs::write(copy.with_extension("in").join("example.py"), example).unwrap();
        }
        let cases = trycmd::TestCases::new();
        let tools = self.home.path().join("bin");
        cases
            .case(&copy)
            .register_bin("mito", trycmd::schema::Bin::Path(tools.join("mito")))
            .env("HOME", self.home.path().to_str().unwrap())
            .env("PATH", format!("{}:{}", tools.display(), PLACES.join(":")))
            .env("SHELL", "/bin/sh")
            .env("NO_COLOR", "1");
        for tool in TOOLS {
            cases.register_bin(tool, trycmd::schema::Bin::Path(tools.join(tool)));
        }
        if !UNCONFIGURED.contains(&page) {
            for (name, value) in &self.variables {
                cases.env(*name, value.as_str());
            }
        }
        cases.run();
        if std::env::var_os("TRYCMD").is_some() {
            std::fs::copy(copy, written).unwrap();
        }
    }
}

/// The working directory of a page, with the files that it uses.
fn lay_out(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("in.csv"), "1,2\n").unwrap();
    std::fs::create_dir(folder.join("data")).unwrap();
    std::fs::write(folder.join("data/in.csv"), "1,2\n").unwrap();
    std::fs::write(folder.join("sites.txt"), "oslo\nlima\n").unwrap();
    std::fs::write(folder.join("tasks.json"), TASKS).unwrap();
    std::fs::write(folder.join("people.csv"), "name,age\nann,41\nraj,35\n").unwrap();
    for (name, script) in SCRIPTS {
        std::fs::write(folder.join(name), script).unwrap();
    }
    std::fs::write(folder.join("wrong.toml"), "[client]\ncoordinator_adr = 'http://localhost'\n").unwrap();
}

const SCRIPTS: [(&str, &str); 3] = [
    (
        "train.sh",
        "#!/bin/sh\n#MITO --name train-script --timeout 2h\n#MITO -e EPOCHS=3\n\
         echo \"training for $EPOCHS epochs with $*\"\n",
    ),
    ("square.sh", "#!/bin/sh\necho \"$1 squared is $((MITO_PARAM_X * MITO_PARAM_X))\"\n"),
    ("typo.sh", "#!/bin/sh\n#MITO --prioritty 5\ntrue\n"),
];

/// One task that a worker runs, and one that no worker can run.
const TASKS: &str = r#"[
  {"group_name":"mitosis_admin","tags":[],"labels":["urgent"],"timeout":"1min","priority":9,"task_spec":{"args":["true"]}},
  {"group_name":"mitosis_admin","tags":["no-worker-has-it"],"labels":["urgent"],"timeout":"1min","priority":-1,"task_spec":{"args":["true"]}}
]"#;

impl Drop for Reader {
    /// A failed page may have left workers behind.
    fn drop(&mut self) {
        let mut kill = std::process::Command::new(env!("CARGO_BIN_EXE_mito"));
        let killed = kill.args(["manager", "kill"]).env_clear().env("HOME", self.home.path()).output();
        assert!(std::thread::panicking() || killed.unwrap().status.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_for_one_machine_run_as_written() {
    let home = Home::new();
    let data = home.path().join("dev");
    let args = ["dev", "--bind", "127.0.0.1:0", "--slots", "2", "--data", data.to_str().unwrap()];
    let (_system, address) = home.start(&args, "mitosis is ready at ").await;
    let credentials = data.join("credentials").to_str().unwrap().to_owned();
    let variables = vec![("MITO_COORDINATOR_ADDR", address), ("MITO_CREDENTIAL_PATH", credentials)];
    let reader = Reader::new(variables, home);
    tokio::task::block_in_place(|| {
        for page in chosen(&ONE_MACHINE) {
            reader.reads(page);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_for_many_machines_run_as_written() {
    let home = Home::new();
    let place = Home::new();
    let coordinator = place.coordinator(0, "600s").await;
    let variables = vec![
        ("MITO_COORDINATOR_ADDR", coordinator.address.clone()),
        ("MITO_USER", ADMIN.to_owned()),
        ("MITO_PASSWORD", ADMIN.to_owned()),
        ("MITO_RETAIN", "true".to_owned()),
    ];
    let reader = Reader::new(variables, home);
    tokio::task::block_in_place(|| {
        for page in chosen(&MANY_MACHINES) {
            reader.reads(page);
        }
    });
}

/// The fenced blocks of a page: their info strings, first lines, and contents.
fn blocks(text: &str) -> Vec<(&str, &str, &str)> {
    let fenced = text.split("\n```").skip(1).step_by(2);
    fenced
        .map(|block| {
            let (kind, body) = block.split_once('\n').unwrap_or((block, ""));
            (kind, body.lines().next().unwrap_or_default(), body)
        })
        .collect()
}

#[test]
fn every_block_of_commands_is_a_test_or_says_what_it_needs() {
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(guide()).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|ending| ending == "md"));
    pages.push(guide().join("../../README.md"));
    let read = [&ONE_MACHINE[..], &MANY_MACHINES].concat();
    let mut transcripts = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let is_read = read.iter().any(|read| guide().join(read) == page);
        for (kind, first, body) in blocks(&text) {
            let place = format!("{}: the block that begins with `{first}`", page.display());
            match kind {
                "console" => {
                    assert!(is_read, "{place} is in no page that is read");
                    let mut programs = ["mito"].into_iter().chain(TOOLS);
                    let is_command = programs.any(|program| first.starts_with(&format!("$ {program} ")));
                    assert!(is_command, "{place} begins with no command");
                    transcripts += 1;
                }
                "sh" => assert!(first.starts_with("# needs "), "{place} is neither run nor says why not"),
                "python" => assert!(text.contains("$ python3 example.py"), "{place} is not run"),
                "text" | "json" | "toml" | "yaml" => {
                    let commands = ["$ ", "mito "];
                    let is_command = |line: &str| commands.iter().any(|start| line.starts_with(start));
                    assert!(!body.lines().any(is_command), "{place} has a command that does not run");
                }
                other => panic!("{place} is `{other}`, which nothing runs"),
            }
        }
    }
    assert!(transcripts >= 25, "only {transcripts} transcripts were found");
}

#[test]
fn links_of_the_book_stay_in_the_book() {
    let guide = guide();
    let entries = std::fs::read_dir(&guide).unwrap().map(|entry| entry.unwrap().path());
    for page in entries.filter(|page| page.is_file()) {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            let (target, section) = link.split_once('#').unwrap_or((link, ""));
            let target = if target.is_empty() { page.clone() } else { guide.join(target) };
            let is_image = target.parent() == Some(&guide.join("images"));
            let inside = (is_image || target.parent() == Some(&guide)) && target.is_file();
            assert!(inside, "{}: `{link}` leads out of the book", page.display());
            if is_image {
                continue;
            }
            let titles = std::fs::read_to_string(&target).unwrap();
            let is_title = |line: &str| {
                let title = line.trim_start_matches('#').trim().to_lowercase();
                line.starts_with('#') && title.replace(' ', "-").replace(['`', ','], "") == section
            };
            assert!(section.is_empty() || titles.lines().any(is_title), "{}: `{link}`", page.display());
        }
    }
}
