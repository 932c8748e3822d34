//! Site administration (HTTP contract §6), for administrators.

use mitosis_protocol::admin::{
    AccountState, AccountStateBody, CreateUserRequest, GroupQuotaReply, GroupQuotaRequest, GroupsReply,
    ResetPasswordRequest, ShutdownRequest, SiteJobsReply, SiteWorkersReply, StorageQuotaReply,
    StorageQuotaRequest, UsageReply, UsersReply, WeightRequest,
};
use mitosis_protocol::audit::AuditReply;
use mitosis_protocol::group::RelationsRequest;
use mitosis_protocol::job::JobsRequest;
use mitosis_protocol::worker::ShutdownOp;
use mitosis_protocol::{ArtifactKind, Timestamp, Uuid};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;

use crate::account::digest;
use crate::transfer::{encode_key, encode_name};
use crate::workers::shutdown_query;
use crate::{ClientError, UserClient};

/// Encodes a value of a query, in which `+` means a space.
fn encode_value(text: &str) -> String {
    encode_name(text).replace('+', "%2B")
}

/// What a new account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// It uses the coordinator.
    User,
    /// It also administers the coordinator.
    Administrator,
}

/// What becomes of the personal tokens of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonalTokens {
    /// They stay valid.
    Keep,
    /// They end.
    Revoke,
}

impl UserClient {
    /// `POST /admin/users`: an account, and the group of the same name.
    pub async fn create_user(
        &self,
        username: &str,
        password: &SecretString,
        kind: AccountKind,
    ) -> Result<(), ClientError> {
        let request = CreateUserRequest {
            username: username.to_owned(),
            md5_password: digest(password),
            admin: kind == AccountKind::Administrator,
        };
        self.call(Method::POST, "/admin/users").json(&request).done().await
    }

    /// `DELETE /admin/users/{username}`. The name stays reserved.
    pub async fn delete_user(&self, username: &str) -> Result<AccountState, ClientError> {
        let path = format!("/admin/users/{}", encode_name(username));
        let body: AccountStateBody = self.call(Method::DELETE, &path).read().await?;
        Ok(body.state)
    }

    /// `POST /admin/users/{username}/password`. The user's sessions and workers end.
    pub async fn reset_password(
        &self,
        username: &str,
        new: &SecretString,
        tokens: PersonalTokens,
    ) -> Result<(), ClientError> {
        let path = format!("/admin/users/{}/password", encode_name(username));
        let request = ResetPasswordRequest {
            new_md5_password: digest(new),
            revoke_tokens: tokens == PersonalTokens::Revoke,
        };
        self.call(Method::POST, &path).json(&request).done().await
    }

    /// `POST /admin/users/{username}/state`. Returns the new state.
    pub async fn set_user_state(
        &self,
        username: &str,
        state: AccountState,
    ) -> Result<AccountState, ClientError> {
        let path = format!("/admin/users/{}/state", encode_name(username));
        let body: AccountStateBody =
            self.call(Method::POST, &path).json(&AccountStateBody { state }).read().await?;
        Ok(body.state)
    }

    /// `POST /admin/users/{username}/group-quota`. Returns the new quota.
    pub async fn change_group_quota(&self, username: &str, quota: &str) -> Result<i32, ClientError> {
        let path = format!("/admin/users/{}/group-quota", encode_name(username));
        let request = GroupQuotaRequest { group_quota: quota.to_owned() };
        let reply: GroupQuotaReply = self.call(Method::POST, &path).json(&request).read().await?;
        Ok(reply.group_quota)
    }

    /// `POST /admin/groups/{group}/storage-quota`. Returns the new quota in bytes.
    pub async fn change_storage_quota(&self, group: &str, quota: &str) -> Result<i64, ClientError> {
        let path = format!("/admin/groups/{}/storage-quota", encode_name(group));
        let request = StorageQuotaRequest { storage_quota: quota.to_owned() };
        let reply: StorageQuotaReply = self.call(Method::POST, &path).json(&request).read().await?;
        Ok(reply.storage_quota)
    }

    /// `PUT /v1/admin/groups/{group}/weight`: sets the share of slot time of a group, in relation to others.
    pub async fn set_weight(&self, group: &str, weight: u32) -> Result<(), ClientError> {
        self.require("weights of groups").await?;
        let path = format!("/v1/admin/groups/{}/weight", encode_name(group));
        self.call(Method::PUT, &path).json(&WeightRequest { weight }).done().await
    }

