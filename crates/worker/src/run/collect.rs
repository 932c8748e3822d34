//! Bringing a task's archives to the object store.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mitosis_client::TransferError;
use mitosis_protocol::ArtifactKind;
use mitosis_protocol::artifact::UploadArtifactRequest;
use mitosis_protocol::report::ReportOp;

use super::scratch::on_a_blocking_thread;
use super::{Attempt, Lost, archive};
use crate::insist::Waits;

/// Limit on packing and uploading everything.
const LIMIT: Duration = Duration::from_secs(600);
/// How often an object store may refuse a fresh link before it is believed.
const REFUSALS: usize = 3;

/// Whether the other archives are still worth trying.
enum Stored {
    Yes,
    /// The coordinator does not want more from this task.
    NoMore,
    Failed,
}

impl Attempt<'_> {
    /// Packs and uploads what there is; answers whether something is missing that should be there.
    pub(super) async fn collect(&self) -> Result<bool, Lost> {
        tokio::time::timeout(LIMIT, self.collect_each()).await.unwrap_or_else(|_| {
            tracing::warn!("packing and uploading took too long");
            Ok(true)
        })
    }

    async fn collect_each(&self) -> Result<bool, Lost> {
        let mut missing = false;
        for kind in ArtifactKind::ALL {
            let file = match self.pack(kind).await {
                Ok(Some(file)) => file,
                Ok(None) => continue,
                Err(error) => {
                    tracing::error!(%error, %kind, "can't be packed");
                    missing = true;
                    continue;
                }
            };
            match self.store(kind, &file).await? {
                Stored::Yes => {}
                Stored::NoMore => return Ok(missing),
                Stored::Failed => missing = true,
            }
        }
        Ok(missing)
    }

    async fn pack(&self, kind: ArtifactKind) -> io::Result<Option<PathBuf>> {
        if kind == ArtifactKind::StdLog && !self.task.spec.terminal_output {
            return Ok(None);
        }
        let scratch = self.scratch.clone();
        on_a_blocking_thread(move || {
            let target = scratch.archive(kind);
            let packed = match kind {
                ArtifactKind::Result => archive::pack_tree(&scratch.result(), "result", &target)?,
                ArtifactKind::ExecLog => archive::pack_tree(&scratch.exec(), "exec-log", &target)?,
                ArtifactKind::StdLog => {
                    archive::pack_streams(&scratch.stdout(), &scratch.stderr(), &target).map(|()| true)?
                }
            };
            Ok(packed.then_some(target))
        })
        .await
    }

    async fn store(&self, kind: ArtifactKind, file: &Path) -> Result<Stored, Lost> {
        let Ok(content_length) = tokio::fs::metadata(file).await.map(|found| found.len()) else {
            return Ok(Stored::Failed);
        };
        let mut waits = Waits::new(&*self.session.settings.entropy);
        let mut refusals = 0;
        loop {
            let Some(url) = self.upload_link(kind, content_length).await? else { return Ok(Stored::NoMore) };
            let error = match self.session.client.upload(&url, file).await {
                Ok(()) => return Ok(Stored::Yes),
                Err(error) => error,
            };
            tracing::warn!(%error, %kind, "an upload did not work");
            if !error.is_transient() {
                refusals += 1;
            }
            if refusals == REFUSALS || matches!(error, TransferError::File { .. }) {
                return Ok(Stored::Failed);
            }
            waits.pause().await;
        }
    }

    /// Where to put an archive; none if the coordinator does not want it, for instance over a quota.
    async fn upload_link(&self, kind: ArtifactKind, content_length: u64) -> Result<Option<String>, Lost> {
        let upload = ReportOp::Upload(UploadArtifactRequest { content_type: kind, content_length });
        match self.report(upload).await {
            Ok(reply) => Ok(reply.url),
            Err(error) if error.status() == Some(401) => Err(Lost::Unknown),
            Err(error) if error.status() == Some(404) => Err(Lost::TakenBack),
            Err(error) => {
                tracing::warn!(%error, %kind, "the coordinator does not take it; leaving out what is left");
                Ok(None)
            }
        }
    }
}
