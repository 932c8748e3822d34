//! `mito client tasks artifacts download`, `download-many` and `download-list`.

use std::collections::HashMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mitosis_protocol::artifact::ArtifactDownload;
use mitosis_protocol::{TaskInfo, Uuid};

use super::super::legacy_filter;
use crate::cli::client::artifacts::{DownloadArgs, DownloadListArgs, DownloadManyArgs};
use crate::cli::client::transfer::BatchOptions;
use crate::commands::client::partial_failure::{fail_if_any, require_any};
use crate::commands::client::transfer::{self, Form, Item};
use crate::commands::select;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

/// The most bytes of a name that is made of parameters.
const MAX_NAME: usize = 150;

pub(super) async fn one(args: &DownloadArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let DownloadArgs { task, kind, options } = args;
    let uuid = select::one(task, &identity.client).await?;
    let link = identity.client.artifact_link(uuid, *kind).await?;
    let item = Item {
        label: uuid.to_string(),
        url: link.url,
        size: link.size,
        name: kind.file_name().into(),
        form: Form::File,
    };
    transfer::fetch(&identity.client, item, options, out).await
}

pub(super) async fn many(args: &DownloadManyArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let mut request = args.which.request();
    request.filter = legacy_filter::fitting(request.filter, &identity.client).await?;
    let found = identity.client.artifact_links(&request).await?;
    fetch_many(found.downloads, form(args.extract), &args.options, identity, out).await
}

pub(super) async fn list(args: &DownloadListArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    require_any(&args.which.tasks, "TASK")?;
    let request = args.which.request(select::each(&args.which.tasks, &identity.client).await?);
    let found = identity.client.listed_artifact_links(&request).await?.downloads;
    let missing: Vec<Uuid> =
        request.uuids.iter().filter(|uuid| found.iter().all(|found| found.uuid != **uuid)).copied().collect();
    let fetched = fetch_many(found, form(args.extract), &args.options, identity, out).await;
    let sentence = format!("these tasks have no {}", request.content_type);
    fail_if_any(&missing, &sentence, "`mito client tasks get` lists the artifacts of a task")?;
    fetched
}

fn form(extract: bool) -> Form {
    match extract {
        true => Form::Extracted,
        false => Form::File,
    }
}

async fn fetch_many(
    found: Vec<ArtifactDownload>,
    form: Form,
    options: &BatchOptions,
    identity: &Identity,
    out: &Output,
) -> Result<(), Failure> {
    let names: Vec<String> = match form {
        Form::File => found.iter().map(|artifact| format!("{}.tar.gz", artifact.uuid)).collect(),
        Form::Extracted => {
            let tasks = stream::iter(&found).map(|artifact| identity.client.task(artifact.uuid));
            let tasks: Vec<_> = tasks.buffered(options.concurrent.get()).try_collect().await?;
            let tasks: Vec<TaskInfo> = tasks.into_iter().map(|task| task.info).collect();
            folder_names(&tasks)
        }
    };
    let items = found.into_iter().zip(names).map(|(ArtifactDownload { uuid, url, size }, name)| Item {
        label: uuid.to_string(),
        url,
        size,
        name: name.into(),
        form,
    });
    transfer::fetch_many(&identity.client, items.collect(), options, out).await
}

/// A name for the folder of each task: its parameters (`lr=0.1,seed=3`), or its group and number. Parameters that can't be
/// a file name, and those of several tasks, are followed by the group and number.
fn folder_names(tasks: &[TaskInfo]) -> Vec<String> {
    let params: Vec<String> = tasks
        .iter()
        .map(|task| {
            let pairs = task.spec.params.iter().map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join(",")
        })
        .collect();
    let mut count = HashMap::new();
    for params in &params {
        *count.entry(params.as_str()).or_insert(0) += 1;
    }
    tasks
        .iter()
        .zip(&params)
        .map(|(task, params)| {
            let number = as_file_name(&format!("{}-{}", task.group_name, task.task_id));
            let name = as_file_name(params);
            match params.as_str() {
                "" => number,
                _ if count[params.as_str()] == 1 && name == *params => name,
                _ => format!("{name},task={number}"),
            }
        })
        .collect()
}

/// Replaces characters that are unusual in a file name, and cuts a long name.
fn as_file_name(text: &str) -> String {
    let usual = |c: char| c.is_alphanumeric() || "=,.+-_@%".contains(c);
    let mut name: String = text.chars().map(|c| if usual(c) { c } else { '_' }).collect();
    name.truncate(name.floor_char_boundary(MAX_NAME));
    match name.strip_prefix(['.', '-']) {
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::{TaskSpec, TaskState, Timestamp};

    use super::*;

    fn task(number: i64, params: &[(&str, &str)]) -> TaskInfo {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        TaskInfo {
            uuid: Uuid::from_u128(u128::from(number.unsigned_abs())),
            creator_username: "ann".to_owned(),
            group_name: "lab".to_owned(),
            task_id: number,
            tags: Vec::new(),
            labels: Vec::new(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            state: TaskState::Finished,
            timeout: 60,
            priority: 0,
            spec: TaskSpec { params, ..TaskSpec::default() },
            result: None,
            upstream_task_uuid: None,
            downstream_task_uuid: None,
            reporter_uuid: None,
            repeats_task_uuid: None,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn folder_is_named_by_the_parameters_of_its_task() {
        let long = "x".repeat(300);
        let tasks = [
            task(1, &[]),
            task(2, &[("seed", "3"), ("lr", "0.1")]),
            task(3, &[("seed", "4"), ("lr", "0.1")]),
            task(4, &[("seed", "4"), ("lr", "0.1")]),
            task(5, &[("file", "../../etc/passwd")]),
            task(6, &[("x", &long)]),
        ];
        let names = folder_names(&tasks);
        assert_eq!(names[..3], ["lab-1", "lr=0.1,seed=3", "lr=0.1,seed=4,task=lab-3"]);
        assert_eq!(names[3..5], ["lr=0.1,seed=4,task=lab-4", "file=.._.._etc_passwd,task=lab-5"]);
        assert!(names[5].starts_with("x=xxx") && names[5].ends_with(",task=lab-6"), "{}", names[5]);
        assert!(names[5].len() < 255, "{}", names[5]);
    }
}
