//! Moving bytes over links (HTTP contract §13). A link is a permission, so it is never shown.

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::{Response, header};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio_util::io::ReaderStream;

use crate::call::redirect;
use crate::error::Unreachable;
use crate::{Client, UserClient, WorkerClient};

/// What of a key must be written as `%XX` in a path; `/` stays.
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

/// The same for a name that must stay one segment.
const IN_SEGMENT: &AsciiSet = &IN_PATH.add(b'/');

/// Redirects that a download follows.
const MAX_REDIRECTS: usize = 5;
/// A transfer on which nothing moves for so long is broken off.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Told how many bytes have just got over.
pub type OnBytes = Arc<dyn Fn(u64) + Send + Sync>;

/// Why bytes did not get over.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store refused. The text is its own sentence, if it had one.
    #[error("the object store refused: {message} (status {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// Nobody answered, or the connection broke.
    #[error("the object store at {host} can't be reached from here")]
    Unreachable {
        /// Host and port of the link.
        host: String,
        /// What went wrong.
        source: Unreachable,
    },
    /// Nothing was received or taken for a long time.
    #[error("the object store at {host} has been silent for {} s", after.as_secs())]
    Silent {
        /// Host and port of the link.
        host: String,
        /// For how long.
        after: Duration,
    },
    /// The file can't be read or written.
    #[error("{path} can't be {doing}")]
    File {
        /// Which file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl TransferError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::File { .. } => false,
        }
    }
}

/// A key as part of a path.
pub(crate) fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, IN_PATH).to_string()
}

/// A name as one segment of a path.
pub(crate) fn encode_name(name: &str) -> String {
    utf8_percent_encode(name, IN_SEGMENT).to_string()
}

impl Client {
    /// Sends a whole file to an upload link, saying how it goes.
    pub async fn upload_with_progress(
        &self,
        url: &str,
        file: &Path,
        on_bytes: OnBytes,
    ) -> Result<(), TransferError> {
        let cant_read = |source| TransferError::File { path: file.to_owned(), doing: "read", source };
        let content = File::open(file).await.map_err(cant_read)?;
        let length = content.metadata().await.map_err(cant_read)?.len();
        self.upload_open(url, content.into_std().await, length, on_bytes).await
    }

    /// Sends so many bytes of a file, from where it stands. A link that stores only what is not there yet is refused
    /// with 412 otherwise; the next announcement gives another kind of link.
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

    /// Reads a whole object from a download link into a file, which is either complete or not there. Until then it
    /// has another name, which no other download uses.
    pub async fn download_with_progress(
        &self,
        url: &str,
        file: &Path,
        on_bytes: OnBytes,
    ) -> Result<u64, TransferError> {
        let cant_write = |source| TransferError::File { path: file.to_owned(), doing: "written", source };
        let partial = partial_file(file).map_err(cant_write)?;
        let (open, partial) = partial.into_parts();
        let length = self.download_open(url, open, file, on_bytes).await?;
        partial.persist(file).map_err(|error| cant_write(error.error))?;
        Ok(length)
    }

    /// Reads a whole object from a download link into a file that is open; `name` is for messages.
    pub async fn download_open(
        &self,
        url: &str,
        file: std::fs::File,
        name: &Path,
        on_bytes: OnBytes,
    ) -> Result<u64, TransferError> {
        let response = self.open(url).await?;
        receive(url, response, File::from_std(file), name, &on_bytes).await
    }

    /// A download may be redirected: a link is a permission of its own, and no token goes with it.
    async fn open(&self, url: &str) -> Result<Response, TransferError> {
        let mut url = url.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let (_moved, moves) = watch::channel(());
            let response = unless_silent(&url, moves, self.http().get(&url).send()).await?;
            let response = response.map_err(|error| unreachable(&url, error))?;
            match redirect(&response) {
                Some(target) => url = target.into(),
                None => return checked(response).await,
            }
        }
        Err(TransferError::Refused { status: 302, message: "it redirects without end".to_owned() })
    }
}

impl UserClient {
    /// See [`Client::download_open`].
    pub async fn download(&self, url: &str, file: std::fs::File, name: &Path) -> Result<u64, TransferError> {
        self.client().download_open(url, file, name, Arc::new(|_| {})).await
    }
}

impl WorkerClient {
    /// See [`Client::download_open`].
    pub async fn download(&self, url: &str, file: std::fs::File, name: &Path) -> Result<u64, TransferError> {
        self.client().download_open(url, file, name, Arc::new(|_| {})).await
    }

    /// See [`Client::upload_open`].
    pub async fn upload(&self, url: &str, file: std::fs::File, length: u64) -> Result<(), TransferError> {
        self.client().upload_open(url, file, length, Arc::new(|_| {})).await
    }
}

/// Whether a link counts only together with `If-None-Match: *`.
fn asks_for_condition(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    let signed = url.query_pairs().find(|(name, _)| name.eq_ignore_ascii_case("x-amz-signedheaders"));
    signed.is_some_and(|(_, headers)| headers.split(';').any(|header| header == "if-none-match"))
}

/// Waits for an answer, but no longer than nothing moves.
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
                // All was sent.
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
    let cant_write = |source| TransferError::File { path: name.to_owned(), doing: "written", source };
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
    // The page of a proxy is for browsers.
    let message = between(&body, "<Message>", "</Message>").unwrap_or(match status.as_u16() {
        300..400 => "its address redirects to another one",
        412 => "an object of this name is there already; announce the upload again",
        413 => "a proxy in front of it accepts no file of this size",
        502..=504 => "the proxy in front of it can't reach it",
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

fn silent(url: &str) -> TransferError {
    TransferError::Silent { host: host(url), after: IDLE_TIMEOUT }
}

/// Of a link only this is no secret.
fn host(url: &str) -> String {
    url::Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

/// A file beside the one that is wanted; it is removed unless it is kept.
fn partial_file(file: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut start = std::ffi::OsString::from(".");
    start.push(file.file_name().unwrap_or_default());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new().prefix(&start).suffix(".part").make_in(folder, |path| {
        // With the permissions of any new file, which temporary files do not have.
        std::fs::File::options().read(true).write(true).create_new(true).mode(0o666).open(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_slashes_and_nothing_else_that_a_path_would_misread() {
        assert_eq!(encode_key("in/a b?#ü%.bin"), "in/a%20b%3F%23%C3%BC%25.bin");
    }

    #[test]
    fn a_name_stays_one_segment_of_a_path() {
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

    /// Takes one upload; answers the lines of its head.
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
    async fn upload_bears_the_condition_that_its_link_asks_for() {
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
    fn the_sentence_of_an_object_store_is_found_in_its_xml() {
        let xml = "<Error><Code>X</Code><Message>Access denied</Message></Error>";
        assert_eq!(between(xml, "<Message>", "</Message>"), Some("Access denied"));
    }
}
