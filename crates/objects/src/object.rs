//! Objects as a store returns them: their metadata and their bytes.

use std::fmt;
use std::io;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use mitosis_domain::object::ObjectKey;
use mitosis_protocol::Timestamp;

use crate::ObjectError;

/// The bytes of an object. An error ends the stream.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// The metadata of a stored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The key of the object.
    pub key: ObjectKey,
    /// The size in bytes.
    pub length: u64,
    /// When it was last written, to the second on S3.
    pub changed: Timestamp,
}

/// An object, or a part of one, being read.
pub struct ObjectBody {
    /// How many bytes `stream` yields.
    pub length: u64,
    /// The offset of the first byte in the object.
    pub offset: u64,
    /// The size of the whole object.
    pub total: u64,
    /// Identifies the bytes of the object, as the value of an `ETag` header, if the backend has such a name. Another object
    /// under the same key has another one.
    pub version: Option<String>,
    /// The bytes. A stream that ends before `length` ends with an error.
    pub stream: ByteStream,
}

impl fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBody")
            .field("length", &self.length)
            .field("offset", &self.offset)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// A body that must have exactly the announced length; see [`exactly`].
pub(crate) type ExactBody = BoxStream<'static, Result<Bytes, ObjectError>>;

/// Passes `body` on, and fails if it has more or fewer than `announced` bytes. A receiver that acts only at the
/// end of the stream therefore never acts on a wrong length.
pub(crate) fn exactly(body: ByteStream, announced: u64) -> ExactBody {
    stream::try_unfold((body, 0_u64), move |(mut body, received)| async move {
        let Some(chunk) = body.next().await else {
            return if received == announced {
                Ok(None)
            } else {
                Err(ObjectError::BodyTooShort { announced, received })
            };
        };
        let chunk = chunk.map_err(ObjectError::BodyFailed)?;
        let received = received + chunk.len() as u64;
        if received > announced {
            return Err(ObjectError::BodyTooLong { announced });
        }
        Ok(Some((chunk, (body, received))))
    })
    .boxed()
}
