//! The parts of a description that come from the signature of a handler: its caller, its parameters and its reply.
//!
//! A handler can only be declared as a route if its arguments and its reply can be described.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::handler::Handler;
use axum::response::sse::Sse;
use http::{HeaderMap, StatusCode};
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, Object, Ref, RefOr, Required, Response, ResponseBuilder};

use crate::api::base_url::BaseUrl;
use crate::api::body::{Body, InPath, InQuery};
use crate::api::forwarded::Forwarded;
use crate::api::objects::uploads::SupportsConditions;
use crate::api::reply::{Empty, Null, OrNull};
use crate::app::App;
use crate::auth::agent::AgentCaller;
use crate::auth::caller::{AdminCaller, Caller, KnownDevice, PasswordCaller};
use crate::auth::page_session::SameOrigin;
use crate::auth::revalidation::AuthenticatedCaller;
use crate::auth::worker::{LeavingWorker, WorkerCaller, WorkerProgram, WorkerToken};
use crate::error::ApiError;

/// The description of the signature of a handler.
#[derive(Default)]
pub(crate) struct Signature {
    /// Query parameters.
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<RequestBody>,
    pub(super) success: Response,
    /// Error statuses of its arguments.
    pub(super) errors: Vec<u16>,
    /// The schemas of all types that it refers to.
    pub(super) schemas: Vec<(String, RefOr<Schema>)>,
}

/// What an argument proves about the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A user with a session or a personal token of sufficient scope.
    User,
    /// A user with a session.
    Password,
    /// A site administrator.
    Admin,
    /// A registered worker.
    Worker,
}

impl Signature {
    pub(in crate::api) fn of<H: Verb<T>, T>() -> Self {
        let mut signature = Self::default();
        H::describe(&mut signature);
        signature
    }

    /// Returns a reference to a type, and adds its schema with all that it refers to.
    fn refer<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(T::name()).into()
    }

    fn reply(&mut self, content_type: &str, schema: impl Into<RefOr<Schema>>) {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        self.success = ResponseBuilder::new().description("Done.").content(content_type, content).build();
    }

    pub(crate) fn reply_text(&mut self, content_type: &str) {
        self.reply(content_type, Schema::from(ObjectBuilder::new().schema_type(Type::String).build()));
    }
}

/// An argument of a handler.
pub(crate) trait Argument {
    /// What it proves about the caller.
    const PROVES: Option<Proof> = None;

    /// Adds what the caller must send for it.
    fn describe(_: &mut Signature) {}
}

impl Argument for State<App> {}
impl Argument for HeaderMap {}
impl Argument for Forwarded {}
impl Argument for BaseUrl {}
impl Argument for SupportsConditions {}
impl Argument for KnownDevice {}
impl Argument for SameOrigin {}
impl Argument for WorkerProgram {}
/// Described by [`Op::repeated`](super::operation::Op::repeated).
impl Argument for RawQuery {}
/// Described by the path.
impl<T> Argument for InPath<T> {}

impl Argument for Caller {
    const PROVES: Option<Proof> = Some(Proof::User);
}
impl Argument for AuthenticatedCaller {
    const PROVES: Option<Proof> = Some(Proof::User);
}
impl Argument for PasswordCaller {
    const PROVES: Option<Proof> = Some(Proof::Password);
}
impl Argument for AdminCaller {
    const PROVES: Option<Proof> = Some(Proof::Admin);
}
impl Argument for WorkerCaller {
    const PROVES: Option<Proof> = Some(Proof::Worker);
}
impl Argument for WorkerToken {
    const PROVES: Option<Proof> = Some(Proof::Worker);
}
impl Argument for LeavingWorker {
    const PROVES: Option<Proof> = Some(Proof::Worker);
}
impl Argument for AgentCaller {
    const PROVES: Option<Proof> = Some(Proof::Worker);
}

impl<T: ToSchema> Argument for Body<T> {
    fn describe(signature: &mut Signature) {
        let schema = signature.refer::<T>();
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let body = RequestBodyBuilder::new().content("application/json", content);
        signature.body = Some(body.required(Some(Required::True)).build());
        signature.errors.extend([400, 413, 415, 422]);
    }
}

