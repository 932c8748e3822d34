//! Are all workers heard of?

use super::context::DoctorContext;
use super::finding::Finding;

const CHECK: &str = "workers";

pub(super) fn check(context: &DoctorContext<'_>) -> Finding {
    let user = match context.user(CHECK) {
        Ok(user) => user,
        Err(skip) => return skip,
    };
    match user.admin.as_ref().map(|admin| admin.missed_workers) {
        None => Finding::skip(CHECK, "only administrators are told"),
        Some(None) => Finding::skip(CHECK, "this coordinator does not say"),
        Some(Some(missed)) => judge(missed),
    }
}

fn judge(missed: u64) -> Finding {
    let text = match missed {
        0 => return Finding::ok(CHECK, "none is missed"),
        1 => "1 worker is missed: it is silent, and gets no new tasks".to_owned(),
        _ => format!("{missed} workers are missed: they are silent, and get no new tasks"),
    };
    Finding::warn(CHECK, text)
        .hint("`mito client workers query` lists them; look at their machines and network")
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
