//! Completion of commands and names in the interactive mode.

use clap::CommandFactory as _;
use mitosis_client::UserClient;
use rustyline::Helper;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use tokio::runtime::Handle;

use crate::cli::client::Line;
use crate::complete::{Candidate, lookup, request};

/// Completes commands, and names that the logged-in user can see.
pub(super) struct Completion {
    root: clap::Command,
    user: UserClient,
    name: String,
}

impl Completion {
    pub(super) fn new(user: UserClient, name: String) -> Self {
        let mut root = Line::command();
        root.build();
        Self { root, user, name }
    }

    /// Replaces the user.
    pub(super) fn set_user(&mut self, user: UserClient, name: String) {
        (self.user, self.name) = (user, name);
    }

    /// The start of the word before the cursor, and its candidates. Lines with quotes have none.
    fn candidates(&self, line: &str) -> (usize, Vec<Candidate>) {
        if line.contains(['"', '\'', '\\']) {
            return (line.len(), Vec::new());
        }
        let start = line.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let mut words: Vec<String> = line[..start].split_whitespace().map(str::to_owned).collect();
        words.push(line[start..].to_owned());
        let request = request(&self.root, &words);
        let candidates = match request.names {
            // The editor runs where blocking is allowed.
            Some(names) => {
                Handle::current().block_on(lookup::with_names_of(request, names, &self.user, &self.name))
            }
            None => request.candidates,
        };
        (start, candidates)
    }
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, candidates) = self.candidates(&line[..cursor]);
        let only = candidates.len() == 1;
        let pairs = candidates.into_iter().map(|Candidate { word, about }| Pair {
            display: if about.is_empty() { word.clone() } else { format!("{word}  {about}") },
            // The next word can be typed at once.
            replacement: if only { format!("{word} ") } else { word },
        });
        Ok((start, pairs.collect()))
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}
impl Validator for Completion {}
impl Helper for Completion {}

#[cfg(test)]
mod tests {
    use mitosis_client::Client;

    use super::*;

    #[test]
    fn only_candidate_is_followed_by_a_space() {
        let user = Client::new("http://127.0.0.1:1").unwrap().with_user_token("token".into());
        let completion = Completion::new(user, "ann".to_owned());
        let history = rustyline::history::DefaultHistory::new();
        let words = |line: &str| {
            let found = completion.complete(line, line.len(), &rustyline::Context::new(&history)).unwrap();
            found.1.into_iter().map(|pair| pair.replacement).collect::<Vec<_>>()
        };
        assert_eq!(words("wor"), ["workers "]);
        assert!(words("tasks c").iter().all(|word| !word.ends_with(' ')));
    }

    #[test]
    fn word_before_the_cursor_is_completed() {
        let user = Client::new("http://127.0.0.1:1").unwrap().with_user_token("token".into());
        let completion = Completion::new(user, "ann".to_owned());
        let words = |line| {
            let (start, candidates) = completion.candidates(line);
            (start, candidates.into_iter().map(|candidate| candidate.word).collect::<Vec<_>>())
        };
        assert_eq!(words("tasks expl"), (6, vec!["explain".to_owned()]));
        assert_eq!(words("wor"), (0, vec!["workers".to_owned()]));
        assert!(words("tasks query --li").1.contains(&"--limit".to_owned()));
        assert!(words("cmd -- 'l").1.is_empty());
    }
}
