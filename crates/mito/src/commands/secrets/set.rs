//! `mito secrets set`: sets a secret. Its value is never an argument: arguments of a process are visible to others.

use std::io::{self, IsTerminal as _, Read as _};

use mitosis_domain::secret;
use mitosis_protocol::secret::{MAX_SECRET_BYTES, MIN_MASKED_BYTES, SecretValue};
use mitosis_sweep::retry_transient;
use secrecy::ExposeSecret as _;

use super::of_group;
use crate::cli::secrets::SetArgs;
use crate::config::Environment;
use crate::login::identity::prompt_secret;
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn run(args: &SetArgs, environment: &Environment) -> Result<(), Failure> {
    let out = Output::new(&args.of.output, environment);
    let (identity, group) = of_group(&args.of, environment).await?;
    let value = read_value(&args.name)?;
    secret::check_value(&value).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    retry_transient(|| identity.client.set_secret(&group, &args.name, &value)).await?;
    out.say(format_args!("set secret {} of group {group}", args.name));
    if value.expose().lines().all(|line| line.len() < MIN_MASKED_BYTES) {
        out.say(format_args!(
            "warning: a line of fewer than {MIN_MASKED_BYTES} bytes is not masked in the output of tasks"
        ));
    }
    Ok(())
}

/// Reads the value from a prompt on a terminal, otherwise from standard input.
fn read_value(name: &str) -> Result<SecretValue, Failure> {
    if io::stdin().is_terminal() {
        let typed = prompt_secret(&format!("value of {name}: "))?;
        return Ok(SecretValue::new(typed.expose_secret()));
    }
    let mut text = String::new();
    // One byte and a line end more than allowed, for the error message.
    let most = MAX_SECRET_BYTES as u64 + 3;
    io::stdin().lock().take(most).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Failure::new(Exit::Usage, "the value is not UTF-8 text")
            .with_hint("encode it, for example with `base64`, and decode it in the task"),
        _ => Failure::io("cannot read the value from standard input", error),
    })?;
    Ok(SecretValue::new(without_line_end(&text)))
}

/// A single line without its line end; other texts as they are.
fn without_line_end(text: &str) -> &str {
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.contains('\n') { text } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_line_loses_its_line_end() {
        for (text, expected) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a", "a"),
            ("a \n", "a "),
            ("\n", ""),
            ("", ""),
            ("a\nb\n", "a\nb\n"),
            ("a\n\n", "a\n\n"),
        ] {
            assert_eq!(without_line_end(text), expected, "{text:?}");
        }
    }
}
