//! Every operation, in one list.

use mitosis_protocol::admin::{
    AccountStateBody, CreateUserRequest, GroupQuotaReply, GroupQuotaRequest, ResetPasswordRequest,
    ShutdownRequest, StorageQuotaReply, StorageQuotaRequest,
};
use mitosis_protocol::agent::{PollReply, PollRequest, ReachedReply, ReportBatch, ReportBatchReply};
use mitosis_protocol::artifact::{
    ArtifactDownloadsReply, ArtifactsByFilterRequest, ArtifactsByListRequest, DeletedArtifactsListReply,
    DeletedArtifactsReply, UploadArtifactRequest,
};
use mitosis_protocol::attachment::{
    AttachmentDownloadsReply, AttachmentInfo, AttachmentsByFilterRequest, AttachmentsByListRequest,
    DeletedAttachmentsListReply, DeletedAttachmentsReply, QueryAttachmentsReply, QueryAttachmentsRequest,
    UploadAttachmentRequest,
};
use mitosis_protocol::audit::AuditReply;
use mitosis_protocol::auth::{
    ChangeOwnPasswordRequest, HealthReply, LoginRequest, OwnGroupsReply, RedisReply, TokenReply,
};
use mitosis_protocol::doctor::{AdminDoctorReply, DoctorReply};
use mitosis_protocol::explain::Explanation;
use mitosis_protocol::group::{CreateGroupRequest, GroupInfo, RelationsRequest, RemoveUsersRequest};
use mitosis_protocol::output::{FollowReply, OutputChunk, OutputDemand};
use mitosis_protocol::report::{ReportReply, ReportRequest};
use mitosis_protocol::storage::{DownloadReply, UploadReply};
use mitosis_protocol::sweep::{ResultsReply, ResultsRequest, RetryTasksReply, RetryTasksRequest};
use mitosis_protocol::task::{
    CancelTasksListRequest, CancelledTasksListReply, CancelledTasksReply, ChangeTaskRequest, FindTaskReply,
    GetTaskReply, LabelsRequest, QueryTasksReply, QueryTasksRequest, SubmitTaskReply, SubmitTaskRequest,
    SubmitTasksReply, SubmitTasksRequest, TaskFilter,
};
use mitosis_protocol::tokens::{CreateTokenReply, CreateTokenRequest, RenewWorkerTokenRequest, TokensReply};
use mitosis_protocol::worker::{
    FetchedTask, GetWorkerReply, QueryWorkersReply, QueryWorkersRequest, RegisterWorkerReply,
    RegisterWorkerRequest, RemoveGroupsRequest, ShutdownWorkersListReply, ShutdownWorkersListRequest,
    ShutdownWorkersReply, ShutdownWorkersRequest, TagsRequest,
};
use utoipa::openapi::OpenApi;
use utoipa::openapi::schema::Type;

use super::describe::Who::{Admin, Anybody, User, Worker};
use super::describe::{Description, Op};

/// The whole API.
pub(super) fn all() -> OpenApi {
    let mut d = Description::new();
    accounts(&mut d);
    administration(&mut d);
    groups(&mut d);
    attachments(&mut d);
    tasks(&mut d);
    artifacts(&mut d);
    workers(&mut d);
    worker_side(&mut d);
    d.finish()
}

const OP: &str = "Graceful, unless it is Force";
const WAIT: &str = "How long to hold the request when there is nothing, such as 20s";

fn accounts(d: &mut Description) {
    let tag = "accounts";
    d.op("GET /health", tag, Anybody, "Whether the coordinator can do its work").reply::<HealthReply>();
    d.op("POST /login", tag, Anybody, "A token for a name and a password")
        .body::<LoginRequest>()
        .or(401)
        .or(403)
        .or(429)
        .reply::<TokenReply>();
    d.op("GET /auth", tag, User, "The name behind the token").text("text/plain; charset=utf-8");
    d.op("GET /v1/doctor", tag, User, "Facts for diagnosis").reply::<DoctorReply>();
    d.op("GET /redis", tag, User, "Where live states are announced").reply::<RedisReply>();
    d.op("GET /users/groups", tag, User, "The caller's groups and roles").reply::<OwnGroupsReply>();
    d.op("POST /users/{username}/password", tag, User, "Set the own password")
        .body::<ChangeOwnPasswordRequest>()
        .reply::<TokenReply>();
    d.op("POST /v1/tokens", tag, User, "Make a personal token")
        .body::<CreateTokenRequest>()
        .reply::<CreateTokenReply>();
    d.op("GET /v1/tokens", tag, User, "The caller's personal tokens").reply::<TokensReply>();
    d.op("DELETE /v1/tokens/{id}", tag, User, "Revoke a personal token").empty();
}

