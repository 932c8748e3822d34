//! Declarations of routes, each with the access that it requires.
//!
//! This is the only way to add a route, so that no route is public by mistake, and there is one list of all.

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
use crate::error::Rejection;

/// What a route requires of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone may call it.
    Public,
    /// A user. The route changes nothing, so the scope `read` of a personal token suffices.
    Read,
    /// A user. A personal token needs the scope `write`.
    Write,
    /// A user who has logged in with a password.
    Password,
    /// An administrator of the site. A personal token needs the scope `admin`.
    Admin,
    /// A registered worker.
    Worker,
    /// The holder of a signed link.
    Link,
}

impl Access {
    /// Whether a personal token with this scope suffices.
    pub(crate) fn allows(self, scope: TokenScope) -> bool {
        match self {
            Self::Read => true,
            Self::Write => scope >= TokenScope::Write,
            Self::Admin => scope >= TokenScope::Admin,
            Self::Public | Self::Password | Self::Worker | Self::Link => false,
        }
    }

    /// Whether the arguments of a handler prove exactly this access.
    fn is_proved_by(self, proof: Option<Proof>) -> bool {
        let required = match self {
            Self::Public | Self::Link => None,
            Self::Read | Self::Write => Some(Proof::User),
            Self::Password => Some(Proof::Password),
            Self::Admin => Some(Proof::Admin),
            Self::Worker => Some(Proof::Worker),
        };
        proof == required
    }

    /// The rejection of a personal token whose scope does not suffice.
    pub(crate) fn denied(self) -> Rejection {
        let scope = match self {
            Self::Read | Self::Public => "read",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::Password | Self::Worker | Self::Link => {
                return Rejection::forbidden("a personal token can't be used for this operation")
                    .hint("log in with a password");
            }
        };
        Rejection::forbidden(format!("this operation requires a personal token with the scope `{scope}`"))
            .hint("create a token with that scope, or log in with a password")
    }
}

/// A declared route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// `GET`, `PUT`, `POST`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// What it requires of its caller.
    pub access: Access,
    /// The path in the API description.
    pub described_as: Option<&'static str>,
}

/// Routes that have been declared, and the router that serves them.
pub(super) struct Routes {
    router: Router<App>,
    declared: Vec<Declared>,
}

/// A route with its description.
pub(super) struct Declared {
    pub(super) route: Route,
    pub(super) operation: Option<Described>,
}

/// What the API description says about a route.
pub(super) struct Described {
    pub(super) op: Op,
    /// The group of operations that it belongs to.
    pub(super) tag: &'static str,
    /// The signature of its handler.
    pub(super) signature: fn() -> Signature,
}

/// Defines a method that adds a route: its path, its required access, its handler, and what the API description says in
/// addition to the signature of the handler.
macro_rules! declare {
    ($function:ident, $method:literal) => {
        pub(super) fn $function<H, T>(
            self,
            path: &'static str,
            access: Access,
            handler: H,
            op: impl Into<Op>,
        ) -> Self
        where
            H: Verb<T>,
            T: 'static,
        {
            self.described::<H, T>($method, path, access, routing::$function(handler), op.into())
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
    declare!(patch, "PATCH");
    declare!(delete, "DELETE");

    fn described<H: Verb<T>, T>(
        self,
        method: &'static str,
        path: &'static str,
        access: Access,
        handler: MethodRouter<App>,
        op: Op,
    ) -> Self {
        assert!(
            access.is_proved_by(H::PROVES),
            "{method} {path} requires {access:?}, proved is {:?}",
            H::PROVES
        );
        let described_as = op.described_by().or(Some(path));
        let described = Described { op, tag: "", signature: Signature::of::<H, T> };
        self.on(Route { method, path, access, described_as }, Some(described), handler)
    }

    /// Adds a route that the API description omits: it serves a browser, or a signed link.
    pub(super) fn undescribed(
        self,
        method: &'static str,
        path: &'static str,
        access: Access,
        handler: MethodRouter<App>,
    ) -> Self {
        self.on(Route { method, path, access, described_as: None }, None, handler)
    }

    fn on(mut self, route: Route, operation: Option<Described>, handler: MethodRouter<App>) -> Self {
        self.declared.push(Declared { route, operation });
        Self { router: self.router.route(route.path, handler), ..self }
    }

    /// Sets the tag of all routes so far that have none.
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

    /// Limits the bodies of all routes so far. If several limits are set, the first applies.
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

/// Declared routes by path, which a lookup needs no allocation for.
static DECLARED: LazyLock<HashMap<&'static str, Vec<Route>>> = LazyLock::new(|| {
    let mut declared: HashMap<&'static str, Vec<Route>> = HashMap::new();
    for route in routes() {
        declared.entry(route.path).or_default().push(route);
    }
    declared
});

/// What a declared route requires of its caller.
pub(crate) fn access_of(method: &Method, path: &str) -> Option<Access> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    DECLARED.get(path)?.iter().find(|route| route.method == method).map(|route| route.access)
}

/// The method and path of a declared route.
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
    fn wider_scope_includes_narrower_ones() {
        use TokenScope::{Admin, Read, Write};
        for (access, allowed) in [
            (Access::Public, [false; 3]),
            (Access::Read, [true; 3]),
            (Access::Write, [false, true, true]),
            (Access::Admin, [false, false, true]),
            (Access::Password, [false; 3]),
            (Access::Worker, [false; 3]),
            (Access::Link, [false; 3]),
        ] {
            assert_eq!([Read, Write, Admin].map(|scope| access.allows(scope)), allowed, "{access:?}");
        }
    }

    #[test]
    fn route_is_declared_once_and_found_by_its_path() {
        let mut seen = std::collections::HashSet::new();
        for Route { method, path, access, .. } in routes() {
            assert!(seen.insert((method, path)), "{method} {path} is declared twice");
            assert_eq!(access_of(&method.parse().unwrap(), path), Some(access));
        }
        assert_eq!(access_of(&Method::HEAD, "/tasks/{uuid}"), Some(Access::Read));
        assert_eq!(access_of(&Method::PATCH, "/tasks/{uuid}"), None);
    }

    #[test]
    #[should_panic(expected = "GET /x requires Admin, proved is Some(User)")]
    fn arguments_of_a_handler_must_prove_its_access() {
        async fn look(_: Caller) -> Empty {
            Empty
        }
        let _ = Routes::new().get("/x", Access::Admin, look, "");
    }

    #[test]
    fn every_described_route_has_a_tag() {
        for Declared { route, operation } in crate::api::all().declared {
            let Some(described) = operation else { continue };
            assert_ne!(described.tag, "", "{route:?}");
        }
    }
}
