//! The environment variables of a task.

use std::collections::BTreeMap;

use mitosis_blueprint::literal;
use mitosis_sweep::env_file;

use crate::cli::task::VariableArgs;
use crate::config::Environment;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// The variables of `--env-file`, `--export` and `--env`. Later ones override earlier ones, in this order. Only values of
/// `--env` may have placeholders.
pub(super) fn variables(
    args: &VariableArgs,
    is_plain: bool,
    environment: &Environment,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut taken = Vec::new();
    for file in &args.env_file {
        taken.extend(env_file(file)?);
    }
    for name in &args.export {
        taken.push((name.clone(), exported(name, environment)?));
    }
    if !is_plain {
        for (_, value) in &mut taken {
            *value = literal(value);
        }
    }
    Ok(taken.into_iter().chain(args.env.iter().cloned()).collect())
}

fn exported(name: &str, environment: &Environment) -> Result<String, Failure> {
    match environment.value(name).map(|value| value.to_str()) {
        Some(Some(value)) => Ok(value.to_owned()),
        Some(None) => Err(Failure::new(
            Exit::Usage,
            format!("the variable `{name}` of --export has a value that is not valid UTF-8"),
        )),
        None => Err(Failure::new(Exit::Usage, format!("the variable `{name}` of --export is not set"))
            .with_hint(format!("set it with `export {name}=…` first, or use --env {name}=VALUE"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_source_overrides_and_only_env_has_placeholders() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("job.env");
        std::fs::write(&file, "A=file\nB=file\nC=file\nD={x}\n").unwrap();
        let args = VariableArgs {
            env_file: vec![file],
            export: vec!["B".into(), "C".into()],
            secrets: Vec::new(),
            env: vec![("C".into(), "{x}".into())],
        };
        let environment = Environment::from([("A", "shell"), ("B", "shell"), ("C", "shell")]);
        let of = |is_plain| {
            let all = variables(&args, is_plain, &environment).unwrap();
            all.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(true), "A=file B=shell C={x} D={x}");
        assert_eq!(of(false), "A=file B=shell C={x} D={{x}}");
    }

    #[test]
    fn unset_variable_is_an_error() {
        let args = VariableArgs { export: vec!["MISSING".into()], ..VariableArgs::default() };
        let failure = variables(&args, true, &Environment::default()).unwrap_err();
        assert!(failure.to_string().contains("`MISSING` of --export is not set"), "{failure}");
        let empty = Environment::from([("MISSING", "")]);
        assert_eq!(variables(&args, true, &empty).unwrap()["MISSING"], "");
    }
}
