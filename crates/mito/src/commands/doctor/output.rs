//! Reports what small outputs take up.

use mitosis_protocol::doctor::SmallArchives;

use super::context::DoctorContext;
use super::finding::Finding;
use crate::show;

const CHECK: &str = "output";

pub(super) fn check(context: &DoctorContext<'_>) -> Finding {
    let user = match context.user(CHECK) {
        Ok(user) => user,
        Err(skip) => return skip,
    };
    match user.admin.as_ref().map(|admin| admin.small_archives) {
        None => Finding::skip(CHECK, "for administrators only"),
        Some(None) => Finding::skip(CHECK, "not reported by this coordinator"),
        Some(Some(sizes)) => Finding::ok(CHECK, describe(&sizes)),
    }
}

fn describe(sizes: &SmallArchives) -> String {
    let bytes = |bytes: u64| show::bytes(i64::try_from(bytes).unwrap_or(i64::MAX));
    format!(
        "{} small archives in the database ({}), {} in {} objects ({} of {} in use)",
        sizes.inline,
        bytes(sizes.inline_bytes),
        sizes.packed,
        sizes.packed_objects,
        bytes(sizes.packed_live_bytes),
        bytes(sizes.packed_bytes),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_described_in_one_line() {
        let sizes = SmallArchives {
            inline: 20,
            inline_bytes: 4_000,
            packed_objects: 2,
            packed_bytes: 16_000_000,
            packed: 900,
            packed_live_bytes: 8_000_000,
        };
        assert_eq!(
            describe(&sizes),
            "20 small archives in the database (4.00 kB), 900 in 2 objects (8.00 MB of 16.00 MB in use)"
        );
    }
}
