//! Attachments of a group (HTTP contract §8).

use mitosis_protocol::attachment::{
    AttachmentDownloadsReply, AttachmentInfo, AttachmentsByFilterRequest, AttachmentsByListRequest,
    DeletedAttachmentsListReply, DeletedAttachmentsReply, QueryAttachmentsReply, QueryAttachmentsRequest,
    UploadAttachmentRequest,
};
use mitosis_protocol::storage::{DownloadReply, UploadReply};
use reqwest::Method;

use crate::transfer::{encode_key, encode_name};
use crate::{ClientError, UserClient};

fn one(group: &str, key: &str) -> String {
    format!("/groups/{}/attachments/{}", encode_name(group), encode_key(key))
}

impl UserClient {
    /// `POST /groups/{group}/attachments`: an upload link. The space is charged at once.
    pub async fn announce_attachment(
        &self,
        group: &str,
        request: &UploadAttachmentRequest,
    ) -> Result<UploadReply, ClientError> {
        let path = format!("/groups/{}/attachments", encode_name(group));
        self.call(Method::POST, &path).uploading().json(request).read().await
    }

    /// `GET /groups/{group}/attachments/{key}`.
    pub async fn attachment(&self, group: &str, key: &str) -> Result<AttachmentInfo, ClientError> {
        self.call(Method::GET, &one(group, key)).read().await
    }

    /// `DELETE /groups/{group}/attachments/{key}`. Refused for an hour after the last upload.
    pub async fn delete_attachment(&self, group: &str, key: &str) -> Result<(), ClientError> {
        self.call(Method::DELETE, &one(group, key)).done().await
    }

    /// `GET /groups/{group}/download/attachments/{key}`: a download link.
    pub async fn attachment_link(&self, group: &str, key: &str) -> Result<DownloadReply, ClientError> {
        let path = format!("/groups/{}/download/attachments/{}", encode_name(group), encode_key(key));
        self.call(Method::GET, &path).read().await
    }

    /// `POST /groups/{group}/attachments/query`.
    pub async fn query_attachments(
        &self,
        group: &str,
        query: &QueryAttachmentsRequest,
    ) -> Result<QueryAttachmentsReply, ClientError> {
        let path = format!("/groups/{}/attachments/query", encode_name(group));
        self.call(Method::POST, &path).json(query).read().await
    }

    /// `POST /groups/{group}/download/attachments`.
    pub async fn attachment_links(
        &self,
        group: &str,
        filter: &AttachmentsByFilterRequest,
    ) -> Result<AttachmentDownloadsReply, ClientError> {
        let path = format!("/groups/{}/download/attachments", encode_name(group));
        self.call(Method::POST, &path).json(filter).read().await
    }

    /// `POST /groups/{group}/download/attachments/list`. Unknown keys are left out.
    pub async fn listed_attachment_links(
        &self,
        group: &str,
        list: &AttachmentsByListRequest,
    ) -> Result<AttachmentDownloadsReply, ClientError> {
        let path = format!("/groups/{}/download/attachments/list", encode_name(group));
        self.call(Method::POST, &path).json(list).read().await
    }

    /// `POST /groups/{group}/delete/attachments`. Attachments of the last hour are skipped.
    pub async fn delete_attachments(
        &self,
        group: &str,
        filter: &AttachmentsByFilterRequest,
    ) -> Result<DeletedAttachmentsReply, ClientError> {
        let path = format!("/groups/{}/delete/attachments", encode_name(group));
        self.call(Method::POST, &path).in_bulk().json(filter).read().await
    }

    /// `POST /groups/{group}/delete/attachments/list`: deletes as many as possible; the reply lists the others.
    pub async fn delete_listed_attachments(
        &self,
        group: &str,
        list: &AttachmentsByListRequest,
    ) -> Result<DeletedAttachmentsListReply, ClientError> {
        let path = format!("/groups/{}/delete/attachments/list", encode_name(group));
        self.call(Method::POST, &path).in_bulk().json(list).read().await
    }
}
