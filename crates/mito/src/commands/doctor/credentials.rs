//! Checks that only its owner can read the file of tokens.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::context::DoctorContext;
use super::finding::Finding;
use crate::process::exit::Exit;

const CHECK: &str = "credentials";

pub(super) fn check(context: &DoctorContext<'_>) -> Finding {
    judge(&context.config.credentials)
}

fn judge(path: &Path) -> Finding {
    let shown = path.display();
    let mode = match fs::metadata(path) {
        Ok(meta) => meta.permissions().mode() & 0o777,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Finding::ok(CHECK, format!("no tokens stored yet (file: {shown})"));
        }
        Err(error) => {
            return Finding::fail(CHECK, Exit::Failure, format!("cannot check {shown}: {error}"));
        }
    };
    if let Err(error) = fs::read(path) {
        return Finding::fail(CHECK, Exit::Failure, format!("cannot read {shown}: {error}"))
            .hint("you must own it; move it away and log in again");
    }
    match mode & 0o077 {
        0 => Finding::ok(CHECK, format!("{shown} is only accessible to you")),
        _ => Finding::fail(CHECK, Exit::Failure, format!("{shown} is accessible to others (mode {mode:o})"))
            .hint(format!("`chmod 600 {shown}`, then `mito logout --all` to end the old sessions")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn readable_by_others_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        assert_eq!(judge(&path).verdict(), Verdict::Ok);
        fs::write(&path, "ann:token").unwrap();
        for (mode, verdict) in [
            (0o600, Verdict::Ok),
            (0o400, Verdict::Ok),
            (0o640, Verdict::Fail(Exit::Failure)),
            (0o604, Verdict::Fail(Exit::Failure)),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(judge(&path).verdict(), verdict, "{mode:o}");
        }
        assert_eq!(judge(folder.path()).verdict(), Verdict::Fail(Exit::Failure), "a folder");
    }
}
