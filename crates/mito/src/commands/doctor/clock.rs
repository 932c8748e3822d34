//! Checks that the local clock agrees with the coordinator's.

use std::time::Duration;

use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_protocol::{Timestamp, duration};

use super::context::DoctorContext;
use super::finding::Finding;
use crate::process::exit::Exit;

const CHECK: &str = "clock";
/// The tolerance of the comparison: the header has whole seconds, and the reply takes a moment.
const TOLERANCE: Duration = Duration::from_secs(5);
/// With a larger difference, certificates and signed links can seem to have expired.
const MAX_SKEW: Duration = Duration::from_secs(300);

pub(super) fn check(context: &DoctorContext<'_>) -> Finding {
    match context.coordinator(CHECK) {
        Ok((_, look)) => judge(look.date, SystemClock.now()),
        Err(skip) => skip,
    }
}

fn judge(there: Option<Timestamp>, here: Timestamp) -> Finding {
    let Some(there) = there else {
        return Finding::skip(CHECK, "the coordinator's replies have no Date header");
    };
    let (ahead, apart) = (here > there, here.since(there).max(there.since(here)));
    let apart_in_words = duration::span(Duration::from_secs(apart.as_secs()));
    let side = if ahead { "ahead of" } else { "behind" };
    let text = format!("the clock here is {apart_in_words} {side} the coordinator's");
    let hint = "synchronise both clocks with a time server (`timedatectl set-ntp true`)";
    if apart <= TOLERANCE {
        Finding::ok(CHECK, "the clocks of this machine and the coordinator agree")
    } else if apart <= MAX_SKEW {
        Finding::warn(CHECK, text).hint(hint)
    } else {
        Finding::fail(CHECK, Exit::Failure, text).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn clocks_may_differ_by_seconds_but_not_by_minutes() {
        let there = Timestamp::from_unix_micros(1_928_423_045_000_000);
        for (seconds, verdict) in
            [(0, Verdict::Ok), (5, Verdict::Ok), (6, Verdict::Warn), (301, Verdict::Fail(Exit::Failure))]
        {
            let apart = Duration::from_secs(seconds);
            assert_eq!(judge(Some(there), there + apart).verdict(), verdict, "{seconds} s ahead");
            assert_eq!(judge(Some(there), there - apart).verdict(), verdict, "{seconds} s behind");
        }
        assert!(judge(Some(there), there + Duration::from_secs(90)).to_string().contains("1m 30s ahead of"));
        assert_eq!(judge(None, there).verdict(), Verdict::Skip);
    }
}
