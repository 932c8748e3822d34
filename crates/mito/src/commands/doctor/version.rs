//! Checks that this program and the coordinator have compatible versions.

use super::context::DoctorContext;
use super::finding::Finding;

const CHECK: &str = "version";

pub(super) fn check(context: &DoctorContext<'_>) -> Finding {
    match context.coordinator(CHECK) {
        Ok((_, look)) => {
            let there = look.health.as_ref().and_then(|health| health.version.as_deref());
            judge(env!("CARGO_PKG_VERSION"), there)
        }
        Err(skip) => skip,
    }
}

/// Whether two versions differ only in the patch number, and so have the same features.
fn judge(here: &str, there: Option<&str>) -> Finding {
    let Some(there) = there else {
        return Finding::warn(CHECK, "the coordinator is older than 0.7")
            .hint("newer features fail with 404; upgrade it when you can");
    };
    let series = |version: &str| version.rsplit_once('.').map(|(series, _)| series.to_owned());
    match series(here) == series(there) {
        true => Finding::ok(CHECK, format!("{here} here, {there} at the coordinator")),
        false => Finding::warn(CHECK, format!("this is mito {here}, the coordinator is {there}"))
            .hint("some requests may not be supported; use the same version"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn only_the_patch_version_may_differ() {
        assert_eq!(judge("0.7.0", Some("0.7.3")).verdict(), Verdict::Ok);
        assert_eq!(judge("0.7.0", Some("0.8.0")).verdict(), Verdict::Warn);
        assert_eq!(judge("0.7.0", None).verdict(), Verdict::Warn);
    }
}
