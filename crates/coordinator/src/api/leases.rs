//! Leases in requests and replies.

use std::time::Duration;

use axum::response::{AppendHeaders, IntoResponse, Response};
use http::HeaderName;
use mitosis_domain::ids::TaskId;
use mitosis_domain::lease::LeaseTerms;
use mitosis_domain::task::LeaseKey;
use mitosis_domain::worker::WorkerKind;
use mitosis_protocol::agent::AttemptKey;

use super::openapi::signature::{Reply, Signature};
use crate::app::App;

/// The key of the lease of an attempt.
pub(super) fn lease_key(key: AttemptKey) -> LeaseKey {
    LeaseKey { task: TaskId(key.id), epoch: key.epoch, token: key.token }
}

/// The lease terms of a worker. Native agents send heartbeats more often, so they count as missed sooner.
pub(super) fn terms(app: &App, kind: WorkerKind, lost_after: Option<Duration>) -> LeaseTerms {
    match kind {
        WorkerKind::Agent => app.agents.terms(app.lease, lost_after),
        WorkerKind::Legacy => LeaseTerms::legacy(app.lease),
    }
}

/// A reply with the lease terms in its headers, in seconds, for native workers. Legacy workers ignore them.
pub(super) struct WithLease<R>(pub(super) Option<LeaseTerms>, pub(super) R);

impl<R: IntoResponse> IntoResponse for WithLease<R> {
    fn into_response(self) -> Response {
        (self.0.map(|terms| AppendHeaders(lease_headers(terms))), self.1).into_response()
    }
}

impl<R: Reply> Reply for WithLease<R> {
    fn describe(signature: &mut Signature) {
        R::describe(signature);
    }
}

fn lease_headers(terms: LeaseTerms) -> [(HeaderName, String); 2] {
    [
        (HeaderName::from_static("x-mito-lease"), terms.lease.as_secs().to_string()),
        (HeaderName::from_static("x-mito-missed-after"), terms.missed_after.as_secs().to_string()),
    ]
}
