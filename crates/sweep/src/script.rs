//! Scripts that are sent along with a task.

use std::io::ErrorKind;
use std::path::Path;

use mitosis_blueprint::literal;
use mitosis_domain::limits::MAX_FILES_BYTES;
use mitosis_protocol::TaskSpec;

use super::attachment_key::file_name;
use super::error::Error;
use super::parameter_files;

/// The beginning of a line with options of `mito submit`.
const DIRECTIVE: &str = "#MITO";
/// The name of a script from standard input.
const UNNAMED: &str = "script";
/// Interpreters by the extension of a script without a `#!` line.
const INTERPRETERS: [(&str, &str); 9] = [
    ("sh", "sh"),
    ("bash", "bash"),
    ("zsh", "zsh"),
    ("py", "python3"),
    ("pl", "perl"),
    ("rb", "ruby"),
    ("R", "Rscript"),
    ("jl", "julia"),
    ("js", "node"),
];

/// A script with its interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The name of its file.
    name: String,
    text: String,
    /// The interpreter, and its argument if it has one.
    interpreter: Vec<String>,
}

/// A line with options of `mito submit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The number of the line, from 1.
    pub line: usize,
    /// The options.
    pub words: Vec<String>,
}

impl Script {
    /// Reads a script; `-` is standard input.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = parameter_files::text(path).map_err(|error| match error {
            // Probably a command without the `--` before it.
            Error::Unreadable { source, .. }
                if source.kind() == ErrorKind::NotFound && path.extension().is_none() =>
            {
                Error::input(format!(
                    "{} is neither a job file nor a script: there is no such file",
                    path.display()
                ))
                .with_hint("put a command after `--`")
            }
            other => other,
        })?;
        match path == Path::new("-") {
            true => Self::new(UNNAMED, text, Some("sh")),
            false => Self::new(file_name(path)?, text, interpreter_of(path)),
        }
        .map_err(|error| error.about(&path.display().to_string()))
    }

    fn new(name: &str, text: String, default: Option<&str>) -> Result<Self, Error> {
        if text.trim().is_empty() {
            return Err(Error::input("the script is empty"));
        }
        if text.len() > MAX_FILES_BYTES {
            let kib = MAX_FILES_BYTES / 1024;
            return Err(Error::input(format!(
                "the script has {} bytes; at most {kib} KiB are sent along",
                text.len()
            ))
            .with_hint("put data into an attachment, or run the script by its name"));
        }
        let first = text.lines().next().unwrap_or_default();
        if text.starts_with("#!") && text.split('\n').next().is_some_and(|line| line.ends_with('\r')) {
            return Err(Error::input(
                "its lines end with a carriage return, which the interpreter would not accept",
            )
            .with_hint("convert it, for example with `sed -i 's/\\r$//'`"));
        }
        let interpreter = match (first.strip_prefix("#!"), default) {
            (Some(line), _) => words_of_first_line(line)?,
            (None, Some(program)) => vec![program.to_owned()],
            (None, None) => {
                return Err(Error::input("it is neither a job file nor a script")
                    .with_hint("begin a script with a line such as #!/bin/sh; a job file ends with .toml, .yaml, .yml or .json; put a command after `--`"));
            }
        };
        Ok(Self { name: name.to_owned(), text, interpreter })
    }

    /// The lines with options, in order. They come before the first line that is neither empty nor a comment.
    pub fn directives(&self) -> Result<Vec<Directive>, Error> {
        let numbered = (1..).zip(self.text.lines());
        let comments = numbered.take_while(|(_, line)| line.trim().is_empty() || line.starts_with('#'));
        let options = comments.filter_map(|(line, text)| Some((line, options(text)?)));
        options
            .map(|(line, text)| match shlex::split(text) {
                Some(words) => Ok(Directive { line, words }),
                None => Err(Error::input(format!("line {line} of {}: unmatched quote", self.name))
                    .with_hint("the options are split into words as in a shell")),
            })
            .collect()
    }

    /// The number of the first line with options after the first command, where it has no effect.
    pub fn late_directive(&self) -> Option<usize> {
        let numbered = (1..).zip(self.text.lines());
        let mut rest = numbered.skip_while(|(_, line)| line.trim().is_empty() || line.starts_with('#'));
        rest.find_map(|(number, line)| options(line).map(|_| number))
    }

    /// The name of its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds the script to a task, and runs it with these arguments. With parameters, `is_plain` is false.
    pub fn add_to(&self, spec: &mut TaskSpec, arguments: &[String], is_plain: bool) -> Result<(), Error> {
        let interpreter = shlex::try_join(self.interpreter.iter().map(String::as_str))
            .map_err(|_| Error::input("the first line of the script contains a NUL byte"))?;
        // `$0` is the name of the script: the shell in between is replaced by the interpreter.
        let command = format!(r#"exec {interpreter} "$MITO_RESOURCE_DIR/$0" "$@""#);
        let in_task = |text: &str| if is_plain { text.to_owned() } else { literal(text) };
        spec.args = vec!["sh".to_owned(), "-c".to_owned(), in_task(&command), in_task(&self.name)];
        spec.args.extend(arguments.iter().cloned());
        spec.files.insert(self.name.clone(), self.text.clone());
        Ok(())
    }
}

