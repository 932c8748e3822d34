//! `GET /v1/tasks/{uuid}/logs`: the output of a task as plain bytes, whatever it is stored in, while it runs and after.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use mitosis_domain::permission::Action;
use mitosis_domain::task::{Phase, Task};
use mitosis_log_archive::{StoredPosition, omission_mark};
use mitosis_objects::{ByteRange, ByteStream, Span};
use mitosis_protocol::output::{LOG_OFFSET_HEADER, LogPosition, LogsQuery, MAX_TAIL_LINES, OutputStream};
use mitosis_protocol::{Epoch, ErrorCode, Timestamp, Uuid};
use tokio::time::Instant;

use super::find;
use super::live::{self, Event, Live};
use crate::api::body::{InPath, InQuery};
use crate::api::objects::range_of;
use crate::api::objects::std_log::{self, StdLog};
use crate::api::openapi::signature::{Reply, Signature};
use crate::api::routes::{Access, Routes};
use crate::app::App;
use crate::auth::revalidation::AuthenticatedCaller;
use crate::error::{ApiError, Rejection};
use crate::events::output_hub::{Part, Wanted};
use crate::user_limits::CountGuard;

/// How long a worker may take to answer.
const WORKER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for output before checking again whether the coordinator stops.
const LONG_POLL: Duration = Duration::from_secs(60);

const OFFSET: HeaderName = HeaderName::from_static(LOG_OFFSET_HEADER);

pub(super) fn routes() -> Routes {
    Routes::new().get(
        "/v1/tasks/{uuid}/logs",
        Access::Read,
        logs,
        "Get the output of a task as plain bytes, while it runs and after",
    )
}

async fn logs(
    State(app): State<App>,
    AuthenticatedCaller(user, authentication): AuthenticatedCaller,
    headers: HeaderMap,
    InPath(uuid): InPath<Uuid>,
    InQuery(query): InQuery<LogsQuery>,
) -> Result<Logs, ApiError> {
    let start = Start::of(&query, app.now())?;
    let task = find(&app, &user, uuid, Action::View).await?;
    let open = app.stream_limiter.open(user.id)?;
    if let Some(attempt) = query.attempt.map(Epoch)
        && !(task.attempt == attempt && matches!(task.phase, Phase::Running(_) | Phase::Reported(..)))
    {
        let ended = ended_attempt(&app, &task, attempt).await?;
        let log = StdLog::of_attempt(&app, &task, attempt).await?.ok_or_else(|| not_kept(&task))?;
        return Logs::stored(&log, &query, start, ended, range_of(&headers), open).await;
    }
    if let Phase::Ended(ending) = &task.phase {
        let ended = ending.at;
        let log = stored(&app, &task).await?;
        return Logs::stored(&log, &query, start, ended, range_of(&headers), open).await;
    }
    if !task.spec.terminal_output {
        return Err(not_kept(&task).into());
    }
    if matches!(start, Start::Stored(_)) {
        return Err(Rejection::invalid(format!("task `{uuid}` has not ended")).into());
    }
    let is_running = matches!(task.phase, Phase::Running(_) | Phase::Reported(..));
    if !query.follow && !is_running {
        return Err(Rejection::new(ErrorCode::NotFound, format!("task `{uuid}` has not started"))
            .hint("`follow=true` waits for its output")
            .into());
    }
    let live = Live { app, user, authentication, uuid, attempt: None };
    Logs::live(live, &query, start, open).await
}

/// When an attempt ended.
async fn ended_attempt(app: &App, task: &Task, attempt: Epoch) -> Result<Timestamp, ApiError> {
    let attempts = app.store.attempts(task.uuid).await?;
    let found = attempts.into_iter().find(|ended| ended.attempt == attempt.0);
    let missing = || {
        Rejection::new(ErrorCode::NotFound, format!("task `{}` has no attempt {attempt}", task.uuid))
            .hint("`mito show` lists the attempts of a task")
    };
    Ok(found.ok_or_else(missing)?.ended_at)
}

/// Where the output starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// At an offset, counted as the command wrote the bytes.
    Offset(u64),
    /// At an offset, counted as the bytes are stored.
    Stored(u64),
    Position(LogPosition),
}

