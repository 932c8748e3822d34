//! Stops workers.

use mitosis_protocol::Uuid;
use mitosis_protocol::worker::{
    ShutdownOp, ShutdownWorkersListReply, ShutdownWorkersListRequest, ShutdownWorkersReply,
    ShutdownWorkersRequest,
};
use reqwest::Method;

use crate::{ClientError, UserClient};

/// The query string of a shutdown; none for a graceful one.
pub(crate) const fn shutdown_query(op: ShutdownOp) -> &'static str {
    match op {
        ShutdownOp::Graceful => "",
        ShutdownOp::Force => "?op=force",
    }
}

impl UserClient {
    /// `DELETE /workers/{uuid}`.
    pub async fn shut_down_worker(&self, uuid: Uuid, op: ShutdownOp) -> Result<(), ClientError> {
        self.call(Method::DELETE, &format!("/workers/{uuid}{}", shutdown_query(op))).done().await
    }

    /// `POST /workers/shutdown`: stops all matching workers of a group.
    pub async fn shut_down_workers(
        &self,
        request: &ShutdownWorkersRequest,
    ) -> Result<ShutdownWorkersReply, ClientError> {
        self.call(Method::POST, "/workers/shutdown").json(request).read().await
    }

    /// `POST /workers/shutdown/list`: stops as many as possible; the reply lists the others.
    pub async fn shut_down_listed_workers(
        &self,
        request: &ShutdownWorkersListRequest,
    ) -> Result<ShutdownWorkersListReply, ClientError> {
        self.call(Method::POST, "/workers/shutdown/list").json(request).read().await
    }
}
