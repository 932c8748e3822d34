//! Checks that the administrator's password is not the documented default.

use super::context::{DoctorContext, is_loopback};
use super::finding::Finding;
use crate::process::exit::Exit;

const CHECK: &str = "default-password";

pub(super) fn check(context: &DoctorContext<'_>) -> Finding {
    let user = match context.user(CHECK) {
        Ok(user) => user,
        Err(skip) => return skip,
    };
    match &user.admin {
        None => Finding::skip(CHECK, "for administrators only"),
        Some(admin) => judge(admin.default_password_of.as_deref(), &context.config.address),
    }
}

/// Judges the default password: a warning if only this machine can reach the coordinator, otherwise a failure.
fn judge(default_password_of: Option<&str>, address: &str) -> Finding {
    let Some(name) = default_password_of else {
        return Finding::ok(CHECK, "the administrator's password is not the documented default");
    };
    let hint = format!("change it with `mito client -u {name} users change-password`");
    let text = format!("the password of the administrator `{name}` is the documented default");
    match is_loopback(address) {
        true => Finding::warn(CHECK, text).hint(hint),
        false => {
            Finding::fail(CHECK, Exit::Failure, format!("{text}, and others can reach {address}")).hint(hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn default_password_is_a_failure_on_a_public_address() {
        assert_eq!(judge(None, "http://10.0.0.1:5000").verdict(), Verdict::Ok);
        assert_eq!(judge(Some("a"), "http://127.0.0.1:5000").verdict(), Verdict::Warn);
        assert_eq!(judge(Some("a"), "http://10.0.0.1:5000").verdict(), Verdict::Fail(Exit::Failure));
    }
}
