//! Parsers of the values of arguments (command line §5).

use std::net::SocketAddr;
use std::time::Duration;

use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_domain::filter::Filter;
use mitosis_domain::resources::{parse_gpus, parse_named, parse_size};
use mitosis_domain::secret::{SECRET_NAME_RULE, is_name as is_secret_name};
use mitosis_domain::selector::{InvalidTaskSelector, JobName, JobSelector, Selector, TaskSelector, TaskSet};
use mitosis_protocol::limit::LimitUse;
use mitosis_protocol::stop::{InvalidStopSignal, MAX_GRACE, StopSignal};
use mitosis_protocol::task::{RemoteFile, ResourceDownload};
use mitosis_protocol::{ArtifactKind, ExecState, Role, Timestamp, Uuid, duration};
use mitosis_sweep::attachment_key;

use super::task::{JobArtifact, StoredFolder, TaskFile};
use crate::config::bind_address;

/// Why the value of an argument is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct InvalidArgument {
    problem: String,
    hint: Option<String>,
}

impl InvalidArgument {
    fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl<T: Into<String>> From<T> for InvalidArgument {
    fn from(problem: T) -> Self {
        Self { problem: problem.into(), hint: None }
    }
}

type Parsed<T> = Result<T, InvalidArgument>;

/// The elements of a list that are not empty: `-t ''` is an empty list.
pub(crate) fn non_empty(words: &[String]) -> Vec<String> {
    words.iter().filter(|word| !word.is_empty()).cloned().collect()
}

/// Makes a parser of list elements return `None` for an empty element.
pub(super) fn optional<T>(
    read: impl Fn(&str) -> Parsed<T> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Parsed<Option<T>> + Clone + Send + Sync + 'static {
    move |text| if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

pub(super) fn duration(text: &str) -> Parsed<Duration> {
    duration::parse(text).map_err(|error| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true if !text.is_empty() => {
            format!("invalid duration `{text}`: expected a unit, such as `{text}s` or `{text}m`").into()
        }
        _ => error.to_string().into(),
    })
}

/// Parses the limit of `--lost-after`.
pub(super) fn lost_after(text: &str) -> Parsed<Duration> {
    match duration(text)? {
        Duration::ZERO => Err("expected a duration longer than 0".into()),
        limit => Ok(limit),
    }
}

/// Parses the signal of `--stop-signal`.
pub(super) fn stop_signal(text: &str) -> Parsed<StopSignal> {
    text.parse().map_err(|error: InvalidStopSignal| error.to_string().into())
}

/// Parses the time of `--stop-grace`.
pub(super) fn stop_grace(text: &str) -> Parsed<Duration> {
    match duration(text)? {
        grace if grace > MAX_GRACE => Err("expected a duration of at most 1h".into()),
        grace => Ok(grace),
    }
}

/// Parses a size in bytes.
pub(super) fn size(text: &str) -> Parsed<u64> {
    parse_size(text).map_err(|error| error.to_string().into())
}

/// Parses a number of GPUs, with a model.
pub(super) fn gpus(text: &str) -> Parsed<(u32, Option<String>)> {
    parse_gpus(text).map_err(|error| error.to_string().into())
}

/// Parses units of a named resource.
pub(super) fn named_resource(text: &str) -> Parsed<(String, u64)> {
    parse_named(text).map_err(|error| error.to_string().into())
}

/// Parses an address to listen on.
pub(super) fn bind_address(text: &str) -> Parsed<SocketAddr> {
    bind_address::resolve(text).ok_or_else(|| bind_address::expected(5000).into())
}

/// Parses the number of slots of `mito dev`.
pub(super) fn slots(text: &str) -> Parsed<u16> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a number from 1 to 65535".into()),
        Ok(number) => Ok(number),
    }
}

/// A point in time, as it is given on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    At(Timestamp),
    /// This long after the command was started.
    In(Duration),
}

impl Moment {
    /// The time, for a command that was started at `now`.
    pub(crate) fn after(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::In(duration) => now + duration,
        }
    }
}

/// Parses a duration from now, or a time in RFC 3339.
pub(super) fn moment(text: &str) -> Parsed<Moment> {
    let at = || Timestamp::parse(text).map(Moment::At);
    duration::parse(text).map(Moment::In).or_else(|_| at()).map_err(|_| {
        InvalidArgument::from(format!("invalid time `{text}`")).with_hint(
            "write a duration from now, such as 2h, or a time with its zone, such as 2031-02-09T17:04:05Z",
        )
    })
}

