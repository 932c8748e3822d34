//! Uploads and downloads over links (HTTP contract §13). A link is a permission, so it is never shown.

use std::fmt;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode, header};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio_util::io::ReaderStream;

use crate::call::redirect;
use crate::error::{self, TransportError};
use crate::{Client, UserClient, WorkerClient};

/// Characters of a key that are escaped as `%XX` in a path; `/` is kept.
const IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'\\')
    .add(b'^')
    .add(b'|')
    .add(b'[')
    .add(b']');

/// Characters that are escaped in a name that must stay one segment.
const IN_SEGMENT: &AsciiSet = &IN_PATH.add(b'/');

/// The maximum number of redirects of a download.
const MAX_REDIRECTS: usize = 5;
/// A transfer without progress for this long is aborted.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Called with the number of bytes that have just been transferred.
pub type OnBytes = Arc<dyn Fn(u64) + Send + Sync>;

/// An operation on a local file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOperation {
    /// Read the file.
    Read,
    /// Write the file.
    Write,
}

impl fmt::Display for FileOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The object store refused the transfer. The text is its message, if there is one.
    #[error("the object store refused the transfer: {message} (status {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The message of the object store.
        message: String,
    },
    /// The object store can't be reached, or the connection failed.
    #[error("{}", error::unreachable("object store", host, source))]
    Unreachable {
        /// Host and port of the link.
        host: String,
        /// The cause.
        source: TransportError,
    },
    /// The object store did not send or accept anything for a long time.
    #[error("no data from the object store at {host} for {} s", after.as_secs())]
    Silent {
        /// Host and port of the link.
        host: String,
        /// How long it was silent.
        after: Duration,
    },
    /// The file can't be read or written.
    #[error("cannot {operation} {path}")]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The operation that failed.
        operation: FileOperation,
        /// The error of the system.
        source: io::Error,
    },
}

impl TransferError {
    /// Whether a retry may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::File { .. } => false,
        }
    }
}

/// Escapes a key for a path.
pub(crate) fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, IN_PATH).to_string()
}

/// Escapes a name as one segment of a path.
pub(crate) fn encode_name(name: &str) -> String {
    utf8_percent_encode(name, IN_SEGMENT).to_string()
}

impl Client {
    /// Sends a whole file to an upload link, and reports the progress.
    pub async fn upload_with_progress(
        &self,
        url: &str,
        file: &Path,
        on_bytes: OnBytes,
    ) -> Result<(), TransferError> {
        let cant_read =
            |source| TransferError::File { path: file.to_owned(), operation: FileOperation::Read, source };
        let content = File::open(file).await.map_err(cant_read)?;
        let length = content.metadata().await.map_err(cant_read)?.len();
        self.upload_open(url, content.into_std().await, length, on_bytes).await
    }

    /// Sends `length` bytes of an open file, from its position. A link that must not replace an object is
    /// refused with 412 if there is one; the next announcement returns another kind of link.
    pub async fn upload_open(
        &self,
        url: &str,
        file: std::fs::File,
        length: u64,
        on_bytes: OnBytes,
    ) -> Result<(), TransferError> {
        let (moved, moves) = watch::channel(());
        let content = ReaderStream::with_capacity(File::from_std(file).take(length), 256 * 1024).inspect_ok(
            move |chunk| {
                on_bytes(chunk.len() as u64);
                moved.send_replace(());
            },
        );
        let mut request = self
            .http()
            .put(url)
            .header(header::CONTENT_LENGTH, length)
            .body(reqwest::Body::wrap_stream(content));
        if asks_for_condition(url) {
            request = request.header(header::IF_NONE_MATCH, "*");
        }
        let sent = unless_silent(url, moves, request.send()).await?;
        checked(sent.map_err(|error| unreachable(url, error))?).await.map(drop)
    }

