//! The error responses that operations share.

use mitosis_protocol::ErrorBody;
use utoipa::ToSchema;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// The name of an error response among the components.
pub(super) fn response_name(status: u16) -> String {
    format!("Refused{status}")
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
    (400, "The request makes no sense, or carries no token."),
    (401, "The token is not valid, or not any more."),
    (403, "The caller's role does not allow this, or a quota is used up."),
    (404, "What the request names does not exist, or is not in a state for this."),
    (409, "The name or key is taken."),
    (413, "The body is over the limit."),
    (415, "The body is not declared as JSON."),
    (422, "The body is JSON of the wrong shape."),
    (429, "Too many failures; wait."),
    (500, "An internal error."),
    (503, "The database or the object store can't be reached; try again."),
];
