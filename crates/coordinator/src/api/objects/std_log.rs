//! Reads the streams of a stored `std-log` archive, from any position.
//!
//! An archive with an index is read from a restart point. One without, of a legacy worker or of a user, is read from its
//! start.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use axum::body::Bytes;
use futures_util::TryStreamExt as _;
use futures_util::stream;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_domain::task::Task;
use mitosis_log_archive::{Extractor, Index, InvalidArchive, MAX_INDEX_BYTES, StoredPosition};
use mitosis_objects::{ByteRange, ByteStream, ObjectError};
use mitosis_protocol::output::OutputStream;
use mitosis_protocol::{ArtifactKind, Epoch, Timestamp};
use mitosis_store::ops::artifacts::Artifact;

use super::stored;
use crate::app::App;
use crate::error::{ApiError, Rejection};

/// The first part of a stream that is searched for the last lines; each further part is twice as long.
const FIRST_TAIL_BYTES: u64 = 256 * 1024;

/// The archive of an ended task.
#[derive(Clone)]
pub(in crate::api) struct StdLog {
    app: App,
    key: ObjectKey,
    /// The whole file, if it is small.
    file: Option<Bytes>,
    index: Option<Index>,
}

impl StdLog {
    /// Opens the archive of a task; `None` if it has none.
    pub(in crate::api) async fn of(app: &App, task: &Task) -> Result<Option<Self>, ApiError> {
        Self::among(app, app.store.artifacts(task.id).await?).await
    }

    /// Opens the archive of an ended attempt; `None` if it has none.
    pub(in crate::api) async fn of_attempt(
        app: &App,
        task: &Task,
        attempt: Epoch,
    ) -> Result<Option<Self>, ApiError> {
        Self::among(app, app.store.artifacts_of_attempt(task.id, attempt).await?).await
    }

    async fn among(app: &App, artifacts: Vec<Artifact>) -> Result<Option<Self>, ApiError> {
        let Some(artifact) = artifacts.into_iter().find(|artifact| artifact.kind == ArtifactKind::StdLog)
        else {
            return Ok(None);
        };
        let key = ObjectKey::from_stored(ObjectClass::Artifacts, artifact.object);
        let end = match stored::open(app, &key, Some(ByteRange::Last(MAX_INDEX_BYTES))).await {
            // An empty file.
            Err(ApiError::Objects(ObjectError::RangeOutside { .. })) => return Err(damaged().into()),
            end => end?,
        };
        let (is_whole, length) = (end.offset == 0, end.total);
        let end = stored::read_all(end).await?;
        let index = Index::from_end(&end, length);
        Ok(Some(Self { app: app.clone(), key, file: is_whole.then_some(end), index }))
    }

    /// Where a reader continues who has the stream as it was written up to an offset.
    pub(in crate::api) fn position(&self, of: OutputStream, written: u64) -> StoredPosition {
        match &self.index {
            Some(index) => index.section(of).position(written),
            None => StoredPosition { offset: written, omitted: None },
        }
    }

    /// The number of stored bytes, if that is known without reading them.
    pub(in crate::api) fn length(&self, of: OutputStream) -> Option<u64> {
        self.index.as_ref().map(|index| index.section(of).length)
    }

    /// The stored offset of what was written at or after a time.
    pub(in crate::api) fn offset_since(&self, of: OutputStream, since: Timestamp, ended: Timestamp) -> u64 {
        if since > ended {
            return u64::MAX;
        }
        let written = self.index.as_ref().and_then(|index| index.offset_since(of, since));
        self.position(of, written.unwrap_or_default()).offset
    }

    /// The stored offset of the last lines. A line that is not complete counts.
    pub(in crate::api) async fn tail(&self, of: OutputStream, lines: u64) -> io::Result<u64> {
        if lines == 0 {
            return Ok(u64::MAX);
        }
        let Some(length) = self.length(of).filter(|_| self.has_points()) else {
            return Ok(self.last_lines(of, 0..u64::MAX, lines).await?.unwrap_or(0));
        };
        let mut part = FIRST_TAIL_BYTES;
        loop {
            let start = length.saturating_sub(part);
            match self.last_lines(of, start..length, lines).await? {
                Some(offset) => return Ok(offset),
                None if start == 0 => return Ok(0),
                None => part = part.saturating_mul(2),
            }
        }
    }

