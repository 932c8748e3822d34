//! Compatibility of the command line: it accepts what the published program accepts, and changes only on purpose.

use clap::{Arg, ArgAction, Command, CommandFactory as _, Parser as _};

use super::Cli;

/// Command line §4.2.
const FILTERS: &str =
    "-c,--creators… -g,--group -t,--tags… -l,--labels… -s,--state… -e,--exit-status -p,--priority";
/// Command line §3.2.
const WORKER: &str = "-c,--coordinator --polling-interval --heartbeat-interval --credential-path -u,--user -p,--password \
    -g,--groups… -t,--tags… -l,--labels… --lifetime --retain --skip-redis --file-log --shared-log --log-path --config";

/// Every command of the published program with its arguments, as the contract writes them (command line
/// §3, §4, §10): `<required>`, `[optional]`, `…` for several, `-s,--long`.
const CONTRACT: &[(&str, &str)] = &[
    (
        "coordinator",
        "-b,--bind --db --s3 --s3-access-key --s3-secret-key --s3-region --s3-force-path-style \
         --artifacts-bucket --attachments-bucket --redis --redis-worker-password --redis-client-password \
         --redis-skip-acl-rules --admin-user --admin-password --access-token-private-path \
         --access-token-public-path --access-token-expires-in --heartbeat-timeout --file-log --log-path --config",
    ),
    ("worker", WORKER),
    ("manager status", ""),
    ("manager spawn", "<COUNT> WORKER"),
    ("manager kill", ""),
    (
        "client",
        "-c,--coordinator --credential-path -u,--user -p,--password --retain -i,--interactive --config",
    ),
    ("client auth", ""),
    ("client login", "[USERNAME] [PASSWORD] --retain"),
    ("client users change-password", "[ORIG_PASSWORD] [NEW_PASSWORD]"),
    ("client users groups", ""),
    ("client users my-groups", ""),
    ("client groups create", "<GROUP>"),
    ("client groups get", "<GROUP>"),
    ("client groups update-user", "<GROUP> [RELATION]…"),
    ("client groups remove-user", "<GROUP> [USER]…"),
    ("client groups attachments upload", "<LOCAL_FILE> [KEY] -g,--group -s,--smart --pb"),
    ("client groups attachments download", "<KEY> -g,--group -o,--output --no-download --pb -s,--smart"),
    ("client groups attachments get", "<KEY> -g,--group -s,--smart"),
    ("client groups attachments delete", "<KEY> -g,--group -s,--smart"),
    ("client groups attachments query", "-g,--group -k,--key --limit --offset --count"),
    (
        "client groups attachments download-many",
        "-g,--group -k,--key --limit --offset -o,--output --no-download --pb --concurrent",
    ),
    (
        "client groups attachments download-list",
        "[KEY]… -g,--group -o,--output --no-download --pb --concurrent",
    ),
    ("client groups attachments delete-many", "-g,--group -k,--key --limit --offset"),
    ("client groups attachments delete-list", "[KEY]… -g,--group"),
    (
        "client tasks submit",
        "-g,--group -t,--tags… -l,--labels… --timeout -p,--priority -e,--envs… --terminal -r,--resources… \
         --watch [CMD]…",
    ),
    ("client tasks submit-many", "-f,--file"),
    ("client tasks get", "<UUID>"),
    ("client tasks query", "FILTERS --reporter-uuid --limit --offset -v,--verbose --count"),
    ("client tasks cancel", "<UUID>"),
    ("client tasks cancel-many", "FILTERS"),
    ("client tasks cancel-list", "[UUID]…"),
    ("client tasks update-labels", "<UUID> [LABEL]…"),
    ("client tasks change", "<UUID> -t,--tags… --timeout -p,--priority -e,--envs… --terminal --watch [CMD]…"),
    ("client tasks artifacts upload", "<LOCAL_FILE> <UUID> <TYPE> --pb"),
    ("client tasks artifacts download", "<UUID> <TYPE> -o,--output --no-download --pb"),
    ("client tasks artifacts delete", "<UUID> <TYPE>"),
    (
        "client tasks artifacts download-many",
        "<TYPE> FILTERS --reporter-uuid -o,--output --no-download --pb --concurrent",
    ),
    ("client tasks artifacts download-list", "<TYPE> [UUID]… -o,--output --no-download --pb --concurrent"),
    ("client tasks artifacts delete-many", "<TYPE> FILTERS --reporter-uuid"),
    ("client tasks artifacts delete-list", "<TYPE> [UUID]…"),
    ("client workers get", "<UUID>"),
    ("client workers query", "-g,--group -r,--role… -t,--tags… -l,--labels… --creator -v,--verbose --count"),
    ("client workers cancel", "<UUID> -f,--force"),
    ("client workers cancel-many", "-g,--group -r,--role… -t,--tags… -l,--labels… --creator -f,--force"),
    ("client workers cancel-list", "[UUID]… -f,--force"),
    ("client workers update-tags", "<UUID> [TAG]…"),
    ("client workers update-labels", "<UUID> [LABEL]…"),
    ("client workers update-roles", "<UUID> [RELATION]…"),
    ("client workers remove-roles", "<UUID> [GROUP]…"),
    ("client admin users create", "[USERNAME] [PASSWORD] --admin"),
    ("client admin users delete", "<USERNAME>"),
    ("client admin users change-password", "[USERNAME] [NEW_PASSWORD]"),
    ("client admin users group-quota", "<USERNAME> <QUOTA>"),
    ("client admin groups storage-quota", "<GROUP> <QUOTA>"),
    ("client admin groups attachments delete", "<KEY> -g,--group -s,--smart"),
    ("client admin tasks artifacts delete", "<UUID> <TYPE>"),
    ("client admin workers cancel", "<UUID> -f,--force"),
    ("client admin shutdown", "<SECRET>"),
    ("client cmd", "-s,--split [CMD]…"),
    ("client quit", ""),
    ("client exit", ""),
];