fn administration(d: &mut Description) {
    let tag = "administration";
    d.op("POST /admin/users", tag, Admin, "Make an account").body::<CreateUserRequest>().or(409).empty();
    d.op("DELETE /admin/users/{username}", tag, Admin, "Delete an account; the name stays taken")
        .reply::<AccountStateBody>();
    d.op("POST /admin/users/{username}/password", tag, Admin, "Set a password")
        .body::<ResetPasswordRequest>()
        .empty();
    d.op("POST /admin/users/{username}/state", tag, Admin, "Lock, delete or reactivate an account")
        .body::<AccountStateBody>()
        .reply::<AccountStateBody>();
    d.op("POST /admin/users/{username}/group-quota", tag, Admin, "How many groups a user may make")
        .body::<GroupQuotaRequest>()
        .reply::<GroupQuotaReply>();
    d.op("POST /admin/groups/{group}/storage-quota", tag, Admin, "How much a group may store")
        .body::<StorageQuotaRequest>()
        .reply::<StorageQuotaReply>();
    d.op(
        "PUT /v1/admin/groups/{group}/users",
        tag,
        Admin,
        "Give roles in any group, and make it active again",
    )
    .body::<RelationsRequest>()
    .empty();
    d.op("DELETE /admin/groups/{group}/attachments/{*key}", tag, Admin, "Remove any attachment").empty();
    d.op("DELETE /admin/tasks/{uuid}/artifacts/{content_type}", tag, Admin, "Remove any artifact").empty();
    d.op("DELETE /admin/workers/{uuid}", tag, Admin, "Stop any worker").query("op", Type::String, OP).empty();
    d.op("POST /admin/shutdown", tag, Admin, "Stop the coordinator").body::<ShutdownRequest>().empty();
    d.op("GET /v1/admin/doctor", tag, Admin, "Facts for diagnosis, for administrators")
        .reply::<AdminDoctorReply>();
    d.op("GET /metrics", tag, Admin, "Counters of the coordinator, for Prometheus")
        .text("application/openmetrics-text");
    d.op("GET /v1/admin/audit", tag, Admin, "What administrators did, and who logged in")
        .query("before", Type::Integer, "Entries before the one with this id")
        .query("limit", Type::Integer, "Most entries; 100 unless given")
        .reply::<AuditReply>();
}

fn groups(d: &mut Description) {
    let tag = "groups";
    d.op("POST /groups", tag, User, "Make a group").body::<CreateGroupRequest>().or(409).empty();
    d.op("GET /groups/{group}", tag, User, "A group").reply::<GroupInfo>();
    d.op("DELETE /v1/groups/{group}", tag, User, "Delete a group; an administrator can undo it").empty();
    d.op("PUT /groups/{group}/users", tag, User, "Add members or change their roles")
        .body::<RelationsRequest>()
        .empty();
    d.op("DELETE /groups/{group}/users", tag, User, "Remove members")
        .repeated("users", "Once for each user")
        .empty();
    d.op("POST /groups/{group}/users/remove", tag, User, "Remove members")
        .body::<RemoveUsersRequest>()
        .empty();
}

fn attachments(d: &mut Description) {
    let tag = "attachments";
    d.op("POST /groups/{group}/attachments", tag, User, "A link to upload a file")
        .body::<UploadAttachmentRequest>()
        .reply::<UploadReply>();
    d.op("POST /groups/{group}/attachments/query", tag, User, "Files, in key order")
        .body::<QueryAttachmentsRequest>()
        .reply::<QueryAttachmentsReply>();
    d.op("GET /groups/{group}/attachments/{*key}", tag, User, "What is known of a file")
        .reply::<AttachmentInfo>();
    d.op("DELETE /groups/{group}/attachments/{*key}", tag, User, "Remove a file").empty();
    d.op("GET /groups/{group}/download/attachments/{*key}", tag, User, "A link to a file")
        .reply::<DownloadReply>();
    d.op("POST /groups/{group}/download/attachments", tag, User, "Links to files whose key contains a text")
        .body::<AttachmentsByFilterRequest>()
        .reply::<AttachmentDownloadsReply>();
    d.op("POST /groups/{group}/download/attachments/list", tag, User, "Links to the files of a list")
        .body::<AttachmentsByListRequest>()
        .reply::<AttachmentDownloadsReply>();
    d.op("POST /groups/{group}/delete/attachments", tag, User, "Remove files whose key contains a text")
        .body::<AttachmentsByFilterRequest>()
        .reply::<DeletedAttachmentsReply>();
    d.op("POST /groups/{group}/delete/attachments/list", tag, User, "Remove the files of a list")
        .body::<AttachmentsByListRequest>()
        .reply::<DeletedAttachmentsListReply>();
}

