//! Refuses standard input that no task would read.
//!
//! A script or a loop passes its own standard input on to all commands in it, and means none of them. So only input that
//! this process alone was given counts, and only if it has content: a regular file that is not at its end, or a pipe with
//! bytes in it.

use std::fs::Metadata;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::process::parent_id;
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Whence, lseek};

use crate::cli::sweep::SweepArgs;
use crate::process::exit::Exit;
use crate::process::failure::Failure;

/// The standard input of a process.
struct Input {
    /// The device and the number of its file.
    id: (u64, u64),
    has_content: bool,
}

/// Refuses standard input with content, for a command that does not read it.
pub(crate) fn refuse_ignored() -> Result<(), Failure> {
    match own().is_some_and(|own| is_ignored(&own, id_of_parent())) {
        true => Err(Failure::new(Exit::Usage, "standard input has content that no task would read")
            .with_hint("add `--stdin -` to send it to the task, or `< /dev/null` to run without it")),
        false => Ok(()),
    }
}

/// Refuses arguments of which several read standard input: the first would leave nothing for the others.
pub(crate) fn check_read_once(
    script: Option<&Path>,
    input: Option<&Path>,
    sweep: &SweepArgs,
) -> Result<(), Failure> {
    let files = [script, input].into_iter().flatten().filter(|file| *file == Path::new("-")).count();
    match files + sweep.readers_of_standard_input() {
        0 | 1 => Ok(()),
        _ => Err(Failure::new(Exit::Usage, "standard input can only be read once")
            .with_hint("use `-` in one place, and files in the others")),
    }
}

/// Whether input would be ignored. If the input of the parent process is unknown, it may be the same.
fn is_ignored(own: &Input, parent: Option<(u64, u64)>) -> bool {
    own.has_content && parent.is_some_and(|parent| parent != own.id)
}

/// The standard input of this process; none if it can't be examined, or never has content of this kind.
fn own() -> Option<Input> {
    let found = std::fs::metadata("/proc/self/fd/0").ok()?;
    let has_content = match found.file_type() {
        kind if kind.is_file() => is_before_end(&found),
        kind if kind.is_fifo() => has_bytes(),
        _ => false,
    };
    Some(Input { id: id(&found), has_content })
}

fn id_of_parent() -> Option<(u64, u64)> {
    std::fs::metadata(format!("/proc/{}/fd/0", parent_id())).ok().as_ref().map(id)
}

fn id(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

fn is_before_end(found: &Metadata) -> bool {
    let position = lseek(io::stdin(), 0, Whence::SeekCur).ok().and_then(|at| u64::try_from(at).ok());
    position.is_some_and(|position| position < found.len())
}

/// Whether the pipe has bytes now. A closed pipe without bytes has none.
fn has_bytes() -> bool {
    let stdin = io::stdin();
    let mut descriptors = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    let ready = poll(&mut descriptors, PollTimeout::ZERO);
    let readable = descriptors[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN));
    ready.is_ok() && readable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_content_for_this_process_alone_is_refused() {
        let own = |has_content| Input { id: (1, 2), has_content };
        assert!(is_ignored(&own(true), Some((1, 3))));
        assert!(!is_ignored(&own(true), Some((1, 2))), "a script or a loop reads it");
        assert!(!is_ignored(&own(true), None));
        assert!(!is_ignored(&own(false), Some((1, 3))));
    }
}