/// Parses `NAME=VALUE`.
pub(super) fn variable(text: &str) -> Parsed<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".into()),
    }
}

/// Parses `LIMIT` or `LIMIT=N`.
pub(super) fn limit_use(text: &str) -> Parsed<LimitUse> {
    let (name, uses) = text.split_once('=').unwrap_or((text, "1"));
    match uses.parse() {
        Ok(uses) if uses > 0 && !name.is_empty() => Ok(LimitUse { name: name.to_owned(), uses }),
        _ => Err("expected the name of a limit, or NAME=N with N from 1".into()),
    }
}

/// Parses the name of a secret, or `VARIABLE=NAME`. Returns the variable and the name.
pub(super) fn secret(text: &str) -> Parsed<(String, String)> {
    let (variable, name) = text.split_once('=').unwrap_or((text, text));
    match [variable, name].into_iter().find(|name| !is_secret_name(name)) {
        None => Ok((variable.to_owned(), name.to_owned())),
        Some(wrong) => Err(InvalidArgument::from(format!("`{wrong}` can't name a secret or its variable"))
            .with_hint(SECRET_NAME_RULE)),
    }
}

/// Parses the name of a secret.
pub(super) fn secret_name(text: &str) -> Parsed<String> {
    match is_secret_name(text) {
        true => Ok(text.to_owned()),
        false => {
            Err(InvalidArgument::from(format!("`{text}` can't name a secret")).with_hint(SECRET_NAME_RULE))
        }
    }
}

/// Parses a largest priority, or `none`.
pub(super) fn priority_bound(text: &str) -> Parsed<PriorityBound> {
    match text.parse() {
        Ok(most) if most >= 0 => Ok(PriorityBound(Some(most))),
        Err(_) if text == "none" => Ok(PriorityBound(None)),
        _ => Err("expected a number from 0, or `none`".into()),
    }
}

/// The largest priority that members with the role Write may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PriorityBound(pub(crate) Option<i32>);

/// Parses the name of an environment variable.
pub(super) fn variable_name(text: &str) -> Parsed<String> {
    match text.is_empty() || text.contains('=') {
        true => Err("expected the name of a variable; --env takes NAME=VALUE".into()),
        false => Ok(text.to_owned()),
    }
}

/// Parses `read`, `write` or `admin`, in lower, upper or capitalised form.
pub(crate) fn role(text: &str) -> Parsed<Role> {
    serde_json::from_value(serde_json::Value::from(text))
        .map_err(|_| format!("invalid role `{text}`: expected read, write or admin").into())
}

/// Parses `NAME:ROLE`.
pub(super) fn relation(text: &str) -> Parsed<(String, Role)> {
    match text.split_once(':') {
        Some((name, word)) if !name.is_empty() => Ok((name.to_owned(), role(word)?)),
        _ => Err("expected NAME:ROLE, such as ann:read".into()),
    }
}

/// Parses `artifact=UUID:TYPE:LOCAL_PATH` or `attachment=KEY:LOCAL_PATH`.
pub(super) fn resource(text: &str) -> Parsed<ResourceDownload> {
    const FORM: &str = "expected artifact=UUID:TYPE:LOCAL_PATH or attachment=KEY:LOCAL_PATH";
    let (kind, rest) = text.split_once('=').ok_or(FORM)?;
    let parts: Vec<&str> = rest.split(':').collect();
    let (remote_file, local_path) = match (kind, parts.as_slice()) {
        ("artifact", [task, kind, local]) => {
            (RemoteFile::Artifact { uuid: uuid(task)?, content_type: artifact_kind(kind)? }, local)
        }
        ("attachment", [name, local]) => (RemoteFile::Attachment { key: attachment_key(name)? }, local),
        _ => return Err(FORM.into()),
    };
    Ok(ResourceDownload { remote_file, local_path: (*local_path).to_owned() })
}

fn artifact_kind(text: &str) -> Parsed<ArtifactKind> {
    let kind = text.parse::<ArtifactKind>().or_else(|_| text.to_lowercase().parse());
    kind.map_err(|error| error.to_string().into())
}