    /// Downloads a whole object into a file, which is either complete or absent. Until then the data is in a
    /// temporary file of this download.
    pub async fn download_with_progress(
        &self,
        url: &str,
        file: &Path,
        on_bytes: OnBytes,
    ) -> Result<u64, TransferError> {
        let cant_write =
            |source| TransferError::File { path: file.to_owned(), operation: FileOperation::Write, source };
        let partial = partial_file(file).map_err(cant_write)?;
        let (open, partial) = partial.into_parts();
        let length = self.download_open(url, open, file, on_bytes).await?;
        partial.persist(file).map_err(|error| cant_write(error.error))?;
        Ok(length)
    }

    /// Downloads a whole object into an open file; `name` is for messages.
    pub async fn download_open(
        &self,
        url: &str,
        file: std::fs::File,
        name: &Path,
        on_bytes: OnBytes,
    ) -> Result<u64, TransferError> {
        let response = self.open_with(url, HeaderMap::new()).await?;
        receive(url, response, File::from_std(file), name, &on_bytes).await
    }

    /// Follows redirects of a download: a link is a permission by itself, so no token is sent.
    pub(crate) async fn open_with(&self, url: &str, headers: HeaderMap) -> Result<Response, TransferError> {
        let mut url = url.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let (_moved, moves) = watch::channel(());
            let response =
                unless_silent(&url, moves, self.http().get(&url).headers(headers.clone()).send()).await?;
            let response = response.map_err(|error| unreachable(&url, error))?;
            match redirect(&response) {
                Some(target) => url = target.into(),
                None if response.status() == StatusCode::NOT_MODIFIED => return Ok(response),
                None => return checked(response).await,
            }
        }
        Err(TransferError::Refused { status: 302, message: "too many redirects".to_owned() })
    }
}

impl UserClient {
    /// Downloads a whole object; see [`Client::download_open`].
    pub async fn download(&self, url: &str, file: std::fs::File, name: &Path) -> Result<u64, TransferError> {
        self.client().download_open(url, file, name, Arc::new(|_| {})).await
    }
}

impl WorkerClient {
    /// Downloads a whole object; see [`Client::download_open`].
    pub async fn download(&self, url: &str, file: std::fs::File, name: &Path) -> Result<u64, TransferError> {
        self.client().download_open(url, file, name, Arc::new(|_| {})).await
    }

    /// Uploads a file; see [`Client::upload_open`].
    pub async fn upload(&self, url: &str, file: std::fs::File, length: u64) -> Result<(), TransferError> {
        self.client().upload_open(url, file, length, Arc::new(|_| {})).await
    }
}

/// Whether a link requires `If-None-Match: *`.
fn asks_for_condition(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    let signed = url.query_pairs().find(|(name, _)| name.eq_ignore_ascii_case("x-amz-signedheaders"));
    signed.is_some_and(|(_, headers)| headers.split(';').any(|header| header == "if-none-match"))
}

/// Waits for a result while there is progress.
async fn unless_silent<T>(
    url: &str,
    mut moves: watch::Receiver<()>,
    answer: impl Future<Output = T>,
) -> Result<T, TransferError> {
    let mut answer = pin!(answer);
    loop {
        tokio::select! {
            answer = &mut answer => return Ok(answer),
            moved = tokio::time::timeout(IDLE_TIMEOUT, moves.changed()) => match moved {
                Ok(Ok(())) => {}
                // Everything was sent.
                Ok(Err(_)) => {
                    return tokio::time::timeout(IDLE_TIMEOUT, answer).await.map_err(|_| silent(url));
                }
                Err(_) => return Err(silent(url)),
            },
        }
    }
}

async fn receive(
    url: &str,
    response: Response,
    mut target: File,
    name: &Path,
    on_bytes: &OnBytes,
) -> Result<u64, TransferError> {
    let cant_write =
        |source| TransferError::File { path: name.to_owned(), operation: FileOperation::Write, source };
    let mut body = response.bytes_stream();
    let mut length = 0;
    while let Some(chunk) = tokio::time::timeout(IDLE_TIMEOUT, body.next()).await.map_err(|_| silent(url))? {
        let chunk = chunk.map_err(|error| unreachable(url, error))?;
        target.write_all(&chunk).await.map_err(cant_write)?;
        length += chunk.len() as u64;
        on_bytes(chunk.len() as u64);
    }
    target.flush().await.map_err(cant_write)?;
    Ok(length)
}

