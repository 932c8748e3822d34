//! Artifacts, for users.

mod delete;
mod download;
pub(in crate::api) use download::link;
mod upload;

use std::time::Duration;

use axum::Router;
use axum::routing::{delete as on_delete, get, post};
use mitosis_protocol::ErrorCode;
use mitosis_store::ops::artifacts::Reservation;

use crate::app::App;
use crate::error::Refusal;

/// How long an upload link works.
pub(in crate::api) const UPLOAD_VALID: Duration = Duration::from_hours(1);

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/tasks/{uuid}/artifacts", post(upload::upload))
        .route("/tasks/{uuid}/artifacts/{content_type}", on_delete(delete::delete))
        .route("/tasks/{uuid}/download/artifacts/{content_type}", get(download::download))
}

/// How long a download link works: an hour, or longer for what takes longer (HTTP contract §13).
pub(in crate::api) fn download_valid(size: i64) -> Duration {
    let at_a_megabyte_a_second = Duration::from_secs(u64::try_from(size).unwrap_or(0) / 1_000_000);
    at_a_megabyte_a_second.clamp(Duration::from_hours(1), Duration::from_hours(24))
}

/// The announced length as it can be stored.
pub(in crate::api) fn announced(length: u64) -> Result<i64, Refusal> {
    i64::try_from(length).map_err(|_| Refusal::invalid("content_length is more than any store can hold"))
}

/// Where the bytes may be sent, if they may.
pub(in crate::api) fn reserved(reservation: Reservation) -> Result<(bool, String), Refusal> {
    match reservation {
        Reservation::Reserved { exist, object } => Ok((exist, object)),
        Reservation::OverQuota => {
            Err(Refusal::new(ErrorCode::QuotaExceeded, "the group would store more than it may")
                .hint("delete something, or ask an administrator to raise the group's storage quota"))
        }
        Reservation::GroupNotActive => {
            Err(Refusal::invalid("the group is locked or deleted; it takes no uploads"))
        }
        Reservation::NoSuchTask => {
            Err(Refusal::new(ErrorCode::NotFound, "there is no such task, or it is not yours any more"))
        }
    }
}
