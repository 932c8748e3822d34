//! Can the coordinator do its work?

use mitosis_protocol::auth::HealthReply;

use super::context::DoctorContext;
use super::finding::Finding;
use crate::process::exit::Exit;

const CHECK: &str = "coordinator";

pub(super) fn check(context: &DoctorContext<'_>) -> Finding {
    match context.coordinator(CHECK) {
        Ok((_, look)) => look.health.as_ref().map_or_else(|| Finding::skip(CHECK, "says nothing"), judge),
        Err(skip) => skip,
    }
}

fn judge(health: &HealthReply) -> Finding {
    // Redis is never a reason to be failing, and has a check of its own.
    let failing: Vec<String> = health
        .parts
        .iter()
        .filter(|(name, state)| *name != "redis" && *state != "ok")
        .map(|(name, state)| format!("{name}: {state}"))
        .collect();
    match failing.is_empty() {
        true => Finding::ok(CHECK, "its database and its object store answer it"),
        false => Finding::fail(CHECK, Exit::Fault, format!("it can't do its work: {}", failing.join(", ")))
            .hint("its log has the cause; check db_url and s3_url of the coordinator"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_part_that_is_away_is_named_and_redis_is_no_reason_to_be_ill() {
        let health = |parts: &[(&str, &str)]| HealthReply {
            status: "any".to_owned(),
            parts: parts.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect(),
            version: None,
        };
        let failing = judge(&health(&[("database", "unavailable"), ("objects", "ok")]));
        assert_eq!(failing.verdict(), Verdict::Fail(Exit::Fault));
        assert!(failing.to_string().contains("database: unavailable"));
        assert_eq!(judge(&health(&[("database", "ok"), ("redis", "unavailable")])).verdict(), Verdict::Ok);
    }
}
