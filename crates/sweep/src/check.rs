//! Checks every task of a sweep before the first one is sent.

use mitosis_blueprint::Expansion;
use mitosis_domain::spec;
use mitosis_domain::tags::TagSet;
use mitosis_domain::timeout::Timeout;
use mitosis_protocol::task::SubmitTaskRequest;

use super::error::Error;

/// Fails for the first task that the coordinator would refuse. The error shows its parameters. Of numbers in a range, only
/// the ends are tried: a million tasks are checked as fast as one.
pub fn check(expansion: &Expansion<'_>) -> Result<(), Error> {
    expansion.samples().into_iter().try_for_each(|index| {
        let (task, number) = (expansion.task(index), index + 1);
        check_one(&task).map_err(|error| match expansion.len() {
            1 => Error::input(error),
            _ => {
                let params: Vec<_> =
                    task.task_spec.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
                Error::input(format!("task {number} ({}): {error}", params.join(" ")))
                    .with_hint("nothing was submitted")
            }
        })
    })
}

fn check_one(task: &SubmitTaskRequest) -> Result<(), String> {
    spec::check(&task.task_spec).map_err(|error| error.to_string())?;
    Timeout::new(task.timeout).map_err(|error| error.to_string())?;
    for words in [&task.tags, &task.labels] {
        TagSet::new(words.clone()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn parameters_of_a_blueprint_fit_in_a_task() {
        assert_eq!(mitosis_blueprint::MAX_PARAMETERS, mitosis_domain::limits::MAX_PARAMS);
    }
}