impl Start {
    fn of(query: &LogsQuery, now: Timestamp) -> Result<Self, Rejection> {
        let LogsQuery { stream, offset, stored_offset, tail, since, .. } = query;
        if stream.is_none() && (offset.is_some() || stored_offset.is_some()) {
            return Err(Rejection::invalid("an offset requires `stream`").hint("add `stream=stdout`"));
        }
        match (offset, stored_offset, tail, since) {
            (None, None, None, None) => Ok(Self::Offset(0)),
            (Some(offset), None, None, None) => Ok(Self::Offset(*offset)),
            (None, Some(offset), None, None) => Ok(Self::Stored(*offset)),
            (None, None, Some(lines), None) if *lines > MAX_TAIL_LINES => {
                Err(Rejection::invalid(format!("`tail` is at most {MAX_TAIL_LINES}")))
            }
            (None, None, Some(lines), None) => Ok(Self::Position(LogPosition::Tail { lines: *lines })),
            (None, None, None, Some(since)) => Ok(Self::Position(live::since(since, now)?)),
            _ => Err(Rejection::invalid("`offset`, `stored_offset`, `tail` and `since` exclude each other")),
        }
    }
}

/// The streams that a query wants, in the order in which they are sent.
fn streams(query: &LogsQuery) -> Vec<OutputStream> {
    query.stream.map_or_else(|| vec![OutputStream::Stdout, OutputStream::Stderr], |stream| vec![stream])
}

async fn stored(app: &App, task: &Task) -> Result<StdLog, ApiError> {
    Ok(StdLog::of(app, task).await?.ok_or_else(|| not_kept(task))?)
}

fn not_kept(task: &Task) -> Rejection {
    let uuid = task.uuid;
    match task.spec.terminal_output {
        true => Rejection::new(ErrorCode::NotFound, format!("there is no output of task `{uuid}`"))
            .hint("it did not start, or its output was deleted"),
        false => Rejection::new(ErrorCode::NotFound, format!("the output of task `{uuid}` is not kept"))
            .hint("`mito submit` keeps the output of a task unless it gets `--no-output`"),
    }
}

/// The reply: plain bytes.
struct Logs {
    status: StatusCode,
    headers: HeaderMap,
    body: ByteStream,
}

