//! `GET /openapi.json`: the OpenAPI description, and `GET /docs`: a self-contained page that displays it.
//!
//! The description is derived from the declaration of each route ([`Op`]) and from the signature of its handler
//! ([`signature`]).

mod errors;
mod operation;
pub(crate) mod signature;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::response::{Html, IntoResponse};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use mitosis_protocol::ErrorBody;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Info, OpenApi, OpenApiBuilder, Paths};
use utoipa::{PartialSchema, ToSchema};

use super::routes::{Access, Declared, Routes};

pub(super) use operation::Op;

/// The description as JSON, created once.
static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
    describe(super::all().declared()).to_pretty_json().expect("a description is plain data")
});

pub(super) fn routes() -> Routes {
    Routes::new().undescribed("GET", "/openapi.json", Access::Public, get(description)).undescribed(
        "GET",
        "/docs",
        Access::Public,
        get(page),
    )
}

async fn description() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION.as_str())
}

async fn page() -> Html<&'static str> {
    Html(include_str!("openapi/page.html"))
}

fn describe(routes: &[Declared]) -> OpenApi {
    let mut paths = Paths::new();
    let mut schemas = BTreeMap::from([(ErrorBody::name().into_owned(), ErrorBody::schema())]);
    for Declared { route, operation } in routes {
        let Some(described) = operation.as_ref().filter(|described| described.op.described_by().is_none())
        else {
            continue;
        };
        let signature = (described.signature)();
        let operation = described.op.describe(route, described.tag, &signature);
        schemas.extend(signature.schemas);
        // OpenAPI does not distinguish path parameters that may contain slashes.
        let path = route.path.replace("{*", "{");
        paths.add_path_operation(path, vec![operation::method(route)], operation);
    }
    let mut components = Components::new();
    components.schemas = schemas;
    components.responses.extend(errors::responses());
    let bearer = || SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    components.add_security_scheme(operation::USER, bearer());
    components.add_security_scheme(operation::WORKER, bearer());
    OpenApiBuilder::new().info(info()).paths(paths).components(Some(components)).build()
}

fn info() -> Info {
    let mut info = Info::new("Mitosis", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Submit tasks to groups, run them on workers, and download their results. Every successful reply has \
         status 200. Unknown fields and query parameters are ignored."
            .to_owned(),
    );
    info
}
