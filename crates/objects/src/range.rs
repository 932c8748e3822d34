//! Byte ranges of objects, as in HTTP (RFC 9110 §14).

/// A part of an object whose size is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// Everything from this offset on.
    From(u64),
    /// From the first offset to the second, both included.
    Between(u64, u64),
    /// This many bytes at the end.
    Last(u64),
}

/// A part of an object of known size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The offset of the first byte.
    pub offset: u64,
    /// The length in bytes.
    pub length: u64,
}

impl ByteRange {
    /// Reads the value of a `Range` header. `None` for anything but one well-formed range of bytes;
    /// HTTP lets a server answer such a request with the whole object.
    pub fn parse(header: &str) -> Option<Self> {
        let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
        match (first, last) {
            ("", count) => Some(Self::Last(number(count)?)),
            (first, "") => Some(Self::From(number(first)?)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// The value of the `Range` header that asks for this part.
    pub fn header(self) -> String {
        match self {
            Self::From(first) => format!("bytes={first}-"),
            Self::Between(first, last) => format!("bytes={first}-{last}"),
            Self::Last(count) => format!("bytes=-{count}"),
        }
    }

    /// Resolves the range for an object of `total` bytes, cut at its end. Returns `None` if nothing remains.
    pub fn resolve(self, total: u64) -> Option<Span> {
        let (offset, end) = match self {
            Self::From(first) => (first, total),
            Self::Between(first, last) => (first, last.saturating_add(1).min(total)),
            Self::Last(count) => (total.saturating_sub(count), total),
        };
        let length = end.checked_sub(offset).filter(|length| *length > 0)?;
        Some(Span { offset, length })
    }
}

/// Parses digits only: `parse` alone accepts a sign.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_range_is_parsed_and_written() {
        for (text, range) in [
            ("bytes=0-0", ByteRange::Between(0, 0)),
            ("bytes=5-", ByteRange::From(5)),
            ("bytes=-7", ByteRange::Last(7)),
        ] {
            assert_eq!(ByteRange::parse(text), Some(range));
            assert_eq!(range.header(), text);
        }
        for text in ["bytes=", "bytes=-", "bytes=5-4", "bytes=+1-2", "bytes=0-1,3-4", "lines=0-1", "0-1"] {
            assert_eq!(ByteRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn range_is_cut_at_the_end_of_the_object() {
        let span = |offset, length| Some(Span { offset, length });
        assert_eq!(ByteRange::Between(2, 99).resolve(10), span(2, 8));
        assert_eq!(ByteRange::Between(2, u64::MAX).resolve(10), span(2, 8));
        assert_eq!(ByteRange::Last(99).resolve(10), span(0, 10));
        assert_eq!(ByteRange::From(9).resolve(10), span(9, 1));
    }

    #[test]
    fn range_without_bytes_is_none() {
        for (range, total) in [
            (ByteRange::From(10), 10),
            (ByteRange::Between(10, 12), 10),
            (ByteRange::Last(0), 10),
            (ByteRange::From(0), 0),
        ] {
            assert_eq!(range.resolve(total), None, "{range:?} of {total}");
        }
    }
}