fn tasks(d: &mut Description) {
    let tag = "tasks";
    d.op("POST /tasks", tag, User, "Submit a task").body::<SubmitTaskRequest>().reply::<SubmitTaskReply>();
    d.op("POST /tasks/submit", tag, User, "Submit many tasks")
        .body::<SubmitTasksRequest>()
        .or(409)
        .reply::<SubmitTasksReply>();
    d.op("GET /tasks/{uuid}", tag, User, "A task with its artifacts").reply::<GetTaskReply>();
    d.op("PUT /tasks/{uuid}", tag, User, "Change a task that waits").body::<ChangeTaskRequest>().empty();
    d.op("DELETE /tasks/{uuid}", tag, User, "Cancel a task that waits").empty();
    d.op("PUT /tasks/{uuid}/labels", tag, User, "Replace a task's labels").body::<LabelsRequest>().empty();
    d.op("POST /tasks/query", tag, User, "Tasks that match, newest first")
        .body::<QueryTasksRequest>()
        .reply::<QueryTasksReply>();
    d.op("POST /tasks/cancel", tag, User, "Cancel matches that wait")
        .body::<TaskFilter>()
        .reply::<CancelledTasksReply>();
    d.op("POST /tasks/cancel/list", tag, User, "Cancel tasks of a list that wait")
        .body::<CancelTasksListRequest>()
        .reply::<CancelledTasksListReply>();
    d.op("GET /v1/tasks/{uuid}/explain", tag, User, "Why a task waits, or what became of it")
        .reply::<Explanation>();
    d.op("GET /v1/tasks/find", tag, User, "One task by a short name")
        .query("selector", Type::String, "A UUID, the start of one, `group-number`, or `last`")
        .reply::<FindTaskReply>();
    d.op("POST /v1/tasks/results", tag, User, "How tasks ended, in rows for a table, newest first")
        .body::<ResultsRequest>()
        .reply::<ResultsReply>();
    d.op("POST /v1/tasks/retry", tag, User, "Submit ended tasks again")
        .body::<RetryTasksRequest>()
        .or(409)
        .reply::<RetryTasksReply>();
    d.op("GET /v1/tasks/{uuid}/output", tag, User, "Live output, from an offset on each stream")
        .query("stdout", Type::Integer, "Bytes of standard output that are known")
        .query("stderr", Type::Integer, "Bytes of standard error that are known")
        .query("wait", Type::String, WAIT)
        .reply::<FollowReply>();
    d.op("POST /v1/tasks/{uuid}/stop", tag, User, "Stop a task that runs").empty();
    stream(d.op("GET /v1/tasks/{uuid}/events", tag, User, "State changes of a task until it ends"));
    let events = d.op("GET /v1/events", tag, User, "Where tasks stand, as it changes");
    stream(
        events.query("group", Type::String, "Only of this group; all of the caller's unless given").query(
            "label",
            Type::String,
            "Only with this label",
        ),
    );
}

/// Each event has the name `task`, an id to go on from, and a `TaskEvent` as data.
fn stream(op: Op<'_>) {
    op.text("text/event-stream");
}

fn artifacts(d: &mut Description) {
    let tag = "artifacts";
    d.op("POST /tasks/{uuid}/artifacts", tag, User, "A link to upload an archive")
        .body::<UploadArtifactRequest>()
        .reply::<UploadReply>();
    d.op("DELETE /tasks/{uuid}/artifacts/{content_type}", tag, User, "Remove an archive").empty();
    d.op("GET /tasks/{uuid}/download/artifacts/{content_type}", tag, User, "A link to an archive")
        .reply::<DownloadReply>();
    d.op("POST /tasks/download/artifacts", tag, User, "Links to one archive of each match")
        .body::<ArtifactsByFilterRequest>()
        .reply::<ArtifactDownloadsReply>();
    d.op("POST /tasks/download/artifacts/list", tag, User, "Links to one archive of each task of a list")
        .body::<ArtifactsByListRequest>()
        .reply::<ArtifactDownloadsReply>();
    d.op("POST /tasks/delete/artifacts", tag, User, "Remove one archive of each match")
        .body::<ArtifactsByFilterRequest>()
        .reply::<DeletedArtifactsReply>();
    d.op("POST /tasks/delete/artifacts/list", tag, User, "Remove one archive of each task of a list")
        .body::<ArtifactsByListRequest>()
        .reply::<DeletedArtifactsListReply>();
}

