//! Selects the environment variables that commands inherit from their worker.
//!
//! By the contract, a command inherits the environment of its worker: programs rely on `LD_LIBRARY_PATH`,
//! `CUDA_HOME`, `VIRTUAL_ENV` and the like. Secrets are excluded. The owner of a worker can also list the
//! variables that commands inherit.

use std::ffi::{OsStr, OsString};

/// Variables that every command inherits, also with a list.
const BASICS: &[&str] =
    &["PATH", "HOME", "LANG", "LANGUAGE", "LC_*", "TZ", "TERM", "USER", "LOGNAME", "SHELL", "TMPDIR"];
/// Parts between underscores that mark a name as a secret.
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
/// Endings that mark a name as a secret.
const SECRET_ENDINGS: &[&str] = &["PASSWORD", "PASSWD", "TOKEN", "SECRET", "APIKEY"];
/// Prefixes of settings that include secrets.
const SECRET_PREFIXES: &[&str] = &["MITO_", "AWS_"];
/// Names of addresses that often contain a password.
const SECRET_NAMES: &[&str] = &["DATABASE_URL", "REDIS_URL"];
/// Shell variables whose names only look like a secret.
const NOT_SECRET: &[&str] = &["PWD", "OLDPWD"];

/// Returns the variables of `all` that commands inherit. With a list, these are the basic variables and the
/// listed ones, where a name may end in `*`. Without a list, these are all that don't look like a secret. The
/// worker's own settings are never inherited.
pub fn inherited_env(
    all: impl Iterator<Item = (OsString, OsString)>,
    list: Option<&[String]>,
) -> Vec<(OsString, OsString)> {
    let passes = |name: &OsStr| match (name.to_str(), list) {
        (Some(name), _) if name.starts_with("MITO_") => false,
        (Some(name), Some(list)) => is_among(name, BASICS) || is_among(name, list),
        (Some(name), None) => !is_secret(name),
        // A list can't contain it.
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
    !NOT_SECRET.contains(&&*name)
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
        inherited_env(all, list.as_deref()).into_iter().map(|(name, _)| name.into_string().unwrap()).collect()
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
