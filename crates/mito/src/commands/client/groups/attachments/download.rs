//! `mito client groups attachments download`, `download-many` and `download-list`.

use std::path::{Path, PathBuf};

use mitosis_protocol::attachment::{AttachmentDownload, AttachmentsByListRequest};

use super::path::{AttachmentPath, local_names};
use crate::cli::client::attachments::{DownloadArgs, DownloadListArgs, DownloadManyArgs};
use crate::commands::client::partial_failure::{fail_if_any, require_any};
use crate::commands::client::transfer::{self, Form, Item};
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::Output;

pub(super) async fn one(args: &DownloadArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let place = AttachmentPath::of_existing(&args.place, &identity.name)?;
    let link = identity.client.attachment_link(&place.group, &place.key).await?;
    let name = match (args.place.smart, Path::new(&place.key).file_name()) {
        (true, Some(name)) => PathBuf::from(name),
        _ => PathBuf::from(&place.key),
    };
    let item = Item { label: place.key, url: link.url, size: link.size, name, form: Form::File };
    transfer::fetch(&identity.client, item, &args.options, out).await
}

pub(super) async fn many(args: &DownloadManyArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let group = args.filter.group.as_ref().unwrap_or(&identity.name);
    let found = identity.client.attachment_links(group, &args.filter.request()).await?;
    transfer::fetch_many(&identity.client, items(found.downloads), &args.options, out).await
}

pub(super) async fn list(args: &DownloadListArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    require_any(&args.keys, "KEY")?;
    let group = args.group.as_ref().unwrap_or(&identity.name);
    let request = AttachmentsByListRequest { keys: args.keys.clone() };
    let found = identity.client.listed_attachment_links(group, &request).await?.downloads;
    let missing: Vec<String> =
        args.keys.iter().filter(|key| found.iter().all(|found| found.key != **key)).cloned().collect();
    let fetched = transfer::fetch_many(&identity.client, items(found), &args.options, out).await;
    fail_if_any(&missing, "these do not exist", "`mito client groups attachments query` lists the files")?;
    fetched
}

fn items(found: Vec<AttachmentDownload>) -> Vec<Item> {
    let names = local_names(&found.iter().map(|one| one.key.as_str()).collect::<Vec<_>>());
    found
        .into_iter()
        .zip(names)
        .map(|(AttachmentDownload { key, url, size }, name)| Item {
            label: key,
            url,
            size,
            name,
            form: Form::File,
        })
        .collect()
}
