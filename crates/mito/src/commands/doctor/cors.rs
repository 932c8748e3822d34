//! Could a page in a browser use the links?

use super::context::DoctorContext;
use super::finding::Finding;

const CHECK: &str = "cors";
/// Some page; a store that lets in only known ones is set up with care, and need not know this one.
const PAGE: &str = "https://mito.example";

pub(super) async fn check(context: &DoctorContext<'_>) -> Finding {
    let (user, told) = match context.reply(CHECK) {
        Ok(told) => told,
        Err(skip) => return skip,
    };
    match user.client.client().allows_pages_of(PAGE, &told.probe.upload).await {
        Ok(true) => Finding::ok(CHECK, "pages in a browser can use the links"),
        Ok(false) => Finding::warn(CHECK, "the object store lets no page of another origin use the links")
            .hint(
                "only pages in browsers need it; allow GET and PUT from their origins in the CORS rules of the buckets",
            ),
        Err(_) => Finding::skip(CHECK, "needs an object store that can be reached"),
    }
}
