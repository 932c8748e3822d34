//! Which of the worker's environment variables its commands get.
//!
//! By the contract, a command inherits the environment of its worker: programs rely on `LD_LIBRARY_PATH`,
//! `CUDA_HOME`, `VIRTUAL_ENV` and the like. Secrets are the exception, and the owner of a worker can have it
//! the other way round, with nothing but what is named.

use std::ffi::{OsStr, OsString};

/// What every command gets, unless a name in the list of its worker leaves it out.
const BASICS: &[&str] =
    &["PATH", "HOME", "LANG", "LANGUAGE", "LC_*", "TZ", "TERM", "USER", "LOGNAME", "SHELL", "TMPDIR"];
/// Words that make a name that of a secret, as one of the parts between its underscores.
const SECRET_WORDS: &[&str] = &[
    "TOKEN",
    "TOKENS",
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "PWD",
    "CREDENTIAL",
    "CREDENTIALS",
    "KEY",
    "KEYS",
    "APIKEY",
    "PAT",
    "DSN",
];
/// Ends of names that are one word.
const SECRET_ENDINGS: &[&str] = &["PASSWORD", "PASSWD", "TOKEN", "SECRET", "APIKEY"];
/// Beginnings of the names of settings among which there are secrets.
const SECRET_PREFIXES: &[&str] = &["MITO_", "AWS_"];
/// Addresses that often have a password in them.
const SECRET_NAMES: &[&str] = &["DATABASE_URL", "REDIS_URL"];
/// Two words of a shell that are no secrets.
const HARMLESS: &[&str] = &["PWD", "OLDPWD"];

/// Those of `all` that commands get. With a list, these are the basic ones and those that are listed, where a name
/// may end in `*`; without one, all that do not look like secrets. The worker's own settings are never among
/// them.
pub fn inherited(
    all: impl Iterator<Item = (OsString, OsString)>,
    list: Option<&[String]>,
) -> Vec<(OsString, OsString)> {
    let passes = |name: &OsStr| match (name.to_str(), list) {
        (Some(name), _) if name.starts_with("MITO_") => false,
        (Some(name), Some(list)) => is_among(name, BASICS) || is_among(name, list),
        (Some(name), None) => !is_secret(name),
        // Nobody can have listed it.
        (None, list) => list.is_none(),
    };
    all.filter(|(name, _)| passes(name)).collect()
}

fn is_among(name: &str, patterns: &[impl AsRef<str>]) -> bool {
    patterns.iter().any(|pattern| match pattern.as_ref().strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern.as_ref(),
    })
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let is = |words: &[&str], test: &dyn Fn(&str) -> bool| words.iter().any(|word| test(word));
    !HARMLESS.contains(&&*name)
        && (SECRET_NAMES.contains(&&*name)
            || is(SECRET_PREFIXES, &|prefix| name.starts_with(prefix))
            || is(SECRET_ENDINGS, &|ending| name.ends_with(ending))
            || name.split('_').any(|part| SECRET_WORDS.contains(&part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str], list: Option<&[&str]>) -> Vec<String> {
        let list: Option<Vec<String>> = list.map(|list| list.iter().map(ToString::to_string).collect());
        let all = all.iter().map(|name| ((*name).into(), "x".into()));
        inherited(all, list.as_deref()).into_iter().map(|(name, _)| name.into_string().unwrap()).collect()
    }

    #[test]
    fn secrets_are_left_out_and_everything_else_is_inherited() {
        let secrets = [
            "MITO_PASSWORD",
            "MITO_ANYTHING",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_PROFILE",
            "GITHUB_TOKEN",
            "github_token",
            "PGPASSWORD",
            "DB_PASSWORD_FILE",
            "API_KEY",
            "OPENAI_API_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "CREDENTIALS_DIRECTORY",
            "DATABASE_URL",
            "SENTRY_DSN",
            "CLIENT_SECRET",
        ];
        assert_eq!(names(&secrets, None), Vec::<String>::new());
        let harmless = [
            "PATH",
            "HOME",
            "PWD",
            "OLDPWD",
            "LD_LIBRARY_PATH",
            "CUDA_HOME",
            "TOKENIZERS_PARALLELISM",
            "KEYBOARD",
            "PYTHONPATH",
            "PASSENGER_ROOT",
            "LC_ALL",
            "VIRTUAL_ENV",
        ];
        assert_eq!(names(&harmless, None), harmless);
    }

    #[test]
    fn list_leaves_the_basic_variables_and_those_that_it_names() {
        let all = ["PATH", "LC_ALL", "CUDA_HOME", "CUDA_CACHE", "LD_LIBRARY_PATH", "API_KEY", "MITO_USER"];
        assert_eq!(names(&all, Some(&[])), ["PATH", "LC_ALL"]);
        let listed = names(&all, Some(&["CUDA_*", "API_KEY", "MITO_USER"]));
        assert_eq!(listed, ["PATH", "LC_ALL", "CUDA_HOME", "CUDA_CACHE", "API_KEY"]);
    }
}
