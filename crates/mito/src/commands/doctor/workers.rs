//! Checks that no worker is missed.

use super::context::DoctorContext;
use super::finding::Finding;

const CHECK: &str = "workers";

pub(super) fn check(context: &DoctorContext<'_>) -> Finding {
    let user = match context.user(CHECK) {
        Ok(user) => user,
        Err(skip) => return skip,
    };
    match user.admin.as_ref().map(|admin| admin.missed_workers) {
        None => Finding::skip(CHECK, "for administrators only"),
        Some(None) => Finding::skip(CHECK, "not reported by this coordinator"),
        Some(Some(missed)) => judge(missed),
    }
}

fn judge(missed: u64) -> Finding {
    let text = match missed {
        0 => return Finding::ok(CHECK, "no worker is missed"),
        1 => "1 worker is missed: it sends no heartbeats, and gets no new tasks".to_owned(),
        _ => format!("{missed} workers are missed: they send no heartbeats, and get no new tasks"),
    };
    Finding::warn(CHECK, text)
        .hint("`mito client workers query` lists them; check their machines and network")
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn missed_worker_is_a_warning() {
        assert_eq!(
            [0, 1, 2].map(|missed| judge(missed).verdict()),
            [Verdict::Ok, Verdict::Warn, Verdict::Warn]
        );
    }
}
