//! The text of a statement, for both databases.
//!
//! A statement is written once, in the dialect of PostgreSQL. [`sql!`] translates it for SQLite at compile
//! time, by a few textual rules:
//!
//! | written | on SQLite |
//! |---|---|
//! | `$1` | `?1` |
//! | `= ANY($1)` | `IN (SELECT value FROM json_each(?1))`, for a [`List`](super::List) |
//! | `= ANY($1::uuid[])` | the same, for a list of UUIDs |
//! | `x::bigint`, `x::text[]` | `x`: values carry their types |
//! | `FOR UPDATE`, `FOR SHARE`, … up to the end of the line or to `)` | nothing: there is one writer |
//! | `INNER JOIN` | `CROSS JOIN`, which fixes the order of the tables; a plain `JOIN` stays |
//! | `greatest(`, `least(`, `strpos(` | `max(`, `min(`, `instr(` |
//!
//! If the databases need different statements, both texts are given:
//! `sql!(postgres: "…", sqlite: "…")`.

/// A statement in the dialect of each database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sql {
    pub(crate) postgres: &'static str,
    pub(crate) sqlite: &'static str,
}

/// A [`Sql`], translated at compile time.
macro_rules! sql {
    (postgres: $postgres:expr, sqlite: $sqlite:expr $(,)?) => {
        $crate::db::Sql { postgres: $postgres, sqlite: $sqlite }
    };
    ($text:expr) => {{
        const POSTGRES: &str = $text;
        const LENGTH: usize = $crate::db::sql::translated_length(POSTGRES);
        const SQLITE: &[u8; LENGTH] = &$crate::db::sql::translate(POSTGRES);
        $crate::db::Sql { postgres: POSTGRES, sqlite: $crate::db::sql::text(SQLITE) }
    }};
}
pub(crate) use sql;

/// The length of the translation in bytes.
pub(crate) const fn translated_length(postgres: &str) -> usize {
    let mut target = Target { bytes: [], length: 0 };
    write_translation(postgres.as_bytes(), &mut target);
    target.length
}

/// The translation, which has `N` bytes.
pub(crate) const fn translate<const N: usize>(postgres: &str) -> [u8; N] {
    let mut target = Target { bytes: [0; N], length: 0 };
    write_translation(postgres.as_bytes(), &mut target);
    target.bytes
}

/// Converts a translation to text.
pub(crate) const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("a translation of UTF-8 is UTF-8"),
    }
}

/// Counts the bytes written, and stores those that fit.
struct Target<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Target<N> {
    const fn push(&mut self, byte: u8) {
        if self.length < N {
            self.bytes[self.length] = byte;
        }
        self.length += 1;
    }

    const fn push_all(&mut self, text: &str) {
        let (bytes, mut at) = (text.as_bytes(), 0);
        while at < bytes.len() {
            self.push(bytes[at]);
            at += 1;
        }
    }
}

const fn write_translation<const N: usize>(sql: &[u8], target: &mut Target<N>) {
    let mut at = 0;
    while at < sql.len() {
        at = match sql[at] {
            b'$' => write(target, "?", at + 1),
            b'=' if starts_with(sql, at, "= ANY($") => write_list(sql, at, target),
            b':' if starts_with(sql, at, "::") => end_of_type(sql, at + 2),
            b'F' if is_lock(sql, at) => end_of_lock(sql, at),
            b'I' if starts_with(sql, at, "INNER JOIN") => {
                write(target, "CROSS JOIN", at + "INNER JOIN".len())
            }
            b'g' if starts_with(sql, at, "greatest(") => write(target, "max(", at + "greatest(".len()),
            b'l' if starts_with(sql, at, "least(") => write(target, "min(", at + "least(".len()),
            b's' if starts_with(sql, at, "strpos(") => write(target, "instr(", at + "strpos(".len()),
            byte => {
                target.push(byte);
                at + 1
            }
        };
    }
}

/// Writes a replacement for the text that ends at `next`.
const fn write<const N: usize>(target: &mut Target<N>, text: &str, next: usize) -> usize {
    target.push_all(text);
    next
}

/// Translates `= ANY($1)`, a list of numbers or texts, and `= ANY($1::uuid[])`, a list of UUIDs.
const fn write_list<const N: usize>(sql: &[u8], from: usize, target: &mut Target<N>) -> usize {
    let number = from + "= ANY($".len();
    let mut end = number;
    while sql[end].is_ascii_digit() {
        end += 1;
    }
    let uuids = starts_with(sql, end, "::uuid[]");
    target.push_all(if uuids {
        "IN (SELECT unhex(value, '-') FROM json_each(?"
    } else {
        "IN (SELECT value FROM json_each(?"
    });
    let mut at = number;
    while at < end {
        target.push(sql[at]);
        at += 1;
    }
    target.push_all("))");
    if uuids {
        end += "::uuid[]".len();
    }
    assert!(sql[end] == b')', "a list is one parameter");
    end + 1
}

const fn end_of_type(sql: &[u8], mut at: usize) -> usize {
    while at < sql.len() && (sql[at].is_ascii_alphanumeric() || matches!(sql[at], b'_' | b'[' | b']')) {
        at += 1;
    }
    at
}

const fn is_lock(sql: &[u8], at: usize) -> bool {
    starts_with(sql, at, "FOR UPDATE")
        || starts_with(sql, at, "FOR NO KEY UPDATE")
        || starts_with(sql, at, "FOR SHARE")
        || starts_with(sql, at, "FOR KEY SHARE")
}

const fn end_of_lock(sql: &[u8], mut at: usize) -> usize {
    while at < sql.len() && !matches!(sql[at], b')' | b'\n') {
        at += 1;
    }
    at
}

const fn starts_with(sql: &[u8], from: usize, text: &str) -> bool {
    let (text, mut at) = (text.as_bytes(), 0);
    while at < text.len() {
        if from + at >= sql.len() || sql[from + at] != text[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    #[test]
    fn statement_is_translated_by_the_rules() {
        for (sql, sqlite) in [
            (sql!("SELECT 'ä' WHERE a = $1 AND b = $12"), "SELECT 'ä' WHERE a = ?1 AND b = ?12"),
            (sql!("a = ANY($1) AND b"), "a IN (SELECT value FROM json_each(?1)) AND b"),
            (sql!("a = ANY($2::uuid[])"), "a IN (SELECT unhex(value, '-') FROM json_each(?2))"),
            (sql!("($1::bigint[] IS NULL OR 1::smallint)"), "(?1 IS NULL OR 1)"),
            (sql!("SELECT a FROM b FOR UPDATE OF b"), "SELECT a FROM b "),
            (sql!("SELECT a FOR SHARE\n RETURNING b"), "SELECT a \n RETURNING b"),
            (sql!("(SELECT a LIMIT $1 FOR SHARE SKIP LOCKED) c"), "(SELECT a LIMIT ?1 ) c"),
            (sql!("a INNER JOIN b JOIN c"), "a CROSS JOIN b JOIN c"),
            (sql!("greatest(a, least(b, strpos(c)))"), "max(a, min(b, instr(c)))"),
        ] {
            assert_eq!(sql.sqlite, sqlite, "{}", sql.postgres);
        }
    }
}
