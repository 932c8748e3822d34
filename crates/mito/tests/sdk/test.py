"""Uses every operation of the published SDK against a running coordinator.

Arguments: the coordinator's address and an empty folder to work in. A worker must serve the
administrator's group. Ends with status 0 only if every operation was used and gave what it should.
"""

import hashlib
import sys
import time
from datetime import timedelta
from pathlib import Path

from pynetmito import MitoHttpClient, schemas
from pynetmito.schemas import (
    AdminChangePasswordReq, ArtifactContentType, ArtifactsDeleteByFilterReq, ArtifactsDeleteByUuidsReq,
    ArtifactsDownloadByFilterReq, ArtifactsDownloadByUuidsReq, AttachmentsDeleteByFilterReq,
    AttachmentsDeleteByKeysReq, AttachmentsDownloadByFilterReq, AttachmentsDownloadByKeysReq,
    AttachmentsQueryReq, ChangeGroupStorageQuotaReq, ChangeTaskReq, ChangeUserGroupQuota, CreateGroupReq,
    CreateUserReq, GroupWorkerRole, RemoteResourceDownload, RemoveGroupWorkerRoleReq,
    RemoveUserGroupRoleReq, ReplaceWorkerLabelsReq, ReplaceWorkerTagsReq, ShutdownReq, SubmitTaskReq,
    TaskSpec, TaskState, TasksCancelByFilterReq, TasksCancelByUuidsReq, TasksQueryReq, TasksSubmitReq,
    UpdateGroupWorkerRoleReq, UpdateTaskLabelsReq, UpdateUserGroupRoleReq, UploadArtifactReq,
    UploadAttachmentReq, UserChangePasswordReq, UserGroupRole, UserLoginReq, WorkersQueryReq,
    WorkersShutdownByFilterReq, WorkersShutdownByUuidsReq, WorkerShutdownOp,
)

ADDRESS, FOLDER = sys.argv[1], Path(sys.argv[2])
ADMIN = "mitosis_admin"

# Helpers that work on files and never speak to the coordinator; `connect` uses both.
NOT_AN_OPERATION = {"extract_credential", "modify_or_append_credential"}


def digest(password):
    return list(hashlib.md5(password.encode()).digest())


class Recorded:
    """A client that remembers which of its operations were used."""

    used = set()

    def __init__(self):
        self.client = MitoHttpClient(ADDRESS)

    def __getattr__(self, name):
        self.used.add(name)
        return getattr(self.client, name)


def refused(operation, *args, **kwargs):
    try:
        operation(*args, **kwargs)
    except Exception:
        return True
    return False


def wait_for(what):
    for _ in range(600):
        value = what()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("it does not come about")


def submission(group, *command, **rest):
    return SubmitTaskReq(group_name=group, task_spec=TaskSpec(args=list(command), **rest))


def main():
    admin = Recorded()
    assert admin.connect(credential_path=FOLDER / "credentials", user=ADMIN, password=ADMIN, retain=True) == ADMIN
    assert admin.user_auth() == ADMIN
    again = Recorded()
    assert again.connect(credential_path=FOLDER / "credentials") == ADMIN, "the kept token works"
    accounts(admin)
    ann = Recorded()
    ann.user_login(UserLoginReq(username="ann", md5_password=digest("new"), retain=False))
    groups(admin, ann)
    tasks(admin)
    artifacts(admin)
    attachments(admin)
    workers(admin)
    assert admin.get_redis_connection_info().url is None
    assert refused(admin.admin_shutdown_coordinator, ShutdownReq(secret="guess"))
    admin.admin_delete_user("ann")
    assert refused(ann.user_auth), "a deleted user is shut out"
    everything = {name for name in dir(MitoHttpClient) if not name.startswith("_")}
    everything = {name for name in everything if callable(getattr(MitoHttpClient, name))}
    assert everything - NOT_AN_OPERATION == Recorded.used & everything, everything - NOT_AN_OPERATION - Recorded.used


def accounts(admin):
    admin.admin_create_user(CreateUserReq(username="ann", md5_password=digest("first")))
    assert refused(admin.admin_create_user, CreateUserReq(username="ann", md5_password=digest("x")))
    admin.admin_change_password("ann", AdminChangePasswordReq(new_md5_password=digest("old")))
    ann = Recorded()
    ann.user_login(UserLoginReq(username="ann", md5_password=digest("old")))
    ann.user_change_password(
        "ann", UserChangePasswordReq(old_md5_password=digest("old"), new_md5_password=digest("new"))
    )
    quota = admin.admin_update_user_group_quota("ann", ChangeUserGroupQuota(group_quota="+2"))
    assert quota.group_quota == 10


