//! Reports notifications about ended jobs that were not delivered.

use mitosis_protocol::doctor::UndeliveredNotifications;

use super::context::DoctorContext;
use super::finding::Finding;

const CHECK: &str = "notifications";

pub(super) fn check(context: &DoctorContext<'_>) -> Finding {
    let user = match context.user(CHECK) {
        Ok(user) => user,
        Err(skip) => return skip,
    };
    match user.admin.as_ref().map(|admin| admin.notifications) {
        None => Finding::skip(CHECK, "for administrators only"),
        Some(None) => Finding::skip(CHECK, "not reported by this coordinator"),
        Some(Some(undelivered)) => describe(&undelivered),
    }
}

fn describe(undelivered: &UndeliveredNotifications) -> Finding {
    let UndeliveredNotifications { waiting, failing, failed, .. } = undelivered;
    let text =
        format!("{waiting} waiting, {failing} of them after a failure; {failed} not delivered in 7 days");
    match failing + failed {
        0 => Finding::ok(CHECK, text),
        _ => Finding::warn(CHECK, text)
            .hint("`mito show JOB` and the log of the coordinator have the last errors"),
    }
}
