//! Every record in every format, verbatim. Programs read them, so a change here is a change of the interface and of
//! `docs/guide/output.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use insta::assert_snapshot;
use mitosis_protocol::admin::AccountState;
use mitosis_protocol::attachment::{AttachmentContentType, AttachmentInfo};
use mitosis_protocol::events::TaskEvent;
use mitosis_protocol::group::GroupInfo;
use mitosis_protocol::sweep::RetriedTask;
use mitosis_protocol::task::{ResourceDownload, SubmitTaskReply, TaskDirectory};
use mitosis_protocol::worker::{WorkerInfo, WorkerState};
use mitosis_protocol::{
    ArtifactInfo, ArtifactKind, ExecState, Role, TaskInfo, TaskResult, TaskResultMessage, TaskSpec,
    TaskState, Timestamp, Uuid, WaitStatus,
};

use super::format::Format;
use super::output::Output;
use super::record::Record;
use super::rows::written;
use super::*;
use mitosis_supervisor::{State, WorkerStatus};

const FORMATS: [Option<Format>; 7] = [
    None,
    Some(Format::Table),
    Some(Format::Json),
    Some(Format::Jsonl),
    Some(Format::Csv),
    Some(Format::Yaml),
    Some(Format::Id),
];

fn at(minutes_ago: u64) -> Timestamp {
    Timestamp::from_unix_micros(1_928_423_045_250_000) - std::time::Duration::from_secs(minutes_ago * 60)
}

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(0x3f0c_9a3e_7c1b_4b6e_9a52_0d7e_3f1c_0000 + number)
}

fn task() -> TaskInfo {
    TaskInfo {
        uuid: uuid(1),
        creator_username: "ann".into(),
        group_name: "lab".into(),
        task_id: 42,
        tags: vec!["gpu".into(), "eu".into()],
        labels: vec!["exp1".into(), "a, \"b\"\u{1b}[31m".into()],
        created_at: at(200),
        updated_at: at(3),
        state: TaskState::Finished,
        timeout: 600,
        priority: -3,
        spec: TaskSpec {
            args: ["sh", "-c", "echo a\nexit 7"].map(str::to_owned).to_vec(),
            envs: BTreeMap::from([("SEED".into(), "4".into())]),
            secrets: BTreeMap::from([("TOKEN".into(), "TOKEN".into()), ("PASSWORD".into(), "DB".into())]),
            resources: vec![ResourceDownload {
                remote_file: mitosis_protocol::task::RemoteFile::Attachment { key: "in.csv".into() },
                local_path: "in.csv".into(),
            }],
            terminal_output: true,
            watch: Some((uuid(2), ExecState::TaskCommitted)),
            params: BTreeMap::from([("seed".into(), "4".into())]),
            lost_after: Some(std::time::Duration::from_secs(120)),
            idempotent: true,
            stop_signal: Some(mitosis_protocol::stop::StopSignal::TERM),
            stop_grace: Some(std::time::Duration::from_secs(30)),
            files: BTreeMap::from([("run.sh".into(), "#!/bin/sh\n".into())]),
            stdin: Some("in.csv".into()),
            directory: Some(TaskDirectory::Require("/home/ann/run".into())),
            request: mitosis_protocol::ResourceRequest::default(),
        },
        result: Some(TaskResult {
            exit_status: WaitStatus::exited(7),
            msg: Some(TaskResultMessage::SubmitNewTaskFailed),
        }),
        warnings: Vec::new(),
        upstream_task_uuid: Some(uuid(3)),
        downstream_task_uuid: None,
        reporter_uuid: Some(uuid(4)),
        repeats_task_uuid: Some(uuid(8)),
    }
}

fn waiting() -> TaskInfo {
    TaskInfo {
        uuid: uuid(5),
        state: TaskState::Ready,
        result: None,
        reporter_uuid: None,
        labels: vec![],
        spec: TaskSpec { args: vec!["true".into()], ..TaskSpec::default() },
        ..task()
    }
}

fn worker() -> WorkerInfo {
    WorkerInfo {
        worker_id: uuid(6),
        host: Some("node-17".into()),
        facts: None,
        drain_reason: None,
        creator_username: "ann".into(),
        tags: vec!["gpu".into()],
        labels: vec!["shelf-3".into()],
        created_at: at(5000),
        updated_at: at(1),
        state: WorkerState::Normal,
        last_heartbeat: at(0),
        assigned_task_id: Some(uuid(1)),
        missed: false,
        lost_at: None,
        lost_after: None,
        offer: None,
        free: None,
        ends_at: None,
    }
}

fn group() -> GroupInfo {
    GroupInfo {
        group_name: "lab".into(),
        creator_username: "ann".into(),
        created_at: at(5000),
        updated_at: at(1),
        state: AccountState::Active,
        task_count: 42,
        storage_quota: 16_000_000_000,
        storage_used: 1_500,
        worker_count: 2,
        write_priority: None,
        users_in_group: Some(BTreeMap::from([("ann".into(), Role::Admin), ("raj".into(), Role::Read)])),
    }
}

fn attachment() -> AttachmentAt {
    AttachmentAt {
        key: "data/in.csv".into(),
        group_name: "lab".into(),
        info: AttachmentInfo {
            content_type: AttachmentContentType::NoSet,
            size: 4,
            created_at: at(90),
            updated_at: at(60),
        },
    }
}