def groups(admin, ann):
    ann.user_create_group(CreateGroupReq(group_name="lab"))
    ann.update_user_group_roles("lab", UpdateUserGroupRoleReq(relations={ADMIN: UserGroupRole.WRITE}))
    group = ann.get_group_by_name("lab")
    assert group.users_in_group == {"ann": UserGroupRole.ADMIN, ADMIN: UserGroupRole.WRITE}
    assert admin.get_user_groups_roles().groups["lab"] == UserGroupRole.WRITE
    ann.remove_user_group_roles("lab", RemoveUserGroupRoleReq(users={ADMIN}))
    assert refused(admin.get_group_by_name, "lab")
    quota = admin.admin_update_group_storage_quota("lab", ChangeGroupStorageQuotaReq(storage_quota="2GB"))
    assert quota.storage_quota == 2_000_000_000


def tasks(admin):
    waiting = admin.user_submit_task(
        SubmitTaskReq(
            group_name=ADMIN,
            tags={"no-worker-has-it"},
            labels={"waits"},
            timeout=timedelta(minutes=90),
            priority=3,
            task_spec=TaskSpec(args=["true"], envs={"SEED": "4"}),
        )
    )
    task = admin.get_task_by_uuid(waiting.uuid)
    assert task.info.state == TaskState.READY and set(task.info.tags) == {"no-worker-has-it"}
    admin.change_task(waiting.uuid, ChangeTaskReq(priority=7))
    admin.update_task_labels(waiting.uuid, UpdateTaskLabelsReq(labels={"still"}))
    found = admin.query_tasks_by_filter(TasksQueryReq(labels={"still"}, priority=">=7"))
    assert [task.uuid for task in found.tasks] == [waiting.uuid]
    assert admin.query_tasks_by_filter(TasksQueryReq(labels={"still"}, count=True)).count == 1
    admin.cancel_task_by_uuid(waiting.uuid)
    info = admin.get_task_by_uuid(waiting.uuid).info
    assert info.state == TaskState.CANCELLED and info.result.exit_status == 0
    many = [
        SubmitTaskReq(group_name=ADMIN, tags={"no-worker-has-it"}, labels={"many"}, task_spec=TaskSpec(args=["true"]))
        for _ in range(5)
    ]
    admin.batch_submit_tasks(TasksSubmitReq(tasks=many))
    uuids = [task.uuid for task in admin.query_tasks_by_filter(TasksQueryReq(labels={"many"})).tasks]
    assert len(uuids) == 5
    listed = admin.cancel_tasks_by_uuids(TasksCancelByUuidsReq(uuids=uuids[:2]))
    assert listed.cancelled_count == 2 and listed.failed_uuids == []
    assert admin.cancel_tasks_by_filter(TasksCancelByFilterReq(labels={"many"})).cancelled_count == 3


def run(admin, *command, **rest):
    uuid = admin.user_submit_task(submission(ADMIN, *command, **rest)).uuid
    wait_for(lambda: admin.get_task_by_uuid(uuid).info.result)
    return uuid


def artifacts(admin):
    script = "echo made > $MITO_RESULT_DIR/made.txt; echo said"
    uuid = run(admin, "sh", "-c", script, terminal_output=True)
    task = admin.get_task_by_uuid(uuid)
    assert task.info.result.exit_status == 0
    assert {artifact.content_type for artifact in task.artifacts} == {
        ArtifactContentType.RESULT, ArtifactContentType.STD_LOG,
    }
    archive = FOLDER / "result.tar.gz"
    admin.download_artifact(uuid, ArtifactContentType.RESULT, archive)
    assert archive.stat().st_size > 0
    response = admin.get_artifact_download_resp(uuid, ArtifactContentType.STD_LOG)
    admin.download_file(response, FOLDER / "one.tar.gz")
    admin.concurrent_download_files([(response, FOLDER / "two.tar.gz")], concurrent=2)
    assert (FOLDER / "one.tar.gz").read_bytes() == (FOLDER / "two.tar.gz").read_bytes()

    extra = FOLDER / "extra"
    extra.write_bytes(b"extra")
    admin.upload_artifact(extra, uuid, ArtifactContentType.EXEC_LOG)
    request = UploadArtifactReq(content_type=ArtifactContentType.EXEC_LOG, content_length=5)
    response = admin.get_upload_artifact_resp(uuid, request)
    assert response.exist
    admin.upload_file(response.url, 5, extra)
    admin.download_artifact(uuid, ArtifactContentType.EXEC_LOG, FOLDER / "copy")
    assert (FOLDER / "copy").read_bytes() == b"extra"

    kind = {"content_type": ArtifactContentType.EXEC_LOG}
    by_list = admin.batch_download_artifacts_by_list(ArtifactsDownloadByUuidsReq(uuids=[uuid], **kind))
    by_filter = admin.batch_download_artifacts_by_filter(ArtifactsDownloadByFilterReq(**kind))
    assert len(by_list.downloads) == len(by_filter.downloads) == 1
    young = admin.batch_delete_artifacts_by_list(ArtifactsDeleteByUuidsReq(uuids=[uuid], **kind))
    assert young.deleted_count == 0 and young.failed_uuids == [uuid]
    assert admin.batch_delete_artifacts_by_filter(ArtifactsDeleteByFilterReq(**kind)).deleted_count == 0
    admin.delete_artifact(uuid, ArtifactContentType.EXEC_LOG, admin=True)
    assert refused(admin.get_artifact_download_resp, uuid, ArtifactContentType.EXEC_LOG)


