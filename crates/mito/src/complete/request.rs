//! Determines the candidates for the last word of a command line.

use clap::{Arg, Command};
use mitosis_domain::selector::TaskStateFilter;

use super::Candidate;

/// A request for candidates.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CompletionRequest {
    /// Candidates from the command line itself.
    pub(crate) candidates: Vec<Candidate>,
    /// The kind of names to look up at the coordinator.
    pub(crate) names: Option<Names>,
    /// Earlier options that affect the names.
    pub(crate) context: Context,
    /// The prefix of the word.
    pub(crate) prefix: String,
    /// A part before the prefix that is kept, such as `--labels=`.
    pub(crate) lead: String,
}

/// Kinds of names that a coordinator knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Jobs,
    Schedules,
    Tasks,
    Workers,
    Groups,
    Tags,
    Labels,
}

/// Earlier options that select the coordinator, the user and the group.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) coordinator: Option<String>,
    pub(crate) config: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) credential_path: Option<String>,
    pub(crate) group: Option<String>,
}

impl Context {
    fn note(&mut self, option: &str, value: &str) {
        let place = match option {
            "coordinator" => &mut self.coordinator,
            "config" => &mut self.config,
            "user" => &mut self.user,
            "credential_path" => &mut self.credential_path,
            "group" => &mut self.group,
            _ => return,
        };
        *place = Some(value.to_owned());
    }
}

/// Determines the candidates for the last of `words`, which may be empty. The words start after the program's name.
pub(crate) fn request(root: &Command, words: &[String]) -> CompletionRequest {
    let Some((current, before)) = words.split_last() else { return CompletionRequest::default() };
    let mut walk =
        Walk { command: root, path: Vec::new(), open: None, positionals: 0, context: Context::default() };
    for word in before {
        if word == "--" {
            // After `--`, the words are the user's own command.
            return CompletionRequest::default();
        }
        walk.take(word);
    }
    walk.next(current)
}

struct Walk<'a> {
    command: &'a Command,
    path: Vec<&'a str>,
    /// The option whose value is next, and whether the value is required.
    open: Option<(&'a Arg, bool)>,
    positionals: usize,
    context: Context,
}

impl<'a> Walk<'a> {
    fn take(&mut self, word: &str) {
        if let Some((option, must)) = self.open.take()
            && (must || !word.starts_with('-'))
        {
            self.context.note(option.get_id().as_str(), word);
            if takes_many(option) {
                self.open = Some((option, false));
            }
            return;
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            self.option(self.by_long(name), value);
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            let letter = letters.chars().next().unwrap_or_default();
            let value = Some(&letters[letter.len_utf8()..]).filter(|value| !value.is_empty());
            self.option(self.by_short(letter), value);
        } else if let Some(command) = self.command.find_subcommand(word) {
            (self.command, self.positionals) = (command, 0);
            self.path.push(command.get_name());
        } else {
            self.positionals += 1;
        }
    }

    fn option(&mut self, option: Option<&'a Arg>, value: Option<&str>) {
        let Some(option) = option.filter(|option| takes_a_value(option)) else { return };
        match value {
            Some(value) => self.context.note(option.get_id().as_str(), value.trim_start_matches('=')),
            None => self.open = Some((option, true)),
        }
    }

    fn by_long(&self, name: &str) -> Option<&'a Arg> {
        self.command.get_arguments().find(|arg| arg.get_long() == Some(name))
    }

    fn by_short(&self, letter: char) -> Option<&'a Arg> {
        self.command.get_arguments().find(|arg| arg.get_short() == Some(letter))
    }

    fn next(self, current: &str) -> CompletionRequest {
        if let Some((option, value)) = self.value_in(current) {
            let lead = current[..current.len() - value.len()].to_owned();
            let mut candidates = values_of(option);
            candidates.retain(|candidate| candidate.word.starts_with(value));
            for candidate in &mut candidates {
                candidate.word.insert_str(0, &lead);
            }
            let names = self.names(option);
            return CompletionRequest {
                candidates,
                names,
                context: self.context,
                prefix: value.to_owned(),
                lead,
            };
        }
        let mut candidates = Vec::new();
        let mut names = None;
        match self.open {
            Some((option, must)) if must || !current.starts_with('-') => {
                candidates = values_of(option);
                names = self.names(option);
            }
            _ if current.starts_with('-') => candidates = self.options(),
            _ => {
                candidates.extend(self.subcommands());
                if let Some(positional) = self.positional() {
                    candidates.extend(values_of(positional));
                    names = self.names(positional);
                }
                if let (Some(Names::Jobs), Some((job, _))) = (names, current.split_once('/')) {
                    candidates = self.states_of(job);
                    names = None;
                }
            }
        }
        candidates.retain(|candidate| candidate.word.starts_with(current));
        CompletionRequest {
            candidates,
            names,
            context: self.context,
            prefix: current.to_owned(),
            lead: String::new(),
        }
    }

    /// The option and the partial value of `--option=value`.
    fn value_in<'b>(&self, current: &'b str) -> Option<(&'a Arg, &'b str)> {
        let (name, value) = current.strip_prefix("--")?.split_once('=')?;
        let option = self.by_long(name).filter(|option| takes_a_value(option))?;
        // A required value takes any word.
        (!matches!(self.open, Some((_, true)))).then_some((option, value))
    }

    fn positional(&self) -> Option<&'a Arg> {
        let all: Vec<&Arg> = self.command.get_positionals().filter(|arg| !arg.is_last_set()).collect();
        let nth = all.get(self.positionals).copied();
        nth.or_else(|| all.last().copied().filter(|arg| takes_many(arg)))
    }

    fn options(&self) -> Vec<Candidate> {
        let shown = self.command.get_arguments().filter(|arg| !arg.is_hide_set());
        shown.filter_map(|arg| Some(Candidate::new(format!("--{}", arg.get_long()?), help_of(arg)))).collect()
    }

    fn subcommands(&self) -> impl Iterator<Item = Candidate> {
        let shown = self.command.get_subcommands().filter(|command| !command.is_hide_set());
        shown.map(|command| {
            Candidate::new(
                command.get_name(),
                command.get_about().map(ToString::to_string).unwrap_or_default(),
            )
        })
    }

    /// The tasks of a job by their states, for commands on tasks.
    fn states_of(&self, job: &str) -> Vec<Candidate> {
        let takes_tasks =
            ["ls", "logs", "cancel", "retry", "results"].iter().any(|command| self.path.contains(command));
        let state = |state: TaskStateFilter| Candidate::new(format!("{job}/{state}"), "");
        if takes_tasks { TaskStateFilter::ALL.into_iter().map(state).collect() } else { Vec::new() }
    }

    /// The kind of names for an argument, by its id and command.
    fn names(&self, arg: &Arg) -> Option<Names> {
        let under = |noun| self.path.contains(&noun);
        match arg.get_id().as_str() {
            "uuid" | "uuids" | "selector" | "selectors" if under("workers") => Some(Names::Workers),
            "selector" | "selectors" if !under("client") && !under("tasks") => Some(Names::Jobs),
            "uuid" | "uuids" | "selector" | "selectors" | "task" => Some(Names::Tasks),
            "after" | "after_any" | "after_each" => Some(Names::Jobs),
            "schedule" | "schedules" => Some(Names::Schedules),
            "reporter_uuid" => Some(Names::Workers),
            "group" | "groups" => Some(Names::Groups),
            "name" | "group_name" if under("groups") => Some(Names::Groups),
            "tags" => Some(Names::Tags),
            "labels" => Some(Names::Labels),
            _ => None,
        }
    }
}