/// Formats records in every format for programs, and for people.
fn everywhere<T: Record>(records: &[T]) -> String {
    let mut text = format!("terminal:\n{}", written(&Output::fixed(None, true), records));
    for format in FORMATS {
        let name = format.map_or_else(|| "piped".to_owned(), |format| format!("{format:?}").to_lowercase());
        let output = Output::fixed(format, false);
        write!(text, "\n{name}:\n{}", written(&output, records)).unwrap();
    }
    text
}

/// Formats all fields of a record, for a program and for a person.
fn in_full<T: Record>(record: &T) -> String {
    let [person, program] = [true, false].map(|terminal| Output::fixed(None, terminal).one_as_text(record));
    format!("terminal:\n{person}\n\npiped:\n{program}\n")
}

#[test]
fn tasks() {
    assert_snapshot!("tasks", everywhere(&[TaskShown::from(task()), waiting().into()]));
    let artifacts = vec![ArtifactInfo {
        content_type: ArtifactKind::Result,
        size: 12,
        created_at: at(3),
        updated_at: at(3),
    }];
    let shown = TaskShown::from(task()).with_artifacts(artifacts);
    let json = serde_json::to_string_pretty(&shown).unwrap();
    assert_snapshot!("task", format!("{}\njson:\n{json}\n", in_full(&shown)));
}

#[test]
fn submitted_tasks() {
    let taken = Submitted::taken("lab", SubmitTaskReply { task_id: 42, uuid: uuid(1) });
    let retried = RetriedTask { repeats_task_uuid: uuid(1), uuid: uuid(2), task_id: 43 };
    assert_snapshot!("retried", everywhere(&[Retried::from(retried)]));
    assert_snapshot!("submitted", everywhere(&[taken, Submitted::refused("lab", "there is no group `lab`")]));
}

#[test]
fn workers() {
    let missed = WorkerInfo {
        missed: true,
        lost_at: Some(at(0)),
        lost_after: Some(std::time::Duration::from_secs(120)),
        ..worker()
    };
    let both = [worker(), missed.clone()].map(|info| WorkerShown::of_group(info, "lab"));
    assert_snapshot!("workers", everywhere(&both));
    assert_snapshot!("missed_worker", in_full(&WorkerShown::of_group(missed, "lab")));
    let groups = BTreeMap::from([("ann".to_owned(), Role::Admin), ("lab".to_owned(), Role::Write)]);
    assert_snapshot!("worker", in_full(&WorkerShown::with_groups(worker(), groups)));
}

#[test]
fn groups() {
    assert_snapshot!("groups", everywhere(&[group()]));
    assert_snapshot!("group", in_full(&group()));
    assert_snapshot!(
        "memberships",
        everywhere(&[Membership { group_name: "lab".into(), role: Role::Write }])
    );
    assert_snapshot!("whoami", everywhere(&[Whoami { username: "ann".into() }]));
}

#[test]
fn files() {
    assert_snapshot!("attachments", everywhere(&[attachment()]));
    assert_snapshot!("attachment", in_full(&attachment()));
    assert_snapshot!(
        "fetched",
        everywhere(&[Fetched { of: "data/in.csv".into(), path: "in.csv".into(), size: 4 }])
    );
    let link = Link { of: "data/in.csv".into(), url: "http://127.0.0.1/x?y=z".into(), size: 4 };
    assert_snapshot!("links", everywhere(&[link]));
}

#[test]
fn numbers() {
    assert_snapshot!("count", everywhere(&[Count { count: 3 }]));
    let outcome = BatchOutcome::of_list(2, &[uuid(7)]);
    assert_snapshot!("outcome", everywhere(&[outcome]));
    assert_snapshot!(
        "storage_quota",
        everywhere(&[StorageQuota { group_name: "lab".into(), storage_quota: 1_000 }])
    );
    assert_snapshot!("group_quota", everywhere(&[GroupQuota { username: "ann".into(), group_quota: 5 }]));
}

#[test]
fn this_machine() {
    let value = Some("http://localhost:5000".to_owned());
    let settings = [
        Setting::new("coordinator_addr", value, "config.toml, line 3".into(), true),
        Setting::new("user", None, "not set".into(), false),
    ];
    assert_snapshot!("settings", everywhere(&settings));
    let running = WorkerStatus {
        number: 1,
        pid: Some(4711),
        state: State::Running,
        since: 60,
        restarts: 0,
        last_end: None,
    };
    let failed = WorkerStatus {
        number: 2,
        pid: None,
        state: State::Failed,
        restarts: 3,
        last_end: Some("status 78".into()),
        ..running.clone()
    };
    assert_snapshot!("managed", everywhere(&[running, failed]));
}

#[test]
fn task_cancelled_before_it_ran_has_no_exit_code() {
    let result =
        Some(TaskResult { exit_status: WaitStatus::SUCCESS, msg: Some(TaskResultMessage::UserCancellation) });
    let info = TaskInfo { state: TaskState::Cancelled, result, ..waiting() };
    let event = TaskEvent {
        uuid: info.uuid,
        group_name: info.group_name.clone(),
        task_id: info.task_id,
        state: info.state,
        result,
        at: at(3),
        warnings: Vec::new(),
        exit_code: None,
    };
    assert_snapshot!("task_change", everywhere(&[TaskChange::from(event)]));
    let csv = written(&Output::fixed(Some(Format::Csv), false), &[TaskShown::from(info)]);
    assert!(csv.contains(",Cancelled,,UserCancellation,"), "{csv}");
}

#[test]
fn empty_result_is_a_document() {
    assert_snapshot!("nothing", everywhere::<TaskShown>(&[]));
}