def attachments(admin):
    source = FOLDER / "input.txt"
    source.write_text("given")
    admin.upload_attachment(source, ADMIN, "in/input.txt")
    response = admin.get_upload_attachment_resp(ADMIN, UploadAttachmentReq(key="in/input.txt", content_length=5))
    assert response.exist
    admin.upload_file(response.url, 5, source)
    assert admin.get_attachment("in/input.txt", ADMIN).size == 5
    found = admin.query_attachments_by_filter(ADMIN, AttachmentsQueryReq(key="input"))
    assert [attachment.key for attachment in found.attachments] == ["in/input.txt"]
    admin.download_attachment("in/input.txt", ADMIN, FOLDER / "back.txt")
    assert (FOLDER / "back.txt").read_text() == "given"
    assert admin.get_attachment_download_resp(ADMIN, "in/input.txt").size == 5
    by_keys = admin.batch_download_attachments_by_list(ADMIN, AttachmentsDownloadByKeysReq(keys=["in/input.txt"]))
    by_filter = admin.batch_download_attachments_by_filter(ADMIN, AttachmentsDownloadByFilterReq(key="in/"))
    assert len(by_keys.downloads) == len(by_filter.downloads) == 1

    resource = RemoteResourceDownload.model_validate(
        {"remote_file": {"Attachment": {"key": "in/input.txt"}}, "local_path": "given.txt"}
    )
    uuid = run(admin, "sh", "-c", 'test "$(cat $MITO_RESOURCE_DIR/given.txt)" = given', resources=[resource])
    assert admin.get_task_by_uuid(uuid).info.result.exit_status == 0

    young = admin.batch_delete_attachments_by_list(ADMIN, AttachmentsDeleteByKeysReq(keys=["in/input.txt"]))
    assert young.deleted_count == 0 and young.failed_keys == ["in/input.txt"]
    assert admin.batch_delete_attachments_by_filter(ADMIN, AttachmentsDeleteByFilterReq()).deleted_count == 0
    admin.delete_attachment(ADMIN, "in/input.txt", admin=True)
    assert refused(admin.get_attachment, "in/input.txt", ADMIN)


def workers(admin):
    there = admin.query_workers_by_filter(WorkersQueryReq()).workers
    worker = there[0].worker_id
    admin.replace_worker_tags(worker, ReplaceWorkerTagsReq(tags={"gpu"}))
    admin.replace_worker_labels(worker, ReplaceWorkerLabelsReq(labels={"rack-1"}))
    admin.user_create_group(CreateGroupReq(group_name="shared"))
    roles = UpdateGroupWorkerRoleReq(relations={"shared": GroupWorkerRole.READ})
    admin.update_group_worker_roles(worker, roles)
    shown = admin.get_worker_by_uuid(worker)
    assert set(shown.info.tags) == {"gpu"} and set(shown.info.labels) == {"rack-1"}
    assert shown.groups["shared"] == GroupWorkerRole.READ
    admin.remove_group_worker_roles(worker, RemoveGroupWorkerRoleReq(groups={"shared"}))
    assert "shared" not in admin.get_worker_by_uuid(worker).groups

    graceful = WorkerShutdownOp.GRACEFUL
    first, second, third, *rest = [worker.worker_id for worker in there]
    admin.cancel_worker_by_uuid(first)
    admin.admin_cancel_worker_by_uuid(second, force=True)
    listed = admin.shutdown_workers_by_uuids(WorkersShutdownByUuidsReq(uuids=[third], op=graceful))
    assert listed.shutdown_count == 1
    stopped = admin.shutdown_workers_by_filter(WorkersShutdownByFilterReq(op=graceful))
    assert stopped.shutdown_count == len(rest)
    assert admin.query_workers_by_filter(WorkersQueryReq(count=True)).count == 0


main()
