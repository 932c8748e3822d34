//! Checks that the database has the schema version of the coordinator.

use std::cmp::Ordering;

use mitosis_protocol::doctor::DoctorReply;

use super::context::DoctorContext;
use super::finding::Finding;
use crate::process::exit::Exit;

const CHECK: &str = "schema";

pub(super) fn check(context: &DoctorContext<'_>) -> Finding {
    match context.reply(CHECK) {
        Ok((_, report)) => judge(report),
        Err(skip) => skip,
    }
}

fn judge(report: &DoctorReply) -> Finding {
    let (found, known) = (report.schema, report.schema_known);
    let text = format!("the database has schema version {found}, the coordinator expects {known}");
    match found.cmp(&known) {
        Ordering::Equal => Finding::ok(CHECK, format!("version {found}, as the coordinator expects")),
        Ordering::Greater => Finding::warn(CHECK, text).hint(
            "a newer coordinator has migrated the database; upgrade this one before its next start, which would \
             fail",
        ),
        Ordering::Less => Finding::fail(CHECK, Exit::Fault, text).hint(
            "an older backup was restored under a running coordinator; restart it to migrate the database",
        ),
    }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::Timestamp;
    use mitosis_protocol::doctor::ProbeLinks;

    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn schema_can_be_too_new_or_too_old() {
        let report = |schema| DoctorReply {
            version: "any".to_owned(),
            now: Timestamp::UNIX_EPOCH,
            schema,
            schema_known: 6,
            probe: ProbeLinks { upload: String::new(), download: String::new() },
        };
        for (found, verdict) in [(5, Verdict::Fail(Exit::Fault)), (6, Verdict::Ok), (7, Verdict::Warn)] {
            assert_eq!(judge(&report(found)).verdict(), verdict, "{found}");
        }
    }
}
