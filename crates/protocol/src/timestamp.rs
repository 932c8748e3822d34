//! Points in time as the contract writes them: `2031-02-09 17:04:05.25 +00:00:00` (§2).

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A point in time in UTC with microsecond resolution.
///
/// It is written as `YYYY-MM-DD HH:MM:SS.f +00:00:00` with one to six fraction digits, never as RFC 3339: 0.6.8
/// clients parse exactly this layout. RFC 3339 is accepted on input.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text that is not a timestamp in either accepted layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time; write it like `2031-02-09 17:04:05.25 +00:00:00` or in RFC 3339")]
pub struct InvalidTimestamp(String);

impl Timestamp {
    /// The first instant of 1970.
    pub const UNIX_EPOCH: Self = Self(0);

    /// From microseconds since the Unix epoch.
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The time `duration` later; saturates at the end of the representable range.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// The time `duration` earlier; saturates at the start of the representable range.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// The time since `earlier`; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Parses the contract's layout, or RFC 3339.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        parse_contract(text)
            .or_else(|| OffsetDateTime::parse(text, &Rfc3339).ok())
            .map(Self::from)
            .ok_or_else(|| InvalidTimestamp(text.to_owned()))
    }

    /// Parses the `Date` header of an HTTP reply: `Sun, 09 Feb 2031 17:04:05 GMT`.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let layout = time::macros::format_description!(
            version = 2,
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        PrimitiveDateTime::parse(text, layout).ok().map(|instant| instant.assume_utc().into())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn parse_contract(text: &str) -> Option<OffsetDateTime> {
    let layout = time::macros::format_description!(
        version = 2,
        "[year]-[month]-[day] [hour padding:none]:[minute]:[second].[subsecond digits:1+] \
         [offset_hour sign:mandatory]:[offset_minute]:[offset_second]"
    );
    OffsetDateTime::parse(text, layout).ok()
}

impl From<OffsetDateTime> for Timestamp {
    fn from(instant: OffsetDateTime) -> Self {
        let nanos = instant.unix_timestamp_nanos().div_euclid(1_000);
        Self(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }
}

impl From<Timestamp> for OffsetDateTime {
    /// Moves times outside the years −9999 to 9999 to the nearest end of that range.
    fn from(instant: Timestamp) -> Self {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(instant.0) * 1_000).unwrap_or(if instant.0 < 0 {
            OffsetDateTime::new_in_offset(time::Date::MIN, time::Time::MIDNIGHT, UtcOffset::UTC)
        } else {
            OffsetDateTime::new_in_offset(time::Date::MAX, time::Time::MAX, UtcOffset::UTC)
        })
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        self.saturating_add(duration)
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        self.saturating_sub(duration)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = OffsetDateTime::from(*self);
        let fraction = format!("{:06}", at.microsecond());
        let fraction = match fraction.trim_end_matches('0') {
            "" => "0",
            digits => digits,
        };
        write!(
            f,
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{fraction} +00:00:00",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("UTC, with one to six digits of a second"))
            .examples(["2031-02-09 17:04:05.25 +00:00:00"])
            .into()
    }
}

impl ToSchema for Timestamp {}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// Writes times in RFC 3339, as routes below `/v1` do that no 0.6.8 client knows: `#[serde(with = "rfc3339")]`.
pub mod rfc3339 {
    use serde::{Deserialize as _, Deserializer, Serializer, ser};
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    use super::Timestamp;

    /// Writes a time.
    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        let text = OffsetDateTime::from(*at).format(&Rfc3339).map_err(ser::Error::custom)?;
        serializer.serialize_str(&text)
    }

    /// Reads a time in either layout.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(deserializer)
    }

    /// The same for a time that can be absent.
    pub mod option {
        use serde::{Deserialize as _, Deserializer, Serializer};

        use super::Timestamp;

        /// Writes a time or null.
        pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => super::serialize(at, serializer),
                None => serializer.serialize_none(),
            }
        }

        /// Reads a time in either layout, or null.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            Option::<Timestamp>::deserialize(deserializer)
        }
    }

    /// The same for a list of times.
    pub mod list {
        use serde::{Deserialize as _, Deserializer, Serialize, Serializer};

        use super::Timestamp;

        /// A time that is written in this layout.
        #[derive(Serialize)]
        #[serde(transparent)]
        struct Written<'a>(#[serde(serialize_with = "super::serialize")] &'a Timestamp);

        /// Writes times.
        pub fn serialize<S: Serializer>(times: &[Timestamp], serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(times.iter().map(Written))
        }

        /// Reads times in either layout.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Timestamp>, D::Error> {
            Vec::<Timestamp>::deserialize(deserializer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_header_is_parsed() {
        let read = Timestamp::parse_http_date("Sun, 09 Feb 2031 17:04:05 GMT");
        assert_eq!(read, Some(Timestamp::parse("2031-02-09T17:04:05Z").unwrap()));
        for odd in ["", "Sunday, 09-Feb-31 17:04:05 GMT", "2031-02-09"] {
            assert_eq!(Timestamp::parse_http_date(odd), None, "{odd}");
        }
    }

    #[test]
    fn fraction_has_one_to_six_digits_without_trailing_zeros() {
        let at = |micros: i64| Timestamp::from_unix_micros(1_928_423_045_000_000 + micros).to_string();
        assert_eq!(at(250_000), "2031-02-09 17:04:05.25 +00:00:00");
        assert_eq!(at(0), "2031-02-09 17:04:05.0 +00:00:00");
        assert_eq!(at(1), "2031-02-09 17:04:05.000001 +00:00:00");
    }

    #[test]
    fn both_layouts_are_parsed_and_converted_to_utc() {
        let expected = Timestamp::from_unix_micros(1_928_423_045_250_000);
        for text in [
            "2031-02-09 17:04:05.25 +00:00:00",
            "2031-02-09 18:04:05.250000 +01:00:00",
            "2031-02-09T17:04:05.25Z",
        ] {
            assert_eq!(Timestamp::parse(text).unwrap(), expected, "{text}");
        }
        assert!(Timestamp::parse("yesterday").is_err());
    }

    #[test]
    fn extremes_neither_panic_nor_wrap() {
        let end = Timestamp::from_unix_micros(i64::MAX);
        assert_eq!(end + Duration::MAX, end);
        assert!(!end.to_string().is_empty());
        assert_eq!(Timestamp::UNIX_EPOCH.since(end), Duration::ZERO);
    }
}
