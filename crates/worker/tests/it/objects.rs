//! An object store that names versions, sends ranges, and can break off.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use hyper::{HeaderMap, Response};
use mitosis_domain::hex;

/// The body of a reply.
pub(crate) enum Content {
    Whole(Full<Bytes>),
    /// The connection breaks after these bytes, and after it was polled some times, so that they are sent before.
    Broken(Option<Bytes>, u32),
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Broken(bytes, polls) => match bytes.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None if *polls > 0 => {
                    *polls -= 1;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                None => Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into()))),
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Broken(..) => SizeHint::default(),
        }
    }
}

/// The SHA-256 digest of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hex::lower(digest.as_ref())
}

/// The objects, and the transfers so far.
#[derive(Default)]
pub(crate) struct Objects {
    contents: BTreeMap<String, Vec<u8>>,
    /// How many bytes of the next transfer are sent before the connection breaks.
    breaks_after: Option<usize>,
    /// The status of each reply and the number of its bytes.
    transfers: Vec<(u16, usize)>,
}

impl Objects {
    pub(crate) fn put(&mut self, key: &str, content: &[u8]) {
        self.contents.insert(key.to_owned(), content.to_vec());
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.contents.contains_key(key)
    }

    pub(crate) fn break_after(&mut self, bytes: usize) {
        self.breaks_after = Some(bytes);
    }

    pub(crate) fn transfers(&self) -> &[(u16, usize)] {
        &self.transfers
    }

    /// Answers a download.
    pub(crate) fn get(&mut self, key: &str, headers: &HeaderMap) -> Option<Response<Content>> {
        let content = self.contents.get(key)?;
        let version = format!("\"{}\"", sha256(content));
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        let response = Response::builder().header("etag", &version);
        if header("if-none-match") == Some(&version) {
            self.transfers.push((304, 0));
            return Some(response.status(304).body(Content::Whole(Full::default())).unwrap());
        }
        let start = header("range").map(|range| {
            let start = range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap();
            start.parse::<usize>().unwrap()
        });
        let part = &content[start.unwrap_or(0)..];
        let break_after = self.breaks_after.take().filter(|bytes| *bytes < part.len());
        let sent = break_after.unwrap_or(part.len());
        let response = match start {
            Some(start) => {
                let (last, total) = (content.len() - 1, content.len());
                response.status(206).header("content-range", format!("bytes {start}-{last}/{total}"))
            }
            None => response,
        };
        let status = if start.is_some() { 206 } else { 200 };
        self.transfers.push((status, sent));
        let response = response.header("content-length", part.len());
        let bytes = Bytes::copy_from_slice(&part[..sent]);
        let content = match break_after {
            Some(_) => Content::Broken(Some(bytes), 1_000),
            None => Content::Whole(Full::from(bytes)),
        };
        Some(response.body(content).unwrap())
    }
}
