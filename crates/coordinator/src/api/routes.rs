//! Declaring routes: each with what it asks of whoever calls it.
//!
//! This is the only way to a router, so there is no route that asks for nothing by mistake, and one list of
//! all of them.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use http::Method;
use mitosis_protocol::tokens::TokenScope;

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
}

/// Routes on their way to the router.
pub(super) struct Routes {
    router: Router<App>,
    declared: Vec<Route>,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self { router: Router::new(), declared: Vec::new() }
    }

    pub(super) fn get<H, T>(self, path: &'static str, asks: Asks, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.on("GET", path, asks, routing::get(handler))
    }

    pub(super) fn put<H, T>(self, path: &'static str, asks: Asks, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.on("PUT", path, asks, routing::put(handler))
    }

    pub(super) fn post<H, T>(self, path: &'static str, asks: Asks, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.on("POST", path, asks, routing::post(handler))
    }

    pub(super) fn delete<H, T>(self, path: &'static str, asks: Asks, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        self.on("DELETE", path, asks, routing::delete(handler))
    }

    fn on(
        mut self,
        method: &'static str,
        path: &'static str,
        asks: Asks,
        handler: MethodRouter<App>,
    ) -> Self {
        self.declared.push(Route { method, path, asks });
        Self { router: self.router.route(path, handler), ..self }
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

    pub(super) fn into_router(self) -> Router<App> {
        self.router
    }
}

/// Every route of the service.
pub fn routes() -> Vec<Route> {
    super::all().declared
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
        for Route { method, path, asks } in routes() {
            assert!(seen.insert((method, path)), "{method} {path} is declared twice");
            assert_eq!(asked(&method.parse().unwrap(), path), Some(asks));
        }
        assert_eq!(asked(&Method::HEAD, "/tasks/{uuid}"), Some(Asks::Look));
        assert_eq!(asked(&Method::PATCH, "/tasks/{uuid}"), None);
    }
}