/// Parses a resource, or `job=JOB:TYPE:LOCAL_PATH`.
pub(super) fn file_of_task(text: &str) -> Parsed<TaskFile> {
    if let Some((key, local)) = text.strip_prefix("attachment=").and_then(|rest| rest.split_once(':'))
        && key.ends_with('/')
    {
        return stored_folder(key, local).map(TaskFile::Folder);
    }
    let Some(rest) = text.strip_prefix("job=") else { return resource(text).map(TaskFile::Stored) };
    let [name, kind, local_path] = rest.split(':').collect::<Vec<_>>()[..] else {
        return Err("expected job=JOB:TYPE:LOCAL_PATH, such as job=12:result:data/".into());
    };
    let (job, content_type) = (job(name)?, artifact_kind(kind)?);
    Ok(TaskFile::OfJob(JobArtifact { job, content_type, local_path: local_path.to_owned() }))
}

fn stored_folder(key: &str, local: &str) -> Parsed<StoredFolder> {
    let key = attachment_key(key)?;
    if key.is_empty() || !(local.is_empty() || local.ends_with('/')) || local.contains(':') {
        return Err("expected attachment=DIR/:LOCAL_DIR/, such as attachment=data/:in/".into());
    }
    let local_path = local.trim_start_matches("./").to_owned();
    Ok(StoredFolder { prefix: format!("{key}/"), local_path })
}

/// Parses `UUID,STATE`.
pub(super) fn watch(text: &str) -> Parsed<(Uuid, ExecState)> {
    let (task, state) = text.split_once(',').ok_or("expected UUID,STATE")?;
    let task = uuid(task.trim())?;
    let state = serde_json::from_value(serde_json::Value::from(state.trim())).map_err(|_| {
        let watchable = ExecState::ALL.into_iter().filter(|state| *state != ExecState::Unknown);
        let names: Vec<String> = watchable.map(|state| format!("{state:?}")).collect();
        InvalidArgument::from(format!("invalid state `{state}`: expected one of {}", names.join(", ")))
            .with_hint("most watches use TaskCommitted: the task has ended and its artifacts are visible")
    })?;
    Ok((task, state))
}

pub(super) fn uuid(text: &str) -> Parsed<Uuid> {
    text.parse().map_err(|_| format!("invalid UUID `{text}`").into())
}

/// Parses the UUID of a worker.
pub(super) fn worker(text: &str) -> Parsed<Uuid> {
    text.parse().map_err(|_| {
        InvalidArgument::from(format!("invalid worker UUID `{text}`"))
            .with_hint("`mito client workers query` shows the UUIDs")
    })
}

/// Parses the id of a personal token.
pub(super) fn token_id(text: &str) -> Parsed<i64> {
    text.parse().map_err(|_| {
        InvalidArgument::from(format!("invalid token id `{text}`: expected a number"))
            .with_hint("`mito client tokens list` shows the ids")
    })
}

/// Parses the priority of a task.
pub(super) fn priority(text: &str) -> Parsed<i32> {
    text.parse().map_err(|_| {
        format!("invalid priority `{text}`: expected an integer from {} to {}", i32::MIN, i32::MAX).into()
    })
}

/// Parses the selector of one task.
pub(super) fn task(text: &str) -> Parsed<String> {
    let invalid = |error: InvalidTaskSelector| {
        InvalidArgument::from(error.to_string()).with_hint(InvalidTaskSelector::HINT)
    };
    text.parse::<TaskSelector>().map(|_| text.to_owned()).map_err(invalid)
}

/// Parses the selector of jobs or of tasks of jobs.
pub(super) fn job_tasks(text: &str) -> Parsed<Selector> {
    text.parse::<Selector>().map_err(|error| error.to_string().into())
}

/// Parses the selector of a whole job.
pub(super) fn job(text: &str) -> Parsed<JobSelector> {
    let invalid = || format!("invalid job `{text}`: expected its number, its name, or `last`");
    match job_tasks(text)? {
        Selector::Job(job, TaskSet::All) => Ok(job),
        // No task is expected, so the start of a UUID is a name, too.
        Selector::UuidPrefix(_) => text.parse().map_err(|_| invalid().into()),
        Selector::Job(..) | Selector::Uuid(_) => Err(invalid().into()),
    }
}

/// Parses the name of a job.
pub(super) fn job_name(text: &str) -> Parsed<JobName> {
    text.parse::<JobName>().map_err(|error| error.to_string().into())
}

/// Parses a selector of jobs or tasks, a comma-separated list of task selectors, or a condition.
pub(super) fn job_tasks_or_condition(text: &str) -> Parsed<String> {
    match Filter::is_condition(text) {
        true => condition(text),
        false => job_tasks(text).map(|_| text.to_owned()).or_else(|error| match text.contains(',') {
            true => selector(text),
            false => Err(error),
        }),
    }
}

