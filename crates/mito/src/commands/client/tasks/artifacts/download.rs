//! `mito client tasks artifacts download`, `download-many` and `download-list`.

use mitosis_protocol::Uuid;
use mitosis_protocol::artifact::ArtifactDownload;

use super::super::legacy_filter;
use crate::cli::client::artifacts::{DownloadArgs, DownloadListArgs, DownloadManyArgs};
use crate::commands::client::partial_failure::{fail_if_any, require_any};
use crate::commands::client::transfer::{self, Item};
use crate::commands::select;
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn one(args: &DownloadArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let DownloadArgs { task, kind, options } = args;
    let uuid = select::one(task, &identity.client).await?;
    let link = identity.client.artifact_link(uuid, *kind).await?;
    let item =
        Item { label: uuid.to_string(), url: link.url, size: link.size, name: kind.file_name().into() };
    transfer::fetch(&identity.client, item, options, out).await
}

pub(super) async fn many(args: &DownloadManyArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let mut request = args.which.request();
    request.filter = legacy_filter::fitting(request.filter, &identity.client).await?;
    let found = identity.client.artifact_links(&request).await?;
    transfer::fetch_many(&identity.client, items(found.downloads), &args.options, out).await
}

pub(super) async fn list(args: &DownloadListArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    require_any(&args.which.tasks, "TASK")?;
    let request = args.which.request(select::each(&args.which.tasks, &identity.client).await?);
    let found = identity.client.listed_artifact_links(&request).await?.downloads;
    let missing: Vec<Uuid> =
        request.uuids.iter().filter(|uuid| found.iter().all(|found| found.uuid != **uuid)).copied().collect();
    let fetched = transfer::fetch_many(&identity.client, items(found), &args.options, out).await;
    let sentence = format!("these tasks have no {}", request.content_type);
    fail_if_any(&missing, &sentence, "`mito client tasks get` lists the artifacts of a task")?;
    fetched
}

fn items(found: Vec<ArtifactDownload>) -> Vec<Item> {
    found
        .into_iter()
        .map(|ArtifactDownload { uuid, url, size }| Item {
            label: uuid.to_string(),
            url,
            size,
            name: format!("{uuid}.tar.gz").into(),
        })
        .collect()
}
