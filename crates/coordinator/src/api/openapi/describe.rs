//! Putting the description of an operation together.

use std::collections::BTreeMap;

use mitosis_protocol::ErrorBody;
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Info, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required, ResponseBuilder,
};

const USER: &str = "user";
const WORKER: &str = "worker";

/// Collects operations and the types they speak of.
pub(super) struct Description {
    paths: Paths,
    schemas: BTreeMap<String, RefOr<Schema>>,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Anybody,
    User,
    Admin,
    Worker,
}

/// One operation on its way into the description.
#[must_use = "an operation is part of the description once it has a reply"]
pub(super) struct Op<'a> {
    description: &'a mut Description,
    method: HttpMethod,
    path: &'static str,
    operation: OperationBuilder,
    errors: Vec<u16>,
}

impl Description {
    pub(super) fn new() -> Self {
        let mut description = Self { paths: Paths::new(), schemas: BTreeMap::new() };
        description.refer::<ErrorBody>();
        description
    }

    /// Begins with an operation: `"GET /tasks/{uuid}"`.
    pub(super) fn op(
        &mut self,
        route: &'static str,
        tag: &'static str,
        who: Who,
        summary: &'static str,
    ) -> Op<'_> {
        let (method, path) = route.split_once(' ').expect("a method and a path");
        let method = match method {
            "GET" => HttpMethod::Get,
            "POST" => HttpMethod::Post,
            "PUT" => HttpMethod::Put,
            "DELETE" => HttpMethod::Delete,
            other => unreachable!("no route has the method {other}"),
        };
        let mut operation = OperationBuilder::new().tag(tag).summary(Some(summary));
        for name in path.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name) {
            operation = operation.parameter(in_path(name));
        }
        let errors = match who {
            Who::Anybody => vec![500, 503],
            Who::User | Who::Admin | Who::Worker => vec![400, 401, 403, 404, 500, 503],
        };
        let scheme = match who {
            Who::Anybody => None,
            Who::User | Who::Admin => Some(USER),
            Who::Worker => Some(WORKER),
        };
        if let Some(scheme) = scheme {
            operation = operation.security(SecurityRequirement::new(scheme, Vec::<String>::new()));
        }
        Op { description: self, method, path, operation, errors }
    }

    /// A reference to a type, which becomes part of the description with all that it holds.
    fn refer<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let mut needed = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut needed);
        self.schemas.extend(needed);
        Ref::from_schema_name(T::name()).into()
    }

    pub(super) fn finish(self) -> OpenApi {
        let bearer = || SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        let mut components = Components::new();
        components.schemas = self.schemas.into_iter().collect();
        for (status, meaning) in REFUSALS {
            let schema = RefOr::from(Ref::from_schema_name(ErrorBody::name()));
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let response = ResponseBuilder::new().description(meaning).content("application/json", content);
            components.responses.insert(refusal(status), response.build().into());
        }
        components.add_security_scheme(USER, bearer());
        components.add_security_scheme(WORKER, bearer());
        let mut info = Info::new("Mitosis", env!("CARGO_PKG_VERSION"));
        info.description = Some(
            "Submit tasks to groups, run them on workers, fetch what they leave behind. Every success has \
             status 200. Fields and query keys that nobody knows are ignored."
                .to_owned(),
        );
        OpenApiBuilder::new().info(info).paths(self.paths).components(Some(components)).build()
    }
}

impl Op<'_> {
    /// Takes a JSON body.
    pub(super) fn body<T: ToSchema>(mut self) -> Self {
        let schema = self.description.refer::<T>();
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let body =
            RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        self.operation = self.operation.request_body(Some(body.build()));
        self.errors.extend([400, 413, 415, 422]);
        self
    }

    /// Takes a text after the question mark.
    pub(super) fn query(mut self, name: &'static str, kind: Type, text: &'static str) -> Self {
        self.operation =
            self.operation.parameter(in_query(name, ObjectBuilder::new().schema_type(kind), text));
        self.errors.push(400);
        self
    }

    /// Takes a key that may come several times after the question mark.
    pub(super) fn repeated(mut self, name: &'static str, text: &'static str) -> Self {
        let items = ObjectBuilder::new().schema_type(Type::String);
        self.operation = self.operation.parameter(in_query(name, ArrayBuilder::new().items(items), text));
        self
    }

    /// May be refused with a further status.
    pub(super) fn or(mut self, status: u16) -> Self {
        self.errors.push(status);
        self
    }

    /// Answers with a JSON body.
    pub(super) fn reply<T: ToSchema>(self) {
        let schema = self.description.refer::<T>();
        self.answer("application/json", schema);
    }

    /// Answers with a JSON body, or the literal `null`.
    pub(super) fn reply_or_null<T: ToSchema>(self) {
        let schema = self.description.refer::<T>();
        let null = ObjectBuilder::new().schema_type(Type::Null);
        let either = utoipa::openapi::schema::OneOfBuilder::new().item(schema).item(null);
        self.answer("application/json", Schema::from(either.build()).into());
    }

    /// Answers with the JSON literal `null`.
    pub(super) fn null(self) {
        let null = ObjectBuilder::new().schema_type(Type::Null).build();
        self.answer("application/json", Schema::from(null).into());
    }

    /// Answers with text of this type.
    pub(super) fn text(self, content_type: &'static str) {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        self.answer(content_type, Schema::from(text).into());
    }

    /// Answers with nothing.
    pub(super) fn empty(self) {
        self.add(ResponseBuilder::new().description("Done."));
    }

    fn answer(self, content_type: &'static str, schema: RefOr<Schema>) {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        self.add(ResponseBuilder::new().description("Done.").content(content_type, content));
    }

    fn add(self, success: ResponseBuilder) {
        let Op { description, method, path, mut operation, mut errors } = self;
        operation = operation.response("200", success);
        errors.sort_unstable();
        errors.dedup();
        for status in errors {
            operation = operation.response(status.to_string(), Ref::from_response_name(refusal(status)));
        }
        // In a description, a part of the path that may hold slashes looks like any other.
        description.paths.add_path_operation(path.replace("{*", "{"), vec![method], operation.build());
    }
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

fn in_query(name: &str, schema: impl Into<RefOr<Schema>>, text: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(text))
        .schema(Some(schema))
        .build()
}

/// The name of a refusal among the responses.
fn refusal(status: u16) -> String {
    format!("Refused{status}")
}

const REFUSALS: [(u16, &str); 11] = [
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
