//! Bringing a task's archives to the object store: what it wrote first, since that tells what became of the rest.

use std::io::{self, Seek as _};
use std::time::Duration;

use mitosis_client::TransferError;
use mitosis_protocol::artifact::UploadArtifactRequest;
use mitosis_protocol::report::ReportOp;
use mitosis_protocol::{ArtifactKind, ErrorCode};

use super::archive::{self, Packed, Wanted};
use super::left::Left;
use super::process::Ran;
use super::scratch::on_a_blocking_thread;
use super::{Attempt, Lost};
use crate::insist::Waits;

/// Limit on packing and uploading everything.
const LIMIT: Duration = Duration::from_secs(600);
/// Limit on looking for what there is.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
/// How often an object store may refuse a fresh link before it is believed.
const REFUSALS: usize = 3;

/// Why an archive was not stored.
struct NotStored {
    why: String,
    /// The group has no room for it, by which a published worker's result is not changed (semantics §10).
    is_over_quota: bool,
}

impl NotStored {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_over_quota: false }
    }
}

impl Attempt<'_> {
    /// Packs and uploads what there is.
    pub(super) async fn collect(&self, ran: &Ran, left: &mut Left) -> Result<(), Lost> {
        left.to_be_stored = self.kinds_left(ran).await;
        if let Ok(collected) = tokio::time::timeout(LIMIT, self.collect_each(ran, left)).await {
            return collected;
        }
        tracing::warn!("packing and uploading took too long");
        left.give_up("packing and uploading took more than 10 minutes");
        Ok(())
    }

    async fn collect_each(&self, ran: &Ran, left: &mut Left) -> Result<(), Lost> {
        while let Some(kind) = left.to_be_stored.first().copied() {
            let packed = self.pack(kind, ran).await.map_err(|error| {
                tracing::error!(%error, %kind, "can't be packed");
                NotStored::new(format!("it can't be packed: {error}"))
            });
            let stored = match packed {
                Ok(packed) => self.store(kind, &packed, left).await?.map(|()| packed.warnings),
                Err(why) => Err(why),
            };
            left.to_be_stored.remove(0);
            match stored {
                Ok(warnings) => left.warnings.extend(warnings),
                Err(NotStored { why, is_over_quota }) => left.not_stored(kind, &why, is_over_quota),
            }
        }
        Ok(())
    }

    /// What there is, in the order in which it is stored.
    async fn kinds_left(&self, ran: &Ran) -> Vec<ArtifactKind> {
        let scratch = self.scratch.clone();
        let folders = on_a_blocking_thread(move || {
            let folders = [(ArtifactKind::ExecLog, scratch.exec()), (ArtifactKind::Result, scratch.result())];
            let with_entries = folders.into_iter().filter(|(_, folder)| match std::fs::read_dir(folder) {
                Ok(mut entries) => entries.next().is_some(),
                // What can't be looked at is told of when it can't be packed.
                Err(error) => error.kind() != io::ErrorKind::NotFound,
            });
            with_entries.map(|(kind, _)| kind).collect()
        });
        let unknown = |_| vec![ArtifactKind::ExecLog, ArtifactKind::Result];
        let folders = tokio::time::timeout(LOOK_LIMIT, folders).await.unwrap_or_else(unknown);
        let log = ran.output.as_ref().map(|_| ArtifactKind::StdLog);
        log.into_iter().chain(folders).collect()
    }

    async fn pack(&self, kind: ArtifactKind, ran: &Ran) -> io::Result<Packed> {
        let (scratch, output) = (self.scratch.clone(), ran.output.clone());
        // Packing ends with this, also when it is not waited for any more.
        let wanted = Wanted::default();
        let watch = wanted.watch();
        on_a_blocking_thread(move || {
            let place = scratch.result().parent().map(std::path::Path::to_owned).unwrap_or_default();
            match (kind, output) {
                (ArtifactKind::StdLog, Some(output)) => {
                    archive::pack_streams(&output.stdout, &output.stderr, &place, watch)
                }
                (ArtifactKind::StdLog, None) => Err(io::ErrorKind::NotFound.into()),
                (ArtifactKind::Result, _) => archive::pack_tree(&scratch.result(), kind, &place, watch),
                (ArtifactKind::ExecLog, _) => archive::pack_tree(&scratch.exec(), kind, &place, watch),
            }
        })
        .await
    }

    async fn store(
        &self,
        kind: ArtifactKind,
        packed: &Packed,
        left: &mut Left,
    ) -> Result<Result<(), NotStored>, Lost> {
        let mut waits = Waits::new(&*self.session.settings.entropy);
        let mut refusals = 0;
        loop {
            let url = match self.upload_link(kind, packed.length).await? {
                Ok(url) => url,
                Err(refused) => return Ok(Err(refused)),
            };
            left.has_announced = true;
            let error = match self.upload(&url, packed).await {
                Ok(()) => return Ok(Ok(())),
                Err(error) => error,
            };
            tracing::warn!(%error, %kind, "an upload did not work");
            if !error.is_transient() {
                refusals += 1;
            }
            if refusals == REFUSALS || matches!(error, TransferError::File { .. }) {
                return Ok(Err(NotStored::new(error.to_string())));
            }
            waits.pause().await;
        }
    }

    async fn upload(&self, url: &str, packed: &Packed) -> Result<(), TransferError> {
        let unreadable = |source| TransferError::File { path: "the archive".into(), doing: "read", source };
        let mut file = packed.file.try_clone().map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        self.session.client.upload(url, file, packed.length).await
    }

    /// Where to put an archive, if the coordinator takes it.
    async fn upload_link(
        &self,
        kind: ArtifactKind,
        content_length: u64,
    ) -> Result<Result<String, NotStored>, Lost> {
        let upload = ReportOp::Upload(UploadArtifactRequest { content_type: kind, content_length });
        match self.report(upload).await {
            Ok(reply) => Ok(reply.url.ok_or_else(|| NotStored::new("the coordinator has no place for it"))),
            Err(error) if error.status() == Some(401) => Err(Lost::Unknown),
            Err(error) if error.status() == Some(404) => Err(Lost::TakenBack),
            Err(error) => {
                tracing::warn!(%error, %kind, "the coordinator does not take it");
                let is_over_quota = error.status() == Some(403);
                let why = match error.code() {
                    Some(ErrorCode::QuotaExceeded) => {
                        format!("the storage quota of the group leaves no room for {content_length} bytes")
                    }
                    _ => error.to_string(),
                };
                Ok(Err(NotStored { why, is_over_quota }))
            }
        }
    }
}
