//! Results, on standard output.

mod group;
mod managed;
mod task;
mod worker;

use std::fmt::{self, Display};
use std::io::{self, Write as _};

pub(crate) use group::group;
pub(crate) use managed::managed;
pub(crate) use task::task;
pub(crate) use worker::worker;

use crate::failure::Failure;

/// Writes a line. That nobody reads any more ends the command quietly.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{text}")
        .map_err(|error| Failure::io("can't write to standard output", error))
}

/// Writes many lines at once.
pub(crate) fn lines(text: &[u8]) -> Result<(), Failure> {
    io::stdout().lock().write_all(text).map_err(|error| Failure::io("can't write to standard output", error))
}

/// Words with a blank between them.
pub(crate) fn words<T: Display>(words: &[T]) -> impl Display {
    fmt::from_fn(|f| {
        words.iter().enumerate().try_for_each(|(place, word)| match place {
            0 => write!(f, "{word}"),
            _ => write!(f, " {word}"),
        })
    })
}

/// A size in human units, which are powers of 1000.
pub(crate) fn bytes(size: i64) -> impl Display {
    const UNITS: [(&str, i64); 6] = [
        ("EB", 1_000_000_000_000_000_000),
        ("PB", 1_000_000_000_000_000),
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
    ];
    fmt::from_fn(move |f| {
        let fitting = UNITS.iter().find(|(_, factor)| size.unsigned_abs() >= factor.unsigned_abs());
        match fitting {
            Some((unit, factor)) => {
                let sign = if size < 0 { "-" } else { "" };
                let (whole, rest) = ((size / factor).unsigned_abs(), (size % factor).unsigned_abs());
                write!(f, "{sign}{whole}.{:02} {unit}", rest / (factor.unsigned_abs() / 100).max(1))
            }
            None => write!(f, "{size} B"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_units_that_people_read() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (1_048_576, "1.04 MB"),
            (16_000_000_000, "16.00 GB"),
            (-1_500, "-1.50 kB"),
            (i64::MIN, "-9.22 EB"),
        ] {
            assert_eq!(bytes(size).to_string(), text);
        }
    }
}
