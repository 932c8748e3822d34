//! `GET /v1/doctor`: what a caller needs to find out what is wrong.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mitosis_domain::object::ObjectKey;
use mitosis_protocol::doctor::{DoctorReply, PROBE, ProbeLinks};

use crate::api::origin::Origin;
use crate::api::routes::{Asks, Routes};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::ApiError;

/// How long the links of a probe work.
const VALID: Duration = Duration::from_mins(1);

pub(super) fn routes() -> Routes {
    Routes::new().get("/v1/doctor", Asks::Look, doctor, "Facts for diagnosis")
}

/// The probe is one object for everybody, of a fixed size: however often it is written, it grows nothing
/// and is charged to nobody.
async fn doctor(State(app): State<App>, _: Caller, origin: Origin) -> Result<Json<DoctorReply>, ApiError> {
    let schema = app.store.schema().await?;
    let (key, now) = (ObjectKey::probe(), app.now());
    let upload = app.objects.upload_link(&key, PROBE.len() as u64, VALID, now)?;
    let download = app.objects.download_link(&key, None, VALID, now)?;
    Ok(Json(DoctorReply {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now,
        schema: schema.found,
        schema_known: schema.known,
        probe: ProbeLinks { upload: origin.resolve(upload), download: origin.resolve(download) },
    }))
}
