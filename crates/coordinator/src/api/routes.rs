//! Declaring routes: each with what it asks of whoever calls it.
//!
//! This is the only way to a router, so there is no route that asks for nothing by mistake, and one list of
//! all of them.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{self, MethodRouter};
use http::Method;
use mitosis_protocol::tokens::TokenScope;

use super::openapi::Op;
use super::openapi::signature::{Proof, Signature, Verb};
use crate::app::App;
use crate::error::Refusal;

/// What a route asks of whoever calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Nothing.
    Nothing,
    /// A user. It changes nothing, so a personal token with the scope `read` will do.
    Look,
    /// A user. A personal token needs the scope `write`.
    Change,
    /// A user who has logged in with a password.
    Password,
    /// An administrator of the site. A personal token needs the scope `admin`.
    Admin,
    /// A worker.
    Worker,
    /// A signed link.
    Link,
}

impl Asks {
    /// Whether a personal token of this scope will do.
    pub(crate) fn admits(self, scope: TokenScope) -> bool {
        match self {
            Self::Look => true,
            Self::Change => scope >= TokenScope::Write,
            Self::Admin => scope >= TokenScope::Admin,
            Self::Nothing | Self::Password | Self::Worker | Self::Link => false,
        }
    }

    /// Whether the arguments of a handler prove exactly this.
    fn is_proved_by(self, proof: Option<Proof>) -> bool {
        let required = match self {
            Self::Nothing | Self::Link => None,
            Self::Look | Self::Change => Some(Proof::User),
            Self::Password => Some(Proof::Password),
            Self::Admin => Some(Proof::Admin),
            Self::Worker => Some(Proof::Worker),
        };
        proof == required
    }

    /// What whoever has such a token is told.
    pub(crate) fn refusal(self) -> Refusal {
        let scope = match self {
            Self::Look | Self::Nothing => "read",
            Self::Change => "write",
            Self::Admin => "admin",
            Self::Password | Self::Worker | Self::Link => {
                return Refusal::forbidden("a personal token can't do this").hint("log in");
            }
        };
        Refusal::forbidden(format!("this needs a personal token with the scope `{scope}`"))
            .hint("make one with that scope, or log in")
    }
}

/// A route as it was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// `GET`, `PUT`, `POST` or `DELETE`.
    pub method: &'static str,
    /// With its parameters in braces.
    pub path: &'static str,
    /// What it asks for.
    pub asks: Asks,
    /// The path under which the description of the API has it.
    pub described_as: Option<&'static str>,
}

/// Routes on their way to the router.
pub(super) struct Routes {
    router: Router<App>,
    declared: Vec<Declared>,
}

/// A route with its description.
pub(super) struct Declared {
    pub(super) route: Route,
    pub(super) operation: Option<Described>,
}

/// What the description of a route is made of.
pub(super) struct Described {
    pub(super) op: Op,
    /// The part of the API that it belongs to.
    pub(super) tag: &'static str,
    /// Of its handler.
    pub(super) signature: fn() -> Signature,
}

/// Declares a route: its path, what it asks of its caller, its handler, and what the description of the API says
/// beyond the signature of the handler.
macro_rules! declare {
    ($function:ident, $method:literal) => {
        pub(super) fn $function<H, T>(
            self,
            path: &'static str,
            asks: Asks,
            handler: H,
            op: impl Into<Op>,
        ) -> Self
        where
            H: Verb<T>,
            T: 'static,
        {
            self.described::<H, T>($method, path, asks, routing::$function(handler), op.into())
        }
    };
}

impl Routes {
    pub(super) fn new() -> Self {
        Self { router: Router::new(), declared: Vec::new() }
    }

    declare!(get, "GET");
    declare!(put, "PUT");
    declare!(post, "POST");
    declare!(delete, "DELETE");

    fn described<H: Verb<T>, T>(
        self,
        method: &'static str,
        path: &'static str,
        asks: Asks,
        handler: MethodRouter<App>,
        op: Op,
    ) -> Self {
        assert!(asks.is_proved_by(H::PROVES), "{method} {path} asks for {asks:?}, proved is {:?}", H::PROVES);
        let described_as = op.described_by().or(Some(path));
        let described = Described { op, tag: "", signature: Signature::of::<H, T> };
        self.on(Route { method, path, asks, described_as }, Some(described), handler)
    }