/// The options in a line; none if it has none.
fn options(line: &str) -> Option<&str> {
    line.strip_prefix(DIRECTIVE).filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

fn interpreter_of(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?;
    INTERPRETERS.iter().find(|(known, _)| *known == extension).map(|(_, program)| *program)
}

/// The interpreter of a `#!` line. As for the kernel, everything after its path is one argument.
fn words_of_first_line(line: &str) -> Result<Vec<String>, Error> {
    let line = line.trim();
    let (program, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    match program.is_empty() {
        true => {
            Err(Error::input("line 1: `#!` without an interpreter")
                .with_hint("write, for example, #!/bin/sh"))
        }
        false => Ok([program, argument.trim()]
            .into_iter()
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(name: &str, text: &str) -> Result<Script, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Script::read(&path).map_err(|error| error.full_message())
    }

    #[test]
    fn interpreter_is_that_of_the_first_line_or_the_extension() {
        for (name, text, expected) in [
            ("a", "#!/bin/bash\ntrue", &["/bin/bash"][..]),
            ("a.py", "#! /usr/bin/env -S python3 -u \nx", &["/usr/bin/env", "-S python3 -u"]),
            ("a.toml", "#!/bin/sh\ntrue", &["/bin/sh"]),
            ("a.py", "import os", &["python3"]),
            ("a.R", "x", &["Rscript"]),
        ] {
            assert_eq!(script(name, text).unwrap().interpreter, expected, "{name}: {text}");
        }
        for (name, text, problem) in [
            ("a", "true", "neither a job file nor a script"),
            ("a.txt", "true", "neither"),
            ("a.sh", "\n\n", "empty"),
            ("a.sh", "#!\ntrue", "without an interpreter"),
            ("a.sh", "#!/bin/sh\r\ntrue\r\n", "carriage return"),
            ("a.sh", &"#".repeat(64 * 1024 + 1), "65537 bytes"),
        ] {
            let error = script(name, text).unwrap_err();
            assert!(error.contains(problem), "{name}: {error}");
        }
    }

    #[test]
    fn options_come_before_the_first_command() {
        let text = "#!/bin/sh\n# a test\n#MITO -t gpu --timeout 2h  # why\n\n#MITO -e 'A=b c'\n#MITO\n#MITOSIS -x\n # MITO\n\
                    true\n#MITO -p 5\n";
        let script = script("a", text).unwrap();
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = [
            Directive { line: 3, words: words(&["-t", "gpu", "--timeout", "2h"]) },
            Directive { line: 5, words: words(&["-e", "A=b c"]) },
            Directive { line: 6, words: Vec::new() },
        ];
        assert_eq!(script.directives().unwrap(), expected);
        assert_eq!(script.late_directive(), Some(10));
    }

    #[test]
    fn wrong_or_late_line_is_found() {
        let late = script("a", "#!/bin/sh\ntrue\n#MITO -p 5\n").unwrap();
        assert_eq!((late.directives().unwrap().len(), late.late_directive()), (0, Some(3)));
        let halved = script("a", "#!/bin/sh\n#MITO -e 'A\n").unwrap();
        let error = halved.directives().unwrap_err().full_message();
        assert!(error.contains("line 2 of a") && error.contains("unmatched quote"), "{error}");
    }

    #[test]
    fn task_runs_the_script_with_its_arguments() {
        let script = script("a{x}.sh", "#!/bin/sh -e\necho ${1}\n").unwrap();
        let mut spec = TaskSpec::default();
        script.add_to(&mut spec, &["{x}".to_owned()], false).unwrap();
        assert_eq!(
            spec.args,
            ["sh", "-c", r#"exec /bin/sh -e "$MITO_RESOURCE_DIR/$0" "$@""#, "a{{x}}.sh", "{x}"]
        );
        assert_eq!(spec.files["a{x}.sh"], "#!/bin/sh -e\necho ${1}\n");
        script.add_to(&mut spec, &[], true).unwrap();
        assert_eq!(spec.args.last().unwrap(), "a{x}.sh");
    }
}
