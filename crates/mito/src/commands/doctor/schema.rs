//! Is the database's schema the one that the coordinator was made for?

use std::cmp::Ordering;

use mitosis_protocol::doctor::DoctorReply;

use super::context::DoctorContext;
use super::finding::Finding;
use crate::process::exit::Exit;

const CHECK: &str = "schema";

pub(super) fn check(context: &DoctorContext<'_>) -> Finding {
    match context.reply(CHECK) {
        Ok((_, told)) => judge(told),
        Err(skip) => skip,
    }
}

fn judge(told: &DoctorReply) -> Finding {
    let (found, known) = (told.schema, told.schema_known);
    let text = format!("the database has version {found}, the coordinator is made for {known}");
    match found.cmp(&known) {
        Ordering::Equal => Finding::ok(CHECK, format!("version {found}, as the coordinator expects")),
        Ordering::Greater => Finding::warn(CHECK, text).hint(
            "a newer coordinator has brought the database further; upgrade this one before it is started again, as \
             it would refuse to",
        ),
        Ordering::Less => Finding::fail(CHECK, Exit::Fault, text).hint(
            "an earlier backup was put back under a running coordinator; start it again, which upgrades the \
             database",
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
    fn a_schema_can_be_too_new_and_too_old() {
        let told = |schema| DoctorReply {
            version: "any".to_owned(),
            now: Timestamp::UNIX_EPOCH,
            schema,
            schema_known: 6,
            probe: ProbeLinks { upload: String::new(), download: String::new() },
        };
        for (found, verdict) in [(5, Verdict::Fail(Exit::Fault)), (6, Verdict::Ok), (7, Verdict::Warn)] {
            assert_eq!(judge(&told(found)).verdict(), verdict, "{found}");
        }
    }
}