    /// A route that the description of the API leaves out: it serves a person, or a signed link.
    pub(super) fn undescribed(
        self,
        method: &'static str,
        path: &'static str,
        asks: Asks,
        handler: MethodRouter<App>,
    ) -> Self {
        self.on(Route { method, path, asks, described_as: None }, None, handler)
    }

    fn on(mut self, route: Route, operation: Option<Described>, handler: MethodRouter<App>) -> Self {
        self.declared.push(Declared { route, operation });
        Self { router: self.router.route(route.path, handler), ..self }
    }

    /// Puts all routes so far into one part of the description, unless they are in one already.
    pub(super) fn tag(mut self, tag: &'static str) -> Self {
        for described in self.declared.iter_mut().filter_map(|declared| declared.operation.as_mut()) {
            if described.tag.is_empty() {
                described.tag = tag;
            }
        }
        self
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.declared.extend(other.declared);
        Self { router: self.router.merge(other.router), ..self }
    }

    /// Bodies of all routes so far have a limit. The limit that was set first holds.
    pub(super) fn limit(self, limit: DefaultBodyLimit) -> Self {
        self.layered(|router| router.layer(limit))
    }

    /// Wraps all routes so far.
    pub(super) fn layered(self, wrap: impl FnOnce(Router<App>) -> Router<App>) -> Self {
        Self { router: wrap(self.router), ..self }
    }

    pub(super) fn declared(&self) -> &[Declared] {
        &self.declared
    }

    pub(super) fn into_router(self) -> Router<App> {
        self.router
    }
}

/// Every route of the service.
pub fn routes() -> Vec<Route> {
    super::all().declared.into_iter().map(|declared| declared.route).collect()
}

/// By path, since that is what a request knows without taking memory.
static DECLARED: LazyLock<HashMap<&'static str, Vec<Route>>> = LazyLock::new(|| {
    let mut declared: HashMap<&'static str, Vec<Route>> = HashMap::new();
    for route in routes() {
        declared.entry(route.path).or_default().push(route);
    }
    declared
});

/// What a route asks for, by the path that it was declared with.
pub(crate) fn asked(method: &Method, path: &str) -> Option<Asks> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    DECLARED.get(path)?.iter().find(|route| route.method == method).map(|route| route.asks)
}

/// Method and path of a declared route.
pub(crate) fn declared(method: &Method, path: &str) -> Option<(&'static str, &'static str)> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let route = DECLARED.get(path)?.iter().find(|route| route.method == method)?;
    Some((route.method, route.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::reply::Empty;
    use crate::auth::caller::Caller;

    #[test]
    fn a_wider_scope_is_admitted_wherever_a_narrower_one_is() {
        use TokenScope::{Admin, Read, Write};
        for (asks, admitted) in [
            (Asks::Nothing, [false; 3]),
            (Asks::Look, [true; 3]),
            (Asks::Change, [false, true, true]),
            (Asks::Admin, [false, false, true]),
            (Asks::Password, [false; 3]),
            (Asks::Worker, [false; 3]),
            (Asks::Link, [false; 3]),
        ] {
            assert_eq!([Read, Write, Admin].map(|scope| asks.admits(scope)), admitted, "{asks:?}");
        }
    }

    #[test]
    fn a_route_is_declared_once_and_found_by_its_path() {
        let mut seen = std::collections::HashSet::new();
        for Route { method, path, asks, .. } in routes() {
            assert!(seen.insert((method, path)), "{method} {path} is declared twice");
            assert_eq!(asked(&method.parse().unwrap(), path), Some(asks));
        }
        assert_eq!(asked(&Method::HEAD, "/tasks/{uuid}"), Some(Asks::Look));
        assert_eq!(asked(&Method::PATCH, "/tasks/{uuid}"), None);
    }
    #[test]
    #[should_panic(expected = "GET /x asks for Admin, proved is Some(User)")]
    fn arguments_of_a_handler_prove_the_rights_of_its_route() {
        async fn look(_: Caller) -> Empty {
            Empty
        }
        let _ = Routes::new().get("/x", Asks::Admin, look, "");
    }

    #[test]
    fn every_described_route_belongs_to_a_part() {
        for Declared { route, operation } in crate::api::all().declared {
            let Some(described) = operation else { continue };
            assert_ne!(described.tag, "", "{route:?}");
        }
    }
}
