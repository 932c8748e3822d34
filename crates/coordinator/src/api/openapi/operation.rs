//! The description of an operation, from its declaration and the signature of its handler.

use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Ref, RefOr, Required, Schema};

use super::errors::response_name;
use super::signature::Signature;
use crate::api::routes::{Access, Route};

/// The security scheme of user tokens.
pub(super) const USER: &str = "user";
/// The security scheme of worker tokens.
pub(super) const WORKER: &str = "worker";

/// The part of a description that is not in the signature: a summary, and additional error statuses.
#[derive(Debug, Clone)]
pub(in crate::api) struct Op {
    summary: &'static str,
    repeated: Option<(&'static str, &'static str)>,
    errors: Vec<u16>,
    alias_of: Option<&'static str>,
}

impl From<&'static str> for Op {
    fn from(summary: &'static str) -> Self {
        Self { summary, repeated: None, errors: Vec::new(), alias_of: None }
    }
}

impl Op {
    pub(in crate::api) fn new(summary: &'static str) -> Self {
        summary.into()
    }

    /// An operation that the description of another path covers. Such a route exists because a key can look like another
    /// route.
    pub(in crate::api) fn alias_of(path: &'static str) -> Self {
        Self { alias_of: Some(path), ..Self::new("") }
    }

    /// The path whose description covers this route.
    pub(in crate::api) fn described_by(&self) -> Option<&'static str> {
        self.alias_of
    }

    /// Adds a query parameter that may be repeated. The handler reads it from the raw query.
    pub(in crate::api) fn repeated(self, name: &'static str, description: &'static str) -> Self {
        Self { repeated: Some((name, description)), ..self }
    }

    /// Adds an error status.
    pub(in crate::api) fn or(mut self, status: u16) -> Self {
        self.errors.push(status);
        self
    }

    /// Builds the description. It refers to the schemas of the signature.
    pub(super) fn describe(&self, route: &Route, tag: &'static str, signature: &Signature) -> Operation {
        let mut operation = OperationBuilder::new().tag(tag).summary(Some(self.summary));
        for name in names_in(route.path) {
            operation = operation.parameter(in_path(name));
        }
        for parameter in &signature.parameters {
            operation = operation.parameter(parameter.clone());
        }
        if let Some((name, description)) = self.repeated {
            operation = operation.parameter(repeated(name, description));
        }
        if let Some(scheme) = scheme(route.access) {
            operation = operation.security(SecurityRequirement::new(scheme, Vec::<String>::new()));
        }
        operation = operation.request_body(signature.body.clone()).response("200", signature.success.clone());
        for status in self.statuses(route.access, signature) {
            operation =
                operation.response(status.to_string(), Ref::from_response_name(response_name(status)));
        }
        operation.build()
    }

    fn statuses(&self, access: Access, signature: &Signature) -> Vec<u16> {
        let mut statuses = match scheme(access) {
            None => vec![500, 503],
            Some(_) => vec![400, 401, 403, 404, 500, 503],
        };
        statuses.extend(&signature.errors);
        statuses.extend(&self.errors);
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }
}

/// The method in the type of `utoipa`.
pub(super) fn method(route: &Route) -> HttpMethod {
    match route.method {
        "GET" => HttpMethod::Get,
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        other => unreachable!("no route has the method {other}"),
    }
}

fn scheme(access: Access) -> Option<&'static str> {
    match access {
        Access::Public | Access::Link => None,
        Access::Read | Access::Write | Access::Password | Access::Admin => Some(USER),
        Access::Worker => Some(WORKER),
    }
}

fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0))
}

fn in_path(name: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    let schema = match name {
        "uuid" => schema.format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))),
        "id" | "job" => ObjectBuilder::new().schema_type(Type::Integer),
        "content_type" => schema.enum_values(Some(["result", "exec-log", "std-log"])),
        _ => schema,
    };
    ParameterBuilder::new()
        .name(name.trim_start_matches('*'))
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema))
        .build()
}

fn repeated(name: &str, description: &str) -> Parameter {
    let items = ObjectBuilder::new().schema_type(Type::String);
    let schema: RefOr<Schema> = ArrayBuilder::new().items(items).into();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}
