//! `mito client tasks artifacts download`.

use std::path::PathBuf;

use crate::cli::client::DownloadArgs;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::show;

pub(in crate::commands::client::tasks) async fn download(
    args: &DownloadArgs,
    identity: &Identity,
) -> Result<(), Failure> {
    let link = identity.client.artifact_link(args.uuid, args.kind).await?;
    if args.no_download {
        return show::line(&link.url);
    }
    let target = target(args);
    let size = identity.client.download(&link.url, &target).await?;
    eprintln!("{size} bytes");
    show::line(target.display())
}

/// A folder gets a file of the usual name; anything else is the name.
fn target(args: &DownloadArgs) -> PathBuf {
    match &args.output {
        Some(path) if path.is_dir() => path.join(args.kind.file_name()),
        Some(path) => path.clone(),
        None => PathBuf::from(args.kind.file_name()),
    }
}