/// Defaults that scripts rely on (command line §4.1).
const DEFAULTS: &[(&str, &str, &str)] =
    &[("client tasks submit", "timeout", "10min"), ("client tasks submit", "priority", "0")];

/// Lines that the published program took, for what is not under `client`.
const LINES: &[&str] = &[
    "coordinator -b 127.0.0.1:5000 --db d --s3 s --s3-access-key a --s3-secret-key k --s3-region r \
     --s3-force-path-style --artifacts-bucket a --attachments-bucket b --redis r --redis-worker-password w \
     --redis-client-password c --redis-skip-acl-rules --admin-user u --admin-password p \
     --access-token-private-path a --access-token-public-path b --access-token-expires-in 7d \
     --heartbeat-timeout 600s --file-log --log-path l --config c.toml",
    "worker -c http://c -u u -p p -g a b:write -t gpu,eu -l l --polling-interval 3m --heartbeat-interval 5m \
     --credential-path c --lifetime 30d --retain --skip-redis --file-log --shared-log --log-path l --config c",
    "manager spawn 4 -c http://c -u u -p p -t gpu eu --lifetime 30d --shared-log",
    "manager status",
    "manager kill",
    "client -c http://c --config c --credential-path c -u u -p p --retain -i auth",
    "client -i",
    "client tasks submit -p=-3 -e A=1 -- ls -l",
    "help client",
];

const NOTHING: [&str; 0] = [];

fn command_line() -> Command {
    let mut mito = Cli::command();
    mito.build();
    mito
}

fn find<'a>(mito: &'a Command, path: &str) -> &'a Command {
    path.split(' ').fold(mito, |command, name| {
        command.find_subcommand(name).unwrap_or_else(|| panic!("there is no `mito {path}`"))
    })
}

fn takes_several(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|number| number.max_values() > 1)
}

/// What the contract has, and a command has not. What was required may be left to a question by now.
fn missing(command: &Command, fact: &str) -> Vec<String> {
    let fact = fact.replace("FILTERS", FILTERS).replace("WORKER", WORKER);
    let mut positionals = command.get_positionals();
    let mut missing = Vec::new();
    for word in fact.split_whitespace() {
        let (name, several) = word.strip_suffix('…').map_or((word, false), |name| (name, true));
        let found = match name.strip_prefix('-') {
            None => positionals.next().filter(|arg| name.starts_with('<') || !arg.is_required_set()),
            Some(_) => {
                let (short, long) = name.split_once(',').unwrap_or(("", name));
                command.get_arguments().find(|arg| {
                    arg.get_long() == long.strip_prefix("--")
                        && (short.is_empty() || arg.get_short() == short.chars().nth(1))
                })
            }
        };
        if found.is_none_or(|arg| several && !takes_several(arg)) {
            missing.push(word.to_owned());
        }
    }
    missing
}