impl Logs {
    /// The output of an ended task. A range is of the stored bytes, and for one whole stream only.
    async fn stored(
        log: &StdLog,
        query: &LogsQuery,
        start: Start,
        ended: Timestamp,
        range: Option<ByteRange>,
        open: CountGuard,
    ) -> Result<Self, ApiError> {
        let mut headers = HeaderMap::new();
        if let (Some(of), Start::Offset(0), Some(range)) = (query.stream, start, range)
            && let Some(total) = log.length(of)
        {
            let outside = mitosis_objects::ObjectError::RangeOutside { total };
            let Some(Span { offset, length }) = range.resolve(total) else {
                let value = format!("bytes */{total}");
                headers.insert(header::CONTENT_RANGE, value.try_into().map_err(|_| outside)?);
                let body = Box::pin(stream::empty());
                return Ok(Self { status: StatusCode::RANGE_NOT_SATISFIABLE, headers, body });
            };
            let value = format!("bytes {offset}-{}/{total}", offset + length - 1);
            headers.insert(header::CONTENT_RANGE, value.try_into().map_err(|_| outside)?);
            headers.insert(header::CONTENT_LENGTH, length.into());
            let body = with_guard(log.read(of, offset..offset + length), open);
            return Ok(Self { status: StatusCode::PARTIAL_CONTENT, headers, body });
        }
        let mut parts = Vec::new();
        for of in streams(query) {
            let StoredPosition { offset, omitted } = stored_start(log, of, start, ended).await?;
            if query.stream.is_some() && offset < u64::MAX {
                headers.insert(OFFSET, offset.into());
            }
            parts.extend(rest_of(log, of, StoredPosition { offset, omitted }));
        }
        if query.stream.is_some_and(|of| log.length(of).is_some()) {
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        // An archive that can't be read is an error of its own, not a broken body.
        let mut body = joined(parts);
        let first = body.try_next().await.map_err(std_log::failure)?;
        let body = Box::pin(stream::iter(first.map(Ok)).chain(body));
        Ok(Self { status: StatusCode::OK, headers, body: with_guard(body, open) })
    }

    /// The output of a task that has not ended.
    async fn live(live: Live, query: &LogsQuery, start: Start, open: CountGuard) -> Result<Self, ApiError> {
        let mut follower = Follower {
            wanted: [OutputStream::Stdout, OutputStream::Stderr]
                .map(|of| query.stream.is_none_or(|wanted| wanted == of)),
            live,
            offsets: [0, 0],
            until: None,
            start,
            rest: None,
            next: None,
            _open: open,
        };
        if let Start::Offset(offset) = start {
            follower.offsets = [offset, offset];
        }
        let mut headers = HeaderMap::new();
        if let Start::Position(position) = start {
            follower.locate(position).await?;
        }
        // The end after the start: the task writes more meanwhile.
        if !query.follow {
            follower.locate_end().await?;
        }
        if let Some(of) = query.stream {
            headers.insert(OFFSET, follower.offsets[usize::from(of == OutputStream::Stderr)].into());
        }
        let body = stream::try_unfold(follower, |mut follower| async {
            Ok(follower.next().await?.map(|bytes| (bytes, follower)))
        });
        Ok(Self { status: StatusCode::OK, headers, body: Box::pin(body) })
    }
}

impl IntoResponse for Logs {
    fn into_response(self) -> Response {
        let Self { status, mut headers, body } = self;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        // Bytes of others: nothing that a browser would run.
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        (status, headers, Body::from_stream(body)).into_response()
    }
}

impl Reply for Logs {
    fn describe(signature: &mut Signature) {
        signature.reply_text("text/plain; charset=utf-8");
    }
}

/// The rest of a stream, with a line in place of what the reader has not received of the omission.
fn rest_of(log: &StdLog, of: OutputStream, from: StoredPosition) -> impl Iterator<Item = ByteStream> + use<> {
    let mark = from.omitted.map(|omitted| Bytes::from(omission_mark(omitted)));
    let mark = mark.map(|mark| Box::pin(stream::iter([Ok(mark)])) as ByteStream);
    mark.into_iter().chain([log.read(of, from.offset..u64::MAX)])
}

/// Where a stream starts in the stored bytes.
async fn stored_start(
    log: &StdLog,
    of: OutputStream,
    start: Start,
    ended: Timestamp,
) -> Result<StoredPosition, ApiError> {
    let offset = match start {
        Start::Offset(offset) => return Ok(log.position(of, offset)),
        Start::Stored(offset) => offset,
        Start::Position(LogPosition::Since { at }) => log.offset_since(of, at, ended),
        Start::Position(LogPosition::Tail { lines }) => {
            log.tail(of, lines).await.map_err(std_log::failure)?
        }
    };
    Ok(StoredPosition { offset, omitted: None })
}

/// One stream after the other.
fn joined(parts: Vec<ByteStream>) -> ByteStream {
    stream::iter(parts).flatten().boxed()
}

/// Counts a body until it has been sent.
fn with_guard(body: ByteStream, open: CountGuard) -> ByteStream {
    Box::pin(stream::try_unfold((body, open), |(mut body, open)| async {
        Ok(body.try_next().await?.map(|bytes| (bytes, (body, open))))
    }))
}

/// Sends the output of a running task, and after its end the rest of what is stored.
struct Follower {
    live: Live,
    /// Whether standard output and standard error are wanted.
    wanted: [bool; 2],
    /// The next byte of each stream.
    offsets: [u64; 2],
    /// Where to end, if it is not followed to its end.
    until: Option<[u64; 2]>,
    start: Start,
    /// What is stored after the end of the task, or of an attempt.
    rest: Option<ByteStream>,
    /// The attempt to follow after the rest of an earlier one.
    next: Option<Epoch>,
    _open: CountGuard,
}

impl Follower {
    async fn locate_end(&mut self) -> Result<(), ApiError> {
        let position = Wanted::Position(LogPosition::Tail { lines: 0 });
        match self.live.next(position, Instant::now() + WORKER_TIMEOUT).await? {
            (Event::Located(located), _) => self.until = Some([located.stdout, located.stderr]),
            (Event::Ended, task) => self.open_rest(&task).await?,
            _ => return Err(no_answer().into()),
        }
        Ok(())
    }

