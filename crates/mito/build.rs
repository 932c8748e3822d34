//! Notes what the program was built from, as far as that is known: a source archive without git builds too.

use std::env;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-env-changed=MITO_COMMIT");
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = said("git", &["rev-parse", "--git-path", file]) {
            let path = env::current_dir().map(|here| here.join(&path)).unwrap_or(path.into());
            if path.exists() {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
    let commit = variable("MITO_COMMIT").or_else(|| said("git", &["rev-parse", "--short=12", "HEAD"]));
    let rustc = variable("RUSTC").unwrap_or_else(|| "rustc".to_owned());
    note("COMMIT", commit);
    note("RUSTC", said(&rustc, &["--version"]));
    note("TARGET", variable("TARGET"));
    note("DATE", Some(date(built_at())));
}

fn note(name: &str, value: Option<String>) {
    println!("cargo::rustc-env=MITO_BUILD_{name}={}", value.unwrap_or_else(|| "unknown".to_owned()));
}

fn variable(name: &str) -> Option<String> {
    env::var_os(name)?.into_string().ok()
}

/// The first line that a program says, if it says one.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned).filter(|line| !line.is_empty())
}

/// The build time in seconds since 1970. `SOURCE_DATE_EPOCH` overrides it for reproducible builds.
#[expect(clippy::disallowed_methods, reason = "a build has no clock to be given")]
fn built_at() -> u64 {
    let given = variable("SOURCE_DATE_EPOCH").and_then(|given| given.parse().ok());
    given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()))
}

/// The day of a moment, in the calendar that repeats every 400 years of 146,097 days.
fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468; // since the first of March of the year 0
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153; // from March
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year_of_era + next)
}