#[test]
fn arguments_of_the_contract_keep_their_names() {
    let mito = command_line();
    for (path, fact) in CONTRACT {
        assert_eq!(missing(find(&mito, path), fact), NOTHING, "mito {path}");
    }
    for (path, option, value) in DEFAULTS {
        let command = find(&mito, path);
        let arg = command.get_arguments().find(|arg| arg.get_id() == *option).unwrap();
        assert_eq!(arg.get_default_values(), [*value], "mito {path} --{option}");
    }
}

#[test]
fn missing_argument_of_the_contract_is_found() {
    let one = Arg::new("one").required(true);
    let command = Command::new("x").arg(Arg::new("group").short('G').long("group")).arg(one);
    assert_eq!(
        missing(&command, "-g,--group [ONE] [TWO]… --three"),
        ["-g,--group", "[ONE]", "[TWO]…", "--three"]
    );
    assert_eq!(missing(&command, "--group <ONE>"), NOTHING);
}

#[test]
fn command_lines_of_the_published_program_are_accepted() {
    for line in LINES {
        match Cli::try_parse_from(std::iter::once("mito").chain(line.split_whitespace())) {
            Err(answer) if answer.use_stderr() => panic!("{line}: {answer}"),
            _ => {}
        }
    }
}

#[test]
fn command_line_changes_only_on_purpose() {
    let mut text = String::new();
    describe(&command_line(), "mito", &mut text);
    insta::with_settings!(
        { omit_expression => true, prepend_module_to_snapshot => false, description => "every command and option" },
        { insta::assert_snapshot!("command_line", text) }
    );
}

/// A command and all below: a line for itself, one for each argument.
fn describe(command: &Command, path: &str, text: &mut String) {
    text.push_str(path);
    let aliases: Vec<&str> = command.get_all_aliases().collect();
    if !aliases.is_empty() {
        text.extend([" (also: ", &aliases.join(", "), ")"]);
    }
    if command.is_hide_set() {
        text.push_str(" (hidden)");
    }
    text.push('\n');
    let mut arguments: Vec<&Arg> =
        command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())).collect();
    arguments.sort_by_key(|arg| (arg.is_positional(), arg.get_index(), arg.get_long()));
    for arg in arguments {
        text.push_str(&line(arg));
    }
    let mut below: Vec<&Command> =
        command.get_subcommands().filter(|below| below.get_name() != "help").collect();
    below.sort_by_key(|below| below.get_name());
    for below in below {
        describe(below, &format!("{path} {}", below.get_name()), text);
    }
}

fn line(arg: &Arg) -> String {
    let names = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("    --{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => String::new(),
    };
    let takes_values = !matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Count);
    let values = match arg.get_value_names() {
        Some(values) if takes_values => {
            let values: Vec<&str> = values.iter().map(clap::builder::Str::as_str).collect();
            format!(" <{}>{}", values.join(" "), if takes_several(arg) { "…" } else { "" })
        }
        _ => String::new(),
    };
    let mut notes = Vec::new();
    notes.extend(arg.is_required_set().then(|| "required".to_owned()));
    notes.extend(arg.is_global_set().then(|| "global".to_owned()));
    notes.extend(arg.is_hide_set().then(|| "hidden".to_owned()));
    notes.extend(arg.is_last_set().then(|| "after --".to_owned()));
    notes.extend(arg.get_value_delimiter().map(|delimiter| format!("split at {delimiter}")));
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    notes.extend((takes_values && !defaults.is_empty()).then(|| format!("default {}", defaults.join(","))));
    let choices: Vec<String> =
        arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    notes.extend((takes_values && !choices.is_empty()).then(|| format!("one of {}", choices.join("|"))));
    let notes = if notes.is_empty() { String::new() } else { format!("  [{}]", notes.join("; ")) };
    format!("    {names}{values}{notes}\n")
}
