//! Tests that rules cited in comments, such as `HTTP contract §12.2`, are headings in `docs/contract`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How a comment names each part of the contract, and the files that the part is in.
const PARTS: [(&str, &str); 3] =
    [("http contract", "http"), ("semantics", "semantics"), ("command line", "command-line")];
/// How far before a `§` the name of its part may be, within one cell of a table.
const REACH: usize = 80;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every file below `folder` with one of these endings.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let ending = path.extension().unwrap_or_default().to_str().unwrap_or_default();
            match path.is_dir() {
                true => folders.push(path),
                false if endings.contains(&ending) => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

/// The number after a `§`: `12` or `12.2`.
fn number(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].trim_end_matches('.')
}

/// The text without the marks of comments and without line breaks. A heading becomes a `|`, as between cells.
fn prose(text: &str) -> String {
    let line = |line: &str| match line.starts_with("# ") || line.starts_with("##") {
        true => "|".to_owned(),
        false => line.trim().trim_start_matches(['/', '!']).trim().to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join(" ")
}

/// The numbers of each part's headings.
fn rules() -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut rules: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for file in files(&repository().join("docs/contract"), &["md"]) {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let Some((part, _)) = PARTS.iter().find(|(_, start)| name.starts_with(start)) else { continue };
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let Some(title) = line.trim_start_matches('#').trim().strip_prefix('§') else { continue };
            if line.starts_with('#') {
                let is_new = rules.entry(part).or_default().insert(number(title).to_owned());
                assert!(is_new, "{}: a second `{line}`", file.display());
            }
        }
    }
    rules
}

/// What a file cites: the part, if it is named, and the number. Citations of RFCs are left out.
fn citations(file: &Path, text: &str) -> Vec<(Option<&'static str>, String)> {
    let at_home = |start: &str| {
        let name = file.file_stem().unwrap().to_str().unwrap();
        file.parent().is_some_and(|folder| folder.ends_with("docs/contract")) && name.starts_with(start)
    };
    let default = match file.to_str().unwrap().contains("crates/protocol/") {
        true => Some(PARTS[0].0),
        false => PARTS.iter().find(|(_, start)| at_home(start)).map(|(part, _)| *part),
    };
    let text = prose(text).to_lowercase();
    let mut found = Vec::new();
    for (place, sign) in text.match_indices('§') {
        let cited = number(&text[place + sign.len()..]);
        let mut start = place.saturating_sub(REACH);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        let before = text[start..place].rsplit('|').next().unwrap_or_default();
        let is_rfc = before.trim_end().rsplit(' ').nth(1).is_some_and(|word| word.ends_with("rfc"));
        if cited.is_empty() || is_rfc {
            continue;
        }
        let named = PARTS.iter().filter_map(|(part, _)| Some((before.rfind(part)?, *part))).max();
        found.push((named.map(|(_, part)| part).or(default), cited.to_owned()));
    }
    found
}

#[test]
fn cited_rules_are_headings_of_the_contract() {
    let rules = rules();
    let root = repository();
    let mut cited = files(&root.join("crates"), &["rs", "toml"]);
    cited.retain(|file| !file.ends_with("tests/it/contract.rs"));
    cited.extend(files(&root.join("bench"), &["rs"]));
    cited.extend(files(&root.join("docs"), &["md"]));
    cited.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|page| root.join(page)));
    let (mut missing, mut count) = (Vec::new(), 0);
    for file in cited {
        let text = std::fs::read_to_string(&file).unwrap();
        for (part, number) in citations(&file, &text) {
            count += 1;
            let is_rule = part.is_some_and(|part| rules.get(part).is_some_and(|all| all.contains(&number)));
            if !is_rule {
                let file = file.strip_prefix(&root).unwrap().display();
                missing.push(format!("{file}: {} §{number}", part.unwrap_or("(which part?)")));
            }
        }
    }
    assert!(missing.is_empty(), "no such heading in docs/contract:\n{}", missing.join("\n"));
    assert!(count >= 100, "only {count} citations were found");
}

#[test]
fn citation_can_span_lines() {
    let text = "//! Groups (HTTP contract §7) and files (§8).\n/// As written (command line\n/// §3, §10). RFC 9110 §14.";
    let number = |text: &str| text.to_owned();
    let expected = vec![
        (Some("http contract"), number("7")),
        (Some("http contract"), number("8")),
        (Some("command line"), number("3")),
        (Some("command line"), number("10")),
    ];
    assert_eq!(citations(Path::new("crates/x/src/lib.rs"), text), expected);
    assert_eq!(citations(Path::new("crates/x/src/lib.rs"), "see §2.1"), [(None, number("2.1"))]);
    assert_eq!(
        citations(Path::new("crates/protocol/src/x.rs"), "see §2.1"),
        [(Some("http contract"), number("2.1"))]
    );
}
