//! Checks that web pages can use the links.

use super::context::DoctorContext;
use super::finding::Finding;

const CHECK: &str = "cors";
/// The origin of the test request. A store that accepts only known origins is configured on purpose and need not
/// accept this one.
const PAGE: &str = "https://mito.example";

pub(super) async fn check(context: &DoctorContext<'_>) -> Finding {
    let (user, report) = match context.reply(CHECK) {
        Ok(report) => report,
        Err(skip) => return skip,
    };
    match user.client.client().allows_pages_of(PAGE, &report.probe.upload).await {
        Ok(true) => Finding::ok(CHECK, "web pages can use the links"),
        Ok(false) => Finding::warn(
            CHECK,
            "the object store does not allow web pages of other origins to use the links",
        )
        .hint("for web pages only: allow GET and PUT from their origins in the CORS rules of the buckets"),
        Err(_) => Finding::skip(CHECK, "needs a reachable object store"),
    }
}
