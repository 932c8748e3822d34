//! What a route adds to the signature of its handler, and the description of both.

use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Ref, RefOr, Required, Schema};

use super::errors::response_name;
use super::signature::Signature;
use crate::api::routes::{Asks, Route};

/// The scheme of a token of a user.
pub(super) const USER: &str = "user";
/// The scheme of a token of a worker.
pub(super) const WORKER: &str = "worker";

/// What a signature can't say: a summary, and errors of this operation alone.
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

    /// The described path covers this route, which exists because a key may have the form of another route.
    pub(in crate::api) fn alias_of(path: &'static str) -> Self {
        Self { alias_of: Some(path), ..Self::new("") }
    }

    /// The described path that covers this route.
    pub(in crate::api) fn described_by(&self) -> Option<&'static str> {
        self.alias_of
    }

    /// The handler reads the raw query, in which this key may occur several times.
    pub(in crate::api) fn repeated(self, name: &'static str, description: &'static str) -> Self {
        Self { repeated: Some((name, description)), ..self }
    }

    /// The operation may fail with this status, too.
    pub(in crate::api) fn or(mut self, status: u16) -> Self {
        self.errors.push(status);
        self
    }

    /// The description of an operation, which refers to schemas of its signature.
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
        if let Some(scheme) = scheme(route.asks) {
            operation = operation.security(SecurityRequirement::new(scheme, Vec::<String>::new()));
        }
        operation = operation.request_body(signature.body.clone()).response("200", signature.success.clone());
        for status in self.statuses(route.asks, signature) {
            operation =
                operation.response(status.to_string(), Ref::from_response_name(response_name(status)));
        }
        operation.build()
    }

    fn statuses(&self, asks: Asks, signature: &Signature) -> Vec<u16> {
        let mut statuses = match scheme(asks) {
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

/// The method as `utoipa` has it.
pub(super) fn method(route: &Route) -> HttpMethod {
    match route.method {
        "GET" => HttpMethod::Get,
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "DELETE" => HttpMethod::Delete,
        other => unreachable!("no route has the method {other}"),
    }
}

fn scheme(asks: Asks) -> Option<&'static str> {
    match asks {
        Asks::Nothing | Asks::Link => None,
        Asks::Look | Asks::Change | Asks::Password | Asks::Admin => Some(USER),
        Asks::Worker => Some(WORKER),
    }
}

fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0))
}

fn in_path(name: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    let schema = match name {
        "uuid" => schema.format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))),
        "id" => ObjectBuilder::new().schema_type(Type::Integer),
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
