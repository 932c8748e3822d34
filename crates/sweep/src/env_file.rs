//! Files with environment variables: a `NAME=VALUE` per line.

use std::path::Path;

use super::error::Error;
use super::parameter_files;

/// The largest file; the variables of a command have a smaller limit.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Reads the variables of a file, in order. Empty lines and lines that begin with `#` have no variable. A value is taken
/// as written, without spaces around it and without a comment after ` #`. In single quotes, everything is literal; in
/// double quotes, `\n`, `\t`, `\r`, `\\`, `\"` and `\$` are escapes. Nothing is substituted.
pub fn env_file(path: &Path) -> Result<Vec<(String, String)>, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_BYTES {
        return Err(Error::input(format!("{} is too large for a file of variables", path.display())));
    }
    parse(&parameter_files::text(path)?).map_err(|(line, problem)| {
        Error::input(format!("line {line} of {}: {}", path.display(), problem.0)).with_hint(problem.1)
    })
}

/// What is wrong with a line, and what to do.
type Problem = (&'static str, &'static str);

fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, Problem)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let numbered = (1..).zip(text.lines());
    let variables = numbered.filter_map(|(number, line)| {
        let line = line.trim();
        (!line.is_empty() && !line.starts_with('#'))
            .then(|| variable(line).map_err(|problem| (number, problem)))
    });
    variables.collect()
}

fn variable(line: &str) -> Result<(String, String), Problem> {
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (name, rest) = line
        .split_once('=')
        .ok_or(("expected NAME=VALUE", "pass a variable of the current environment with --export NAME"))?;
    if !is_name(name) {
        let hint =
            "a name has letters, digits and `_`, does not begin with a digit, and has no space before `=`";
        return Err(("invalid name of a variable", hint));
    }
    Ok((name.to_owned(), value(rest.trim_start())?))
}

fn is_name(name: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || char == '_';
    !name.is_empty() && !name.starts_with(|char: char| char.is_ascii_digit()) && name.chars().all(fits)
}

fn value(text: &str) -> Result<String, Problem> {
    if text.contains('\0') {
        return Err(("the value contains a NUL byte", "a variable can't contain one"));
    }
    match text.chars().next() {
        Some('\'') => {
            let (value, rest) = text[1..].split_once('\'').ok_or(UNMATCHED)?;
            end(rest).map(|()| value.to_owned())
        }
        Some('"') => {
            let (value, rest) = double_quoted(&text[1..])?;
            end(rest).map(|()| value)
        }
        _ => Ok(without_comment(text).to_owned()),
    }
}

const UNMATCHED: Problem =
    ("unmatched quote", "a value ends on its line; write a line break as \\n in double quotes");

/// The value up to the quote, and the text after it.
fn double_quoted(text: &str) -> Result<(String, &str), Problem> {
    let mut value = String::new();
    let mut rest = text.chars();
    loop {
        match rest.next().ok_or(UNMATCHED)? {
            '"' => return Ok((value, rest.as_str())),
            '\\' => match rest.next().ok_or(UNMATCHED)? {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                char @ ('\\' | '"' | '$' | '`') => value.push(char),
                other => value.extend(['\\', other]),
            },
            char => value.push(char),
        }
    }
}

/// Only a comment may follow a quoted value.
fn end(rest: &str) -> Result<(), Problem> {
    match without_comment(rest) {
        "" => Ok(()),
        _ => Err(("text after the closing quote", "put the whole value in quotes")),
    }
}

fn without_comment(text: &str) -> &str {
    let is_comment = |(at, _): &(usize, &str)| *at == 0 || text[..*at].ends_with([' ', '\t']);
    let end = text.match_indices('#').find(is_comment).map_or(text.len(), |(at, _)| at);
    text[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_the_rules_of_quotes() {
        let text = "\u{feff}# settings\r\n\nA=1\n  B = \n export C=a b # comment\nD='a # \"b\" \\n $X'  # comment\n\
                    E=\"a\\n\\\"b\\\"\\\\ \\$X \\d {x}\"\nF=a#b\nG=x=y\nH=\nA=2\n";
        let error = parse(text).unwrap_err();
        assert_eq!((error.0, error.1.0), (4, "invalid name of a variable"));
        let variables = parse(&text.replace("  B = \n", "  B=  \n")).unwrap();
        let expected = [
            ("A", "1"),
            ("B", ""),
            ("C", "a b"),
            ("D", "a # \"b\" \\n $X"),
            ("E", "a\n\"b\"\\ $X \\d {x}"),
            ("F", "a#b"),
            ("G", "x=y"),
            ("H", ""),
            ("A", "2"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(variables, expected);
    }

    #[test]
    fn wrong_line_is_named() {
        for (text, line, problem) in [
            ("A=1\nB", 2, "expected NAME=VALUE"),
            ("=1", 1, "invalid name"),
            ("1A=1", 1, "invalid name"),
            ("A-B=1", 1, "invalid name"),
            ("A='x", 1, "unmatched quote"),
            ("\n\nA=\"x\\", 3, "unmatched quote"),
            ("A=\"x\" y", 1, "after the closing quote"),
            ("A='x'y", 1, "after the closing quote"),
            ("A=x\0", 1, "NUL"),
        ] {
            let (found, (message, _)) = parse(text).unwrap_err();
            assert!(found == line && message.contains(problem), "{text:?}: line {found}: {message}");
        }
    }

    #[test]
    fn file_is_named_in_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.env");
        let missing = env_file(&path).unwrap_err();
        assert!(matches!(missing, Error::Unreadable { .. }), "{missing}");
        std::fs::write(&path, "A=1\nB").unwrap();
        let message = env_file(&path).unwrap_err().full_message();
        assert!(message.contains("line 2") && message.contains("job.env"), "{message}");
        std::fs::write(&path, b"A=\xff").unwrap();
        assert!(env_file(&path).is_err());
    }
}
