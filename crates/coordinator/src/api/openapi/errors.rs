//! The error responses that operations share.

use mitosis_protocol::ErrorBody;
use utoipa::ToSchema;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// The name of an error response among the components.
pub(super) fn response_name(status: u16) -> String {
    format!("Error{status}")
}

/// All error responses, by name.
pub(super) fn responses() -> impl Iterator<Item = (String, RefOr<Response>)> {
    ERRORS.into_iter().map(|(status, meaning)| {
        let schema = RefOr::from(Ref::from_schema_name(ErrorBody::name()));
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let response = ResponseBuilder::new().description(meaning).content("application/json", content);
        (response_name(status), response.build().into())
    })
}

const ERRORS: [(u16, &str); 11] = [
    (400, "The request is invalid or has no token."),
    (401, "The token is invalid or has expired."),
    (403, "The caller lacks the permission, or a quota is exceeded."),
    (404, "What the request names does not exist, or is not in a state for this."),
    (409, "The name or key is taken."),
    (413, "The body is too large."),
    (415, "The Content-Type is not JSON."),
    (422, "The body is JSON of an invalid form."),
    (429, "Too many failed attempts or requests; wait."),
    (500, "An internal error."),
    (503, "The database or the object store can't be reached; try again."),
];