fn workers(d: &mut Description) {
    let tag = "workers";
    d.op("POST /workers", tag, User, "Register a worker")
        .body::<RegisterWorkerRequest>()
        .reply::<RegisterWorkerReply>();
    d.op("GET /workers/{uuid}", tag, User, "A worker with the groups on it").reply::<GetWorkerReply>();
    d.op("DELETE /workers/{uuid}", tag, User, "Stop a worker").query("op", Type::String, OP).empty();
    d.op("PUT /workers/{uuid}/tags", tag, User, "Replace what a worker can do").body::<TagsRequest>().empty();
    d.op("PUT /workers/{uuid}/labels", tag, User, "Replace a worker's labels")
        .body::<LabelsRequest>()
        .empty();
    d.op("PUT /workers/{uuid}/groups", tag, User, "Let groups use a worker")
        .body::<RelationsRequest>()
        .empty();
    d.op("DELETE /workers/{uuid}/groups", tag, User, "Take groups off a worker")
        .repeated("groups", "Once for each group")
        .empty();
    d.op("DELETE /workers/{uuid}/groups/remove", tag, User, "Take groups off a worker")
        .body::<RemoveGroupsRequest>()
        .empty();
    d.op("POST /workers/query", tag, User, "Workers of a group")
        .body::<QueryWorkersRequest>()
        .reply::<QueryWorkersReply>();
    d.op("POST /workers/shutdown", tag, User, "Stop workers that match")
        .body::<ShutdownWorkersRequest>()
        .reply::<ShutdownWorkersReply>();
    d.op("POST /workers/shutdown/list", tag, User, "Stop the workers of a list")
        .body::<ShutdownWorkersListRequest>()
        .reply::<ShutdownWorkersListReply>();
}

fn worker_side(d: &mut Description) {
    let tag = "worker's side";
    d.op("DELETE /workers", tag, Worker, "Sign off").null();
    d.op("POST /workers/heartbeat", tag, Worker, "Give a sign of life").null();
    d.op("GET /workers/tasks", tag, Worker, "The next task")
        .query("wait", Type::String, WAIT)
        .reply_or_null::<FetchedTask>();
    d.op("POST /workers/tasks", tag, Worker, "Report on the task in hand")
        .body::<ReportRequest>()
        .reply::<ReportReply>();
    d.op("GET /workers/tasks/{uuid}", tag, Worker, "A task that is watched").reply::<GetTaskReply>();
    d.op("GET /workers/tasks/{uuid}/artifacts/{content_type}", tag, Worker, "A link to an archive")
        .reply::<DownloadReply>();
    d.op("GET /workers/tasks/{uuid}/attachments/{*key}", tag, Worker, "A link to a file of the task's group")
        .reply::<DownloadReply>();
    d.op("GET /v1/workers/tasks/{uuid}/reached", tag, Worker, "Whether a watched task has come far enough")
        .query("target", Type::String, "The state, such as ExecSpawned")
        .query("wait", Type::String, WAIT)
        .reply::<ReachedReply>();
    d.op("GET /v1/workers/tasks/{uuid}/output", tag, Worker, "What followers want to see")
        .query("wait", Type::String, WAIT)
        .reply::<OutputDemand>();
    d.op("POST /v1/workers/tasks/{uuid}/output", tag, Worker, "Output for followers")
        .body::<OutputChunk>()
        .reply::<OutputDemand>();
    d.op("POST /v1/agents/poll", tag, Worker, "Wait for tasks and messages")
        .body::<PollRequest>()
        .reply::<PollReply>();
    d.op("POST /v1/agents/report", tag, Worker, "Hand in what ended, and get the next tasks")
        .body::<ReportBatch>()
        .reply::<ReportBatchReply>();
    d.op("POST /v1/workers/token", tag, Worker, "A token with a later end")
        .body::<RenewWorkerTokenRequest>()
        .reply::<TokenReply>();
}
