//! `GET /v1/doctor`: facts for diagnosis.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mitosis_domain::object::ObjectKey;
use mitosis_protocol::doctor::{DoctorReply, PROBE, ProbeLinks};

use crate::api::base_url::BaseUrl;
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

/// How long the links of a probe are valid.
const VALID: Duration = Duration::from_mins(1);

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/doctor", Access::Read, doctor, "Get facts for diagnosis")
}

/// All callers share one probe object of a fixed size. It does not grow and is not charged to a group.
async fn doctor(State(app): State<App>, _: Caller, base_url: BaseUrl) -> Result<Json<DoctorReply>, ApiError> {
    let schema = app.store.schema().await?;
    let (key, now) = (ObjectKey::probe(), app.now());
    let upload = app.objects.upload_link(&key, PROBE.len() as u64, VALID, now)?;
    let download = app.objects.download_link(&key, None, VALID, now)?;
    Ok(Json(DoctorReply {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now,
        schema: schema.found,
        schema_known: schema.known,
        probe: ProbeLinks { upload: base_url.resolve(upload), download: base_url.resolve(download) },
    }))
}