    async fn locate(&mut self, position: LogPosition) -> Result<(), ApiError> {
        if self.rest.is_some() {
            return Ok(());
        }
        loop {
            match self.live.next(Wanted::Position(position), Instant::now() + WORKER_TIMEOUT).await? {
                (Event::Located(located), _) => {
                    self.offsets = [located.stdout, located.stderr];
                    self.start = Start::Offset(0);
                    return Ok(());
                }
                (Event::Ended, task) => return self.open_rest(&task).await,
                // It waits for a worker.
                (_, task) if matches!(task.phase, Phase::Pending | Phase::Ready) && !self.is_stopping() => {}
                _ => return Err(no_answer().into()),
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.live.app.stopping.is_cancelled()
    }

    /// The next bytes. If the coordinator stops, the body breaks off, so that the client does not take it for complete.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(rest) = &mut self.rest {
                let bytes = rest.try_next().await?;
                let Some(next) = self.next.filter(|_| bytes.is_none()) else { return Ok(bytes) };
                self.start_attempt(next);
            }
            if self.is_complete() {
                return Ok(None);
            }
            if self.is_stopping() {
                return Err(io::Error::other("the coordinator stops"));
            }
            let [stdout, stderr] = self.offsets;
            let unwanted = |wanted: bool, offset| if wanted { offset } else { u64::MAX };
            let wanted = Wanted::Bytes {
                stdout: unwanted(self.wanted[0], stdout),
                stderr: unwanted(self.wanted[1], stderr),
            };
            let (event, task) =
                self.live.next(wanted, Instant::now() + LONG_POLL).await.map_err(io::Error::other)?;
            if self.until.is_none() && matches!(task.phase, Phase::Running(_) | Phase::Reported(..)) {
                self.live.attempt.get_or_insert(task.attempt);
            }
            match (event, task) {
                (Event::Bytes { stdout, stderr }, _) => {
                    let mut bytes = Vec::new();
                    for (number, part) in [stdout, stderr].into_iter().enumerate() {
                        self.take(number, part, &mut bytes);
                    }
                    if !bytes.is_empty() {
                        return Ok(Some(bytes.into()));
                    }
                }
                (Event::Ended, task) => self.open_rest(&task).await.map_err(io::Error::other)?,
                (Event::Replaced(attempt), task) => {
                    self.open_rest_of(&task, attempt).await.map_err(io::Error::other)?;
                }
                (Event::Located(_) | Event::Nothing, _) => {}
            }
        }
    }

    /// Adds new bytes of a stream, and a line in place of bytes that are not kept.
    fn take(&mut self, number: usize, part: Part, to: &mut Vec<u8>) {
        let (Some(offset), true) = (self.offsets.get_mut(number), self.wanted.get(number) == Some(&true))
        else {
            return;
        };
        let Part { offset: at, bytes } = part;
        if at > *offset && !bytes.is_empty() {
            to.extend(omission_mark(at - *offset).into_bytes());
        }
        let left =
            self.until.and_then(|until| until.get(number).copied()).unwrap_or(u64::MAX).saturating_sub(at);
        let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        to.extend_from_slice(&bytes[..count]);
        *offset = at + count as u64;
    }

    fn is_complete(&self) -> bool {
        let Some(until) = self.until else { return false };
        self.wanted
            .iter()
            .zip(self.offsets.iter().zip(until))
            .all(|(wanted, (offset, until))| !wanted || *offset >= until)
    }

    /// Follows an attempt from its start.
    fn start_attempt(&mut self, attempt: Epoch) {
        self.live.attempt = Some(attempt);
        (self.offsets, self.start) = ([0, 0], Start::Offset(0));
        (self.rest, self.next) = (None, None);
    }

    /// Continues with what is stored. A task that ended without output has nothing more.
    async fn open_rest(&mut self, task: &Task) -> Result<(), ApiError> {
        let log = StdLog::of(&self.live.app, task).await?;
        self.open_stored(log, task).await
    }

    /// Continues with what is stored of an attempt, and then with the next attempt.
    async fn open_rest_of(&mut self, task: &Task, attempt: Epoch) -> Result<(), ApiError> {
        let log = StdLog::of_attempt(&self.live.app, task, attempt).await?;
        self.next = Some(attempt.next());
        self.open_stored(log, task).await
    }

    async fn open_stored(&mut self, log: Option<StdLog>, task: &Task) -> Result<(), ApiError> {
        let ended = match &task.phase {
            Phase::Ended(ending) => ending.at,
            _ => self.live.app.now(),
        };
        let mut parts = Vec::new();
        if let Some(log) = log {
            for (number, of) in [OutputStream::Stdout, OutputStream::Stderr].into_iter().enumerate() {
                if self.wanted[number] {
                    let start = match self.start {
                        Start::Offset(_) | Start::Stored(_) => log.position(of, self.offsets[number]),
                        Start::Position(_) => stored_start(&log, of, self.start, ended).await?,
                    };
                    parts.extend(rest_of(&log, of, start));
                }
            }
        }
        self.rest = Some(joined(parts));
        Ok(())
    }
}

fn no_answer() -> Rejection {
    Rejection::new(ErrorCode::Unavailable, "the worker of the task does not answer")
        .hint("try again; a legacy worker sends output only after the end of the task")
}
