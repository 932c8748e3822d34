//! Packs the archives of a task. Small ones travel with the report; others are uploaded to the object store. The
//! log comes first, because it explains the others.

use std::fs::File;
use std::io::{self, Seek as _};
use std::time::Duration;

use mitosis_client::{FileOperation, TransferError};
use mitosis_protocol::agent::InlineArchive;
use mitosis_protocol::artifact::UploadArtifactRequest;
use mitosis_protocol::report::ReportOp;
use mitosis_protocol::{ArtifactKind, ErrorCode};

use super::archive::{self, Content, Packed, Target, Wanted};
use super::outputs::{Loss, Outputs};
use super::process::CommandOutcome;
use super::scratch::on_a_blocking_thread;
use super::{Attempt, AttemptError};
use crate::retry::BackoffTimer;

/// Time limit for packing and uploading everything.
const COLLECT_TIMEOUT: Duration = Duration::from_secs(600);
/// Time limit for listing the outputs.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an object store may refuse a new link before the archive counts as lost.
const REFUSALS: usize = 3;

/// Why an archive was not stored.
struct NotStored {
    why: String,
    loss: Loss,
}

impl NotStored {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), loss: Loss::Failure }
    }
}

impl Attempt<'_> {
    /// Packs and uploads all archives.
    pub(super) async fn collect(&self, ran: &CommandOutcome, left: &mut Outputs) -> Result<(), AttemptError> {
        left.to_be_stored = self.kinds_left(ran).await;
        if let Ok(collected) = tokio::time::timeout(COLLECT_TIMEOUT, self.collect_each(ran, left)).await {
            return collected;
        }
        tracing::warn!("timed out packing and uploading the outputs");
        left.remaining_not_stored("packing and uploading took more than 10 minutes");
        Ok(())
    }

    async fn collect_each(&self, ran: &CommandOutcome, left: &mut Outputs) -> Result<(), AttemptError> {
        while let Some(kind) = left.to_be_stored.first().copied() {
            let packed = self.pack(kind, ran, self.inline_budget(left)).await.map_err(|error| {
                tracing::error!(%error, %kind, "failed to pack an archive");
                NotStored::new(format!("it can't be packed: {error}"))
            });
            let stored = match packed {
                Ok(packed) => match packed.content {
                    Content::Memory(bytes) => {
                        left.archives.push(InlineArchive { kind, bytes });
                        Ok(packed.warnings)
                    }
                    Content::File(file) => {
                        self.store(kind, &file, packed.length, left).await?.map(|()| packed.warnings)
                    }
                },
                Err(why) => Err(why),
            };
            left.to_be_stored.remove(0);
            left.upload_error = None;
            match stored {
                Ok(warnings) => left.warnings.extend(warnings),
                Err(NotStored { why, loss }) => left.not_stored(kind, &why, loss),
            }
        }
        Ok(())
    }

    /// The kinds of archives to store, in the order of upload.
    async fn kinds_left(&self, ran: &CommandOutcome) -> Vec<ArtifactKind> {
        let scratch = self.scratch.clone();
        let folders = on_a_blocking_thread(move || {
            let folders = [(ArtifactKind::ExecLog, scratch.exec()), (ArtifactKind::Result, scratch.result())];
            let with_entries = folders.into_iter().filter(|(_, folder)| match std::fs::read_dir(folder) {
                Ok(mut entries) => entries.next().is_some(),
                // An unreadable directory is reported when it is packed.
                Err(error) => error.kind() != io::ErrorKind::NotFound,
            });
            with_entries.map(|(kind, _)| kind).collect()
        });
        let unknown = |_| vec![ArtifactKind::ExecLog, ArtifactKind::Result];
        let folders = tokio::time::timeout(READ_TIMEOUT, folders).await.unwrap_or_else(unknown);
        let log = ran.output.as_ref().map(|_| ArtifactKind::StdLog);
        log.into_iter().chain(folders).collect()
    }

    /// The number of bytes that the report still has room for.
    fn inline_budget(&self, left: &Outputs) -> usize {
        let taken: usize = left.archives.iter().map(|archive| archive.bytes.len()).sum();
        self.inline_limit().saturating_sub(taken)
    }

    async fn pack(&self, kind: ArtifactKind, ran: &CommandOutcome, in_memory: usize) -> io::Result<Packed> {
        let (scratch, output) = (self.scratch.clone(), ran.output.clone());
        // Dropping this future stops the packing.
        let wanted = Wanted::default();
        let watch = wanted.watch();
        on_a_blocking_thread(move || {
            let place = scratch.result().parent().map(std::path::Path::to_owned).unwrap_or_default();
            let target = Target { in_memory, folder: &place };
            match (kind, output) {
                (ArtifactKind::StdLog, Some(output)) => archive::pack_streams(&output, target, watch),
                (ArtifactKind::StdLog, None) => Err(io::ErrorKind::NotFound.into()),
                (ArtifactKind::Result, _) => archive::pack_tree(&scratch.result(), kind, target, watch),
                (ArtifactKind::ExecLog, _) => archive::pack_tree(&scratch.exec(), kind, target, watch),
            }
        })
        .await
    }

    async fn store(
        &self,
        kind: ArtifactKind,
        file: &File,
        length: u64,
        left: &mut Outputs,
    ) -> Result<Result<(), NotStored>, AttemptError> {
        let mut backoff = BackoffTimer::new(&*self.context.settings.entropy);
        let mut refusals = 0;
        loop {
            let url = match self.upload_link(kind, length).await? {
                Ok(url) => url,
                Err(refused) => return Ok(Err(refused)),
            };
            left.has_announced = true;
            let error = match self.upload(&url, file, length).await {
                Ok(()) => return Ok(Ok(())),
                Err(error) => error,
            };
            tracing::warn!(%error, %kind, "failed to upload an archive");
            left.upload_error = Some(error.to_string());
            if !error.is_transient() {
                refusals += 1;
            }
            if refusals == REFUSALS || matches!(error, TransferError::File { .. }) {
                return Ok(Err(NotStored::new(error.to_string())));
            }
            backoff.pause().await;
        }
    }

    async fn upload(&self, url: &str, file: &File, length: u64) -> Result<(), TransferError> {
        let unreadable = |source| TransferError::File {
            path: "the archive".into(),
            operation: FileOperation::Read,
            source,
        };
        let mut file = file.try_clone().map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        self.context.client.upload(url, file, length).await
    }

    /// Requests an upload link for an archive.
    async fn upload_link(
        &self,
        kind: ArtifactKind,
        content_length: u64,
    ) -> Result<Result<String, NotStored>, AttemptError> {
        let upload = ReportOp::Upload(UploadArtifactRequest { content_type: kind, content_length });
        match self.report(upload).await {
            Ok(reply) => Ok(reply.url.ok_or_else(|| NotStored::new("the coordinator has no place for it"))),
            Err(error) if error.status() == Some(401) => Err(AttemptError::WorkerUnknown),
            Err(error) if error.status() == Some(404) => Err(AttemptError::Revoked),
            Err(error) => {
                tracing::warn!(%error, %kind, "the coordinator refused an archive");
                let loss = if error.status() == Some(403) { Loss::Quota } else { Loss::Failure };
                let why = match error.code() {
                    Some(ErrorCode::QuotaExceeded) => {
                        format!("the storage quota of the group leaves no room for {content_length} bytes")
                    }
                    _ => error.to_string(),
                };
                Ok(Err(NotStored { why, loss }))
            }
        }
    }
}