pub(crate) async fn checked(response: Response) -> Result<Response, TransferError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.text().await.unwrap_or_default();
    // A page of a proxy is for browsers.
    let message = between(&body, "<Message>", "</Message>").unwrap_or(match status.as_u16() {
        300..400 => "its address redirects to another address",
        412 => "an object with this name exists; request a new upload link",
        413 => "a proxy in front of it refuses a file of this size",
        502..=504 => "the proxy in front of it cannot reach it",
        _ => "no reason given",
    });
    let message = message.to_owned();
    Err(TransferError::Refused { status: status.as_u16(), message })
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(inside, _)| inside)
}

pub(crate) fn unreachable(url: &str, error: reqwest::Error) -> TransferError {
    TransferError::Unreachable { host: host(url), source: error.into() }
}

pub(crate) fn silent(url: &str) -> TransferError {
    TransferError::Silent { host: host(url), after: IDLE_TIMEOUT }
}

/// The host and port of a link, the only parts that are not secret.
fn host(url: &str) -> String {
    url::Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

/// Creates a temporary file beside the target; it is removed unless it is kept.
fn partial_file(file: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut start = std::ffi::OsString::from(".");
    start.push(file.file_name().unwrap_or_default());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new().prefix(&start).suffix(".part").make_in(folder, |path| {
        // With the default permissions of new files, which temporary files don't have.
        std::fs::File::options().read(true).write(true).create_new(true).mode(0o666).open(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_escaped_except_for_slashes() {
        assert_eq!(encode_key("in/a b?#ü%.bin"), "in/a%20b%3F%23%C3%BC%25.bin");
    }

    #[test]
    fn name_stays_one_path_segment() {
        assert_eq!(encode_name("vision-lab/users?x"), "vision-lab%2Fusers%3Fx");
    }

    #[test]
    fn condition_is_sent_with_links_that_sign_it() {
        let link =
            |signed| format!("http://s3/b/k?X-Amz-Date=x&X-Amz-SignedHeaders={signed}&X-Amz-Signature=y");
        assert!(asks_for_condition(&link("content-length%3Bhost%3Bif-none-match")));
        assert!(!asks_for_condition(&link("content-length%3Bhost")));
        assert!(!asks_for_condition("http://coordinator/v1/objects/a/b?if-none-match"));
    }

    /// Accepts one upload and returns the lines of its head.
    fn take_one(listener: &std::net::TcpListener) -> Vec<String> {
        use std::io::{BufRead as _, Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = io::BufReader::new(stream.try_clone().unwrap());
        let lines = reader.by_ref().lines().map(Result::unwrap);
        let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        reader.read_exact(&mut [0; 3]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        head
    }

    #[tokio::test]
    async fn upload_sends_the_condition_of_its_link() {
        for (link, conditions) in [("?X-Amz-SignedHeaders=host%3Bif-none-match", 1), ("?x", 0)] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = format!("http://{}", listener.local_addr().unwrap());
            let taken = std::thread::spawn(move || take_one(&listener));
            let mut file = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut file, b"abc").unwrap();
            io::Seek::rewind(&mut file).unwrap();
            let client = Client::new(&address).unwrap();
            let (url, on_bytes) = (format!("{address}/b/k{link}"), Arc::new(|_| {}));
            client.upload_open(&url, file, 3, on_bytes).await.unwrap();
            let head = taken.join().unwrap();
            let sent = head.iter().filter(|line| line.eq_ignore_ascii_case("if-none-match: *")).count();
            assert_eq!(sent, conditions, "{head:?}");
        }
    }

    #[test]
    fn message_of_an_object_store_is_found_in_its_xml() {
        let xml = "<Error><Code>X</Code><Message>Access denied</Message></Error>";
        assert_eq!(between(xml, "<Message>", "</Message>"), Some("Access denied"));
    }
}
