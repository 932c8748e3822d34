//! Checks the health of the coordinator.

use mitosis_protocol::auth::HealthReply;

use super::context::DoctorContext;
use super::finding::Finding;
use crate::process::exit::Exit;

const CHECK: &str = "coordinator";
/// Components whose failure leaves `GET /health` at 200.
const NOT_NEEDED: [&str; 2] = ["redis", "background"];

pub(super) fn check(context: &DoctorContext<'_>) -> Finding {
    match context.coordinator(CHECK) {
        Ok((_, look)) => look.health.as_ref().map_or_else(|| Finding::skip(CHECK, "no health report"), judge),
        Err(skip) => skip,
    }
}

fn judge(health: &HealthReply) -> Finding {
    // Redis and background tasks never make a coordinator unhealthy; Redis has a check of its own.
    let failing: Vec<String> = health
        .parts
        .iter()
        .filter(|(name, state)| !NOT_NEEDED.contains(&name.as_str()) && *state != "ok")
        .map(|(name, state)| format!("{name}: {state}"))
        .collect();
    let background = health.parts.get("background").filter(|state| *state != "ok");
    match (failing.is_empty(), background) {
        (true, Some(state)) => Finding::warn(CHECK, format!("background tasks are {state}"))
            .hint("see its log, or `GET /v1/admin/doctor`"),
        (true, None) => Finding::ok(CHECK, "its database and its object store are available"),
        (false, _) => Finding::fail(CHECK, Exit::Fault, format!("it is unhealthy: {}", failing.join(", ")))
            .hint("see its log; check db_url and s3_url of the coordinator"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn failing_component_is_named_and_redis_is_optional() {
        let health = |parts: &[(&str, &str)]| HealthReply {
            status: "any".to_owned(),
            parts: parts.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect(),
            version: None,
            features: Vec::new(),
        };
        let failing = judge(&health(&[("database", "unavailable"), ("objects", "ok")]));
        assert_eq!(failing.verdict(), Verdict::Fail(Exit::Fault));
        assert!(failing.to_string().contains("database: unavailable"));
        assert_eq!(judge(&health(&[("database", "ok"), ("redis", "unavailable")])).verdict(), Verdict::Ok);
        let failing = judge(&health(&[("database", "ok"), ("background", "failing: garbage")]));
        assert_eq!(failing.verdict(), Verdict::Warn);
    }
}
