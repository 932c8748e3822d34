//! `mito client -i`: runs commands in one session (command line §8).

mod completion;
mod lines;

use std::process::ExitCode;

use clap::Parser as _;

use self::completion::Completion;
use self::lines::Lines;
use super::session::Session;
use super::{Next, execute};
use crate::cli::client::{ClientCommand, Line};
use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::process::signals::Interrupts;
use crate::show::{Output, OutputArgs};

/// Runs commands until the user exits. With commands from a file, the exit code is that of the first failed command.
pub(super) async fn run(
    first: Option<&ClientCommand>,
    session: &mut Session<'_>,
) -> Result<ExitCode, Failure> {
    let identity = session.identity().await?;
    let name = identity.name.clone();
    let mut lines = Lines::open(session.environment, Completion::new(identity.client, identity.name))?;
    let mut first_failure = None;
    if let Some(command) = first
        && is_last(command, &OutputArgs::default(), session, &lines, &mut first_failure).await
    {
        return Ok(lines.code(first_failure));
    }
    if lines.is_terminal() {
        note!("mito {}: {name} at {}", env!("CARGO_PKG_VERSION"), session.config.address);
        note!("`help` lists the commands; `quit` or Ctrl-D exits");
    }
    loop {
        let identity = session.identity().await?;
        lines.set_user(identity.client, identity.name);
        let Some(line) = tokio::task::block_in_place(|| lines.next())? else { break };
        let parsed = parsed(&line);
        if !matches!(&parsed, Ok(Some(line)) if line.command.carries_a_secret()) {
            lines.add_to_history(&line);
        }
        match parsed {
            Ok(Some(Line { command, output }))
                if is_last(&command, &output, session, &lines, &mut first_failure).await =>
            {
                break;
            }
            Ok(_) => {}
            Err(failure) => {
                note!("{failure}");
                first_failure = first_failure.or(Some(failure.exit().into()));
            }
        }
    }
    Ok(lines.code(first_failure))
}

/// Runs a command. Returns whether it was the last one.
async fn is_last(
    command: &ClientCommand,
    output: &OutputArgs,
    session: &mut Session<'_>,
    lines: &Lines,
    first_failure: &mut Option<ExitCode>,
) -> bool {
    let out = session.output(output);
    let outcome = match lines.is_terminal() && !matches!(command, ClientCommand::Cmd(_)) {
        true => run_interruptible(command, session, &out).await,
        // A local command receives Ctrl-C itself, as it has the terminal.
        false => execute(command, session, &out).await,
    };
    let code = match outcome {
        Ok(Next::Continue) => return false,
        Ok(Next::Quit) => return true,
        Ok(Next::Exit(code)) => code.into(),
        Err(failure) if failure.is_quiet() => return true,
        Err(failure) => {
            note!("{failure}");
            failure.exit().into()
        }
    };
    *first_failure = first_failure.or(Some(code));
    false
}

/// Runs a command that Ctrl-C interrupts without ending the session.
async fn run_interruptible(
    command: &ClientCommand,
    session: &mut Session<'_>,
    out: &Output,
) -> Result<Next, Failure> {
    let mut interrupts = Interrupts::listen()?;
    tokio::select! {
        outcome = execute(command, session, out) => outcome,
        () = interrupts.next() => Err(Failure::new(Exit::Interrupted, "interrupted")
            .with_hint("the coordinator completes requests that it has received; cancel tasks with `tasks cancel`")),
    }
}

/// Parses a line; none if the line is empty or its help was printed.
fn parsed(line: &str) -> Result<Option<Line>, Failure> {
    let words = shlex::split(line).ok_or_else(|| {
        Failure::new(Exit::Usage, "unmatched quote").with_hint("escape a literal quote: \\\"")
    })?;
    if words.is_empty() {
        return Ok(None);
    }
    match Line::try_parse_from(words) {
        Ok(line) => Ok(Some(line)),
        Err(answer) if answer.use_stderr() => Err(Failure::usage(&answer, Some("`help` lists the commands"))),
        Err(help) => {
            help.print().map_err(|error| Failure::io("cannot write to standard output", error)).map(|()| None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_like_in_a_shell() {
        let Ok(Some(Line { command: ClientCommand::Cmd(args), .. })) =
            parsed(r#"cmd -- echo "a b" 'c"d' e\ f"#)
        else {
            panic!("it is a command");
        };
        assert_eq!(args.command, ["echo", "a b", "c\"d", "e f"]);
        assert!(matches!(parsed("  "), Ok(None)));
        for wrong in ["auth \"", "no-such-command", "tasks get"] {
            assert_eq!(parsed(wrong).unwrap_err().exit(), Exit::Usage, "{wrong}");
        }
    }
}
