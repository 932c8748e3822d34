//! Downloads that are conditional and can be resumed.

use std::fmt;

use futures_util::StreamExt as _;
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, RANGE,
};
use reqwest::{Response, StatusCode};
use tokio::io::AsyncWriteExt as _;

use crate::transfer::{IDLE_TIMEOUT, silent, unreachable};
use crate::{Client, FileOperation, TransferError, WorkerClient};

/// What is known of an object, and need not be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known<'a> {
    /// Nothing.
    Nothing,
    /// The whole object, in this version.
    All(&'a str),
    /// The first bytes of this version.
    Start(&'a str, u64),
}

/// An object whose bytes have not been received yet.
pub struct Download {
    url: String,
    response: Response,
    /// The offset of the first byte that is sent.
    offset: u64,
}

impl fmt::Debug for Download {
    /// A link is a permission, so it is never shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Client {
    /// Opens a download. Returns none if the object still has the version that is known. If only its start is known, the
    /// rest is sent, or the whole object if it has changed.
    pub async fn open_download(
        &self,
        url: &str,
        known: Known<'_>,
    ) -> Result<Option<Download>, TransferError> {
        let mut headers = HeaderMap::new();
        let mut add = |name: HeaderName, value: String| {
            // A version is sent back as it was received.
            headers.insert(name, HeaderValue::try_from(value).expect("it was the value of a header"));
        };
        match known {
            Known::Nothing => {}
            Known::All(version) => add(IF_NONE_MATCH, version.to_owned()),
            Known::Start(_, length) => add(RANGE, format!("bytes={length}-")),
        }
        let opened = self.open_with(url, headers).await;
        let response = match (opened, known) {
            (Ok(response), Known::All(_)) if response.status() == StatusCode::NOT_MODIFIED => {
                return Ok(None);
            }
            (Ok(response), Known::Start(version, length))
                if response.status() == StatusCode::PARTIAL_CONTENT =>
            {
                let is_rest =
                    version_of(&response).as_deref() == Some(version) && start_of(&response) == Some(length);
                if is_rest {
                    return Ok(Some(Download { url: url.to_owned(), response, offset: length }));
                }
                self.open_with(url, HeaderMap::new()).await?
            }
            // The object has become shorter than what is known of it.
            (Err(TransferError::Refused { status: 416, .. }), Known::Start(..)) => {
                self.open_with(url, HeaderMap::new()).await?
            }
            (opened, _) => opened?,
        };
        Ok(Some(Download { url: url.to_owned(), response, offset: 0 }))
    }
}

impl WorkerClient {
    /// Opens a download; see [`Client::open_download`].
    pub async fn open_download(
        &self,
        url: &str,
        known: Known<'_>,
    ) -> Result<Option<Download>, TransferError> {
        self.client().open_download(url, known).await
    }
}

impl Download {
    /// The version of the object, if the object store names one that identifies the bytes.
    pub fn version(&self) -> Option<String> {
        version_of(&self.response)
    }

    /// The offset of the first byte that is sent: 0, or the length of the start that was known.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes are sent, if that is known.
    pub fn length(&self) -> Option<u64> {
        text(&self.response, &CONTENT_LENGTH)?.parse().ok()
    }

    /// Receives the bytes into a file, from its position on. After each part that was written, `on_part` is called with it.
    pub async fn receive(
        self,
        target: &mut tokio::fs::File,
        mut on_part: impl FnMut(&[u8]),
    ) -> Result<(), TransferError> {
        let Self { url, response, offset: _ } = self;
        let cant_write = |source| TransferError::File {
            path: "the file of a download".into(),
            operation: FileOperation::Write,
            source,
        };
        let mut body = response.bytes_stream();
        while let Some(part) =
            tokio::time::timeout(IDLE_TIMEOUT, body.next()).await.map_err(|_| silent(&url))?
        {
            let part = part.map_err(|error| unreachable(&url, error))?;
            target.write_all(&part).await.map_err(cant_write)?;
            target.flush().await.map_err(cant_write)?;
            on_part(&part);
        }
        Ok(())
    }
}

/// The `ETag` of a response, unless it is weak: then it does not identify the bytes.
fn version_of(response: &Response) -> Option<String> {
    text(response, &ETAG).filter(|tag| tag.starts_with('"')).map(str::to_owned)
}

/// The first offset in a header such as `bytes 5-9/100`.
fn start_of(response: &Response) -> Option<u64> {
    text(response, &CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

fn text<'a>(response: &'a Response, header: &HeaderName) -> Option<&'a str> {
    response.headers().get(header)?.to_str().ok()
}