/// Parses a condition of a filter.
pub(super) fn condition(text: &str) -> Parsed<String> {
    let text = filter_word(text);
    match Filter::parse(&text, SystemClock.now()) {
        Ok(_) => Ok(text),
        Err(error) => Err(InvalidArgument::from(error.to_string()).with_hint(error.hint())),
    }
}

/// Parses a comma-separated list of task selectors, or a condition.
pub(super) fn selector(text: &str) -> Parsed<String> {
    match Filter::is_condition(text) {
        true => condition(text),
        false => text
            .split(',')
            .try_for_each(|name| task(name).map(|_| ()))
            .map(|()| text.to_owned())
            .map_err(|error| error.with_hint(InvalidTaskSelector::HINT_WITH_CONDITIONS)),
    }
}

/// Converts an argument to a word of a filter: restores the quotes that the shell has removed.
fn filter_word(word: &str) -> String {
    match word.contains(char::is_whitespace) && !word.contains('"') {
        true => format!("\"{}\"", word.replace('\\', "\\\\")),
        false => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifact_of_a_job_has_a_type_and_a_path() {
        let TaskFile::OfJob(artifact) = file_of_task("job=train:result:data/").unwrap() else {
            panic!("of a job")
        };
        assert_eq!((artifact.content_type, &*artifact.local_path), (ArtifactKind::Result, "data/"));
        assert!(matches!(file_of_task("attachment=a:b"), Ok(TaskFile::Stored(_))));
        for wrong in ["job=12", "job=12:result", "job=12:none:x", "job=12:result:a:b"] {
            assert!(file_of_task(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn directory_of_attachments_ends_with_a_slash() {
        let folder = |text| match file_of_task(text) {
            Ok(TaskFile::Folder(StoredFolder { prefix, local_path })) => Some((prefix, local_path)),
            Ok(TaskFile::Stored(_) | TaskFile::OfJob(_)) | Err(_) => None,
        };
        let expected = |prefix: &str, local: &str| Some((prefix.to_owned(), local.to_owned()));
        assert_eq!(folder("attachment=a/./b/:in/"), expected("a/b/", "in/"));
        assert_eq!(folder("attachment=a/:"), expected("a/", ""));
        assert_eq!(folder("attachment=a/:./"), expected("a/", ""));
        for wrong in ["attachment=a/:in", "attachment=/:in/", "attachment=../:in/", "attachment=a/:b:c/"] {
            assert!(file_of_task(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn resource_is_an_artifact_or_an_attachment() {
        let uuid = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
        let artifact = resource(&format!("artifact={uuid}:STDLOG:logs/before.tar.gz")).unwrap();
        assert_eq!(artifact.local_path, "logs/before.tar.gz");
        assert!(matches!(
            artifact.remote_file,
            RemoteFile::Artifact { content_type: ArtifactKind::StdLog, .. }
        ));
        let attachment = resource("attachment=a/./b/../c:in.csv").unwrap();
        assert_eq!(attachment.remote_file, RemoteFile::Attachment { key: "a/c".into() });
        for wrong in [
            "a.csv",
            "attachment=a",
            "attachment=a:b:c",
            "attachment=../a:b",
            "artifact=x:result:y",
            "other=a:b",
        ] {
            assert!(resource(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn variable_is_split_at_the_first_equals_sign() {
        assert_eq!(variable("A=b=c,d").unwrap(), ("A".into(), "b=c,d".into()));
        assert!(variable("=x").is_err() && variable("x").is_err());
    }

    #[test]
    fn relation_is_split_at_the_first_colon() {
        assert_eq!(relation("ann:read").unwrap(), ("ann".into(), Role::Read));
        assert_eq!(relation("ann:WRITE").unwrap().1, Role::Write);
        assert_eq!(relation("ann:Admin").unwrap().1, Role::Admin);
        for wrong in ["ann", ":read", "ann:", "ann:rEAD", "ann:read:write"] {
            assert!(relation(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn watched_state_must_exist() {
        let uuid = "3f0c9a3e-7c1b-4b6e-9a52-0d7e3f1c2b4a";
        assert_eq!(watch(&format!("{uuid},TaskCommitted")).unwrap().1, ExecState::TaskCommitted);
        assert!(watch(&format!("{uuid},Finished")).is_err());
    }
}