    /// `PUT /v1/admin/groups/{group}/users`: sets roles in any group, and makes it active again.
    pub async fn restore_group(&self, group: &str, roles: &RelationsRequest) -> Result<(), ClientError> {
        self.require("the restoration of a group").await?;
        let path = format!("/v1/admin/groups/{}/users", encode_name(group));
        self.call(Method::PUT, &path).json(roles).done().await
    }

    /// `GET /v1/admin/audit`: the audit log, newest first; with `before`, entries older than that one.
    pub async fn audit(&self, limit: u64, before: Option<i64>) -> Result<AuditReply, ClientError> {
        self.require("the audit log").await?;
        let before = before.map(|id| format!("&before={id}")).unwrap_or_default();
        self.call(Method::GET, &format!("/v1/admin/audit?limit={limit}{before}")).read().await
    }

    /// `GET /v1/admin/users`: a page of all users, after a position.
    pub async fn all_users(&self, after: Option<i64>) -> Result<UsersReply, ClientError> {
        self.site_list("users", after).await
    }

    /// `GET /v1/admin/groups`: a page of all groups, after a position.
    pub async fn all_groups(&self, after: Option<i64>) -> Result<GroupsReply, ClientError> {
        self.site_list("groups", after).await
    }

    /// `GET /v1/admin/workers`: a page of all workers, after a position.
    pub async fn all_workers(&self, after: Option<i64>) -> Result<SiteWorkersReply, ClientError> {
        self.site_list("workers", after).await
    }

    async fn site_list<T: DeserializeOwned>(&self, list: &str, after: Option<i64>) -> Result<T, ClientError> {
        self.require("the lists of a site").await?;
        let after = after.map(|position| format!("?after={position}")).unwrap_or_default();
        self.call(Method::GET, &format!("/v1/admin/{list}{after}")).read().await
    }

    /// `GET /v1/admin/jobs`: a page of jobs, newest first. Of the request, the group, the user, `active`, `before` and
    /// `limit` count.
    pub async fn all_jobs(&self, request: &JobsRequest) -> Result<SiteJobsReply, ClientError> {
        self.require("the lists of a site").await?;
        let mut query = format!("active={}", request.active);
        let numbers = [
            ("before", request.before.map(|job| job.to_string())),
            ("limit", request.limit.map(|limit| limit.to_string())),
        ];
        let names = [("creator", &request.creator), ("group", &request.group)];
        let names = names.map(|(key, name)| (key, name.as_deref().map(encode_value)));
        for (key, value) in numbers.into_iter().chain(names) {
            query.extend(value.map(|value| format!("&{key}={value}")));
        }
        self.call(Method::GET, &format!("/v1/admin/jobs?{query}")).read().await
    }

    /// `GET /v1/admin/usage`: what users have used in groups, since a time or in the last 30 days.
    pub async fn usage(&self, since: Option<Timestamp>) -> Result<UsageReply, ClientError> {
        self.require("a report on use").await?;
        let since = since.map(|at| format!("?since={}", encode_value(&at.to_string()))).unwrap_or_default();
        self.call(Method::GET, &format!("/v1/admin/usage{since}")).read().await
    }

    /// `DELETE /admin/groups/{group}/attachments/{key}`, without the minimum age.
    pub async fn delete_attachment_as_admin(&self, group: &str, key: &str) -> Result<(), ClientError> {
        let path = format!("/admin/groups/{}/attachments/{}", encode_name(group), encode_key(key));
        self.call(Method::DELETE, &path).done().await
    }

    /// `DELETE /admin/tasks/{uuid}/artifacts/{kind}`, without the minimum age.
    pub async fn delete_artifact_as_admin(&self, uuid: Uuid, kind: ArtifactKind) -> Result<(), ClientError> {
        self.call(Method::DELETE, &format!("/admin/tasks/{uuid}/artifacts/{kind}")).done().await
    }

    /// `DELETE /admin/workers/{uuid}`.
    pub async fn shut_down_worker_as_admin(&self, uuid: Uuid, op: ShutdownOp) -> Result<(), ClientError> {
        self.call(Method::DELETE, &format!("/admin/workers/{uuid}{}", shutdown_query(op))).done().await
    }

    /// `POST /admin/shutdown`: stops the coordinator. The secret is in its log.
    pub async fn shut_down_coordinator(&self, secret: &SecretString) -> Result<(), ClientError> {
        let request = ShutdownRequest { secret: secret.expose_secret().to_owned() };
        self.call(Method::POST, "/admin/shutdown").json(&request).done().await
    }
}
