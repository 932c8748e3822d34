//! Errors of commands on many objects.

use std::fmt::Display;

use crate::process::exit::Exit;
use crate::process::failure::Failure;
use crate::show::words;

/// Fails if items are left. The message is `sentence` and the items.
pub(super) fn fail_if_any<T: Display>(left: &[T], sentence: &str, hint: &str) -> Result<(), Failure> {
    match left {
        [] => Ok(()),
        left => Err(Failure::new(Exit::Partial, format!("{sentence}: {}", words(left))).with_hint(hint)),
    }
}

/// Refuses an empty list before a request is sent.
pub(super) fn require_any<T>(list: &[T], what: &str) -> Result<(), Failure> {
    match list {
        [] => Err(Failure::new(Exit::Usage, format!("missing {what}"))
            .with_hint(format!("give at least one {what} at the end of the command"))),
        _ => Ok(()),
    }
}