    /// The stored bytes of a stream within a range.
    pub(in crate::api) fn read(&self, of: OutputStream, range: Range<u64>) -> ByteStream {
        let reader = Reader { log: self.clone(), of, range, state: State::Closed };
        Box::pin(stream::try_unfold(reader, |mut reader| async {
            Ok(reader.next().await?.map(|bytes| (bytes, reader)))
        }))
    }

    fn has_points(&self) -> bool {
        self.index.as_ref().is_some_and(|index| !index.points.is_empty())
    }

    /// The offset of the last lines of a range; `None` if it has fewer.
    async fn last_lines(&self, of: OutputStream, range: Range<u64>, lines: u64) -> io::Result<Option<u64>> {
        let most = usize::try_from(lines).unwrap_or(usize::MAX);
        let (mut starts, mut offset) = (VecDeque::new(), range.start);
        let mut bytes = self.read(of, range);
        while let Some(piece) = bytes.try_next().await? {
            for (place, _) in piece.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
                starts.push_back(offset + place as u64 + 1);
                // The end of the last line starts no other one.
                if starts.len() > most + 1 {
                    starts.pop_front();
                }
            }
            offset += piece.len() as u64;
        }
        if starts.back() == Some(&offset) {
            starts.pop_back();
        } else if starts.len() > most {
            starts.pop_front();
        }
        Ok(starts.front().copied().filter(|_| starts.len() >= most))
    }
}

/// Reads one range of a stream.
struct Reader {
    log: StdLog,
    of: OutputStream,
    range: Range<u64>,
    state: State,
}

enum State {
    Closed,
    Open { extractor: Box<Extractor>, file: ByteStream, piece: Bytes },
    Done,
}

impl Reader {
    /// The next bytes.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if matches!(self.state, State::Closed) {
            self.state = open(&self.log, self.of, self.range.clone()).await?;
        }
        loop {
            let State::Open { extractor, file, piece } = &mut self.state else { return Ok(None) };
            if piece.is_empty() {
                match file.try_next().await? {
                    Some(next) => *piece = next,
                    None => {
                        extractor.finish().map_err(io::Error::other)?;
                        self.state = State::Done;
                        return Ok(None);
                    }
                }
            }
            let mut output = Vec::new();
            let step = extractor.step(piece, &mut output).map_err(io::Error::other)?;
            let _ = piece.split_to(step.read);
            if step.is_done {
                self.state = State::Done;
            }
            if !output.is_empty() {
                return Ok(Some(output.into()));
            }
            // A compressed piece can contain much that is not wanted.
            tokio::task::yield_now().await;
        }
    }
}

/// Opens the part of the file with a range of a stream.
async fn open(log: &StdLog, of: OutputStream, range: Range<u64>) -> io::Result<State> {
    if range.is_empty() {
        return Ok(State::Done);
    }
    if let Some(piece) = log.file.clone() {
        let extractor = Box::new(Extractor::from_start(of, range));
        return Ok(State::Open { extractor, file: Box::pin(stream::empty()), piece });
    }
    let from_index = log.index.as_ref().and_then(|index| Extractor::from_index(index, of, range.clone()));
    let (extractor, part) = match from_index {
        Some((extractor, start, Some(end))) => (extractor, ByteRange::Between(start, end - 1)),
        Some((extractor, start, None)) => (extractor, ByteRange::From(start)),
        None => (Extractor::from_start(of, range), ByteRange::From(0)),
    };
    let file = match stored::open(&log.app, &log.key, Some(part)).await {
        Err(ApiError::Objects(ObjectError::RangeOutside { .. })) => Err(io::Error::other(InvalidArchive)),
        file => file.map_err(io::Error::other),
    };
    let file = file?.stream;
    Ok(State::Open { extractor: Box::new(extractor), file, piece: Bytes::new() })
}

/// The error for an archive that can't be read.
fn damaged() -> Rejection {
    Rejection::invalid("the stored output is damaged")
        .hint("a user has replaced the archive; `mito client tasks artifacts download` returns it as it is")
}

/// What a failure to read means for the caller.
pub(in crate::api) fn failure(error: io::Error) -> ApiError {
    match error.downcast::<InvalidArchive>() {
        Ok(InvalidArchive) => damaged().into(),
        Err(error) => ObjectError::BodyFailed(error).into(),
    }
}