/// Each field is a query parameter.
impl<T: ToSchema> Argument for InQuery<T> {
    fn describe(signature: &mut Signature) {
        let RefOr::T(Schema::Object(object)) = T::schema() else { panic!("{} has no fields", T::name()) };
        T::schemas(&mut signature.schemas);
        signature.parameters.extend(parameters(object));
        signature.errors.push(400);
    }
}

fn parameters(object: Object) -> impl Iterator<Item = Parameter> {
    let required = object.required;
    object.properties.into_iter().map(move |(name, mut schema)| {
        let description = match &mut schema {
            RefOr::T(Schema::Object(schema)) => {
                schema.schema_type = without_null(std::mem::take(&mut schema.schema_type));
                schema.description.take()
            }
            RefOr::Ref(named) => Some(std::mem::take(&mut named.description)).filter(|text| !text.is_empty()),
            RefOr::T(_) => None,
        };
        let is_required = if required.contains(&name) { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
        parameter.required(is_required).description(description).schema(Some(schema)).build()
    })
}

/// A query has no null: an optional parameter is omitted.
fn without_null(kind: SchemaType) -> SchemaType {
    let SchemaType::Array(mut kinds) = kind else { return kind };
    kinds.retain(|kind| *kind != Type::Null);
    match kinds[..] {
        [_] => SchemaType::Type(kinds.remove(0)),
        _ => SchemaType::Array(kinds),
    }
}

/// The reply of a handler.
pub(crate) trait Reply {
    /// Sets the response to a success.
    fn describe(signature: &mut Signature);
}

impl<R: Reply> Reply for Result<R, ApiError> {
    fn describe(signature: &mut Signature) {
        R::describe(signature);
    }
}

impl<R: Reply> Reply for (StatusCode, R) {
    fn describe(signature: &mut Signature) {
        R::describe(signature);
    }
}

impl<T: ToSchema> Reply for Json<T> {
    fn describe(signature: &mut Signature) {
        let schema = signature.refer::<T>();
        signature.reply("application/json", schema);
    }
}

impl<T: ToSchema> Reply for OrNull<T> {
    fn describe(signature: &mut Signature) {
        let schema = signature.refer::<T>();
        let null = ObjectBuilder::new().schema_type(Type::Null);
        let either = OneOfBuilder::new().item(schema).item(null);
        signature.reply("application/json", Schema::from(either.build()));
    }
}

impl Reply for Null {
    fn describe(signature: &mut Signature) {
        let null = ObjectBuilder::new().schema_type(Type::Null).build();
        signature.reply("application/json", Schema::from(null));
    }
}

impl Reply for Empty {
    fn describe(signature: &mut Signature) {
        signature.success = ResponseBuilder::new().description("Done.").build();
    }
}

impl Reply for String {
    fn describe(signature: &mut Signature) {
        signature.reply_text("text/plain; charset=utf-8");
    }
}

/// Each event has a name, `task` or `job`, and JSON as data.
impl<S> Reply for Sse<S> {
    fn describe(signature: &mut Signature) {
        signature.reply_text("text/event-stream");
    }
}

/// A handler whose signature describes it.
pub(crate) trait Verb<T>: Handler<T, App> {
    /// What its arguments prove about the caller.
    const PROVES: Option<Proof>;

    /// Adds its arguments and its reply.
    fn describe(signature: &mut Signature);
}

/// The first proof among the arguments.
const fn first(mut proofs: &[Option<Proof>]) -> Option<Proof> {
    while let [proof, rest @ ..] = proofs {
        if proof.is_some() {
            return *proof;
        }
        proofs = rest;
    }
    None
}

/// Implements [`Verb`] for handlers with this number of arguments. `Kind` is how axum extracts the last one.
macro_rules! verb {
    ($($argument:ident),*) => {
        impl<F, Outcome, R, Kind, $($argument),*> Verb<(Kind, $($argument,)*)> for F
        where
            F: Handler<(Kind, $($argument,)*), App> + FnOnce($($argument),*) -> Outcome,
            Outcome: Future<Output = R>,
            R: Reply,
            $($argument: Argument,)*
        {
            const PROVES: Option<Proof> = first(&[$($argument::PROVES),*]);

            fn describe(signature: &mut Signature) {
                $($argument::describe(signature);)*
                R::describe(signature);
            }
        }
    };
}

verb!(A);
verb!(A, B);
verb!(A, B, C);
verb!(A, B, C, D);
verb!(A, B, C, D, E);
verb!(A, B, C, D, E, G);