fn takes_a_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

fn takes_many(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|number| number.max_values() > 1)
        || arg.is_positional() && matches!(arg.get_action(), clap::ArgAction::Append)
}

fn values_of(arg: &Arg) -> Vec<Candidate> {
    let shown = arg.get_possible_values().into_iter().filter(|value| !value.is_hide_set());
    shown
        .map(|value| {
            Candidate::new(value.get_name(), value.get_help().map(ToString::to_string).unwrap_or_default())
        })
        .collect()
}

fn help_of(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn after(line: &str) -> CompletionRequest {
        let mut root = Cli::command();
        root.build();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        request(&root, &words)
    }

    fn words(line: &str) -> Vec<String> {
        after(line).candidates.into_iter().map(|candidate| candidate.word).collect()
    }

    #[test]
    fn commands_and_options_are_completed() {
        assert!(words("").contains(&"client".to_owned()));
        assert_eq!(words("cli"), ["client"]);
        assert!(words("client tasks ex").contains(&"explain".to_owned()));
        assert!(words("client tasks query --lab").contains(&"--labels".to_owned()));
        assert!(words("doctor -o ").contains(&"json".to_owned()));
        assert!(!words("").iter().any(|word| word.starts_with("__")), "hidden ones stay hidden");
    }

    #[test]
    fn argument_decides_which_names_are_completed() {
        for (line, names) in [
            ("client tasks explain ", Some(Names::Tasks)),
            ("client tasks explain 3f", Some(Names::Tasks)),
            ("client workers get ", Some(Names::Workers)),
            ("client workers cancel-list 3f0c ", Some(Names::Workers)),
            ("client tasks submit -g ", Some(Names::Groups)),
            ("workers get ", Some(Names::Workers)),
            ("groups get ", Some(Names::Groups)),
            ("files upload f -g ", Some(Names::Groups)),
            ("admin workers cancel ", Some(Names::Workers)),
            ("client tasks submit -t gpu ", Some(Names::Tags)),
            ("client tasks query --labels ", Some(Names::Labels)),
            ("ls ", Some(Names::Jobs)),
            ("wait 1 tr", Some(Names::Jobs)),
            ("retry ", Some(Names::Jobs)),
            ("priority ", Some(Names::Jobs)),
            ("priority train ", None),
            ("submit --after ", Some(Names::Jobs)),
            ("schedule pause ", Some(Names::Schedules)),
            ("schedule show ni", Some(Names::Schedules)),
            ("schedule add ", None),
            ("client tasks wait ", Some(Names::Tasks)),
            ("client tasks submit -- ", None),
            ("client tasks submit -- ls ", None),
            ("client tasks submit -p ", None),
            ("client ", None),
        ] {
            assert_eq!(after(line).names, names, "{line:?}");
        }
    }

    #[test]
    fn states_of_tasks_are_completed_after_a_job() {
        assert_eq!(words("logs 12/f"), ["12/failed"]);
        assert_eq!(words("ls train/un"), ["train/unfinished"]);
        assert!(words("rm 12/").is_empty());
        assert_eq!(after("ls 12/").names, None);
    }

    #[test]
    fn value_joined_to_its_option_is_completed() {
        assert_eq!(words("client auth --format=js"), ["--format=json", "--format=jsonl"]);
        let request = after("client tasks query --labels=ex");
        assert_eq!((request.names, request.prefix.as_str()), (Some(Names::Labels), "ex"));
        assert_eq!(request.lead, "--labels=");
    }

    #[test]
    fn earlier_options_select_the_coordinator_and_user() {
        let given = after("client -c http://h:1 --user=ann tasks query -g lab -l x --labels ").context;
        assert_eq!(given.coordinator.as_deref(), Some("http://h:1"));
        assert_eq!(given.user.as_deref(), Some("ann"));
        assert_eq!(given.group.as_deref(), Some("lab"));
    }
}
